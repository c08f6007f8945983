"""Accounts: who bore a name on a day, as far as what was told on other days says."""

from __future__ import annotations

import pytest

from stackcurate.sources.accounts import Accounts

ALICE, HEIR, SILENT = 7, 12, 13
ACCOUNTS = Accounts(
    names={
        ALICE: {("2022-05-01", "alice"), ("2024-05-01", "alice2"), ("2025-05-01", "alice2")},
        HEIR: {("2024-06-01", "alice"), ("2025-05-01", "alice")},
        SILENT: {("", "silent"), ("", "quiet")},
    },
    holders={("github/1", "alice"): {ALICE}, ("github/9", "alice"): {HEIR}},
)


@pytest.mark.parametrize(
    ("name", "on", "meant"),
    [
        ("alice", "2026-01-01", {HEIR}),
        ("alice", "2024-06-01", {HEIR}),
        ("alice", "2023-01-01", {ALICE, HEIR}),  # the name changed hands on a day that is not known
        ("alice", None, {ALICE, HEIR}),
        ("alice2", "2021-01-01", {ALICE}),  # somebody asks for what nobody else was ever called
        ("silent", "2026-01-01", {SILENT}),
        ("nobody", "2026-01-01", set()),
    ],
)
def test_a_name_means_who_may_have_borne_it_on_that_day(name: str, on: str | None, meant: set[int]) -> None:
    assert ACCOUNTS.meant(name, on) == meant


def test_a_repository_is_left_to_the_account_that_is_known_to_have_had_it() -> None:
    had = [
        repo_id for repo_id in ("github/1", "github/9", "github/5") if ACCOUNTS.may_have_had({HEIR}, repo_id, "alice")
    ]

    assert had == ["github/9", "github/5"]


def test_the_names_of_accounts_add_up() -> None:
    assert ACCOUNTS.names_of({ALICE, SILENT}) == {"alice", "alice2", "silent", "quiet"}
