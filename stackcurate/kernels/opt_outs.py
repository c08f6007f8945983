"""Opt-out requests: CSV and JSON lines to rows; what cannot be understood is kept for a person to read."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.config import setting

_URL = re.compile(r"^(?:https?://)?(?:www\.)?(?:github\.com|gitlab\.com|codeberg\.org|bitbucket\.org)/", re.IGNORECASE)
_FILE_URL = re.compile(r"://[^/]+/[^/]+/[^/]+/(?:blob|raw)/[^/]+/.")
_OWNER = re.compile(r"^[a-z0-9](?:[a-z0-9._-]{0,99})$")
_REPOSITORY = re.compile(r"^[a-z0-9@][\w.@-]{0,99}(?:/[\w.@-]{1,100}){1,3}$")
"""`owner/name`, or a repo_id with its host in front."""
_BLOB = re.compile(r"^[0-9a-f]{40}$")
_KINDS = {"owner": "owner", "user": "owner", "organization": "owner", "organisation": "owner", "account": "owner",
          "repository": "repository", "repo": "repository", "file": "file", "path": "file", "blob": "blob"}  # fmt: skip
_LONGEST = 10_000
"""Characters of a line that are read; no request is longer."""
_DATES = ("requested_at", "date", "created_at", "timestamp")


@dataclass(frozen=True, kw_only=True)
class OptOutConfig:
    """Which requests a release honours."""

    requests: tuple[str, ...] = setting(
        (), "files of requests: .csv, .jsonl, or .txt with one owner or repository per line"
    )


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
    distinct = {(row["request_id"], row["kind"], row["value"]): row for row in rows}  # one ticket may name several
    return pa.RecordBatch.from_pylist(list(distinct.values()), schema=schema.OPT_OUTS.columns)


def _records(text: str, name: str) -> Iterator[tuple[int, Mapping[str, Any] | None]]:
    """Yield line number and fields of each record; None for a line that is no record."""
    if name.endswith((".jsonl", ".ndjson", ".json")):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield number, _json_record(line)
        return
    filled = (line[:_LONGEST] for line in text.lstrip("\ufeff").splitlines() if line.strip())
    lines = [line for line in filled if not line.lstrip().startswith("#")]
    known = {*_KINDS, *_DATES, "value", "name", "kind", "type", "id", "request_id", "scope", "state"}
    header = [cell.strip().lower() for cell in next(csv.reader(lines[:1]), [])]
    if name.endswith(".txt") or not known & set(header):
        yield from ((number, {"name": line}) for number, line in enumerate(lines, 1))
        return
    reader = csv.DictReader(io.StringIO("\n".join(lines)), fieldnames=header, strict=False)
    next(reader)
    yield from ((reader.line_num, {key: value for key, value in row.items() if key}) for row in reader)


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
    kind, value = _target(fields)
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


def _target(fields: Mapping[str, str]) -> tuple[str, str] | tuple[None, None]:
    """Return kind and normalised value of what a record asks to take out."""
    kind = _KINDS.get((fields.get("kind") or fields.get("type") or "").lower())
    value = fields.get("value") or fields.get("name")
    if value is None:
        narrow = next((key for key in ("blob", "file", "path", "repository", "repo") if key in fields), None)
        key = narrow or next((key for key in _KINDS if key in fields), None)
        if key is None:
            return None, None
        kind, value = _KINDS[key], fields[key]
        if kind == "repository" and "/" not in normalise(value) and "owner" in fields:
            value = f"{fields['owner']}/{value}"
    if _FILE_URL.search(value):
        kind = "file"
    value = normalise(value)
    kind = kind or ("blob" if _BLOB.match(value) else "repository" if "/" in value else "owner")
    shape = {"owner": _OWNER, "repository": _REPOSITORY, "blob": _BLOB}.get(kind)
    if shape is not None and not shape.match(value):
        return None, None
    return kind, value


def normalise(value: str) -> str:
    """Return an owner or repository in lower case, without URL, `@`, `.git` and slashes around it.

    >>> normalise(" https://github.com/Octocat/Hello-World.git ")
    'octocat/hello-world'
    """
    given = value.strip().strip("<>\"'`")
    bare = _URL.sub("", given).strip("/ ")
    if bare != given.strip("/ "):
        bare = _named_by_url(bare.partition("?")[0].partition("#")[0].split("/"))
    bare = bare.removesuffix(".git")
    return (bare.removeprefix("@") if "/" not in bare else bare).lower()


def _named_by_url(parts: list[str]) -> str:
    """Return what the path of a forge's page is about: an account, a repository or a file in it."""
    if parts[0].lower() in ("orgs", "users"):
        return parts[1] if len(parts) > 1 else ""
    if len(parts) > 4 and parts[2] in ("blob", "raw"):
        return "/".join(parts[:2] + parts[4:])
    return "/".join(parts[:2])
