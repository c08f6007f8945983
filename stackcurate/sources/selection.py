"""Selection before anything is downloaded: what policy bars for certain, by metadata alone.

A null is not known and bars nothing. Opt-outs come first and bar whatever else says otherwise: under any name that a
repository ever bore, and its forks with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.kernels.opt_out_match import REPOSITORY, meant_repositories, related
from stackcurate.sources.repos_config import ReposConfig
from stackcurate.stage import Batches, spark_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

REASONS = ("opted_out", "denied", "not_allowed", "unavailable", "unnamed", "archived", "fork", "few_stars", "too_large",
           "license_denied")  # fmt: skip
"""Why a repository is not downloaded; the first that holds is given."""
SELECTION = schema.REPO_RECORDS.columns.append(
    schema.column("reason", pa.string(), "why it is not downloaded; null where it is")
)
"""`repo_records` with the decision on each."""


def reasons(records: pa.RecordBatch | pa.Table, config: ReposConfig, barred: Iterable[str] = ()) -> pa.Array:
    """Say of each repository why it is not worth a download.

    Args:
        records: `schema.REPO_RECORDS`.
        config: bounds and lists.
        barred: repo_ids that opt-outs take out.

    Returns:
        A member of `REASONS`, null where nothing bars it; in the order of the rows.
    """
    size = config.max_size or (1 << 62)
    checks = {
        "opted_out": pc.is_in(records["repo_id"], value_set=pa.array(list(barred), pa.string())),
        "denied": _listed(records, config.deny, former=True),
        "not_allowed": pc.invert(_listed(records, config.allow, former=False)) if config.allow else None,
        "unavailable": pc.is_valid(records["error"]),
        "unnamed": pc.is_null(records["name"]),
        "archived": None if config.archived else records["archived"],
        "fork": None if config.forks else pc.or_kleene(records["fork"], pc.is_valid(records["fork_of"])),
        "few_stars": pc.less(records["stars"], config.min_stars),
        "too_large": pc.greater(records["size"], size),
        "license_denied": _like(records["host_license"], config.denied_licenses),
    }
    found = pa.nulls(records.num_rows, pa.string())
    for reason in reversed(REASONS):
        condition = checks[reason]
        if condition is not None:
            found = pc.if_else(pc.fill_null(condition, False), pa.scalar(reason), found)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def select(records: DataFrame, config: ReposConfig, requests: pa.Table, copies: str) -> DataFrame:
    """Add to each record why it is not worth a download.

    Args:
        records: `repo_records`, one row per repository.
        config: bounds and lists.
        requests: as `opt_outs`.
        copies: how far requests go, as in `[opt_outs] copies`.

    Returns:
        `SELECTION`, all rows.
    """
    task = partial(_with_reasons, config=config, barred=opted_out(records, requests, copies))
    return records.select(*schema.REPO_RECORDS.columns.names).mapInArrow(task, spark_schema(SELECTION))


def opted_out(records: DataFrame, requests: pa.Table, copies: str) -> list[str]:
    """Return the repo_ids that requests take out: by any name, by id, and forks of forks where `copies` says so."""
    from stackcurate.stages.opt_outs import scanned

    named = records.select("repo_id", "owner", "name", "former_names", "fork_of", "created_at")
    known = related(partial(scanned, named, spell=names_of), requests, copies)
    return sorted(set(meant_repositories(known, requests, copies)["repo_id"].to_pylist()))


def counts(selection: DataFrame) -> dict[str, int]:
    """Return the number of repositories that are selected, and of the others by reason.

    Args:
        selection: `SELECTION`.
    """
    found = {row["reason"]: row["count"] for row in selection.groupBy("reason").count().collect()}
    return {"selected": found.get(None, 0), **{reason: found[reason] for reason in REASONS if reason in found}}


def clone_urls(selection: DataFrame) -> Iterator[str]:
    """Yield the clone address of each repository that is selected, in order of owner and name.

    Args:
        selection: `SELECTION`.
    """
    rows = selection.where("reason is null").select("owner", "name").orderBy("owner", "name")
    return (f"https://github.com/{row['owner']}/{row['name']}.git" for row in rows.toLocalIterator())


def names_of(records: pa.RecordBatch | pa.Table) -> pa.Table:
    """Return a row for each name that each repository bears or bore: repo_id, owner, name, fork_of, created_at."""
    rows = pa.table(records) if isinstance(records, pa.RecordBatch) else records
    former = rows["former_names"].combine_chunks()
    parents = pc.list_parent_indices(former)
    names = pc.split_pattern(pc.list_flatten(former), "/", max_splits=1)
    before = {name: rows[name].take(parents) for name in ("repo_id", "fork_of", "created_at")}
    split = {"owner": pc.list_element(names, 0), "name": pc.list_element(names, 1)} if len(names) else None
    now = rows.select(REPOSITORY.names).cast(REPOSITORY)
    return pa.concat_tables([now, pa.table(before | split).select(REPOSITORY.names).cast(REPOSITORY)]) if split else now


def _with_reasons(batches: Batches, *, config: ReposConfig, barred: list[str]) -> Batches:
    for batch in batches:
        rows = batch.cast(schema.REPO_RECORDS.columns)
        yield pa.RecordBatch.from_arrays([*rows.columns, reasons(rows, config, barred)], schema=SELECTION)


def _listed(records: pa.RecordBatch | pa.Table, patterns: tuple[str, ...], *, former: bool) -> Any:
    """Say of each repository whether one of its names is on a list."""
    if not patterns:
        return None
    rows = names_of(records) if former else records.select(["repo_id", "owner", "name"])
    full = pc.binary_join_element_wise(rows["owner"], rows["name"], "/")
    lists = {whole: tuple(p for p in patterns if ("/" in p) is whole) for whole in (True, False)}
    hit = pc.or_kleene(_like(full, lists[True]), _like(rows["owner"], lists[False]))
    found = rows["repo_id"].filter(pc.fill_null(hit, False))
    values = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    return pc.is_in(records["repo_id"], value_set=values)


def _like(values: Any, patterns: tuple[str, ...]) -> Any:
    """Say of each text whether it matches a pattern of a shell, without case; long lists of plain words are a set."""
    lower = pc.utf8_lower(values)
    plain = [p.lower() for p in patterns if not set("*?") & set(p)]
    globs = [re.escape(p.lower()).replace(r"\*", ".*").replace(r"\?", ".") for p in patterns if set("*?") & set(p)]
    hit = pc.is_in(lower, value_set=pa.array(plain, pa.string()))
    if not globs:
        return hit
    return pc.or_(hit, pc.fill_null(pc.match_substring_regex(lower, f"^(?:{'|'.join(globs)})$"), False))
