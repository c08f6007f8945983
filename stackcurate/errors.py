"""The exceptions of stackcurate.

    StackcurateError
    ├── ConfigError      a config file, an override or an argument is wrong
    ├── SchemaError      a table lacks columns, has wrong types or another version
    ├── SourceError      an input as a whole cannot be read
    ├── WorkspaceError   a run, a lock or the storage below is in the way
    ├── ReleaseError     a release is incomplete, damaged or does not verify
    ├── TrainError       a state, a tokeniser or a checkpoint does not fit the run
    └── MissingDependencyError  something that must be installed is missing

A message says what was expected, what was found and what to do. One bad row never raises: it gets a
null, a reason code in its ``error`` column, and its place in the funnel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

_PART = re.compile(r"tables/(\w+)/([\w-]+)/([\w-]+\.parquet)")
"""Table, run and part in the message of whatever could not read it."""


class StackcurateError(Exception):
    """The root: catch this to catch all that stackcurate raises on purpose."""


class ConfigError(StackcurateError):
    """A config file, an override or an argument is wrong."""

    @classmethod
    def unknown(cls, kind: str, name: str, known: Iterable[str], where: str) -> ConfigError:
        """Name the nearest known word beside the unknown one."""
        words = sorted(known)
        near = get_close_matches(name, words, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(words)}"
        return cls(f"{where}: unknown {kind} {name!r}; {hint}")


class SchemaError(StackcurateError):
    """A table lacks columns, has wrong types or another version."""

    @classmethod
    def missing(cls, who: str, wanted: Iterable[str], found: Iterable[str]) -> SchemaError:
        """Say which columns were expected and which are there."""
        present = list(found)
        absent = [name for name in dict.fromkeys(wanted) if name not in present]
        return cls(f"{who} reads {absent}, which the table lacks; it has {present}")


class SourceError(StackcurateError):
    """An input as a whole cannot be read."""


class WorkspaceError(StackcurateError):
    """A run, a lock or the storage below is in the way."""

    @classmethod
    def damaged(cls, root: str, table: str, run_id: str, part: str) -> WorkspaceError:
        """Say which part of a table is damaged and what to do: what inputs gave takes a new workspace."""
        run = f"{root}/tables/{table}/{run_id}"
        lost = root if table in ("repos", "files", "blobs") else run
        mend = f"delete {lost} and run the same command again, it makes what is missing"
        return cls(f"{run}/{part}: damaged or missing; {mend}")


class ReleaseError(StackcurateError):
    """A release is incomplete, damaged or does not verify."""


class TrainError(StackcurateError):
    """A state, a tokeniser or a checkpoint does not fit the run, or is damaged."""


class MissingDependencyError(StackcurateError):
    """Something that must be installed is missing; the message holds the command that mends it."""


@contextmanager
def plain_errors(root: str) -> Iterator[None]:
    """Say in a sentence what a task that failed says in a page of traces.

    Args:
        root: of the workspace.

    Raises:
        StackcurateError: what a task raised; `WorkspaceError` where the disk is full or a table is damaged.
    """
    try:
        yield
    except Exception as error:
        said = str(error)
        if isinstance(error, StackcurateError):
            raise
        if ours := re.search(r"stackcurate\.errors\.(\w+): (.+)", said):
            raise globals().get(ours[1], StackcurateError)(ours[2]) from error
        if "No space left on device" in said:
            raise WorkspaceError(
                f"{root}: the disk is full; free some space and run the same command again, it goes on where it stopped"
            ) from error
        if part := _PART.search(said):
            raise WorkspaceError.damaged(root, *part.groups()) from error
        raise
