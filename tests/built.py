"""What tests ask of a release that was built."""

from __future__ import annotations

from typing import Any

from stackcurate import schema
from stackcurate.release.manifest import Release
from stackcurate.workspace import Workspace, read_table, runs


def hashes(release: Release) -> dict[str, str]:
    """Return the SHA-256 of each shard by its path."""
    return {shard["path"]: shard["sha256"] for shard in release.manifest["shards"]}


def decisions(workspace: Workspace, version: str) -> list[dict[str, Any]]:
    """Return what a release decided on each file, by file_id."""
    found = [run for run in runs(workspace, "decisions") if run.run_id == version]
    return read_table(workspace, schema.DECISIONS, found).sort_by("file_id").to_pylist()  # type: ignore[no-any-return]
