"""Opt-out requests: every form in which they come, normalised, and nothing lost that cannot be read."""

from __future__ import annotations

import pytest

from stackcurate import schema
from stackcurate.kernels.opt_out_targets import normalise
from stackcurate.kernels.opt_outs import parse

BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def requests(text: str, name: str = "requests.csv") -> list[tuple[str | None, str | None, str]]:
    return [(row["kind"], row["value"], row["state"]) for row in parse(text, name).to_pylist()]


@pytest.mark.parametrize(
    "value",
    [
        "octocat/hello-world", "Octocat/Hello-World", " octocat/hello-world/ ", "octocat/hello-world.git",
        "https://github.com/Octocat/Hello-World", "http://www.github.com/octocat/hello-world.git",
        "github.com/octocat/hello-world/", "https://gitlab.com/octocat/hello-world", "<octocat/hello-world>",
        "`octocat/hello-world`",
    ],
)  # fmt: skip
def test_repository_is_the_same_however_it_is_written(value: str) -> None:
    assert normalise(value) == "octocat/hello-world"
    assert requests(f"{value}\n", "requests.txt") == [("repository", "octocat/hello-world", "active")]


@pytest.mark.parametrize("value", ["octocat", "@OctoCat", "https://github.com/octocat/", "'octocat'"])
def test_owner_is_the_same_however_it_is_written(value: str) -> None:
    assert requests(f"{value}\n", "requests.txt") == [("owner", "octocat", "active")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner\nOctocat\n", ("owner", "octocat")),
        ("user,date\noctocat,2024-01-01\n", ("owner", "octocat")),
        ("repository\nhttps://github.com/a/b\n", ("repository", "a/b")),
        ("owner,repo\nacme,Rocket\n", ("repository", "acme/rocket")),
        ("kind,value\nRepo,a/b\n", ("repository", "a/b")),
        ("type,name\norganization,Acme\n", ("owner", "acme")),
        ("file\nacme/rocket/src/a.py\n", ("file", "acme/rocket/src/a.py")),
        (f"blob\n{BLOB.upper()}\n", ("blob", BLOB)),
        (f"value\n{BLOB}\n", ("blob", BLOB)),
        ("\ufeffowner\r\nOctocat\r\n", ("owner", "octocat")),
        ("# collected by mail\n\nOwner , Date\noctocat,2024\n", ("owner", "octocat")),
        ('owner,note\n"octocat","a, b"\n', ("owner", "octocat")),
        ("octocat\n", ("owner", "octocat")),
        ("repository\npypi/six\n", ("repository", "pypi/six")),
        ("repository\nnpm/@inkwell/quill-kit\n", ("repository", "npm/@inkwell/quill-kit")),
        ("repository\ngit/acme/rocket\n", ("repository", "git/acme/rocket")),
    ],
)
def test_csv_is_read_in_all_its_forms(text: str, expected: tuple[str, str]) -> None:
    assert requests(text) == [(*expected, "active")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"owner": "Octocat"}', ("owner", "octocat", "active")),
        ('{"kind": "repository", "value": "a/b"}', ("repository", "a/b", "active")),
        ('{"Repo": "a/b", "state": "Withdrawn"}', ("repository", "a/b", "withdrawn")),
        ('"octocat"', ("owner", "octocat", "active")),
        ('{"owner": "octocat", "repository": null}', ("owner", "octocat", "active")),
    ],
)
def test_json_lines_are_read_in_all_their_forms(line: str, expected: tuple[str, str, str]) -> None:
    assert requests(f"{line}\n\n", "requests.jsonl") == [expected]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{torn\n", "requests.jsonl"),
        ("[1, 2]\n", "requests.jsonl"),
        ('{"color": "red"}\n', "requests.jsonl"),
        ("kind,value\nowner,two words\n", "requests.csv"),
        ("kind,value\nblob,123\n", "requests.csv"),
        ("kind,value\nwebsite,octocat\n", "requests.csv"),
        ("owner\n-\n", "requests.csv"),
        ("value\n\u00e4\u00f6\n", "requests.csv"),
    ],
)
def test_what_cannot_be_read_is_kept_for_a_person(text: str, name: str) -> None:
    (row,) = parse(text, name).to_pylist()

    assert (row["kind"], row["value"], row["state"]) == (None, None, "unreadable")
    assert row["source"].startswith(name)
    assert row["request_id"]


def test_row_cites_its_line_date_and_scope() -> None:
    text = "id,owner,requested_at,scope,state\n7,octocat,2024-05-01,now,\n8,hubot,,,withdrawn\n"

    rows = parse(text, "mail.csv").to_pylist()

    assert rows == [
        {
            "request_id": "7", "kind": "owner", "value": "octocat", "requested_at": "2024-05-01", "scope": "now",
            "source": "mail.csv:2", "state": "active",
        },
        {
            "request_id": "8", "kind": "owner", "value": "hubot", "requested_at": None, "scope": "now_and_future",
            "source": "mail.csv:3", "state": "withdrawn",
        },
    ]  # fmt: skip


def test_request_without_an_id_gets_the_same_one_wherever_it_stands() -> None:
    first = parse("owner\noctocat\nhubot\n", "a.csv").to_pylist()
    second = parse("# later\nhubot\n@OctoCat\n", "b.txt").to_pylist()

    assert {row["value"]: row["request_id"] for row in first} == {row["value"]: row["request_id"] for row in second}


def test_request_made_twice_counts_once() -> None:
    assert requests("owner\noctocat\nOctocat\n") == [("owner", "octocat", "active")]


@pytest.mark.parametrize("name", ["requests.csv", "requests.jsonl", "requests.txt"])
def test_empty_file_gives_no_rows(name: str) -> None:
    batch = parse("\n", name)

    assert batch.num_rows == 0
    assert batch.schema.equals(schema.OPT_OUTS.columns)
