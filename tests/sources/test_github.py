"""GitHub's API: every repository once, no request inside a limit, few requests too many, no token anywhere."""

from __future__ import annotations

import base64
import json
import pickle
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from stackcurate import schema
from stackcurate.errors import ConfigError, SourceError
from stackcurate.facts import silent
from stackcurate.sources.github import Wanted, by_name, describe, everything, owned, wanted_of
from stackcurate.sources.github_client import Client, GaveUpError
from stackcurate.sources.github_ingest import ingest_github
from stackcurate.sources.github_tokens import Token, read_tokens
from stackcurate.sources.repos_config import ReposConfig
from stackcurate.workspace import Workspace, read_table, runs
from tests.sources.github_stub import Stub, Time, repository, serving

SECRETS = [f"secret-{letter * 12}" for letter in "abc"]
FAULTS = ("500", "502", "503", "reset", "truncated", "garbage", "429", "secondary", "primary")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def stub(time: Time) -> Iterator[Stub]:
    """GitHub with 1,234 repositories of seven owners."""
    there = Stub([repository(number) for number in range(1, 1235)], time)
    with serving(there):
        yield there


def client(stub: Stub, tokens: int = 3) -> Client:
    given = [Token(name=f"token {n}", secret=secret) for n, secret in enumerate(SECRETS[:tokens], 1)]
    return Client(given or [Token(name="anonymous")], stub.url, clock=stub.time.clock)


def names(count: int) -> list[str]:
    return [repository(number)["full_name"] for number in range(1, count + 1)]


# --- describing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_node", [True, False])
def test_500_repositories_take_one_request(stub: Stub, by_node: bool) -> None:
    wanted = map(wanted_of, stub.all.values()) if by_node else by_name(names(1234))
    rows = list(describe(client(stub), wanted))

    assert len(stub.requests) == 3
    assert [row["host_id"] for row in rows] == list(range(1, 1235))
    assert rows[41] == {
        "repo_id": "github/42", "host": "github", "host_id": 42, "owner": "owner0", "name": "project-42",
        "former_names": None, "accounts": None, "head": f"{42:040x}", "owner_id": 7, "owner_type": "user",
        "fork": False, "fork_of": None, "stars": 42, "forks": 1, "size": 3072, "host_license": "MIT",
        "default_branch": "main", "archived": False, "created_at": datetime(2020, 1, 1, tzinfo=UTC),
        "pushed_at": datetime(2021, 1, 1, tzinfo=UTC),
        "recorded_at": datetime.fromtimestamp(stub.time.at, UTC), "source": "github", "error": None,
    }  # fmt: skip
    assert set(rows[0]) == set(schema.REPO_RECORDS.columns.names)


def test_renamed_deleted_and_blocked_are_told_apart(stub: Stub) -> None:
    stub.moved = {"old/name": 5}
    stub.gone = {"taken/down": 451, "access/blocked": 403}
    asked = ["old/name", "no/body", "taken/down", "access/blocked", stub.all[5]["full_name"], "NO/body"]
    rows = {row["repo_id"]: row for row in describe(client(stub), by_name(asked))}

    assert rows["github/5"]["former_names"] == ["old/name"]
    assert (rows["github/5"]["owner"], rows["github/5"]["name"]) == ("owner5", "project-5")
    assert {key: row["error"] for key, row in rows.items() if key != "github/5"} == {
        "github/no/body": "deleted", "github/taken/down": "blocked", "github/access/blocked": "blocked"
    }  # fmt: skip


def test_without_a_token_rest_tells_the_same(stub: Stub) -> None:
    stub.moved = {"old/name": 5}
    row = next(iter(describe(client(stub, 0), by_name(["old/name"]))))

    assert [path for _, path in stub.requests] == ["/repos/old/name", "/repositories/5"]
    assert (row["repo_id"], row["former_names"], row["stars"], row["size"]) == ("github/5", ["old/name"], 5, 3072)
    assert "Authorization" not in stub.headers[0]


def test_a_batch_that_is_too_heavy_is_halved(stub: Stub) -> None:
    stub.heaviest = 130
    rows = list(describe(client(stub, 1), by_name(names(400))))

    assert [row["host_id"] for row in rows] == list(range(1, 401))


def test_forks_name_their_parent(stub: Stub) -> None:
    stub.all[9] |= {"fork": True, "parent": {"id": 4}}

    assert next(iter(describe(client(stub), [wanted_of(stub.all[9])])))["fork_of"] == "github/4"
    assert next(iter(describe(client(stub, 0), [wanted_of(stub.all[9])])))["fork_of"] == "github/4"


# --- listing ----------------------------------------------------------------------------------------------------


def test_an_account_is_listed_page_by_page(stub: Stub) -> None:
    listed = list(owned(client(stub), "owner3"))

    assert [one["id"] for one in listed] == [n for n in range(1, 1235) if n % 7 == 3]
    assert len(stub.requests) == 2
    with pytest.raises(ConfigError, match="no such account"):
        list(owned(client(stub), "nobody"))


def test_everything_is_listed_once_and_goes_on_from_a_number(stub: Stub) -> None:
    pages = list(everything(client(stub)))
    later = list(everything(client(stub), since=pages[5][0]))

    assert [one["id"] for _, page in pages for one in page] == list(range(1, 1235))
    assert [since for since, _ in later] == [since for since, _ in pages[6:]]


def test_pages_that_form_a_loop_or_lead_away_are_refused(stub: Stub) -> None:
    stub.answer = lambda *_: (200, {"Link": f'<{stub.url}/repositories?since=0>; rel="next"'}, [])  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="loop"):
        list(everything(client(stub)))
    stub.answer = lambda *_: (200, {"Link": '<http://elsewhere.invalid/x>; rel="next"'}, [])  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="tokens do not go there"):
        list(everything(client(stub)))


# --- limits and faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("tokens", [1, 3])
def test_each_fault_costs_one_request(stub: Stub, fault: str, tokens: int) -> None:
    stub.faults = {3: fault, 9: fault}
    listed = [one["id"] for _, page in everything(client(stub, tokens)) for one in page]

    assert listed == list(range(1, 1235))
    assert len(stub.requests) == 13 + 2
    assert (stub.inside_window, stub.most_in_flight) == (0, 1)


@pytest.mark.parametrize("fault", [*FAULTS, "graphql-limit"])
def test_graphql_survives_each_fault(stub: Stub, fault: str) -> None:
    stub.faults = {1: fault, 5: fault}
    rows = list(describe(client(stub), by_name(names(1234)), batch=200))

    assert [row["host_id"] for row in rows] == list(range(1, 1235))
    assert len(stub.requests) == 7 + 2
    assert (stub.inside_window, stub.most_in_flight) == (0, 1)


def test_a_long_run_with_faults_needs_hardly_more_requests(time: Time) -> None:
    stub = Stub([repository(number) for number in range(1, 10_001)], time, {17: "secondary", 71: "truncated"})
    with serving(stub):
        one = client(stub)
        listed = [found for _, page in everything(one) for found in page]
        rows = list(describe(one, map(wanted_of, listed[:1000])))

    assert [found["id"] for found in listed] == list(range(1, 10_001))
    assert [row["host_id"] for row in rows] == list(range(1, 1001))
    assert len(stub.requests) <= 1.02 * (100 + 2)
    assert stub.inside_window == 0


def test_primary_limits_are_waited_for_before_they_are_hit(stub: Stub) -> None:
    stub.limit = 4
    started = stub.time.at
    one = client(stub, 2)
    said: list[str] = []
    one.notify = said.append

    assert sum(len(page) for _, page in everything(one)) == 1234
    assert stub.inside_window == 0
    assert stub.time.at - started >= 100
    assert said == ["waiting 101 s for GitHub's limits"]


def test_requests_are_paced_below_the_points_of_a_minute(stub: Stub) -> None:
    started = stub.time.at
    one = Client([Token(name="token 1", secret=SECRETS[0])], stub.url, stub.time.clock, {"core": 5, "graphql": 5})
    list(everything(one))

    assert stub.time.at - started >= 120


def test_what_did_not_change_is_confirmed_by_etag_per_token(stub: Stub) -> None:
    one = client(stub, 3)
    first = list(everything(one))
    second = list(everything(one))

    assert first == second
    assert stub.confirmed == 13


def test_bad_tokens_are_left_out(stub: Stub) -> None:
    stub.tokens = {SECRETS[1]}
    one = client(stub)
    said: list[str] = []
    one.notify = said.append

    assert sum(len(page) for _, page in everything(one)) == 1234
    assert said == ["GitHub refuses token 1; going on without it"] or len(said) == 2
    stub.tokens = set()
    with pytest.raises(SourceError, match="accepts none of the tokens"):
        list(everything(one))


def test_a_server_that_is_always_ill_ends_the_run(stub: Stub) -> None:
    stub.faults = dict.fromkeys(range(1, 100), "503")
    with pytest.raises(GaveUpError, match="no answer after 6 attempts"):
        list(everything(client(stub)))


# --- tokens -----------------------------------------------------------------------------------------------------


def test_installations_get_tokens_that_are_renewed(stub: Stub, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "tokens").write_text(f"# ours\napp 12 34 {tmp_path / 'key.pem'}\n")
    one = Client(read_tokens(str(tmp_path / "tokens")), stub.url, clock=stub.time.clock)
    first = len(stub.requests)
    one.get("/repos/a/b")
    stub.time.at += 3500
    one.get("/repos/a/b")
    header, claims, signature = stub.headers[first]["Authorization"].removeprefix("Bearer ").split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))

    key.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="), f"{header}.{claims}".encode(), padding.PKCS1v15(), SHA256()
    )
    assert [path for _, path in stub.requests[first:]] == ["/app/installations/34/access_tokens", "/repos/a/b"] * 2
    assert (decoded["iss"], decoded["exp"] - decoded["iat"]) == ("12", 600)
    assert stub.headers[first + 1]["Authorization"] == "Bearer installation-secret"


def test_tokens_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_TOKENS", f"{SECRETS[0]},{SECRETS[1]} {SECRETS[0]}")

    assert [token.secret for token in read_tokens("", "OUR_TOKENS")] == SECRETS[:2]
    assert [token.name for token in read_tokens("", "NOT_SET")] == ["anonymous"]
    bad = tmp_path / "tokens"
    bad.write_text(f"{SECRETS[0]}\nnot a token {SECRETS[1]}\n")
    with pytest.raises(ConfigError) as caught:
        read_tokens(str(bad))
    assert "token 2" in str(caught.value)
    assert SECRETS[1] not in str(caught.value)


def test_tokens_are_never_shown(stub: Stub, tmp_path: Path, workspace: Workspace) -> None:
    one = client(stub)
    ingest_github(workspace, "owner3", one, ReposConfig(), silent)
    shown = repr(one) + repr(one.tokens) + str(one.tokens[0])
    stub.tokens = set()
    with pytest.raises(SourceError) as caught:
        one.get("/repos/a/b")
    written = b"".join(path.read_bytes() for path in Path(workspace.root).rglob("*") if path.is_file())

    for secret in SECRETS:
        assert secret not in shown + str(caught.value)
        assert secret.encode() not in written


@pytest.mark.parametrize("url", ["http://api.github.com", "ftp://127.0.0.1", "api.github.com"])
def test_tokens_do_not_travel_in_the_clear(url: str) -> None:
    with pytest.raises(ConfigError, match="https"):
        Client([Token(name="token 1", secret=SECRETS[0])], url)


# --- workspace and Spark ----------------------------------------------------------------------------------------


def test_sources_are_written_once_for_a_snapshot(stub: Stub, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "names").write_text("# some\nowner1/project-1\nowner2/project-2\n")
    config = ReposConfig()
    for place in ("owner3", "owner3", f"@{tmp_path / 'names'}", "owner1/project-8"):
        ingest_github(workspace, place, client(stub), config, silent)
    asked = len(stub.requests)
    ingest_github(workspace, "owner3", client(stub), ReposConfig(snapshot="v2"), silent)
    found = runs(workspace, "repo_records")
    table = read_table(workspace, schema.REPO_RECORDS, found)

    assert asked == 2 + 1 + 1 + 1
    assert len(found) == 4
    assert len(set(table["repo_id"].to_pylist())) == 176 + 3


def test_the_listing_of_everything_goes_on_where_it_stopped(stub: Stub, workspace: Workspace) -> None:
    config = ReposConfig(pages_per_run=4)
    stub.faults = dict.fromkeys(range(7, 60), "503")
    with pytest.raises(GaveUpError):
        ingest_github(workspace, "*", client(stub), config, silent)
    stopped = read_table(workspace, schema.REPO_RECORDS, runs(workspace, "repo_records")).num_rows
    stub.faults = {}
    stub.requests.clear()
    for _ in range(2):
        ingest_github(workspace, "*", client(stub), config, silent)
    table = read_table(workspace, schema.REPO_RECORDS, runs(workspace, "repo_records"))

    assert stopped == 400
    assert stub.requests[0] == ("GET", "/repositories?since=400")
    assert sorted(table["host_id"].to_pylist()) == list(range(1, 1235))


def test_the_data_source_needs_no_jvm_and_carries_no_token(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stackcurate.sources.datasources import GitHub

    (tmp_path / "tokens").write_text("\n".join(SECRETS))
    options = {"repositories": ",".join(names(1100)), "owners": "owner1", "tokens_file": str(tmp_path / "tokens"),
               "api_url": stub.url}  # fmt: skip
    source = GitHub(options)
    reader = source.reader(source.schema())
    partitions = reader.partitions()
    rows = [row for part in partitions for batch in reader.read(part) for row in batch.to_pylist()]

    assert len(partitions) == 3
    assert {row["host_id"] for row in rows} == {*range(1, 1101), *(n for n in range(1, 1235) if n % 7 == 1)}
    assert not any(secret.encode() in pickle.dumps((reader, partitions)) for secret in SECRETS)
    with pytest.raises(ConfigError, match="unknown option"):
        GitHub({"token": SECRETS[0]}).reader(source.schema())


def test_names_that_are_none_are_refused() -> None:
    for name in ("owner", "a/b/c", 'a/b"){x}', "-a/b", "a/b c"):
        with pytest.raises(ConfigError):
            list(by_name([name]))
    assert wanted_of({"full_name": "a/b", "node_id": '"]){evil}'}) == Wanted("a/b", None)


# --- contract ---------------------------------------------------------------------------------------------------


@cache
def packed(package: str) -> Path:
    """Return the folder of an npm package, fetched by npm; skip the test where that is not possible."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="stackcurate-npm-"))
    done = subprocess.run(
        ["npm", "pack", "--silent", package], cwd=folder, capture_output=True, timeout=300, check=False
    )
    if done.returncode:
        pytest.skip(f"npm cannot fetch {package}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        members = [m for m in archive if m.name.endswith(("api.github.com.json", "normalized-fixture.json"))]
        archive.extractall(folder, members=members, filter="data")
    return folder / "package"


@pytest.mark.slow
def test_every_request_is_in_the_official_description(stub: Stub, tmp_path: Path) -> None:
    """Paths, parameters and their types, as GitHub's OpenAPI description has them; GraphQL is not in it."""
    import jsonschema

    description = json.loads((packed("@octokit/openapi") / "generated" / "api.github.com.json").read_bytes())
    one = client(stub)
    stub.moved = {"old/name": 5}
    list(owned(one, "owner3"))
    list(everything(one, since=900))
    list(describe(client(stub, 0), by_name(["old/name", "no/body"])))
    test_installations_get_tokens_that_are_renewed(stub, tmp_path)

    for method, path in stub.requests:
        split = urlsplit(path)
        operation, given = _operation(description, method.lower(), split.path)
        declared = [_resolved(description, one) for one in operation.get("parameters", [])]
        known = {one["name"]: one for one in declared}
        for name, text in [*parse_qsl(split.query), *given.items()]:
            assert name in known, f"{method} {path}: {name}"
            kind = known[name]["schema"]
            value = int(text) if kind.get("type") == "integer" else text
            jsonschema.validate(value, kind)
        required = {one["name"] for one in declared if one.get("required")}
        assert required <= {*given, *dict(parse_qsl(split.query))}
    assert len(stub.requests) > 10


def _operation(description: dict[str, Any], method: str, path: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the operation of a path and its parameters; plain segments go before parameters."""
    parts = path.strip("/").split("/")
    if parts[0] == "repositories" and len(parts) == 2:
        return {}, {}  # where redirects lead: an address that GitHub gives, and the description lacks
    fits = []
    for template, methods in description["paths"].items():
        names = template.strip("/").split("/")
        if method in methods and len(names) == len(parts):
            pairs = list(zip(names, parts, strict=True))
            if all(name == part or name.startswith("{") for name, part in pairs):
                given = {name[1:-1]: part for name, part in pairs if name.startswith("{")}
                fits.append((len(given), methods[method], given))
    assert fits, f"{method} {path} is not in the description"
    _, operation, given = min(fits, key=lambda fit: fit[0])
    return operation, given


def _resolved(description: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    for part in value["$ref"].removeprefix("#/").split("/") if "$ref" in value else ():
        description = description[part]
    return description if "$ref" in value else value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "asked"),
    [
        ("get-repository", "octokit-fixture-org/hello-world"),
        ("rename-repository", "octokit-fixture-org/rename-repository"),
    ],
)
def test_recorded_scenarios_are_understood(time: Time, scenario: str, asked: str) -> None:
    stub = _recorded(scenario, time)
    with serving(stub):
        row = next(iter(describe(client(stub, 0), by_name([asked]))))

    assert row["repo_id"] == "github/1000"
    assert row["owner"] == "octokit-fixture-org"
    assert row["error"] is None
    assert (row["former_names"] == [asked]) == (scenario == "rename-repository")


@pytest.mark.slow
def test_recorded_pages_are_followed_to_the_end(time: Time) -> None:
    stub = _recorded("paginate-issues", time)
    with serving(stub):
        pages = list(client(stub, 1).pages("/repos/octokit-fixture-org/paginate-issues/issues", {"per_page": 3}))

    assert [len(page.json()) for page in pages] == [3, 3, 3, 3, 1]


def _recorded(scenario: str, time: Time) -> Stub:
    """Return a server that answers a scenario's GETs as they were recorded."""
    folder = packed("@octokit/fixtures") / "scenarios" / "api.github.com" / scenario
    recorded = json.loads((folder / "normalized-fixture.json").read_bytes())
    stub = Stub([], time)
    answers = {one["path"]: one for one in recorded if one["method"] == "get"}

    def answer(_method: str, path: str, _body: bytes) -> tuple[int, dict[str, str], Any]:
        one = answers[path]
        names = ("link", "location", "x-ratelimit-remaining", "x-ratelimit-reset")
        headers = {name: str(text) for name, text in one["headers"].items() if name in names}
        return (
            one["status"],
            {n: t.replace("https://api.github.com", stub.url) for n, t in headers.items()},
            one["response"],
        )

    stub.answer = answer  # type: ignore[method-assign]
    return stub
