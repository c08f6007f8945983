"""A summary of the content for whoever trains on a release and has to publish one.

Follows the sections of the template for general-purpose AI models under Article 53(1)(d) of Regulation (EU) 2024/1689.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate.workspace import Workspace, write_json

SUMMARY = "training_summary.json"
_LARGEST = 0.1
"""Share of the repositories that are listed by name, largest first. Source: the template asks for the top 10 %."""
_MOST_LISTED = 1000


def write_summary(
    workspace: Workspace, manifest: Mapping[str, Any], funnel: Mapping[str, Any], repos: pa.Table
) -> None:
    """Write the summary of a release into its folder."""
    write_json(workspace, summary(manifest, funnel, repos), "releases", manifest["version"], SUMMARY)


def summary(manifest: Mapping[str, Any], funnel: Mapping[str, Any], repos: pa.Table) -> dict[str, Any]:
    """Return what a release holds, where it comes from and how it was treated.

    Args:
        manifest: of the release.
        funnel: of the release.
        repos: what `sbom.repositories` returns.
    """
    policy = manifest["config"]
    return {
        "about": {
            "name": manifest["title"],
            "version": manifest["version"],
            "addressee": "whoever trains a general-purpose model on this dataset and publishes a summary of its data",
        },
        "general": {
            "modality": "text (source code)",
            "files": manifest["rows"],
            "bytes": manifest["content_bytes"],
            "languages": {name: entry["content_bytes"] for name, entry in manifest["languages"].items()},
            "newest_content": _day(pc.max(repos["pushed_at"])),
        },
        "sources": {
            "publicly_available_code": _hosts(repos),
            "largest_repositories": _largest(repos),
            "licensed_privately": [],
            "from_users": [],
            "synthetic": [],
        },
        "processing": {
            "rights_reserved": "Requests to be left out are honoured in each version; removed/ lists what went.",
            "files_left_out_on_request": _dropped(funnel, "opt_outs"),
            "license_classes": list(policy["release"]["license_classes"]),
            "license_policy": policy["policy"]["profile"],
            "files_left_out_for_their_license": _dropped(funnel, "licenses"),
            "files_left_out_as_malicious": _dropped(funnel, "malware"),
            "personal_data_and_secrets_replaced": manifest["redactions"],
            "files_left_out_as_copies": _dropped(funnel, "near_dups"),
        },
    }


def _dropped(funnel: Mapping[str, Any], stage: str) -> int:
    return sum(row["files"] for row in funnel["dropped"] if row["stage"] == stage)


def _hosts(repos: pa.Table) -> list[dict[str, Any]]:
    """Return repositories, files and bytes by host, the first part of a repo_id."""
    host = pc.list_element(pc.split_pattern(repos["repo_id"], "/"), 0)
    groups = repos.append_column("host", host).group_by(["host"], use_threads=False)
    counted = groups.aggregate([([], "count_all"), ("files", "sum"), ("bytes", "sum")])
    named = counted.rename_columns(["host", "repositories", "files", "bytes"])
    return list(named.sort_by([("bytes", "descending"), ("host", "ascending")]).to_pylist())


def _largest(repos: pa.Table) -> list[dict[str, Any]]:
    count = min(max(round(repos.num_rows * _LARGEST), 1), _MOST_LISTED)
    ordered = repos.sort_by([("bytes", "descending"), ("repo_id", "ascending"), ("revision", "ascending")])
    return list(ordered.slice(0, count).select(["repo_id", "files", "bytes"]).to_pylist())


def _day(time: pa.Scalar) -> str | None:
    return time.as_py().strftime("%Y-%m-%d") if time.is_valid else None
