"""Opt-out requests: files of all kinds to rows; what cannot be understood is kept for a person to read."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.config import setting
from stackcurate.kernels.opt_out_forms import form_records
from stackcurate.kernels.opt_out_targets import KINDS, target

_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")
_SPACE = re.compile(r"\s*")
_LONGEST = 10_000
"""Characters of a line that are read; no request is longer."""
OWNER_ONLY, FORKS, ALL_COPIES = COPIES = ("owner-only", "forks", "all-copies")
"""How far a request goes."""
APPLICABLE = ("owner", "repository", "file", "blob", "author", "commit")
"""Kinds of requests that name something a release of files holds."""
_DATES = ("requested_at", "date", "created_at", "timestamp")


@dataclass(frozen=True, kw_only=True)
class OptOutConfig:
    """Which requests a release honours."""

    requests: tuple[str, ...] = setting(
        (), "files or folders of requests: .csv, .jsonl, .txt with one owner or repository per line, or issues as "
        "GitHub's API gives them (.json) or as their authors wrote them (.md)"
    )  # fmt: skip
    copies: str = setting(
        FORKS, "what goes with a request: `owner-only`, `forks` of the repositories as well, or `all-copies`: also "
        "the same files of others and the members of their near-duplicate clusters"
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.copies not in COPIES:
            raise ValueError(f"copies must be one of {', '.join(COPIES)}, found {self.copies!r}")


def parse(text: str, name: str) -> pa.RecordBatch:
    r"""Parse a file of requests.

    Args:
        text: the file's content.
        name: its name; the ending tells the format, and rows cite it as their source.

    Returns:
        `schema.OPT_OUTS`, one row per request in order; `state` is `unreadable` where a row names nothing known.

    >>> parse("owner\n@Octocat\n", "requests.csv").to_pylist()[0]["value"]
    'octocat'
    """
    rows = [_request(record, f"{name}:{line}") for line, record in _records(text, name)]
    names = ("request_id", "kind", "value", "requested_at", "state")  # one ticket may name several
    distinct = {tuple(row[name] for name in names): row for row in rows}
    return pa.RecordBatch.from_pylist(list(distinct.values()), schema=schema.OPT_OUTS.columns)


def _records(text: str, name: str) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    """Yield line number and fields of each record; None for a line that is no record."""
    if name.endswith(".md"):
        yield from enumerate(form_records({"body": text, "number": name.removesuffix(".md")}), 1)
        return
    if name.endswith(".json") and (issues := _issues(text)) is not None:
        yield from ((number, record) for number, issue in issues for record in form_records(issue))
        return
    if name.endswith((".jsonl", ".ndjson", ".json")):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                record = _json_record(line)
                yield from (
                    (number, one) for one in (form_records(record) if record and _is_issue(record) else [record])
                )
        return
    filled = (line[:_LONGEST] for line in text.lstrip("\ufeff").splitlines() if line.strip())
    lines = [line for line in filled if not line.lstrip().startswith("#")]
    known = {*KINDS, *_DATES, "value", "name", "kind", "type", "id", "request_id", "scope", "state"}
    header = [cell.strip().lower() for cell in next(csv.reader(lines[:1]), [])]
    if name.endswith(".txt") or not known & set(header):
        yield from ((number, {"name": line}) for number, line in enumerate(lines, 1))
        return
    reader = csv.DictReader(io.StringIO("\n".join(lines)), fieldnames=header, strict=False)
    next(reader)
    yield from ((reader.line_num, {key: value for key, value in row.items() if key}) for row in reader)


def _issues(text: str) -> list[tuple[int, Mapping[str, Any]]] | None:
    """Return the issues of an answer of GitHub's API: an issue, lists of them, or a search; None for others."""
    decoder, found, at = json.JSONDecoder(), list[Any](), len(text) - len(text.lstrip())
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        items = value.get("items", [value]) if isinstance(value, dict) else value
        found += items if isinstance(items, list) else [items]
        at += len(_SPACE.match(text, at)[0])  # type: ignore[index]  # it matches anywhere
    if not found or not all(_is_issue(one) for one in found):
        return None
    return [(number, issue) for number, issue in enumerate(found, 1) if "pull_request" not in issue]


def _is_issue(record: Any) -> bool:
    return isinstance(record, dict) and "body" in record and ("user" in record or "title" in record)


def _json_record(line: str) -> Mapping[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if isinstance(record, str):
        return {"name": record}
    return {str(k).lower(): v for k, v in record.items()} if isinstance(record, dict) else None


def _request(record: Mapping[str, Any] | None, source: str) -> dict[str, Any]:
    fields = {key: str(value).strip() for key, value in (record or {}).items() if value not in (None, "")}
    kind, value = target(fields)
    state = "withdrawn" if fields.get("state", "").lower() == "withdrawn" else "active"
    given = fields.get("request_id") or fields.get("id")
    seed = f"{kind}\0{value}" if kind else source
    return {
        "request_id": given or hashlib.sha256(seed.encode()).hexdigest()[:16],
        "kind": kind,
        "value": value,
        "requested_at": next((fields[key] for key in _DATES if key in fields), None),
        "scope": "now" if fields.get("scope", "").lower() == "now" else "now_and_future",
        "source": source,
        "state": state if kind else "unreadable",
    }


def settled(requests: pa.Table) -> pa.Table:
    """Mark as withdrawn what a later row withdraws, and drop rows that say the same twice.

    Later is what has the later date, or where dates do not tell, what stands further down. A withdrawal that bears
    the id of a request cancels that one, another all requests for the same target.

    Args:
        requests: as `opt_outs`, in the order in which they came.
    """
    names = ("request_id", "kind", "value", "requested_at", "state")
    distinct: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in requests.to_pylist():
        distinct.setdefault(tuple(row[name] for name in names), row)
    rows = list(distinct.values())
    targets: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(rows):
        targets.setdefault((row["kind"], row["value"]), []).append(index)
    for (kind, _), members in targets.items():
        withdrawn = [index for index in members if rows[index]["state"] == "withdrawn"]
        active = [index for index in members if rows[index]["state"] == "active"]
        if kind is None or not withdrawn:
            continue
        ids = {rows[index]["request_id"] for index in active}
        for index in active:
            others = ids - {rows[index]["request_id"]}
            by = (w for w in withdrawn if rows[w]["request_id"] not in others)
            if any(_later(rows[w], w, rows[index], index) for w in by):
                rows[index] = rows[index] | {"state": "withdrawn"}
    return pa.Table.from_pylist(rows, schema=schema.OPT_OUTS.columns)


def _later(one: Mapping[str, Any], at: int, other: Mapping[str, Any], before: int) -> bool:
    days = day(one["requested_at"]), day(other["requested_at"])
    return days[0] > days[1] if days[0] and days[1] and days[0] != days[1] else at > before


def day(requested_at: str | None) -> str | None:
    """Return the day of a request as YYYY-MM-DD, None where its date is none.

    >>> day("2024-05-01T10:00:00Z"), day("last spring")
    ('2024-05-01', None)
    """
    given = (requested_at or "")[:10]
    try:
        return date.fromisoformat(given).isoformat() if _DAY.match(given) else None
    except ValueError:
        return None


def contradictions(requests: pa.Table) -> list[str]:
    """Return a sentence for each target that is asked out and in again without dates that tell which came last.

    Args:
        requests: as `opt_outs`, before `settled`.
    """
    seen: dict[tuple[str, str], dict[str, tuple[str | None, str]]] = {}
    for row in requests.to_pylist():
        if row["kind"] is not None:
            seen.setdefault((row["kind"], row["value"]), {})[row["state"]] = (day(row["requested_at"]), row["source"])
    return [
        f"{kind} {value}: asked out in {states['active'][1]}, withdrawn in {states['withdrawn'][1]}, and no dates tell "
        "which came last"
        for (kind, value), states in seen.items()
        if len(states) > 1
        and (None in (states["active"][0], states["withdrawn"][0]) or states["active"][0] == states["withdrawn"][0])
    ]


def requests_digest(requests: pa.Table) -> str:
    """Return a digest of the requests in force, whatever their order and the files that they stand in."""
    rows = {(r["request_id"], r["kind"], r["value"], r["scope"], day(r["requested_at"]) or "")
            for r in requests.to_pylist() if r["state"] == "active"}  # fmt: skip
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()
