"""Fetch the demo's packages by pinned name, version and hash; nothing of theirs is run."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pypi_simple import PYPI_SIMPLE_ENDPOINT, PyPISimple

HERE = Path(__file__).parent


def fetch(folder: Path) -> list[str]:
    """Bring all packages into a folder and return the names of those that could not be had.

    `pip download` would build each sdist to learn its name, so the index is read directly.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pypi = [line.split(" --hash=sha256:") for line in _lines(HERE / "pypi.txt")]
    npm = [line.split(" ") for line in _lines(HERE / "npm.txt")] if shutil.which("npm") else []
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(_from_pypi, name, digest, folder) for name, digest in pypi]
        done += [pool.submit(_from_npm, name, integrity, folder) for name, integrity in npm]
    return [name for (name, _), result in zip([*pypi, *npm], done, strict=True) if not result.result()]


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def _from_pypi(requirement: str, sha256: str, folder: Path) -> bool:
    name, version = requirement.split("==")
    known = [path for path in folder.glob("*.tar.gz") if _sha256(path) == sha256]
    if known:
        return True
    try:
        with PyPISimple(os.environ.get("PIP_INDEX_URL") or PYPI_SIMPLE_ENDPOINT) as index:
            for package in index.get_project_page(name).packages:
                if package.version == version and package.digests.get("sha256") == sha256:
                    target = folder / package.filename
                    index.download_package(package, target.with_suffix(".part"), timeout=60)
                    target.with_suffix(".part").replace(target)
                    return _sha256(target) == sha256
    except Exception as error:  # noqa: BLE001 (no network shows itself in many ways)
        print(f"{requirement}: {type(error).__name__}")
    return False


def _from_npm(package: str, integrity: str, folder: Path) -> bool:
    target = folder / f"{package.replace('@', '-')}.tgz"
    if not target.exists():
        command = ["npm", "pack", package, "--silent", "--ignore-scripts", "--pack-destination", str(folder)]
        subprocess.run(command, check=False, capture_output=True, timeout=120)
    if not target.exists():
        return False
    found = base64.b64encode(hashlib.sha512(target.read_bytes()).digest()).decode()
    if f"sha512-{found}" != integrity:
        target.unlink()
        return False
    return True


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
