"""Lists of files that Spark joins from tables of others, written once, then read like any other input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stackcurate.schema import Table
from stackcurate.stages.tables import write
from stackcurate.workspace import Run, Workspace, runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame

_FOLDER = "lists"


def listed_once(rows: Callable[[], DataFrame], place: Workspace, name: str, repository: str) -> str:
    """Write a list, unless a complete one of that name is there, and return its folder or URI.

    Args:
        rows: gives the list; called only where it is missing.
        place: the workspace, or any other place, to write below.
        name: says what is listed: another list needs another name.
        repository: column of the repository, whose files are written beside each other.
    """
    if name not in (run.run_id for run in runs(place, _FOLDER)):
        from pyspark.sql.pandas.types import to_arrow_schema

        found = rows()
        table = Table(name=_FOLDER, key=(), columns=to_arrow_schema(found.schema, timezone="UTC"), doc="")
        spread = found.repartition(repository).sortWithinPartitions(repository)
        write(spread, place, table, Run(table=_FOLDER, run_id=name, digest=name))
    return place.below("tables", _FOLDER, name).root
