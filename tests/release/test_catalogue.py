"""Catalogue: what is released under a name, read from the shards that can hold it and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackcurate.release.catalogue import FILES, by_repository, released_files
from stackcurate.release.manifest import Release, load_release
from stackcurate.workspace import Workspace
from tests.web.sites import rows, write_site


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    found = load_release(write_site(tmp_path_factory.mktemp("catalogue") / "workspace"), "v1")
    assert found is not None
    return found


def test_each_file_is_found_by_its_owner_repository_and_path(release: Release) -> None:
    folder, shards = Workspace(release.path), release.manifest["shards"]
    for file in rows():
        for query in (file["repo"].split("/")[0], file["repo"], file["repo_id"]):
            found = released_files(folder, shards, query.upper())
            assert (file["repo"], file["path"]) in zip(
                found["repo"].to_pylist(), found["path"].to_pylist(), strict=True
            )
        if "<" not in file["path"]:
            assert released_files(folder, shards, f"{file['repo']}/{file['path']}")["path"].to_pylist() == [
                file["path"]
            ]


def test_shards_of_other_owners_are_not_opened(release: Release) -> None:
    shards = release.manifest["shards"]
    wanted = set(released_files(Workspace(release.path), shards, "hello-org")["shard"].to_pylist())
    others = [Path(release.path, shard["path"]) for shard in shards if shard["language"] in ("C", "JavaScript")]
    kept = {path: path.read_bytes() for path in others}
    assert not wanted & {shard["path"] for shard in shards if shard["language"] in ("C", "JavaScript")}

    try:
        for path in others:
            path.unlink()
        present = [shard for shard in shards if Path(release.path, shard["path"]) not in others]
        assert released_files(Workspace(release.path), present, "hello-org").num_rows == 42
    finally:
        for path, content in kept.items():
            path.write_bytes(content)


@pytest.mark.parametrize("query", ["", "/", "nobody", "hello", "tools", "hello-org/tool", "hello-org/tools/none.py"])
def test_what_is_not_there_gives_no_rows(release: Release, query: str) -> None:
    assert released_files(Workspace(release.path), release.manifest["shards"], query).equals(FILES.empty_table())


def test_repositories_add_up(release: Release) -> None:
    files = released_files(Workspace(release.path), release.manifest["shards"], "octocat")
    algorithms, ring = by_repository(files)

    assert algorithms["files"] + ring["files"] == files.num_rows == 5
    assert algorithms["languages"] == {"Markdown": 1, "Python": 2}
    assert ring["licenses"] == {"Apache-2.0": 2}
    assert ring["bytes"] == sum(file["size"] for file in rows() if file["repo"] == "Octocat/ring")
    assert by_repository(FILES.empty_table()) == []
