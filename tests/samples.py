"""Real files and nasty ones, the same on each call: what kernels and stages are tried on."""

from __future__ import annotations

import sysconfig
from functools import cache
from itertools import islice
from pathlib import Path

import pyarrow as pa

from stackcurate.kernels.content import blob_id
from stackcurate.kernels.language import detect
from stackcurate.kernels.language_context import repository_context
from stackcurate.kernels.license_scan import scanned_as
from stackcurate.sources.metadata import file_id

_KINDS = (".py", ".pyi", ".pyx", ".c", ".h", ".js", ".json", ".md", ".txt", ".toml", ".yaml", ".css", ".html", ".cpp")
_SMALLEST, _LARGEST = 200, 9_000

NASTY: dict[str, bytes] = {
    "empty.py": b"",
    "nuls.py": b"name = 1\n\0\0\0\0name = 2\n",
    "latin.py": "# caf\xe9\nname = 'na\xefve'\n".encode("latin-1"),
    "broken.js": b"let name = '\xff\xfe\x80\x81'\n",
    "wide.cs": "\ufeffclass Name { /* \u00fcber */ }\n".encode("utf-16-le"),
    "emoji.py": "name = '\U0001f600 \U0001f469\u200d\U0001f4bb \u202e'\n".encode(),
    "long.json": b"[" + b"1234567, " * 116_000 + b"0]",
    "breaks.txt": b"\r\n\r\r\n\n" * 2_000,
    "half.py": "name = '\u00e9'".encode()[:-2],
    "adder.py": b'def add(x: int, y: int):\n    """Add two numbers x and y\n    >>> add(2, 3)\n    5\n    """\n',
    "LICENSE": b"Permission is granted to nobody. All rights reserved.\n",
}
"""By path: what breaks readers of text, and an item of HumanEval. The long line has a megabyte."""


@cache
def files(real: int = 40) -> tuple[tuple[str, bytes], ...]:
    """Return paths and contents of installed files of many kinds, and of the nasty ones.

    Args:
        real: number of installed files.
    """
    root = Path(sysconfig.get_path("purelib"))
    per_kind = -(-real // len(_KINDS))
    found = [path for kind in _KINDS for path in islice(_of_kind(root, kind), per_kind)][:real]
    return tuple((path.relative_to(root).as_posix(), path.read_bytes()) for path in found) + tuple(NASTY.items())


def _of_kind(root: Path, kind: str) -> list[Path]:
    """Return one file per installed package, in order."""
    chosen: dict[str, Path] = {}
    for path in sorted(root.glob(f"*/**/*{kind}")):
        package = path.relative_to(root).parts[0]
        if package not in chosen and _SMALLEST <= path.stat().st_size <= _LARGEST and path.is_file():
            chosen[package] = path
    return list(chosen.values())


def columns(rows: tuple[tuple[str, bytes | None], ...], repo_id: str = "local/sample") -> dict[str, pa.Array]:
    """Return what stages read of the files of one repository, by column."""
    paths, contents = [path for path, _ in rows], [content for _, content in rows]
    languages = detect(pa.array(paths, pa.string()), pa.array(contents, pa.binary()))
    return {
        "file_id": pa.array([file_id(repo_id, "1", path) for path in paths], pa.string()),
        "repo_id": pa.array([repo_id] * len(rows), pa.string()),
        "revision": pa.array(["1"] * len(rows), pa.string()),
        "path": pa.array(paths, pa.string()),
        "blob_id": pa.array([None if content is None else blob_id(content) for content in contents], pa.string()),
        "mode": pa.array([0o100644] * len(rows), pa.int32()),
        "size": pa.array([None if content is None else len(content) for content in contents], pa.int64()),
        "content": pa.array(contents, pa.binary()),
        "scanned_as": pa.array([scanned_as(path) for path in paths], pa.string()),
        "context": repository_context(paths, {}),
        "language": languages["language"],
        "language_type": languages["language_type"],
    }
