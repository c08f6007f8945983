"""Repositories from addresses: fetched over real smart HTTP into a bounded cache, and read like local ones."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stackcurate.errors import ConfigError, SourceError
from stackcurate.sources import git_mirrors, git_urls
from stackcurate.sources.directories import SourcesConfig
from stackcurate.sources.inputs import discover, read
from stackcurate.sources.local import Input
from stackcurate.sources.metadata import Entry, Halt, Reason, Repository

from . import hostile_git
from .git_server import Handler, Server, serving
from .hostile_git import GOOD, blob, commit, repository


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "served") as running:
        yield running


@pytest.fixture
def config(tmp_path: Path) -> SourcesConfig:
    return settings(tmp_path)


def settings(folder: Path, **values: Any) -> SourcesConfig:
    quick = {"git_timeout_s": 5.0, "git_fetch_s": 20.0, "git_attempts": 2, "git_mirror_bytes": 8 << 20}
    return SourcesConfig(**{"git_protocols": ("http",), "git_cache": str(folder / "cache"), **quick, **values})


def served(server: Server, name: str = "owner/name.git", *items: tuple[str, str, str, str | bytes]) -> Path:
    folder = server.folder / name
    commit(repository(folder, "--bare"), *items)
    return folder


def remote(url: str, **facts: Any) -> Input:
    return Input(path=url, name=url, kind=git_urls.KIND, fingerprint="", facts=json.dumps(facts) if facts else "")


def fetched(url: str, config: SourcesConfig, known: frozenset[str] = frozenset()) -> tuple[Repository, list[Entry]]:
    ((row, entries),) = ((row, list(entries)) for row, entries in read(remote(url), config, known))
    return row, entries


def test_files_of_a_remote_are_those_of_its_head(server: Server, config: SourcesConfig) -> None:
    folder = served(server)
    made = hostile_git.git(folder, "rev-parse", "HEAD").decode().strip()
    row, entries = fetched(f"{server.url}/owner/name.git", config)

    assert (row.repo_id, row.owner, row.name) == (f"127.0.0.1:{server.server_port}/owner/name", "owner", "name")
    assert (row.revision, row.default_branch, row.error, row.source_kind) == (made, "main", None, "git")
    assert [(entry.path, entry.content) for entry in entries] == [("good.py", GOOD)]


def test_large_blobs_are_not_fetched(server: Server, config: SourcesConfig, tmp_path: Path) -> None:
    folder = repository(server.folder / "big.git", "--bare")
    commit(folder, ("100644", "blob", blob(folder, os.urandom(300_000)), "large"))
    row, entries = fetched(f"{server.url}/big.git", settings(tmp_path, max_file_bytes=100_000))

    assert row.error is None
    assert [(entry.path, entry.error) for entry in entries] == [("good.py", None), ("large", "too_large")]
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.pack")) < 10_000


def test_next_snapshot_reuses_the_mirror_and_reads_only_new_blobs(server: Server, config: SourcesConfig) -> None:
    folder = served(server)
    url = f"{server.url}/owner/name.git"
    _, first = fetched(url, config)
    server.requests.clear()
    fetched(url, config)
    assert not [one for one in server.requests if "POST" in one and len(server.requests) > 3]

    commit(folder, ("100644", "blob", blob(folder, b"new = 1\n"), "new.py"))
    row, entries = fetched(url, config, frozenset(str(entry.blob_id) for entry in first))

    assert row.error is None
    assert [(e.path, e.content, e.size, e.error) for e in entries] == [
        ("good.py", None, len(GOOD), None), ("new.py", b"new = 1\n", 8, None)
    ]  # fmt: skip
    assert entries[0].blob_id == first[0].blob_id


def test_only_head_is_fetched_without_history(server: Server, config: SourcesConfig, tmp_path: Path) -> None:
    folder = served(server)
    first = hostile_git.git(folder, "rev-parse", "HEAD").decode().strip()
    tree = hostile_git.git(folder, "rev-parse", "HEAD^{tree}").decode().strip()
    second = hostile_git.git(folder, "commit-tree", "-p", first, "-m", "y", tree).decode().strip()
    hostile_git.git(folder, "update-ref", "HEAD", second)
    row, _ = fetched(f"{server.url}/owner/name.git", config)

    (mirror,) = (tmp_path / "cache").glob("*.git")
    assert row.revision == second
    assert (mirror / "shallow").read_text().strip() == second


def status(code: int) -> Any:
    return lambda handler: handler.answer(code)


@pytest.mark.parametrize("code", [404, 410, 451, 401])
def test_what_is_gone_is_not_asked_twice(server: Server, config: SourcesConfig, code: int) -> None:
    server.always = status(code)
    row, entries = fetched(f"{server.url}/owner/name.git", config)

    assert (row.error, row.revision, entries) == ("gone", None, [])
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [500, 503, 429, 403])
def test_one_error_is_retried_and_many_are_a_reason(server: Server, config: SourcesConfig, code: int) -> None:
    served(server)
    server.faults = [status(code)]
    assert fetched(f"{server.url}/owner/name.git", config)[0].error is None

    server.always = status(code)
    assert fetched(f"{server.url}/owner/other.git", config)[0].error == "unreachable"


def silent(handler: Handler) -> bool:
    time.sleep(30)
    return True


def test_silence_and_closed_ports_are_reasons(server: Server, tmp_path: Path) -> None:
    server.always = lambda handler: not time.sleep(3)
    row, _ = fetched(f"{server.url}/owner/name.git", settings(tmp_path, git_fetch_s=1.0))
    assert row.error == "timeout"

    row, _ = fetched("http://127.0.0.1:9/owner/name.git", settings(tmp_path))
    assert row.error == "unreachable"


def test_repository_without_commits_has_no_head(server: Server, config: SourcesConfig) -> None:
    repository(server.folder / "empty.git", "--bare")

    assert fetched(f"{server.url}/empty.git", config)[0].error == "no_head"


def test_mirror_that_grows_too_large_is_cut_and_leaves_nothing(server: Server, tmp_path: Path) -> None:
    folder = repository(server.folder / "big.git", "--bare")
    commit(folder, *(("100644", "blob", blob(folder, os.urandom(1_000_000)), f"f{i}") for i in range(6)))
    row, _ = fetched(f"{server.url}/big.git", settings(tmp_path, git_mirror_bytes=4 << 20, git_cache_bytes=4 << 20))

    assert row.error == "mirror_too_large"
    assert git_mirrors._size(tmp_path / "cache") < 1 << 16


def test_least_used_mirrors_make_room_and_the_budget_holds(server: Server, tmp_path: Path) -> None:
    limits = settings(tmp_path, git_mirror_bytes=4 << 20, git_cache_bytes=6 << 20)
    used = []
    for number in range(5):
        folder = repository(server.folder / f"r{number}.git", "--bare")
        commit(folder, ("100644", "blob", blob(folder, os.urandom(900_000)), "f"))
        assert fetched(f"{server.url}/r{number}.git", limits)[0].error is None
        used.append(git_mirrors._size(tmp_path / "cache"))
    kept = {path.stem for path in (tmp_path / "cache").glob("*.git")}

    assert max(used) <= limits.git_cache_bytes
    assert 1 <= len(kept) < 5
    with git_mirrors.mirrored(f"{server.url}/r4.git", limits) as mirror:
        assert mirror.path.stem in kept


def test_full_cache_of_mirrors_in_use_is_a_reason(server: Server, tmp_path: Path) -> None:
    served(server, "a.git")
    limits = settings(tmp_path, git_mirror_bytes=4 << 20, git_cache_bytes=4 << 20, git_fetch_s=0.5)
    patient = settings(tmp_path, git_mirror_bytes=4 << 20, git_cache_bytes=4 << 20)
    with git_mirrors.mirrored(f"{server.url}/a.git", patient):
        other = git_mirrors.mirrored(f"{server.url}/b.git", limits)
        with pytest.raises(Halt) as halted, other:
            pass
    assert halted.value.reason is Reason.CACHE_FULL


@pytest.mark.parametrize("url", [
    "ext::sh -c touch% executed", "--upload-pack=touch executed", "-oProxyCommand=x", "ssh://git@example.org/a/b",
    "git://example.org/a/b", "file:///etc", "git@example.org:a/b", "/etc/passwd", "ftp://example.org/a/b",
    "http://exa mple.org/a", "http://example.org/a/../../b", "http://example.org", "fd::0", "http://[::1/x", "",
    "http://example.org/a\n[core]", "remote-ext::x",
])  # fmt: skip
def test_what_is_no_plain_address_is_refused_and_never_run(url: str, config: SourcesConfig, tmp_path: Path) -> None:
    file = tmp_path / "list.jsonl"
    file.write_text(json.dumps({"url": url or " "}) + "\n")
    (one,) = discover([f"git:{file}"])
    ((row, entries),) = read(one, config)

    assert row.error == "refused_address"
    assert list(entries) == []
    assert not (tmp_path / "cache").exists()


def test_credentials_go_nowhere(server: Server, config: SourcesConfig, tmp_path: Path) -> None:
    served(server)
    word = "pass" + "word"
    listed = tmp_path / "urls.txt"
    listed.write_text(f"# mine\nhttp://me:{word}@127.0.0.1:{server.server_port}/owner/name.git?token={word}\n{word}:\n")
    first, second = discover([f"git:{listed}"])
    seen: list[str] = []
    server.always = lambda handler: seen.append(str(handler.headers)) or False  # type: ignore[func-returns-value]
    ((row, entries),) = ((row, list(entries)) for row, entries in read(first, config))

    assert row.error is None
    assert "Authorization" not in "".join(seen)
    assert word not in repr((first, second, row, entries))
    assert second.name == "(refused) line 2"


def test_list_carries_what_a_host_said(tmp_path: Path) -> None:
    rows = [
        {"owner": "Octo", "name": "Cat", "host": "github", "repo_id": "github/7", "stars": 9, "license": "x"},
        {"url": "https://github.com/a/b.git", "stars": "many", "created_at": "2020-01-02T03:04:05Z"},
    ]
    text = tmp_path / "repos.jsonl"
    text.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = (git_urls.described(one) for one in discover([f"git:{text}"]))
    pq.write_table(pa.Table.from_pylist(rows[:1]), tmp_path / "repos.parquet")
    (again,) = discover([f"git:{tmp_path}/repos.parquet"])

    assert (first.repo_id, first.owner, first.stars, first.source) == (
        "github/7", "Octo", 9, "https://github.com/Octo/Cat"
    )  # fmt: skip
    assert (second.repo_id, second.stars, second.host) == ("github/a/b", None, "github")
    assert second.created_at is not None
    assert git_urls.described(again) == first


def test_a_repository_has_one_name_however_its_address_is_escaped(tmp_path: Path) -> None:
    plain, escaped = "https://github.com/Octo/a-b.git", "https://github.com/%4Fct%6f/a%2db.git"
    (tmp_path / "list.txt").write_text(f"{escaped}\n{plain}\nhttps://github.com/x/%2E%2e/y\nhttps://h.example/a%0Ab\n")

    one, refused, other = discover([f"git:{tmp_path / 'list.txt'}"])

    assert (one.path, git_urls.described(one).repo_id) == (plain, "github/octo/a-b")
    assert refused.path == "(refused) line 3"
    assert other.path == "https://h.example/a%0Ab"


def test_list_that_is_missing_or_empty_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nothing\n")
    for name in ("absent", "empty"):
        with pytest.raises(SourceError, match="addresses"):
            discover([f"git:{tmp_path}/{name}"])


def test_hostile_answers_are_reasons_and_run_nothing(server: Server, tmp_path: Path) -> None:
    limits = settings(tmp_path, git_attempts=1, git_fetch_s=5.0)
    advert = {"Content_Type": "application/x-git-upload-pack-advertisement"}
    bodies = {
        "html": lambda h: h.answer(200, b"<html>sign in</html>", Content_Type="text/html"),
        "garbage": lambda h: h.answer(200, os.urandom(5000), **advert),
        "endless": lambda h: h.answer(200, b"001e# service=git-upload-pack\n0000" + b"ffff" * 500_000, **advert),
        "to-file": lambda h: h.answer(302, Location="file:///etc/passwd"),
        "to-ext": lambda h: h.answer(302, Location="ext::touch executed"),
        "loop": lambda h: h.answer(302, Location=h.path),
    }
    for name, body in bodies.items():
        server.always = body
        row, entries = fetched(f"{server.url}/{name}.git", limits)
        assert row.error in ("unreachable", "gone", "refused_address", "timeout", "no_head"), name
        assert entries == []
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} <= {"", ".lock"}


def test_truncated_pack_is_retried(server: Server, config: SourcesConfig) -> None:
    served(server)
    cuts: list[str] = []

    def cut(handler: Handler) -> bool:
        if cuts or handler.command != "POST" or b"command=fetch" not in handler.rfile.peek(300):
            return False
        cuts.append(handler.path)
        return handler.answer(200, b"000dpackfile\n", Content_Type="application/x-git-upload-pack-result")

    server.always = cut
    row, entries = fetched(f"{server.url}/owner/name.git", config)
    assert len(cuts) == 1
    assert (row.error, len(entries)) == (None, 1)


def test_a_folder_that_another_user_made_is_refused(tmp_path: Path) -> None:
    others = Path("/etc")
    if os.getuid() == 0:
        others = tmp_path / "others"
        others.mkdir()
        os.chown(others, 12345, 12345)

    git_mirrors.check_own(tmp_path)
    with pytest.raises(ConfigError, match="git_cache"):
        git_mirrors.check_own(others)
