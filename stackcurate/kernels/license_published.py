"""The rule by which The Stack v2 says it decided, in the columns of ours, so that the two can be compared.

The host's label decides where there is one; else the licences that are named anywhere in licence-like files of all
folders upwards, choices and references alike, bind together; headers are not read, and no finding counts as no licence.
Source: bigcode-project/the-stack-v2, `the_stack/3_file_dataset/get_license_types.py` and the steps before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from posixpath import basename, dirname
from typing import Any

from stackcurate.kernels.license_evidence import Claim
from stackcurate.kernels.license_expressions import combine, ids, normalise
from stackcurate.kernels.license_names import is_license_name, is_notice_name, is_readme_name
from stackcurate.kernels.license_table import base_classes

_OTHER_NAMES = re.compile(r"(about|legal|guidelines|patents?|unlicense|e?ula)([-_. ].*)?", re.IGNORECASE)
_NO_LABELS = frozenset(("", "noassertion", "none", "other"))
_IGNORED = frozenset(("LicenseRef-scancode-unknown-license-reference",))


def published_claims(rows: Sequence[Mapping[str, Any]]) -> list[Claim]:
    """Decide the files of a repository as The Stack v2's published rule does.

    Args:
        rows: as `license_resolver.resolve` takes them.

    Returns:
        One claim per row: source `label` where the host names a licence; else all licences upwards joined by `AND`,
        with the first licence file that names one as the evidence; `no_license` where there is none.
    """
    label = min((str(row["host_license"]) for row in rows if _is_label(row["host_license"])), default=None)
    if label is not None:
        return [Claim(normalise(label), "label", "resolved")] * len(rows)
    named: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for row in sorted(rows, key=lambda row: str(row["path"])):
        named.setdefault(dirname(row["path"]), []).extend((name, row) for name in _names(row))
    claims = {folder: _union(folder, named) for folder in {dirname(row["path"]) for row in rows}}
    return [claims[dirname(row["path"])] for row in rows]


def _is_label(label: str | None) -> bool:
    return label is not None and label.strip().lower() not in _NO_LABELS


def _names(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of all that was found in a file whose name is one of a legal document."""
    path, classes = row["path"], base_classes()
    if is_license_name(path) or is_notice_name(path) or is_readme_name(path) or _OTHER_NAMES.fullmatch(basename(path)):
        for detection in row["detections"] or ():
            for name in ids(detection["expression"]):
                if name not in _IGNORED and classes.get(name) != "not_a_license":
                    yield name


def _union(folder: str, named: Mapping[str, Iterable[tuple[str, Mapping[str, Any]]]]) -> Claim:
    found = [pair for above in _upwards(folder) for pair in named.get(above, ())]
    if not found:
        return Claim(None, None, "no_license")
    row = found[0][1]
    expression = combine(sorted({name for name, _ in found}))
    return Claim(expression, "directory", "resolved", row["path"], row["blob_id"])


def _upwards(folder: str) -> Iterator[str]:
    while folder not in ("", "/"):
        yield folder
        folder = dirname(folder)
    yield ""
