"""Lists of files that Spark joins from tables of others, written once, then read like any other input."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from stackcurate.errors import SourceError
from stackcurate.schema import Table
from stackcurate.sources.object_stores import files_below
from stackcurate.stages.tables import write
from stackcurate.workspace import Run, Workspace, runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame

_FOLDER = "lists"


def list_name(source: str, folder: str, pattern: str) -> str:
    """Return a name for what is listed: another one where the files of the tables are others, or were written again.

    Args:
        source: what kind of tables it is, as `--source` spells it.
        folder: holds the tables. A URI that Spark alone can list stands for what is below it, whatever that is.
        pattern: of the repositories.

    Raises:
        SourceError: there is no such folder, or it holds no tables.
    """
    try:
        state = [(name, fingerprint) for _, name, fingerprint in files_below(folder, (".parquet", ".orc"))]
    except SourceError:
        if "://" not in folder:
            raise
        state = []
    digest = hashlib.sha256(json.dumps([folder, pattern, state]).encode()).hexdigest()
    return f"{source}-{digest[:16]}"


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
