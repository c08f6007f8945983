"""Repositories that no memory holds: a tree of a million entries and a pack of gigabytes, read as a stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .hostile_git import GOOD, blob, commit, repository

pytestmark = pytest.mark.slow

MILLION = 1_000_000
PACK_BLOBS, PACK_BLOB_BYTES = 430, 10_000_000
"""4.3 GB that no compression makes smaller, in files of a length that is read."""
READ = """
import json, resource, sys
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.local import read, single

row, files = read(single(sys.argv[1]), SourcesConfig(**json.loads(sys.argv[2])))
size = count = 0
for file in files:
    count += 1
    size += len(file.content or b"")
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
peak = int(status["VmHWM"].split()[0]) / 1024  # `ru_maxrss` would count what started this process
git = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"error": row.error, "files": count, "bytes": size, "reader_mb": peak, "git_mb": git}))
"""
"""Reads a repository as a task does, both passes, and says what it took."""


def read(folder: Path, **limits: int) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", READ, folder, json.dumps(limits)], capture_output=True, check=True)
    return dict(json.loads(done.stdout))


def test_tree_of_a_million_entries(tmp_path: Path) -> None:
    folder = repository(tmp_path / "many", "--bare")
    content = blob(folder, b"x\n")
    commit(folder, *(("100644", "blob", content, f"f{number:07}") for number in range(MILLION)))
    whole, cut = read(folder, max_entries=MILLION + 1), read(folder)

    assert (whole["error"], whole["files"], whole["bytes"]) == (None, MILLION + 1, 2 * MILLION + len(GOOD))
    assert (cut["error"], cut["files"]) == ("too_many_entries", 500_000)
    assert whole["reader_mb"] < 300
    assert whole["git_mb"] < 400


def test_pack_of_gigabytes(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path)
    if free.f_bavail * free.f_frsize < 2 * PACK_BLOBS * PACK_BLOB_BYTES:
        pytest.skip("needs 9 GB of disk")
    folder = repository(tmp_path / "large", "--bare")

    def stream() -> Iterator[bytes]:
        for number in range(PACK_BLOBS):
            yield b"blob\nmark :%d\ndata %d\n" % (number + 1, PACK_BLOB_BYTES)
            yield os.urandom(PACK_BLOB_BYTES)
            yield b"\n"
        yield b"commit refs/heads/main\ncommitter a <a@example.org> 1 +0000\ndata 1\nx\n"
        yield from (b"M 100644 :%d f%d\n" % (number + 1, number) for number in range(PACK_BLOBS))

    command = ["git", "-c", "pack.compression=0", "-c", "core.compression=0", "fast-import", "--quiet"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE) as process:  # it writes one pack
        assert process.stdin
        process.stdin.writelines(stream())
    assert sum(path.stat().st_size for path in folder.rglob("*.pack")) > PACK_BLOBS * PACK_BLOB_BYTES
    whole, cut = read(folder, max_repository_bytes=1 << 40), read(folder)
    for pack in folder.rglob("*.pack"):
        pack.unlink()

    assert (whole["error"], whole["files"]) == (None, PACK_BLOBS)
    assert whole["bytes"] == PACK_BLOBS * PACK_BLOB_BYTES
    assert cut["error"] == "repository_too_large"
    assert cut["bytes"] <= 4 << 30
    assert whole["reader_mb"] < 150
    assert whole["git_mb"] < 400
