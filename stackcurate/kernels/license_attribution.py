"""The licence texts and notices that must travel along with a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from posixpath import dirname, splitext

from stackcurate.kernels.license_evidence import Claim, Row
from stackcurate.kernels.license_folders import Folders
from stackcurate.kernels.license_names import is_license_name

Blobs = tuple[str, ...]


def license_texts(claims: Sequence[Claim], rows: Sequence[Row], folders: Folders) -> list[list[str]]:
    """Return for each file the blobs of the licence files that apply to it.

    Args:
        claims: the decision on each file.
        rows: the files.
        folders: of the same files.

    Returns:
        The evidence first, where that is a licence file (a header is passed on with its file), then the licence files
        of the nearest folder upwards that has any; nothing above a third-party folder counts.
    """
    above = _nearest(rows, folders.license_files, folders)
    shown = [[claim.blob_id] if claim.path and is_license_name(claim.path) else [] for claim in claims]
    return [list(dict.fromkeys(filter(None, (*own, *more)))) for own, more in zip(shown, above, strict=True)]


def notices(rows: Sequence[Row], folders: Folders) -> list[list[str]]:
    """Return for each file the blobs of the notices of the nearest folder upwards that has any."""
    return [list(blobs) for blobs in _nearest(rows, lambda folder: folders.notices.get(folder, ()), folders)]


def _nearest(rows: Sequence[Row], at: Callable[[str], Iterable[Row]], folders: Folders) -> list[Blobs]:
    known: dict[str, Blobs] = {}
    return [_upwards(row["path"], at, folders, known) for row in rows]


def _upwards(path: str, at: Callable[[str], Iterable[Row]], folders: Folders, known: dict[str, Blobs]) -> Blobs:
    """Return what lies at the nearest folder that has any, remembering it for each folder on the way."""
    module = splitext(path)[0]
    folder = module if module in folders.packages else dirname(path)
    passed: list[str] = []
    while folder not in known:
        third_party = folders.is_third_party(folder)
        package = None if third_party else folders.packages.get(folder)
        found = at(folder) or at(package or "/")
        blobs = tuple(dict.fromkeys(row["blob_id"] for row in found if row["blob_id"]))
        if blobs or third_party or folder in ("", "/"):
            known[folder] = blobs
            break
        passed.append(folder)
        folder = dirname(folder)
    known |= dict.fromkeys(passed, known[folder])
    return known[folder]
