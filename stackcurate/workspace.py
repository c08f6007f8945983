"""The workspace: tables as runs of Parquet parts, each readable only once complete.

    workspace.json                         schema version
    tables/<table>/<run_id>/part-*.parquet written by tasks, under names of their own
    tables/<table>/<run_id>/run.json       written last: without it the run does not exist
    releases/<version>/                    see `stackcurate.release`

All paths go through `pyarrow.fs`, nothing is renamed, and what counts is a small file that is written last:
that works on a local disk as on an object store.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from stackcurate import schema
from stackcurate.errors import WorkspaceError

_BUSY = "another process is writing here; wait for it or stop it"
_LEASE_S = 60.0
"""Seconds after which a claim that was not renewed is stale."""


@dataclass(frozen=True)
class Part:
    """A finished Parquet file of a run: path below the run, rows, bytes, and the CPU seconds of its task."""

    path: str
    rows: int
    bytes: int
    cpu_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """A complete run of a table.

    Args:
        table: name of the table.
        run_id: folder below the table.
        digest: what made the rows: code, config and versions. Facts of equal digest may stand together.
        inputs: digest of what the run read; null where facts of several runs add up.
        parts: the Parquet files that count; others in the folder are leftovers.
        metrics: numbers of the run, for the report.
    """

    table: str
    run_id: str
    digest: str
    inputs: str | None = None
    parts: tuple[Part, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of rows in all parts."""
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True)
class Workspace:
    """An opened workspace: a file system and a folder in it. Pickles, so that tasks can open it."""

    root: str

    def locate(self, *names: str) -> tuple[pafs.FileSystem, str]:
        """Return the file system and the path of something below the root."""
        filesystem, base = locate(self.root)
        return filesystem, "/".join([base, *names])

    def path(self, *names: str) -> str:
        """Return the path of something below the root, as the file system spells it."""
        return self.locate(*names)[1]

    def below(self, *names: str) -> Workspace:
        """Return a folder of the workspace, such as a release, as a place of its own; what a URI asks for stays."""
        if "://" not in self.root:
            return Workspace(self.path(*names))
        head, mark, query = self.root.partition("?")
        return Workspace("/".join([head.rstrip("/"), *names]) + mark + query)


def locate(root: str) -> tuple[pafs.FileSystem, str]:
    """Return the file system and path of a local path or a URI.

    Raises:
        WorkspaceError: the URI holds a password: plans, logs and manifests would show it.
    """
    if "://" in root:
        if urlsplit(root).password is not None:
            raise WorkspaceError(
                f"{root.partition('://')[0]}://...: no credentials in addresses; put them into AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or a profile, on the driver and the workers"
            )
        filesystem, path = pafs.FileSystem.from_uri(root)
        return filesystem, path.rstrip("/")
    return pafs.LocalFileSystem(), str(Path(root).absolute())


def open_workspace(root: str | Path, *, create: bool = True) -> Workspace:
    """Open a workspace, and make it where there is none.

    Raises:
        WorkspaceError: it is missing and `create` is off, or was written with another schema version.
    """
    workspace = Workspace(str(root) if "://" in str(root) else str(Path(root).absolute()))
    patterns = set("[]{}*?\\") if isinstance(locate(workspace.root)[0], pafs.LocalFileSystem) else set()
    if found := set(workspace.root) & patterns:
        raise WorkspaceError(f"{root}: Spark takes {' '.join(sorted(found))} in a path for a pattern; use another path")
    found = read_json(workspace, "workspace.json")
    if found is None:
        if not create:
            raise WorkspaceError(f"{root}: no workspace here; `stackcurate build` makes one")
        write_json(workspace, {"schema_version": schema.VERSION}, "workspace.json")
    elif found.get("schema_version") != schema.VERSION:
        raise WorkspaceError(
            f"{root}: written with schema version {found.get('schema_version')}, this is {schema.VERSION}; "
            "use another [workspace] path or the stackcurate that wrote it"
        )
    return workspace


@contextlib.contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace for one writer; the lock of a process that died is free, on an object store after a minute.

    Raises:
        WorkspaceError: another process holds it, or took it over from this one, which was silent for too long.
    """
    filesystem, path = workspace.locate(".lock")
    if not isinstance(filesystem, pafs.LocalFileSystem):
        with _claimed(workspace, f"{uuid.uuid4().hex}"):
            yield
        return
    with Path(path).open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WorkspaceError(f"{workspace.root}: {_BUSY}") from None
        yield


@contextlib.contextmanager
def _claimed(workspace: Workspace, name: str) -> Iterator[None]:
    """Hold a store that has no locks: put a claim, then look for others; of two that meet, at least one goes away.

    That takes only what stores promise, a listing that shows what was written before. Claims are renewed, and their
    age is measured by the store's own clock.
    """
    write_bytes(workspace, b"", ".locks", name)
    lost, done = threading.Event(), threading.Event()
    keeper = threading.Thread(target=_renew, args=(workspace, name, done, lost), daemon=True)
    try:
        if _other_claims(workspace, name):
            raise WorkspaceError(f"{workspace.root}: {_BUSY}")
        keeper.start()
        yield
        if lost.is_set():
            raise WorkspaceError(f"{workspace.root}: the claim on it was lost for a while; run the same command again")
    finally:
        done.set()
        if keeper.ident:
            keeper.join()
        with contextlib.suppress(OSError):
            filesystem, path = workspace.locate(".locks", name)
            filesystem.delete_file(path)


def _other_claims(workspace: Workspace, name: str) -> bool:
    """Tell whether another process holds a claim that is not stale, and remove those that are."""
    filesystem, folder = workspace.locate(".locks")
    infos = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    times = {info.base_name: info.mtime_ns / 1e9 for info in infos if info.type == pafs.FileType.File}
    now = times.pop(name, None)
    if now is None:
        return True  # removed as stale
    stale = [other for other, time in times.items() if now - time > _LEASE_S]
    for other in stale:
        with contextlib.suppress(OSError):
            filesystem.delete_file(workspace.path(".locks", other))
    return len(times) > len(stale)


def _renew(workspace: Workspace, name: str, done: threading.Event, lost: threading.Event) -> None:
    while not done.wait(_LEASE_S / 6):
        with contextlib.suppress(OSError):  # the next one may come through
            if read_bytes(workspace, ".locks", name) is None:
                lost.set()  # somebody found it stale
                return
            write_bytes(workspace, b"", ".locks", name)


def read_bytes(workspace: Workspace, *names: str) -> bytes | None:
    """Return the content of a file, or None where there is none."""
    filesystem, path = workspace.locate(*names)
    if filesystem.get_file_info(path).type != pafs.FileType.File:
        return None
    with filesystem.open_input_stream(path) as stream:
        return bytes(stream.read())


def author_key(workspace: Workspace) -> bytes:
    """Return the key of the hashes of authors, made on first use and never published."""
    key = read_bytes(workspace, "author.key")
    if key is None:
        key = secrets.token_bytes(32)
        write_bytes(workspace, key, "author.key")
    return key


def read_json(workspace: Workspace, *names: str) -> Any:
    """Return the parsed content of a file, or None where there is none."""
    content = read_bytes(workspace, *names)
    try:
        return None if content is None else json.loads(content)
    except ValueError as error:
        raise WorkspaceError(f"{workspace.path(*names)}: damaged ({error}); remove it and build again") from error


def write_bytes(workspace: Workspace, content: bytes, *names: str) -> None:
    """Write a small file so that readers see the old or the new one, never a part."""
    with writing(workspace, *names) as stream:
        stream.write(content)


@contextlib.contextmanager
def writing(workspace: Workspace, *names: str) -> Iterator[BinaryIO]:
    """Open a file for writing that readers see once it is whole; on a store, a writer that fails leaves a part."""
    filesystem, path = workspace.locate(*names)
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    if isinstance(filesystem, pafs.LocalFileSystem):
        fresh = Path(f"{path}.{uuid.uuid4().hex}")
        try:
            with fresh.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        return
    with filesystem.open_output_stream(path) as stream:
        yield stream


def carry(workspace: Workspace, source: tuple[str, ...], target: tuple[str, ...]) -> None:
    """Give a finished file a second place without writing it again: a hard link, or a copy where there are none.

    On an object store the copy is made there; no byte passes through this machine.
    """
    filesystem, path = workspace.locate(*source)
    fresh = workspace.path(*target)
    filesystem.create_dir(fresh.rpartition("/")[0], recursive=True)
    if isinstance(filesystem, pafs.LocalFileSystem):
        Path(fresh).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another disk, or a file system without links
            os.link(path, fresh)
            return
    filesystem.copy_file(path, fresh)


def write_json(workspace: Workspace, value: Any, *names: str) -> None:
    """Write a value as JSON, keys sorted."""
    write_bytes(workspace, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode(), *names)


def commit(workspace: Workspace, run: Run) -> Run:
    """Make a run readable: write its record, then remove what tasks left over.

    Raises:
        WorkspaceError: a part is missing or has another size than its task reported.
    """
    filesystem, folder = workspace.locate("tables", run.table, run.run_id)
    infos = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    sizes = {info.base_name: info.size for info in infos}
    for part in run.parts:
        if sizes.get(part.path) != part.bytes:
            raise WorkspaceError(f"{folder}/{part.path}: expected {part.bytes} bytes, found {sizes.get(part.path)}")
    ordered = replace(run, parts=tuple(sorted(run.parts, key=lambda part: part.path)))
    write_json(workspace, asdict(ordered), "tables", run.table, run.run_id, "run.json")
    for name in sizes.keys() - {part.path for part in run.parts} - {"run.json"}:
        filesystem.delete_file(f"{folder}/{name}")
    return ordered


def remove(workspace: Workspace, run: Run) -> None:
    """Delete a run: its record first, so that no reader takes what is left for a whole one."""
    filesystem, folder = workspace.locate("tables", run.table, run.run_id)
    filesystem.delete_file(f"{folder}/run.json")
    filesystem.delete_dir(folder)


def runs(workspace: Workspace, table: str, *, digest: str | None = None, inputs: str | None = None) -> list[Run]:
    """Return the complete runs of a table, by run_id; of one digest or one set of inputs where given."""
    filesystem, folder = workspace.locate("tables", table)
    names = sorted(i.base_name for i in filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True)))
    found = []
    for name in names:
        record = read_json(workspace, "tables", table, name, "run.json")
        if record is None or (digest and record["digest"] != digest) or (inputs and record["inputs"] != inputs):
            continue
        parts = tuple(Part(**part) for part in record.pop("parts"))
        found.append(Run(**record, parts=parts))
    return found


def part_paths(workspace: Workspace, found: list[Run]) -> list[str]:
    """Return the paths of all parts of some runs."""
    return [workspace.path("tables", run.table, run.run_id, part.path) for run in found for part in run.parts]


def read_table(
    workspace: Workspace,
    table: schema.Table,
    found: list[Run],
    columns: list[str] | None = None,
    where: pc.Expression | None = None,
) -> pa.Table:
    """Read runs into memory without Spark, rows in no particular order; for small tables and lookups.

    Args:
        workspace: where the runs are.
        table: what they are runs of.
        found: the runs.
        columns: columns that are read; None means all.
        where: condition on the rows; row groups whose statistics exclude it are not read.
    """
    filesystem, _ = workspace.locate()
    kept = table.columns if columns is None else pa.schema([table.columns.field(name) for name in columns])
    tables = [
        pq.read_table(path, filesystem=filesystem, columns=kept.names, filters=where).cast(kept)
        for path in part_paths(workspace, found)
    ]
    return pa.concat_tables(tables) if tables else kept.empty_table()
