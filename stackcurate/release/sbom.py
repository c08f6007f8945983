"""A bill of materials: one SPDX package per repository of a release, with the licences of its files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackcurate.kernels.content import blob_id
from stackcurate.workspace import Workspace, write_json

SBOM = "sbom.spdx.json"
_REPOSITORY = ("repo", "repo_id", "revision")
_MEASURES = ("files", "bytes", "pushed_at")
_REFERENCE = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
_NONE = "NOASSERTION"


def write_sbom(workspace: Workspace, manifest: Mapping[str, Any], repos: pa.Table) -> None:
    """Write the bill of materials of a release into its folder."""
    write_json(workspace, sbom(manifest, repos), "releases", manifest["version"], SBOM)


def holdings(workspace: Workspace, manifest: Mapping[str, Any]) -> pa.Table:
    """Return repo, repo_id, revision, license, files, bytes and the time of the newest file, one row per licence.

    Only small columns of the shards are read, one shard at a time.
    """
    keys = [*_REPOSITORY, "license"]
    filesystem, folder = workspace.locate("releases", manifest["version"])
    counted = []
    for shard in manifest["shards"]:
        rows = pq.read_table(f"{folder}/{shard['path']}", columns=[*keys, "size", "pushed_at"], filesystem=filesystem)
        groups = rows.group_by(keys, use_threads=False)
        counted.append(groups.aggregate([([], "count_all"), ("size", "sum"), ("pushed_at", "max")]))
    merged = pa.concat_tables(counted).group_by(keys, use_threads=False)
    held = merged.aggregate([("count_all", "sum"), ("size_sum", "sum"), ("pushed_at_max", "max")])
    return held.rename_columns([*keys, *_MEASURES]).sort_by([(name, "ascending") for name in keys])


def repositories(held: pa.Table) -> pa.Table:
    """Return repo, repo_id, revision, files, bytes, time of the newest file and licences, by repo.

    Args:
        held: what `holdings` returns.
    """
    groups = held.group_by(list(_REPOSITORY), use_threads=False)
    rows = groups.aggregate([("files", "sum"), ("bytes", "sum"), ("pushed_at", "max"), ("license", "list")])
    return rows.rename_columns([*_REPOSITORY, *_MEASURES, "licenses"]).sort_by([(n, "ascending") for n in _REPOSITORY])


def sbom(manifest: Mapping[str, Any], repos: pa.Table) -> dict[str, Any]:
    """Return an SPDX 2.3 document. Source: ISO/IEC 5962 and the SPDX 2.3 specification, sections 6 to 10.

    Args:
        manifest: of the release.
        repos: what `repositories` returns.
    """
    packages = list(_packages(repos.to_pylist()))
    newest = pc.max(repos["pushed_at"]).as_py()
    references = {name for package in packages for name in _REFERENCE.findall(package["licenseConcluded"])}
    name = f"{manifest['title']} {manifest['version']}"
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://spdx.org/spdxdocs/{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}-{manifest['digest']}",
        "creationInfo": {
            "created": newest.strftime("%Y-%m-%dT%H:%M:%SZ") if newest else "1970-01-01T00:00:00Z",
            "creators": [f"Tool: stackcurate-{manifest['stackcurate']}"],
            "comment": "The time is that of the newest file, so that the same release has the same document.",
        },
        "packages": packages,
        "hasExtractedLicensingInfos": [_reference(name) for name in sorted(references)],
        "relationships": [_describes(package["SPDXID"]) for package in packages],
    }


def _packages(repos: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in repos:
        known = [expression for expression in row["licenses"] if expression]
        distinct = sorted({f"({one})" if " " in one and len(known) > 1 else one for one in known})
        yield {
            "SPDXID": f"SPDXRef-Package-{blob_id(repr((row['repo_id'], row['revision'])).encode())[:20]}",
            "name": row["repo"],
            "versionInfo": row["revision"],
            "downloadLocation": _NONE,
            "filesAnalyzed": False,
            "licenseConcluded": " AND ".join(distinct) or _NONE,
            "licenseDeclared": _NONE,
            "copyrightText": _NONE,
            "comment": f"{row['files']} files of {row['repo_id']}; copyright holders are listed in attribution/.",
        }


def _reference(name: str) -> dict[str, str]:
    key = name.removeprefix("LicenseRef-scancode-").removeprefix("LicenseRef-")
    return {
        "licenseId": name,
        "name": key,
        "extractedText": f"The licence that ScanCode knows as {key}; the texts found are in attribution/.",
    }


def _describes(package: str) -> dict[str, str]:
    return {
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relatedSpdxElement": package,
        "relationshipType": "DESCRIBES",
    }
