"""Opt-out issues: the golden set, the forms of a dump, and conditions that only a person can read."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from stackcurate.kernels.opt_out_forms import form_records
from stackcurate.kernels.opt_outs import parse
from tests.kernels.opt_out_golden import PERSON, golden


def asked(text: str, name: str) -> list[tuple[str | None, str | None]]:
    return [(row["kind"], row["value"]) for row in parse(text, name).to_pylist()]


def test_golden_set_is_understood_without_an_error() -> None:
    wrong = [
        (issue["title"], issue["body"], wishes, set(found))
        for issue, wishes in golden(2000)
        if (found := Counter(asked(json.dumps([issue]), "issues.json"))).keys() != wishes
    ]

    assert wrong == []


def test_golden_set_holds_what_it_should() -> None:
    wishes = Counter(kind for _, found in golden(2000) for kind, _ in found)

    assert set(wishes) == {"owner", "repository", "author", "issue", "stackoverflow", "commit", None}
    assert min(wishes.values()) > 100


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[{"number": 1, "body": "all", "user": {"login": "Octocat"}}]', "issues.json"),
        ('[{"number": 1, "body": "all", "user": {"login": "Octocat"}}][]\n[]', "pages.json"),
        ('{"total_count": 1, "items": [{"number": 1, "body": "all", "user": {"login": "octocat"}}]}', "search.json"),
        ('{"number": 1, "body": "all", "user": {"login": "octocat"}}', "one.json"),
        ('{"number": 1, "body": "all", "user": {"login": "octocat"}}\n', "dump.jsonl"),
        ("### Accounts and organizations to remove ENTIRELY\n\nOctocat\n", "1.md"),
    ],
)
def test_dumps_are_read_in_all_their_forms(text: str, name: str) -> None:
    (row,) = parse(text, name).to_pylist()

    assert (row["request_id"], row["kind"], row["value"]) == ("issue-1", "owner", "octocat")


def test_pull_requests_of_a_dump_are_no_requests() -> None:
    issue = {"number": 1, "body": "all", "user": {"login": "octocat"}, "pull_request": {}}

    assert asked(json.dumps([issue, {**issue, "pull_request": {}}]), "issues.json") == []


def test_nobody_is_taken_out_on_the_word_of_a_ghost_or_a_stranger() -> None:
    ghost = {"number": 1, "body": "all", "user": None}
    stranger = {"number": 2, "body": "all", "user": {"login": "a"}, "title": "Opt-out request for big-corp"}

    assert asked(json.dumps([ghost, stranger]), "issues.json") == [PERSON, PERSON]


def test_mentions_and_threads_in_prose_are_no_requests() -> None:
    body = "- all\n\ncc: @friend @other\nsee https://github.com/some/list/issues/3 and some/repo for the reasons"

    found = asked(json.dumps([{"number": 1, "body": body, "user": {"login": "me"}}]), "issues.json")

    assert found == [("owner", "me")]


def test_email_is_kept_as_its_hash() -> None:
    (row,) = parse("kind,value\nauthor,Nobody@Example.org\n", "mail.csv").to_pylist()

    assert row["kind"] == "author"
    assert row["value"].startswith("sha256:")
    assert "nobody" not in json.dumps(row).lower()


@pytest.mark.parametrize(
    "body", ["", None, "\x00" * 50, "#" * 5000, "- " * 5000, "a/" * 3000, "[" * 3000, "(" * 3000, "all " * 3000]
)
def test_hostile_text_is_handed_to_a_person(body: str | None) -> None:
    records = form_records({"number": 1, "body": body, "user": {"login": "octocat"}})

    assert [(record or {}).get("kind") for record in records] == [""]
