"""The verb of the language stage, which shows the shares of the languages as `github-linguist` does."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
import typer

from stackcurate.stages import language as stage
from stackcurate.verbs.options import ConfigPath, Json, Overrides, Paths, err, out
from stackcurate.verbs.stages import look_or_run

Breakdown = Annotated[
    bool, typer.Option("--breakdown", help="List the files of each language; with --json, all facts of each file.")
]
NOT_COUNTED = ("vendored", "generated", "documentation")
"""Marks of files that are no part of a repository's own code."""


def language(
    paths: Paths = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
    as_json: Json = False,
    breakdown: Breakdown = False,
) -> None:
    """Name the language of each file as Linguist does, by content, `.gitattributes` and the files beside it.

    With paths: print the share of each language in bytes, without vendored, generated and documentation files. Without:
    run the pipeline up to here.

    Example: `stackcurate language src/ --breakdown`
    """
    from stackcurate import pipeline
    from stackcurate.sample import read_files, run
    from stackcurate.terminal import print_rows, printable

    if not paths:
        look_or_run(stage, paths, config, overrides, as_json=as_json)
        return
    loaded = pipeline.load_config(config, overrides or [])
    files = read_files(paths, loaded["sources"])
    readable = files.filter(pc.is_valid(files["content"]))
    unread = Counter(files.filter(pc.is_null(files["content"]))["error"].to_pylist())
    if unread:
        said = ", ".join(f"{count:,} {reason}" for reason, count in unread.most_common())
        err.print(f"not read: {said}", style="yellow", markup=False, highlight=False)
    facts = run(stage, readable, loaded["language"]).append_column("size", readable["size"])
    counted = counted_files(facts)
    for name in sorted(facts["ignored_override"].drop_null().unique().to_pylist()):
        said = f".gitattributes: ignored {printable(name)!r}, no language of Linguist"
        err.print(said, style="yellow", markup=False, highlight=False)
    if as_json:
        print_rows(out, facts if breakdown else shares(counted), as_json=True)
        return
    print_rows(out, shares(counted), as_json=False)
    for name in shares(counted)["language"].to_pylist() if breakdown else ():
        out.print(f"{name}:", style="bold", highlight=False)
        for path in sorted(counted.filter(pc.equal(counted["language"], name))["path"].to_pylist()):
            out.print(printable(path), highlight=False, markup=False)
        out.print()
    left = facts.num_rows - counted.num_rows
    if left:
        said = f"{left:,} of {facts.num_rows:,} files not counted: {_reasons(facts)}"
        out.print(said, highlight=False)


def counted_files(facts: pa.Table) -> pa.Table:
    """Return the facts of files that count among the languages of a repository."""
    theirs = [pc.invert(pc.fill_null(facts[mark], False)) for mark in NOT_COUNTED]
    own = pc.and_(pc.and_(theirs[0], theirs[1]), theirs[2])
    return facts.filter(pc.and_(own, pc.and_(pc.is_valid(facts["language"]), facts["detectable"])))


def shares(counted: pa.Table) -> pa.Table:
    """Return percent, bytes and files of each language, the largest first.

    Args:
        counted: holds `language` and `size`.
    """
    grouped = counted.group_by("language").aggregate([("size", "sum"), ("size", "count")])
    table = grouped.rename_columns(["language", "bytes", "files"])
    total = pc.max(pa.array([1, pc.sum(table["bytes"]).as_py() or 0])).as_py()
    percent = pc.round(pc.multiply(pc.cast(table["bytes"], pa.float64()), 100 / total), 2)
    columns = {"percent": percent, "bytes": table["bytes"], "files": table["files"], "language": table["language"]}
    return pa.table(columns).sort_by([("bytes", "descending"), ("language", "ascending")])


def _reasons(facts: pa.Table) -> str:
    """Return how many files each reason keeps from being counted; a file may have several."""
    numbers = {mark: pc.sum(facts[mark]).as_py() or 0 for mark in NOT_COUNTED}
    numbers["data or prose"] = pc.sum(pc.and_(pc.is_valid(facts["language"]), pc.invert(facts["detectable"]))).as_py()
    numbers["of no known language"] = facts["language"].null_count
    return ", ".join(f"{number:,} {reason}" for reason, number in numbers.items() if number)
