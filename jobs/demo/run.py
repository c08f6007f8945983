"""The demo: fetch about 25 packages, build a release, say where it lies. `make demo` runs this."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from jobs.demo.fetch import fetch  # noqa: E402 (the folder above is no package)
from tests.corpus import write_corpus  # noqa: E402

CONFIG = "jobs/demo/demo.toml"


def main() -> int:
    """Run the demo from the repository's root and return the exit code."""
    start = time.monotonic()
    packages = ROOT / ".demo" / "packages"
    missing = fetch(packages)
    arguments = ["--config", CONFIG, "--replace"]
    if not any(packages.iterdir()):
        print("no package could be fetched: the demo runs on generated archives instead")
        write_corpus(ROOT / ".demo" / "generated")
        arguments += ["--set", 'sources.inputs=[".demo/generated"]', "--set", "workspace.path=.demo/offline"]
    elif missing:
        print(f"not fetched, left out: {', '.join(missing)}")
    done = subprocess.run([sys.executable, "-m", "stackcurate.cli", "build", *arguments], cwd=ROOT, check=False)
    print(f"{time.monotonic() - start:.0f} s")
    if done.returncode == 0:
        print(f"what next: {Path(sys.executable).parent}/stackcurate lookup pytoolz/toolz --config {CONFIG}")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
