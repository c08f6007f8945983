"""Run one benchmark: `python -m tests.bench build`. JSON lines go to stdout, progress to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from tests.bench import (
    attribution,
    build,
    contamination,
    language,
    licenses,
    loader,
    malware,
    near_dups,
    opt_out,
    pii,
    quality,
    sources,
    train,
)
from tests.bench.measure import Line, as_json

SUBJECTS: dict[str, Callable[[], Iterator[Line]]] = {
    "attribution": attribution.run,
    "build": build.run,
    "contamination": contamination.run,
    "language": language.run,
    "licenses": licenses.run,
    "loader": loader.run,
    "malware": malware.run,
    "near_dups": near_dups.run,
    "opt_out": opt_out.run,
    "pii": pii.run,
    "quality": quality.run,
    "sources": sources.run,
    "train": train.run,
}
"""The benchmark of each subject."""


def main(arguments: list[str]) -> int:
    """Print the lines of a subject as they are measured and return the exit code."""
    if len(arguments) != 1 or arguments[0] not in SUBJECTS:
        sys.stderr.write(f"usage: make bench subject=NAME, one of: {', '.join(sorted(SUBJECTS))}\n")
        return 2
    for line in SUBJECTS[arguments[0]]():
        sys.stdout.write(f"{as_json(line)}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
