"""The funnel: how many files came in, how many stayed, and a reason for each that did not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stackcurate.release.policy import ORDER

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def make_funnel(decisions: DataFrame, files: DataFrame, repos: DataFrame) -> dict[str, Any]:
    """Count files and bytes by stage and reason.

    Args:
        decisions: as `decisions`.
        files: the same files, with `blob_id` and `size`.
        repos: all repositories read.

    Returns:
        `files` and `bytes` read, `kept`, `dropped` by stage and reason, and `repositories` with their errors.
        The counts of kept and dropped add up to what was read.
    """
    read = files.selectExpr("file_id", "if(blob_id is null, 0, size) as size")  # what was not read only claims a size
    sized = decisions.join(read, "file_id", "left")
    groups = sized.groupBy("kept", "stage", "reason").agg({"*": "count", "size": "sum"}).collect()
    rows = [(r["kept"], r["stage"], r["reason"], r["count(1)"], r["sum(size)"] or 0) for r in groups]
    dropped = [
        {"stage": stage, "reason": reason, "files": count, "bytes": size}
        for kept, stage, reason, count, size in rows
        if not kept
    ]
    dropped.sort(key=lambda row: (ORDER.index(row["stage"]), -row["files"], row["reason"]))
    errors = {r["error"]: r["count"] for r in repos.where("error is not null").groupBy("error").count().collect()}
    return {
        "files": sum(count for *_, count, _ in rows),
        "bytes": sum(size for *_, size in rows),
        "kept": {
            "files": sum(count for kept, _, _, count, _ in rows if kept),
            "bytes": sum(size for kept, *_, size in rows if kept),
        },
        "dropped": dropped,
        "repositories": {"read": repos.count(), "errors": dict(sorted(errors.items()))},
    }


_EXAMPLES = 5
"""Overlaps of a benchmark that are shown."""


def contaminated(decided: DataFrame, facts: DataFrame, looked_for: Mapping[str, int]) -> list[dict[str, Any]]:
    """Say how much of each benchmark stands in files that passed the other stages, and show the largest overlaps.

    Args:
        decided: files with `stage` and `reason`.
        facts: as `contamination`.
        looked_for: number of items by benchmark.

    Returns:
        By benchmark: `items` looked for, `items_found`, `files` that hold one, of `files_scanned`, and `examples`.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    passed = decided.where("reason is null or stage = 'contamination'").select("file_id", "repo_id", "path", "blob_id")
    files = passed.join(facts.select("blob_id", "overlaps"), "blob_id").where("overlaps is not null")
    scanned = files.count()
    hits = files.selectExpr("file_id", "repo_id", "path", "inline(overlaps)")
    counted = hits.groupBy("benchmark").agg(F.countDistinct("item").alias("i"), F.countDistinct("file_id").alias("f"))
    counts = {row["benchmark"]: (row["i"], row["f"]) for row in counted.collect()}
    order = Window.partitionBy("benchmark").orderBy(F.col("coverage").desc(), "item", "repo_id", "path", "file_id")
    ranked = hits.withColumn("rank", F.row_number().over(order)).where(f"rank <= {_EXAMPLES}")
    examples: dict[str, list[dict[str, Any]]] = {}
    for row in ranked.orderBy("benchmark", "rank").collect():
        examples.setdefault(row["benchmark"], []).append(_example(row.asDict()))
    return [
        _benchmark(name, total, *counts.get(name, (0, 0)), scanned, examples.get(name, []))
        for name, total in looked_for.items()
    ]


def recount(
    benchmarks: Iterable[Mapping[str, Any]], scanned: int, hits: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what `contaminated` says, of overlaps that are few enough for this process.

    Args:
        benchmarks: what it said before: names and numbers of items.
        scanned: number of files that passed the other stages.
        hits: their overlaps, each with file_id, repo_id and path.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for hit in sorted(hits, key=lambda h: (-h["coverage"], h["item"], h["repo_id"], h["path"], h["file_id"])):
        found.setdefault(hit["benchmark"], []).append(hit)
    rows = []
    for before in benchmarks:
        ours = found.get(before["benchmark"], [])
        items, files = (len({hit[name] for hit in ours}) for name in ("item", "file_id"))
        examples = [_example(hit) for hit in ours[:_EXAMPLES]]
        rows.append(_benchmark(before["benchmark"], before["items"], items, files, scanned, examples))
    return rows


def _benchmark(
    name: str, items: int, items_found: int, files: int, scanned: int, examples: list[dict[str, Any]]
) -> dict[str, Any]:
    return {"benchmark": name, "items": items, "items_found": items_found, "files": files, "files_scanned": scanned,
            "examples": examples}  # fmt: skip


def _example(hit: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: hit[name] for name in ("item", "field", "coverage", "repo_id", "path", "start", "end")}
    return shown | {"coverage": round(hit["coverage"], 3)}
