"""The JSON of the page: what is released and nothing else, requests into the inbox, hostile input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from stackcurate import pipeline
from stackcurate.errors import ReleaseError
from stackcurate.release.inbox import INBOX
from stackcurate.web.app import create_app
from stackcurate.workspace import Workspace
from tests.web.sites import MARKUP, SORT, write_site

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(site: Workspace) -> TestClient:
    return TestClient(create_app(site, "v1", 1_000_000), raise_server_exceptions=False)


def test_an_account_is_found_with_files_languages_licences_and_shards(client: TestClient) -> None:
    found = client.get("/api/lookup", params={"q": "@OCTOCAT"}).json()

    assert [(row["repo"], row["files"]) for row in found["repositories"]] == [
        ("Octocat/algorithms", 3), ("Octocat/ring", 2),
    ]  # fmt: skip
    assert found["repositories"][0]["languages"] == {"Markdown": 1, "Python": 2}
    assert found["repositories"][1]["licenses"] == {"Apache-2.0": 2}
    assert all(shard.startswith("data/") for row in found["repositories"] for shard in row["shards"])


@pytest.mark.parametrize("query", ["octocat/ring", "git/octocat/ring", "https://github.com/Octocat/ring/"])
def test_a_repository_is_found_by_each_of_its_names(client: TestClient, query: str) -> None:
    assert client.get("/api/lookup", params={"q": query}).json()["files"] == 2


def test_a_single_file_is_found_by_its_path(client: TestClient) -> None:
    found = client.get("/api/files", params={"q": "octocat/algorithms/SRC/merge.py"}).json()

    assert [file["path"] for file in found["files"]] == ["src/merge.py"]


def test_files_come_in_pages(client: TestClient) -> None:
    whole = client.get("/api/files", params={"q": "hello-org"}).json()
    rest = client.get("/api/files", params={"q": "hello-org", "offset": 40}).json()

    assert whole["total"] == 42
    assert rest["files"] == whole["files"][40:]
    assert client.get("/api/files", params={"q": "hello-org", "offset": 10**9}).json()["files"] == []


def test_what_is_not_released_tells_nothing_more(client: TestClient, site: Workspace) -> None:
    for name in ("nobody", "opted-out-owner", "octo", "octocat/none", "ring"):
        found = client.get("/api/lookup", params={"q": name}).json()
        assert found == {"query": name, "files": 0, "bytes": 0, "repositories": [], "more": 0}


@pytest.mark.parametrize("name", [
    MARKUP, "../../workspace.json", "a\x00b", "\u202egnp.exe", "'; drop table files; --", "%2e%2e/%2e%2e", "/" * 200,
    "a/" * 140, "\ud83d\ude00",
])  # fmt: skip
def test_hostile_names_are_answered_like_others(client: TestClient, name: str) -> None:
    answer = client.get("/api/lookup", params={"q": name.encode("utf-16", "surrogatepass").decode("utf-16")})

    assert answer.status_code == 200
    assert answer.json()["files"] == 0
    assert answer.headers["content-type"] == "application/json"


def test_a_hostile_path_is_json_and_never_html(client: TestClient) -> None:
    answer = client.get("/api/files", params={"q": "octocat-labs/site"})

    assert answer.json()["files"][0]["path"] == f"pages/{MARKUP}.js"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_request_comes_into_the_inbox_and_is_read_from_there(tmp_path: Path) -> None:
    workspace = write_site(tmp_path / "workspace")
    asked = {"accounts": ["@Octocat"], "repositories": ["https://github.com/Hello-Org/Tools", "hello-org/tools"],
             "scope": "now", "note": "mine:\nsee my profile"}  # fmt: skip
    said = TestClient(create_app(workspace, "v1")).post("/api/opt-outs", json=asked)

    assert said.status_code == 201
    assert said.json()["requests"] == [
        {"kind": "owner", "value": "octocat"}, {"kind": "repository", "value": "hello-org/tools"},
    ]  # fmt: skip
    config = pipeline.load_config(None, [f'workspace.path="{workspace.root}"',
                                         f'opt_outs.requests=["{workspace.root}/{INBOX}"]'])  # fmt: skip
    rows = pipeline.given_requests(config).to_pylist()
    assert [(row["kind"], row["value"], row["scope"], row["state"]) for row in rows] == [
        ("owner", "octocat", "now", "active"), ("repository", "hello-org/tools", "now", "active"),
    ]  # fmt: skip
    assert {row["request_id"] for row in rows} == {said.json()["receipt"]}
    assert "see my profile" not in str(rows)


def test_whoever_holds_the_number_sees_how_far_a_request_is(client: TestClient) -> None:
    receipt = client.post("/api/opt-outs", json={"accounts": ["octocat"]}).json()["receipt"]

    assert client.get(f"/api/opt-outs/{receipt}").json()["state"] == "waiting"
    for other in ("issue-1", "0" * 16, "..%2Fledger", "%00"):
        assert client.get(f"/api/opt-outs/{other}").status_code == 404


@pytest.mark.parametrize("asked", [
    {}, {"accounts": [""]}, {"accounts": ["two words"]}, {"accounts": ["a/b"]}, {"repositories": ["no-slash"]},
    {"repositories": [MARKUP]}, {"repositories": ["a/b\x00c"]}, {"accounts": ["ok"], "scope": "forever"},
    {"accounts": ["ok"] * 201}, {"accounts": ["ok"], "note": "x" * 1001}, {"accounts": "ok"}, {"accounts": [{"a": 1}]},
    {"accounts": ["ok"], "state": "withdrawn"}, {"accounts": ["ok"], "request_id": "mine"}, [], "ok", None,
])  # fmt: skip
def test_what_is_no_request_is_refused_and_leaves_nothing(client: TestClient, site: Workspace, asked: Any) -> None:
    before = sorted(Path(site.path(INBOX)).glob("*"))
    answer = client.post("/api/opt-outs", json=asked)

    assert answer.status_code == 422
    assert set(answer.json()) == {"error"}
    assert sorted(Path(site.path(INBOX)).glob("*")) == before


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_form_of_another_page_files_no_request(client: TestClient, kind: str) -> None:
    body = json.dumps({"accounts": ["victim"]})

    assert client.post("/api/opt-outs", content=body, headers={"content-type": kind}).status_code == 422


def test_a_full_inbox_says_so(site: Workspace, tmp_path: Path, client: TestClient) -> None:
    blocked = write_site(tmp_path / "workspace")
    Path(blocked.path(INBOX)).write_text("a file stands in the way")
    answer = TestClient(create_app(blocked, "v1")).post("/api/opt-outs", json={"accounts": ["octocat"]})

    assert answer.status_code == 503
    assert str(tmp_path) not in answer.text


def test_pasted_code_is_traced_to_file_and_licence(client: TestClient) -> None:
    text = f"# caf\u00e9 \U0001f600\n{SORT}# end\n"
    found = client.post("/api/attribution", json={"text": text}).json()

    match, = found["matches"]  # fmt: skip
    assert text[match["start"] : match["end"]] in SORT
    assert len(re.sub(r"\s", "", text[match["start"] : match["end"]])) == len(re.sub(r"\s", "", SORT))
    assert (match["repo"], match["path"], match["license"]) == ("Octocat/algorithms", "src/merge.py", "MIT")
    assert (match["start_line"], match["source_start_line"]) == (2, 1)


@pytest.mark.parametrize("text", ["nothing", MARKUP, "\x00" * 500, "é" * 3000, " " * 5000])
def test_any_text_gets_an_answer(client: TestClient, text: str) -> None:
    answer = client.post("/api/attribution", json={"text": text})

    assert answer.status_code == 200
    assert answer.json()["matches"] == []


@pytest.mark.parametrize("text", ["", "x" * 40_001, 7, None, "half a letter \ud800"])
def test_what_is_no_text_is_refused(client: TestClient, text: Any) -> None:
    body = json.dumps({"text": text})

    assert client.post("/api/attribution", content=body, headers=JSON).status_code == 422


@pytest.mark.parametrize("body", ["", "{", "[" * 100_000, "{}", "null", '{"text": "a", "text2": "b"}'])
def test_what_is_no_json_is_refused(client: TestClient, body: str) -> None:
    assert client.post("/api/attribution", content=body, headers=JSON).status_code in (400, 422)


def test_the_funnel_adds_up_and_the_release_tells_its_numbers(client: TestClient) -> None:
    funnel, release = client.get("/api/funnel").json(), client.get("/api/release").json()

    assert funnel["stages"][0]["left"] == funnel["files"]
    assert funnel["stages"][-1]["left"] == funnel["kept"]["files"] == release["rows"]
    assert release["guaranteed"] == 99
    assert "README.md" in release["documents"]


def test_each_document_is_as_it_was_published(client: TestClient, site: Workspace) -> None:
    for name in client.get("/api/release").json()["documents"]:
        assert client.get(f"/documents/{name}").content == Path(site.path("releases", "v1", name)).read_bytes()


@pytest.mark.parametrize("path", [
    "/documents/..%2F..%2Fworkspace.json", "/documents/%2e%2e%2fworkspace.json", "/documents/report.html",
    "/documents/index.json", "/static/..%2Fapp.py", "/static/../app.py", "/static/%2e%2e/%2e%2e/cli.py",
    "/static/", "/data/python/train-00000-of-00003.parquet", "/inbox", "/docs", "/ledger",
])  # fmt: skip
def test_nothing_else_is_handed_out(client: TestClient, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 404
    assert "import" not in answer.text


def test_errors_tell_no_paths_of_the_machine(tmp_path: Path) -> None:
    broken = write_site(tmp_path / "workspace")
    for shard in Path(broken.path("releases", "v1", "data")).rglob("*.parquet"):
        shard.write_bytes(b"torn")
    answer = TestClient(create_app(broken, "v1"), raise_server_exceptions=False).get("/api/lookup?q=octocat")

    assert answer.status_code == 500
    assert str(tmp_path) not in answer.text


def test_a_release_without_an_index_finds_no_sources(tmp_path: Path) -> None:
    bare = write_site(tmp_path / "workspace")
    Path(bare.path("releases", "v1", "attribution", "index.json")).unlink()
    client = TestClient(create_app(bare, "v1"))

    assert client.get("/api/release").json()["guaranteed"] is None
    assert client.post("/api/attribution", json={"text": SORT}).status_code == 404


def test_an_unknown_release_is_refused(site: Workspace) -> None:
    with pytest.raises(ReleaseError, match="v9"):
        create_app(site, "v9")


def test_the_schema_documents_each_request(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    page = client.get("/api").text

    assert {"/api/lookup", "/api/opt-outs", "/api/attribution", "/api/funnel", "/health"} <= set(paths)
    assert [path for path in paths if path.split("{")[0] not in page] == []
