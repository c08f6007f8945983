"""The workspace: runs that exist only once complete, one writer, one version, on any file system."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from stackcurate import schema
from stackcurate.errors import WorkspaceError
from stackcurate.workspace import (
    Part,
    Run,
    Workspace,
    commit,
    locate,
    locked,
    open_workspace,
    part_paths,
    read_bytes,
    read_json,
    read_table,
    runs,
    write_bytes,
    write_json,
)

TABLE = schema.NEAR_DUPS


def write_part(workspace: Workspace, run_id: str, ids: list[str], name: str = "part-1.parquet") -> Part:
    """Write a part as a task does, without committing it."""
    columns = {
        "blob_id": ids,
        "cluster_id": ids,
        "generation": [0] * len(ids),
        "error": pa.nulls(len(ids), pa.string()),
    }
    rows = pa.table(columns, schema=TABLE.columns)
    path = Path(workspace.path("tables", TABLE.name, run_id, name))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)
    return Part(name, len(ids), path.stat().st_size)


def run(run_id: str, *parts: Part, digest: str = "d", inputs: str | None = None) -> Run:
    return Run(table=TABLE.name, run_id=run_id, digest=digest, inputs=inputs, parts=parts)


def test_run_is_readable_only_once_committed(workspace: Workspace) -> None:
    part = write_part(workspace, "r1", ["a", "b"])
    assert runs(workspace, TABLE.name) == []

    done = commit(workspace, run("r1", part))

    assert runs(workspace, TABLE.name) == [done]
    assert done.rows == 2
    assert read_table(workspace, TABLE, [done])["blob_id"].to_pylist() == ["a", "b"]
    assert read_table(workspace, TABLE, [done], ["cluster_id"]).column_names == ["cluster_id"]


def test_commit_refuses_a_missing_and_a_short_part(workspace: Workspace) -> None:
    part = write_part(workspace, "r1", ["a", "b"])
    path = Path(workspace.path("tables", TABLE.name, "r1", part.path))

    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WorkspaceError, match=f"expected {part.bytes} bytes, found {part.bytes - 1}"):
        commit(workspace, run("r1", part))
    path.unlink()
    with pytest.raises(WorkspaceError, match="found None"):
        commit(workspace, run("r1", part))

    assert runs(workspace, TABLE.name) == []


def test_commit_removes_what_failed_attempts_left_over(workspace: Workspace) -> None:
    kept, left = write_part(workspace, "r1", ["a"]), write_part(workspace, "r1", ["a"], "part-2.parquet")

    done = commit(workspace, run("r1", kept))

    folder = Path(workspace.path("tables", TABLE.name, "r1"))
    assert sorted(path.name for path in folder.iterdir()) == ["part-1.parquet", "run.json"]
    assert left.path not in {Path(path).name for path in part_paths(workspace, [done])}


def test_parts_are_recorded_in_order_of_their_names(workspace: Workspace) -> None:
    second, first = write_part(workspace, "r1", ["b"], "part-2.parquet"), write_part(workspace, "r1", ["a"])

    commit(workspace, run("r1", second, first))

    assert [part.path for part in runs(workspace, TABLE.name)[0].parts] == ["part-1.parquet", "part-2.parquet"]


def test_run_without_rows_is_complete(workspace: Workspace) -> None:
    done = commit(workspace, run("r1"))

    assert runs(workspace, TABLE.name) == [done]
    assert read_table(workspace, TABLE, [done]).schema == TABLE.columns


def test_runs_are_found_by_digest_and_inputs(workspace: Workspace) -> None:
    for name, digest, inputs in (("r3", "new", "x"), ("r1", "old", None), ("r2", "new", "y")):
        commit(workspace, run(name, digest=digest, inputs=inputs))

    assert [one.run_id for one in runs(workspace, TABLE.name)] == ["r1", "r2", "r3"]
    assert [one.run_id for one in runs(workspace, TABLE.name, digest="new")] == ["r2", "r3"]
    assert [one.run_id for one in runs(workspace, TABLE.name, digest="new", inputs="x")] == ["r3"]
    assert runs(workspace, "no such table") == []


def test_workspace_is_made_and_opened_again(tmp_path: Path) -> None:
    made = open_workspace(tmp_path / "deep" / "workspace")

    assert open_workspace(tmp_path / "deep" / "workspace", create=False) == made
    assert read_json(made, "workspace.json") == {"schema_version": schema.VERSION}


def test_missing_workspace_is_an_error_where_it_must_exist(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no workspace here"):
        open_workspace(tmp_path / "absent", create=False)

    assert not (tmp_path / "absent").exists()


def test_workspace_of_another_version_is_refused(workspace: Workspace) -> None:
    write_json(workspace, {"schema_version": schema.VERSION + 1}, "workspace.json")

    with pytest.raises(WorkspaceError, match=f"version {schema.VERSION + 1}, this is {schema.VERSION}"):
        open_workspace(workspace.root)


def test_damaged_record_is_named(workspace: Workspace) -> None:
    write_bytes(workspace, b"{torn", "tables", TABLE.name, "r1", "run.json")

    with pytest.raises(WorkspaceError, match=r"run\.json: damaged"):
        runs(workspace, TABLE.name)


def test_one_writer_at_a_time(workspace: Workspace) -> None:
    with locked(workspace), pytest.raises(WorkspaceError, match="another process is writing"), locked(workspace):
        pass
    with locked(workspace):
        pass


def test_lock_of_a_process_that_was_killed_is_free(workspace: Workspace) -> None:
    code = (
        "import sys; from stackcurate.workspace import *\n"
        "with locked(open_workspace(sys.argv[1])):\n print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, workspace.root]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceError, match="another process"), locked(workspace):
            pass
        other.kill()
        other.wait()
        with locked(workspace):
            pass


def test_small_files_are_replaced_whole(workspace: Workspace) -> None:
    write_bytes(workspace, b"first", "deep", "note")
    write_bytes(workspace, b"second", "deep", "note")

    assert read_bytes(workspace, "deep", "note") == b"second"
    assert [path.name for path in Path(workspace.path("deep")).iterdir()] == ["note"]
    assert read_bytes(workspace, "deep", "absent") is None
    assert read_json(workspace, "absent.json") is None


def test_paths_and_uris_lead_to_the_same_place(tmp_path: Path) -> None:
    plain, uri = locate(str(tmp_path)), locate(tmp_path.as_uri() + "/")

    assert plain[1] == uri[1] == str(tmp_path)
    assert isinstance(plain[0], pafs.LocalFileSystem)
    assert isinstance(uri[0], pafs.LocalFileSystem)
    assert Workspace(tmp_path.as_uri()).path("a", "b") == f"{tmp_path}/a/b"


def test_relative_path_does_not_depend_on_where_a_task_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened = open_workspace("here")
    monkeypatch.chdir("/")

    assert opened.path() == str(tmp_path / "here")
    assert pickle.loads(pickle.dumps(opened)) == opened


def test_any_file_system_of_pyarrow_will_do() -> None:
    remote = open_workspace("mock:///bucket/workspace")

    assert not isinstance(remote.locate()[0], pafs.LocalFileSystem)
    assert remote.locate("tables", "files")[1].endswith("bucket/workspace/tables/files")


def test_credentials_in_an_address_are_refused_and_not_repeated() -> None:
    word = "pass" + "word"
    with pytest.raises(WorkspaceError, match="AWS_ACCESS_KEY_ID") as raised:
        open_workspace(f"s3://me:{word}@bucket/workspace")
    assert word not in str(raised.value)
