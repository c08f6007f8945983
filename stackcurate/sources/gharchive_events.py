"""Events of GH Archive: one hour's lines to one row per repository, whatever the era of the format.

Three eras are read: timeline events with a whole `repository` (before 2015), events of the public API (to October
2025), and the same with trimmed payloads. Who acted is never kept: stars and forks are the numbers of their events.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa
import xxhash

from stackcurate import schema

COUNTS = ("events", "torn_lines", "joined_lines", "duplicate_events", "events_without_repository")
"""What is counted of an hour; names of columns of `archive_hours`."""
RECORD = tuple(schema.REPO_RECORD.names)
"""The fields of a record of a repository."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,98})/[A-Za-z0-9._-]{1,100}", re.ASCII)
_EVENT = re.compile(
    rb'\{"(?:id":"\d+","type":"|created_at":"|type":"|repo(?:sitory)?":\{|actor":|payload":|public":|org":\{|url":")'
)
"""Where an event can begin inside a line: the first keys of each era."""
_ID = re.compile(r"[0-9]{1,18}")
_LARGEST = 1 << 52
"""Numbers from here on are lies; times 1024 they still fit."""
_TELLING = frozenset(
    ("WatchEvent", "ForkEvent", "CreateEvent", "PullRequestEvent", "PullRequestReviewEvent",
     "PullRequestReviewCommentEvent")
)  # fmt: skip
"""Types of events that tell more than the name of a repository."""
_MOST_STARTS = 100
"""Places at which a damaged line is tried."""
_LONGEST_TEXT = 200


@dataclass(slots=True)
class _Repo:
    """What an hour says of one repository; most have one name and no record, and an hour has many of them."""

    number: int
    name: str | None = None
    named: str = ""
    older: dict[str, str] | None = None
    stars: list[int] | None = None
    forks: list[int] | None = None
    events: int = 0
    last: str = ""
    recorded: tuple[str, int] = ("", 0)
    record: dict[str, Any] | None = None
    hints: dict[str, Any] | None = None


class Hour:
    """Add up the events of one hour, line by line."""

    def __init__(self) -> None:
        import orjson

        self.counts: Counter[str] = Counter()
        self._repos: dict[int, _Repo] = {}
        self._seen: set[int] = set()
        self._loads = orjson.loads

    def add(self, lines: Iterable[bytes]) -> None:
        """Add lines, each of them an event, damaged, or several events without a break between them."""
        for line in lines:
            event = self._parse(line)
            if event is not None:
                self._add(event, line)
            elif line.strip():
                for one, piece in self._salvage(line):
                    self._add(one, piece)

    def rows(self, hour: datetime) -> pa.RecordBatch:
        """Return `schema.REPO_HOURS` in order of the repositories' ids; the same for any order of distinct lines."""
        ids = sorted(self._repos)
        repos = [self._repos[key] for key in ids]
        recorded = [_fields(repo) for repo in repos if repo.record or repo.hints]
        places = iter(range(len(recorded)))
        at = pa.array([next(places) if repo.record or repo.hints else None for repo in repos], pa.int64())
        columns: dict[str, Any] = {
            "hour": pa.repeat(pa.scalar(hour, pa.timestamp("us", tz="UTC")), len(ids)),
            "repo_id": [repo_id(key) for key in ids],
            "names": _names(repos),
            "events": [repo.events for repo in repos],
            "star_events": [sorted(repo.stars) if repo.stars else None for repo in repos],
            "fork_events": [sorted(repo.forks) if repo.forks else None for repo in repos],
            "last_event_at": [repo.last or None for repo in repos],
        }
        arrays = [
            _array([record.get(column.name) for record in recorded], column.type).take(at)  # most have no record
            if column.name in RECORD
            else _array(columns[column.name], column.type)
            for column in schema.REPO_HOURS.columns
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema.REPO_HOURS.columns)

    def _parse(self, line: bytes) -> dict[str, Any] | None:
        try:
            event = self._loads(line)
        except ValueError:
            return None
        return event if isinstance(event, dict) and "type" in event and "created_at" in event else None

    def _salvage(self, line: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield the events of a line that is no single one: cut objects are lost, whole ones are not."""
        plain = line.decode("utf-8", "replace").encode()  # the first years hold bytes that are no UTF-8
        starts = [match.start() for match in _EVENT.finditer(plain)][:_MOST_STARTS]
        end, found = len(plain), 0
        for start in sorted({0, *starts}, reverse=True):
            piece = plain[start:end]
            if (event := self._parse(piece)) is not None:
                yield event, piece
                end, found = start, found + 1
        if end:
            self.counts["torn_lines"] += 1
        elif found > 1:
            self.counts["joined_lines"] += 1

    def _add(self, event: dict[str, Any], line: bytes) -> None:
        given = event.get("id")
        key = (
            int(given) if type(given) is str and _ID.fullmatch(given) else xxhash.xxh3_64_intdigest(line.strip()) >> 1
        )  # timeline events have no id
        if key in self._seen:
            self.counts["duplicate_events"] += 1
            return
        self._seen.add(key)
        self.counts["events"] += 1
        time = utc(event["created_at"])
        repo = self._repo(event.get("repo") or event.get("repository"), time) if time else None
        if repo is None or time is None:
            self.counts["events_without_repository"] += 1
            return
        repo.events += 1
        if event["type"] in _TELLING or "repository" in event:
            self._details(event, repo, key, time)

    def _details(self, event: Mapping[str, Any], repo: _Repo, key: int, time: str) -> None:
        kind, payload = event["type"], event.get("payload")
        if not isinstance(payload, dict):
            payload = {}
        if "repository" in event:
            self._record(event["repository"], key, time)
        if kind == "WatchEvent":
            repo.stars = repo.stars or []
            repo.stars.append(key)
        elif kind == "ForkEvent":
            repo.forks = repo.forks or []
            repo.forks.append(key)
            if (forkee := self._record(payload.get("forkee"), key, time)) is not None:
                _hint(forkee, fork=True, fork_of=repo_id(repo.number))
        elif kind == "CreateEvent" and payload.get("ref_type") == "repository":
            _hint(repo, default_branch=_text(payload.get("master_branch")), created_at=time)
        elif isinstance(pull := payload.get("pull_request"), dict):
            for side in ("base", "head"):
                ref = pull.get(side)
                self._record(ref.get("repo") if isinstance(ref, dict) else None, key, time)

    def _record(self, given: Any, key: int, time: str) -> _Repo | None:
        """Note a repository as an event gives it, whole or trimmed; of whole ones the last counts."""
        repo = self._repo(given, time)
        if repo is None:
            return None
        found = record(given)
        if found["stars"] is None:
            _hint(repo, **found)
        elif (time, key) > repo.recorded:
            repo.recorded, repo.record = (time, key), found | {"recorded_at": time}
        return repo

    def _repo(self, given: Any, time: str) -> _Repo | None:
        """Return what is known of a repository, after noting its name and the time; None where it has no number."""
        number = given.get("id") if isinstance(given, dict) else None
        if type(number) is not int or not 0 < number < _LARGEST:
            return None
        repo = self._repos.get(number)
        if repo is None:
            repo = self._repos[number] = _Repo(number)
        if given.get("name") != repo.name or repo.name is None:
            _rename(repo, _full_name(given), time)
        elif repo.named < time:
            repo.named = time
        repo.last = max(repo.last, time)
        return repo


def record(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `REPO_RECORD` that a repository of GitHub's API or timeline gives, the others as null."""
    owner = given.get("owner")
    owner = owner if isinstance(owner, dict) else {}
    kind = _text(owner.get("type")) or ("organization" if given.get("organization") else None)
    stars = (given.get(name) for name in ("stargazers_count", "stargazers", "watchers_count", "watchers"))
    forks = (given.get(name) for name in ("forks_count", "forks"))
    size = _number(given.get("size"))
    license_ = given.get("license")
    spdx = _text(license_.get("spdx_id")) if isinstance(license_, dict) else None
    return {
        "owner_id": _number(owner.get("id")),
        "owner_type": kind.lower() if kind else None,
        "fork": _flag(given.get("fork")),
        "stars": next((n for one in stars if (n := _number(one)) is not None), None),
        "forks": next((n for one in forks if (n := _number(one)) is not None), None),
        "size": None if size is None else size * 1024,
        "host_license": spdx,
        "default_branch": _text(given.get("default_branch")) or _text(given.get("master_branch")),
        "archived": _flag(given.get("archived")),
        "created_at": utc(given.get("created_at")),
        "pushed_at": utc(given.get("pushed_at")),
    }


def repo_id(number: int) -> str:
    """Return the id of a repository of GitHub: its number there, which renames and transfers do not change."""
    return f"github/{number}"


@lru_cache(maxsize=1 << 16)
def utc(value: Any) -> str | None:
    """Return a time of any era as `YYYY-MM-DDTHH:MM:SSZ`; None where it is none.

    >>> utc("2012/03/10 22:29:47 -0800")
    '2012-03-11T06:29:47Z'
    """
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, UTC)
        else:
            text = value.replace("/", "-", 2)
            found = datetime.fromisoformat(text) if "T" in text else datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z")
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, AttributeError, OverflowError, OSError):
        return None
    return found.strftime("%Y-%m-%dT%H:%M:%SZ") if 1990 <= found.year < 2100 else None


def _hint(repo: _Repo, **fields: Any) -> None:
    """Note single fields that events tell; of several values the least, so that their order does not matter."""
    repo.hints = repo.hints or {}
    for name, value in fields.items():
        if value is not None:
            repo.hints[name] = min(repo.hints.get(name, value), value)


def _rename(repo: _Repo, name: str | None, time: str) -> None:
    """Note a name that a repository bears at a time; the latest one is its name."""
    if name is None:
        return
    known = {**(repo.older or {}), **({repo.name: repo.named} if repo.name else {})}
    known[name] = max(known.get(name, ""), time)
    repo.name = max(known, key=lambda one: (known[one], one))
    repo.named = known.pop(repo.name)
    repo.older = known or None


def _names(repos: list[_Repo]) -> pa.ListArray:
    """Return the names of each repository in order of time."""
    flat: list[str] = []
    ends = [0]
    for repo in repos:
        if repo.older:
            older = repo.older
            flat += sorted(older, key=lambda one: (older[one], one))
        if repo.name:
            flat.append(repo.name)
        ends.append(len(flat))
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(flat, pa.string()))


def _full_name(given: Mapping[str, Any]) -> str | None:
    owner, name = given.get("owner"), given.get("full_name") or given.get("name")
    if isinstance(name, str) and "/" not in name:
        login = owner.get("login") if isinstance(owner, dict) else owner
        name = f"{login}/{name}" if isinstance(login, str) else None
    return name if isinstance(name, str) and _NAME.fullmatch(name) else None


def _fields(repo: _Repo) -> dict[str, Any]:
    return (repo.hints or {}) | {name: value for name, value in (repo.record or {}).items() if value is not None}


def _number(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _LARGEST else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    known = isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()
    return value if known else None


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if pa.types.is_timestamp(kind) and any(isinstance(value, str) for value in values):
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)
