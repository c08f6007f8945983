"""Language detectors that the benchmark sees beside us: go-enry and Magika, from wheels in their own environment."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import ROOT

FOLDER = ROOT / ".demo" / "bench" / "languages"
"""The environment; it is kept for the next time."""
REQUIREMENTS = ("enry-python==0.2.0", "magika==1.0.3")

_DETECT = """
import json, os, sys, time
task = json.load(open(sys.argv[1]))
if task["peer"] == "go-enry":
    import enry
    def detect(name, content):
        return enry.get_language(name, content)
else:
    from magika import Magika
    magika = Magika()
    def detect(name, content):
        return str(magika.identify_bytes(content).output.label)
files = [(os.path.basename(path), open(path, "rb").read()) for path in task["files"]]
detect("a.py", b"import os\\n")
started = time.process_time()
found = [detect(*file) for file in files]
json.dump({"seconds": time.process_time() - started, "languages": found}, open(sys.argv[2], "w"))
"""


def detected(peer: str, files: Sequence[Path]) -> tuple[float, list[str]]:
    """Return the CPU seconds of a peer on some files, without loading, and what it calls each of them.

    Args:
        peer: `go-enry`, which sees name and content, or `magika`, which sees the content.
        files: what to look at.

    Raises:
        subprocess.CalledProcessError: it does not install, or fails.
    """
    python = FOLDER / "bin" / "python"
    if not python.exists():
        venv.create(FOLDER, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS], stdout=sys.stderr, check=True)
    with tempfile.TemporaryDirectory() as folder:
        task, answer = Path(folder) / "task.json", Path(folder) / "answer.json"
        task.write_text(json.dumps({"peer": peer, "files": [str(path) for path in files]}), encoding="utf-8")
        subprocess.run([str(python), "-c", _DETECT, str(task), str(answer)], stdout=sys.stderr, check=True)
        found = json.loads(answer.read_text(encoding="utf-8"))
    return float(found["seconds"]), list(found["languages"])
