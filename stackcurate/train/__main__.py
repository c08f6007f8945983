"""What torchrun starts: `torchrun --nproc-per-node 8 -m stackcurate.train --preset 1.1B --release DIR --output RUN`."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import NoReturn

from stackcurate.errors import StackcurateError
from stackcurate.train.launch import launch
from stackcurate.train.run import Request


def read_request(arguments: list[str]) -> Request:
    """Parse a command line; a restart by torchrun goes on with what it finds."""
    parser = ArgumentParser(prog="torchrun ... -m stackcurate.train", description="Train a model on a release.")
    parser.add_argument("--release", help="folder or URI of a release")
    parser.add_argument("--output", type=Path, default=Path("train-run"), help="folder of the run")
    parser.add_argument("--preset", help="a recipe that comes with the package")
    parser.add_argument("--config", type=Path, help="a TOML file instead")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json; without it one is trained")
    parser.add_argument("--set", action="append", default=[], dest="overrides", help="section.key=value")
    parser.add_argument("--resume", action="store_true", help="go on where there is a run")
    given = vars(parser.parse_args(arguments))
    given["overrides"] = tuple(given["overrides"])
    given["resume"] |= os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
    return Request(folder=given.pop("output"), **given)


def main() -> int:
    """Train, and return the exit code."""

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    try:
        launch(read_request(sys.argv[1:]), say)
    except StackcurateError as error:
        say(f"{type(error).__name__}: {error}")
        return 1
    return 0


def leave(code: int) -> NoReturn:
    """End at once: taking the interpreter down may abort in a thread of gloo, which torchrun takes for a failed run."""
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
