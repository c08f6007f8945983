"""Which licence each file of a repository is under, and on what evidence.

The nearest evidence decides: what a file says of itself, REUSE's mapping, the licence file or manifest of the nearest
folder upwards, the root's, the README. Third-party folders are not covered from above. The host's label can only
cast doubt. The answer depends on the set of files alone, and takes time proportional to files times depth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from posixpath import dirname, splitext
from typing import Any

import pyarrow as pa

from stackcurate.kernels.license_attribution import license_texts, notices
from stackcurate.kernels.license_evidence import (
    REASONS,
    Claim,
    ResolverConfig,
    Row,
    is_free,
)
from stackcurate.kernels.license_expressions import ids, normalise
from stackcurate.kernels.license_folders import Folders, needs_content
from stackcurate.kernels.license_headers import header_claim
from stackcurate.kernels.license_names import (
    is_license_name,
    is_manifest_name,
    is_notice_name,
    is_readme_name,
    is_reuse_name,
)
from stackcurate.kernels.license_published import published_claims
from stackcurate.kernels.license_reuse import glob_matches
from stackcurate.schema import LICENSES

__all__ = ["REASONS", "ResolverConfig", "needs_content", "resolve"]

Cover = tuple[str, Claim | None]
"""A folder and the evidence there that covers what lies below; null where the root was reached in vain."""

_COLUMNS = ("file_id", "path", "blob_id", "status", "detections", "declared", "unmatched", "host_license")
_OPTIONAL = ("content", "mode")
_DEFAULTS = ResolverConfig()
_ASSET_FOLDERS = frozenset(
    ("doc", "docs", "documentation", "assets", "art", "artwork", "images", "img", "icons", "fonts", "media")
)
_ASSET_TYPES = frozenset(
    (".md", ".rst", ".adoc", ".txt", ".tex", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".ico", ".webp", ".ttf")
) | {".otf", ".woff", ".woff2", ".mp3", ".ogg", ".wav", ".mp4"}
_ABOUT_OTHERS = (is_license_name, is_manifest_name, is_notice_name, is_readme_name, is_reuse_name)
"""Files whose detections are about more than themselves."""


def resolve(
    files: pa.Table | pa.RecordBatch | Iterable[Mapping[str, Any]], config: ResolverConfig = _DEFAULTS
) -> pa.RecordBatch:
    """Decide the licence of every file of one repository.

    Args:
        files: all files of one revision: file_id, path and blob_id as in `schema.FILES`; status, detections, declared
            and unmatched as in `schema.LICENSE_DETECTIONS`, null for files that were not scanned; host_license as in
            `schema.REPOS`, the same in each row; and, if there, mode and content, null where `needs_content` is false.
        config: which evidence counts.

    Returns:
        A record batch with the columns of `schema.LICENSES`, one row per file in the order given. Whether a licence
        is permissive is the policy's to say (`license_policy.admits`).

    >>> row = {"file_id": "1", "path": "a.py", "blob_id": "b", "status": "complete", "detections": []}
    >>> resolve([row]).to_pylist()[0]["license_reason"]
    'no_license'
    """
    rows = _rows(files)
    folders = Folders(rows, config)
    claims = published_claims(rows) if config.rule == "the-stack-v2" else _decide(rows, folders)
    columns = {
        "file_id": [row["file_id"] for row in rows],
        "license": [claim.license for claim in claims],
        "license_source": [claim.source for claim in claims],
        "license_reason": [claim.reason for claim in claims],
        "license_path": [claim.path for claim in claims],
        "license_blob_id": [claim.blob_id for claim in claims],
        "license_blob_ids": license_texts(claims, rows, folders),
        "notice_blob_ids": notices(rows, folders),
        "license_lines": [claim.lines for claim in claims],
        "license_rule": [claim.rule for claim in claims],
        "error": [None] * len(rows),
    }
    return pa.RecordBatch.from_pydict(columns, schema=LICENSES.columns)


def _rows(files: pa.Table | pa.RecordBatch | Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    given = files.to_pylist() if isinstance(files, pa.Table | pa.RecordBatch) else files
    return [{name: row.get(name) for name in _COLUMNS + _OPTIONAL} for row in given]


def _decide(rows: Sequence[Row], folders: Folders) -> list[Claim]:
    """Return one claim per row."""
    covering: dict[str, Cover] = {}
    stated = [_own_statement(row, folders) for row in rows]
    covers = [_cover(row["path"], folders, covering) for row in rows]
    disputed = _disputed(stated, [folder for folder, _ in covers], folders.config)
    label = _label(rows)
    decided = []
    for row, own, (folder, claim) in zip(rows, stated, covers, strict=True):
        if own is not None and own.reason != "unknown_tag":
            decided.append(own)
            continue
        base = _mapped(row, folders) or _asset(row, folders) or _labelled(claim, folder, label)
        if folder in disputed and base.reason in ("resolved", "label_differs") and base.free:
            base = replace(base, reason="header_conflict")
        decided.append(base if own is None else replace(own, license=base.license))
    return decided


def _own_statement(row: Row, folders: Folders) -> Claim | None:
    """What a file says of itself, in a header or through REUSE's companion file."""
    path = row["path"]
    if any(is_about(path) for is_about in _ABOUT_OTHERS):
        return None
    own = header_claim(row, folders.config)
    companion = folders.companion(path)
    if own is None and companion is not None:
        own = header_claim(companion, folders.config)
        return None if own is None else replace(own, source="reuse")
    return own


def _cover(path: str, folders: Folders, covering: dict[str, Cover]) -> Cover:
    """Return the nearest evidence upwards of a path, remembering what each folder on the way got."""
    module = splitext(path)[0]
    folder = module if module in folders.packages else dirname(path)
    passed = []
    while (answer := covering.get(folder) or _stop(folder, folders)) is None:
        passed.append(folder)
        folder = dirname(folder).rstrip("/")  # an absolute path ends at the root as well
    covering |= dict.fromkeys((*passed, folder), answer)
    return answer


def _stop(folder: str, folders: Folders) -> Cover | None:
    """Evidence at this very folder, or an end of the way up: the root, a third-party folder."""
    third_party = folders.is_third_party(folder)
    package = None if third_party else folders.packages.get(folder)
    own = folders.own.get(folder) or folders.own.get(package or "/")
    if own is not None:
        return folder, own
    if third_party:
        return folder, Claim(None, None, "vendored_unlicensed")
    outermost = folder == "" or folder in folders.manifests or folders.is_third_party(dirname(folder))
    if outermost and folders.config.accept_readme and folder in folders.readmes:
        return folder, folders.readmes[folder]
    return (folder, None) if folder == "" else None


def _mapped(row: Row, folders: Folders) -> Claim | None:
    return next((claim for glob, claim in reversed(folders.globs) if glob_matches(glob, row["path"])), None)


def _asset(row: Row, folders: Folders) -> Claim | None:
    """The licence of documentation and media, where there is one of their own."""
    if not folders.assets:
        return None
    parts = row["path"].lower().split("/")
    if splitext(parts[-1])[1] not in _ASSET_TYPES and not _ASSET_FOLDERS.intersection(parts[:-1]):
        return None
    folder = dirname(row["path"])
    while folder not in folders.assets:
        if folder == "" or folders.is_third_party(folder):
            return None
        folder = dirname(folder)
    return folders.assets[folder]


def _disputed(stated: Sequence[Claim | None], covers: Sequence[str], config: ResolverConfig) -> set[str]:
    """Folders most of whose headers contradict the permissive licence that covers them; one such file is a guest."""
    files, headers, opposed = Counter(covers), Counter[str](), Counter[str]()
    for claim, folder in zip(stated, covers, strict=True):
        if claim is not None and claim.source == "header" and claim.license and claim.reason != "copyleft_mention":
            headers[folder] += 1
            opposed[folder] += not claim.free and "-exception" not in claim.license
    return {
        folder
        for folder, count in opposed.items()
        if count > 1
        and count > config.conflict_share * headers[folder]
        and count >= config.conflict_files * files[folder]
    }


def _labelled(claim: Claim | None, folder: str, label: str | None) -> Claim:
    """Name the source, and compare what covers from the root with the host's label."""
    if claim is None:
        return Claim(None, None, "no_license")
    if folder == "" and claim.source == "directory":
        claim = replace(claim, source="root")
    if label is None or folder != "" or claim.reason != "resolved":
        return claim
    if not is_free(label) and claim.free and claim.source in ("manifest", "readme"):
        return replace(claim, reason="label_conflict")
    return claim if set(ids(label)) & set(ids(claim.license)) else replace(claim, reason="label_differs")


def _label(rows: Sequence[Row]) -> str | None:
    """The host's label, where it names a licence that is known."""
    return min((label for row in rows if (label := normalise(row["host_license"]))), default=None)
