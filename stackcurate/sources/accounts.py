"""Accounts of a host: which of them bore a name on some day. A name that one gave up may be another's now."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stackcurate import schema
from stackcurate.stages.tables import read_batches
from stackcurate.workspace import Workspace


@dataclass(frozen=True)
class Accounts:
    """What the metadata tells of all accounts that ever bore some names.

    Args:
        names: by number of the account, each name that it ever bore, and the day of which that is told or "".
        holders: by repo_id and one of those names, the numbers of the accounts that had the repository under it.
    """

    names: Mapping[int, Collection[tuple[str, str]]]
    holders: Mapping[tuple[str, str], set[int]]

    def names_of(self, numbers: Iterable[int]) -> set[str]:
        """Return all names that some accounts ever bore."""
        return {name for number in numbers for _, name in self.names[number]}

    def meant(self, name: str, on: str | None) -> set[int]:
        """Return the accounts that somebody may have meant by a name on a day.

        That are those which may have borne it then; all that ever did where the day is null, or not one may have: who
        gave a name up is still called by it.

        Args:
            name: in lower case.
            on: as YYYY-MM-DD.
        """
        bearers = {number for number, told in self.names.items() if name in (other for _, other in told)}
        return {number for number in bearers if on and _may_have_borne(name, on, self.names[number])} or bearers

    def may_have_had(self, meant: Collection[int], repo_id: str, name: str) -> bool:
        """Tell whether one of some accounts may have had a repository under a name: not where others are known to."""
        holders = self.holders.get((repo_id, name))
        return holders is None or not holders.isdisjoint(meant)


def _may_have_borne(name: str, on: str, told: Iterable[tuple[str, str]]) -> bool:
    """Tell whether an account may have borne a name: by what was told last before a day, or next after it."""
    days = sorted((day, other) for day, other in told if day)
    after = bisect_right([day for day, _ in days], on)
    return after == 0 or name in (other for _, other in days[after - 1 : after + 1])


def known_accounts(workspace: Workspace, names: Collection[str]) -> Accounts:
    """Return what `repo_records` tell of the accounts that ever bore some names.

    Args:
        workspace: holds `repo_records`.
        names: in lower case.
    """
    holders: dict[tuple[str, str], set[int]] = defaultdict(set)
    for row in _told(workspace, lambda rows: pc.is_in(rows["owner"], pa.array(names, pa.string()))):
        holders[row["repo_id"], row["owner"]].add(row["owner_id"])
    numbers = pa.array({number for found in holders.values() for number in found}, pa.int64())
    borne: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for row in _told(workspace, lambda rows: pc.is_in(rows["owner_id"], numbers)) if len(numbers) else ():
        borne[row["owner_id"]].add((row["day"], row["owner"]))
    return Accounts(borne, holders)


def _told(workspace: Workspace, wanted: Callable[[pa.Table], pa.Array]) -> Iterator[dict[str, Any]]:
    """Yield repo_id, owner in lower case, owner_id and day of what records tell of accounts whose numbers are known."""
    columns = ("repo_id", "owner", "owner_id", "recorded_at", "accounts")
    for rows in read_batches(workspace, schema.REPO_RECORDS, columns):
        accounts = rows["accounts"].combine_chunks()
        told, places = accounts.flatten(), pc.list_parent_indices(accounts)
        ids, days = pc.utf8_lower(rows["repo_id"]), pc.strftime(rows["recorded_at"], "%Y-%m-%d")
        now = pa.table({"repo_id": ids, "owner": rows["owner"], "owner_id": rows["owner_id"],
                        "day": pc.fill_null(days, "")})  # fmt: skip
        then = pa.table({"repo_id": ids.take(places), "owner": told.field("owner"), "owner_id": told.field("owner_id"),
                         "day": pa.array([""] * len(told), pa.string())})  # fmt: skip
        table = pa.concat_tables([now, then]).drop_null()
        table = table.set_column(1, "owner", pc.utf8_lower(table["owner"]))
        yield from table.filter(wanted(table)).group_by(table.column_names).aggregate([]).to_pylist()
