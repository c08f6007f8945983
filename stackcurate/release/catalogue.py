"""Catalogue: what of an account, repository or path stands in a release, read from its shards and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stackcurate.kernels.opt_out_targets import normalise
from stackcurate.release.shards import shard_counts, shard_of
from stackcurate.workspace import Workspace

FILES = pa.schema([
    ("repo", pa.string()), ("repo_id", pa.string()), ("revision", pa.string()), ("path", pa.string()),
    ("language", pa.string()), ("license", pa.string()), ("size", pa.int64()), ("shard", pa.string()),
])  # fmt: skip
"""A released file and the shard that it stands in."""
_NAMES = ["repo", "repo_id"]
_GROUPS = ["repo", "repo_id", "revision", "language", "license", "shard"]


def released_files(folder: Workspace, shards: Sequence[dict[str, Any]], query: str) -> pa.Table:
    """Return the released files that a query means, as `FILES`, by repository and path.

    An owner's files stand in one shard per language, whose name follows from the owner: no other shard is opened.

    Args:
        folder: the release's folder, opened as a workspace-like root.
        shards: what the manifest lists.
        query: an owner, `owner/repository`, `host/owner/repository`, `owner/repository/path`, or the repo_id of a
            repository without an owner; without case, or a URL of one.
    """
    wanted = normalise(query)
    owners = {wanted, *wanted.split("/")[:2]}  # a repository without an owner stands under its repo_id
    counts, known = shard_counts(list(shards)), {shard["path"] for shard in shards}
    paths = {shard_of(language, owner, count) for language, count in counts.items() for owner in owners if owner}
    found = [FILES.empty_table(), *(_of_shard(folder, path, wanted) for path in sorted(paths & known))]
    return pa.concat_tables(found).sort_by([("repo", "ascending"), ("path", "ascending")])


def by_repository(files: pa.Table) -> list[dict[str, Any]]:
    """Return each repository of some files with its files, bytes, languages, licences and shards, by name.

    Args:
        files: as `FILES`.
    """
    groups = files.group_by(_GROUPS, use_threads=False).aggregate([([], "count_all"), ("size", "sum")])
    repositories: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in groups.to_pylist():
        key = row["repo"], row["repo_id"], row["revision"]
        entry = repositories.setdefault(key, {
            "repo": row["repo"], "repo_id": row["repo_id"], "revision": row["revision"], "files": 0, "bytes": 0,
            "languages": {}, "licenses": {}, "shards": set(),
        })  # fmt: skip
        entry["files"] += row["count_all"]
        entry["bytes"] += row["size_sum"]
        entry["shards"].add(row["shard"])
        for column, name in (("languages", row["language"]), ("licenses", row["license"] or "none found")):
            entry[column][name] = entry[column].get(name, 0) + row["count_all"]
    return [entry | {"shards": sorted(entry["shards"])} for _, entry in sorted(repositories.items())]


def _of_shard(folder: Workspace, path: str, wanted: str) -> pa.Table:
    filesystem, root = folder.locate()
    with pq.ParquetFile(f"{root}/{path}", filesystem=filesystem) as shard:
        names = shard.read(columns=_NAMES)
        repo, repo_id = (pc.utf8_lower(names[name]) for name in _NAMES)
        mask = pc.or_kleene(pc.equal(repo, wanted), pc.equal(repo_id, wanted))
        if "/" in wanted:
            place = pc.binary_join_element_wise(repo, pc.utf8_lower(shard.read(columns=["path"])["path"]), "/")
            mask = pc.or_kleene(mask, pc.equal(place, wanted))
        else:
            mask = pc.or_kleene(mask, pc.starts_with(repo, f"{wanted}/"))
        if not pc.any(mask).as_py():
            return FILES.empty_table()
        rows = shard.read(columns=[name for name in FILES.names if name != "shard"]).filter(mask)
    return rows.append_column("shard", pa.repeat(path, rows.num_rows)).select(FILES.names).cast(FILES)
