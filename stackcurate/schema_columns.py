"""How a table and its columns are declared; `stackcurate.schema` has the tables."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


def column(name: str, kind: pa.DataType, doc: str, unit: str = "") -> pa.Field:
    """Make a nullable field that carries its doc and, where it has one, its unit."""
    metadata = {"doc": doc} | ({"unit": unit} if unit else {})
    return pa.field(name, kind, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: its name, its key and its columns.

    Args:
        name: also its folder under ``tables/`` in the workspace.
        key: the columns that identify a row.
        columns: all columns, key first.
        doc: one line for the reference.
    """

    name: str
    key: tuple[str, ...]
    columns: pa.Schema
    doc: str

    @property
    def adds(self) -> pa.Schema:
        """The columns beside the key."""
        return pa.schema([field for field in self.columns if field.name not in self.key])


def table(name: str, doc: str, *columns: pa.Field, key: int = 1) -> Table:
    """Make a table whose first columns are its key."""
    return Table(name=name, key=tuple(c.name for c in columns[:key]), columns=pa.schema(columns), doc=doc)
