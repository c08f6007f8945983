"""GH Archive: the hourly files of a folder, an object store or a web address, each read as one unit.

    for file in hour_files("https://data.gharchive.org", since="2024-01-01", until="2024-01-02"):
        summary, rows = read_hour(file)

A file that is missing, cut or damaged is a row with a reason, never a shorter result that looks whole.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs as pafs

from stackcurate.errors import ConfigError, SourceError
from stackcurate.sources.gharchive_events import COUNTS, Hour
from stackcurate.workspace import locate

if TYPE_CHECKING:
    import urllib3

FIRST = datetime(2011, 2, 12, tzinfo=UTC)
"""The first hour of the archive. Source: https://www.gharchive.org"""
MISSING, TRUNCATED, CORRUPT, UNREADABLE = ERRORS = ("missing", "truncated", "corrupt", "unreadable")
"""Why an hour is not whole."""
VERSION = 1
"""Raised when the rows of an hour change, so that hours are read again."""

_FILE = re.compile(r"(\d{4}-\d\d-\d\d)-(\d{1,2})\.json(?:\.gz)?")
_HOUR = re.compile(r"(\d{4}-\d\d-\d\d)(?:[-T](\d{1,2}))?")
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 18
_INFLATED = 1 << 22
"""Bytes that are decompressed at once."""
_LONGEST_LINE = 64 << 20
"""A longer line is no event; real ones hold a few hundred kilobytes at most."""
_ATTEMPTS = 4
_BACKOFF_S = 0.5


@dataclass(frozen=True, kw_only=True)
class HourFile:
    """One hour: when, where it lies, and a digest of that and, where it can be had, of the file's state."""

    hour: datetime
    location: str
    input_id: str


class _BrokenError(Exception):
    """The rest of a file cannot be read; the argument is one of `ERRORS`."""


def hour_files(place: str, since: str = "", until: str = "") -> list[HourFile]:
    """Return the hours of a place in order, also those whose file is missing.

    Args:
        place: folder, `s3://` or other URI of `pyarrow.fs`, or `http(s)://` address above the files.
        since: first hour, such as `2024-01-31` or `2024-01-31-7`; default: the first that is there.
        until: last hour, inclusive; a day means its last hour. Default: the last that is there.

    Raises:
        ConfigError: a bound is no hour, or an address comes without bounds: it cannot be listed.
        SourceError: nothing is there.
    """
    first, last = _bound(since, 0, "since"), _bound(until, 23, "until")
    web = place.startswith(("http://", "https://"))
    if web and not (first and last):
        raise ConfigError(f"{place}: an address cannot be listed; set repos.since and repos.until")
    found = {} if web else _listed(place)
    if not web and not found:
        raise SourceError(f"{place}: expected files such as 2024-01-31-7.json.gz, found none")
    start, end = first or min(found), last or max(found)
    if end < start:
        raise ConfigError(f"repos.until {until} is before repos.since {since}")
    hours = (
        max(start, FIRST) + timedelta(hours=n)
        for n in range(int((end - max(start, FIRST)).total_seconds()) // 3600 + 1)
    )
    return [_hour_file(place, hour, *found.get(hour, (None, ""))) for hour in hours]


def read_hour(file: HourFile) -> tuple[dict[str, Any], pa.RecordBatch]:
    """Read one hour.

    Args:
        file: as `hour_files` gives it.

    Returns:
        A row of `schema.ARCHIVE_HOURS`, with a reason in `error` where the file is not whole, and the rows of
        `schema.REPO_HOURS` of all events before the damage.
    """
    hour, size, error = Hour(), 0, None
    try:
        for lines, length in _lines(_inflate(_chunks(file.location))):
            size += length
            hour.add(lines)
    except _BrokenError as broken:
        error = str(broken)
    counts = {name: hour.counts[name] for name in COUNTS}
    if counts["torn_lines"] and not counts["events"]:
        error = error or CORRUPT  # something else under the name of an hour
    return {**asdict(file), "bytes": size, **counts, "error": error}, hour.rows(file.hour)


def spelled(hour: datetime) -> str:
    """Return an hour as the archive spells it.

    >>> spelled(datetime(2024, 1, 31, 7, tzinfo=UTC))
    '2024-01-31-7'
    """
    return f"{hour:%Y-%m-%d}-{hour.hour}"


def _bound(text: str, hour: int, name: str) -> datetime | None:
    if not text:
        return None
    match = _HOUR.fullmatch(text)
    try:
        if match:
            day = datetime.fromisoformat(match[1])
            return day.replace(hour=int(match[2]) if match[2] else hour, tzinfo=UTC)
    except ValueError:
        pass
    raise ConfigError(f"repos.{name}: expected an hour such as 2024-01-31-7 or a day, found {text!r}")


def _listed(place: str) -> dict[datetime, tuple[str, str]]:
    """Return path and state of each hour's file in a folder; of two for one hour the compressed one."""
    filesystem, folder = locate(place)
    found: dict[datetime, tuple[str, str]] = {}
    for info in filesystem.get_file_info(pafs.FileSelector(folder, allow_not_found=True)):
        match = _FILE.fullmatch(info.base_name)
        if match and info.type == pafs.FileType.File and int(match[2]) < 24:
            hour = datetime.fromisoformat(match[1]).replace(hour=int(match[2]), tzinfo=UTC)
            state = (_below(place, info.base_name), f"{info.size} {info.mtime_ns}")
            found[hour] = max(found.get(hour, state), state)
    return found


def _hour_file(place: str, hour: datetime, location: str | None, state: str) -> HourFile:
    location = location or _below(place, f"{spelled(hour)}.json.gz")
    parts = json.dumps([VERSION, location, state])
    return HourFile(hour=hour, location=location, input_id=hashlib.sha256(parts.encode()).hexdigest()[:32])


def _below(place: str, name: str) -> str:
    """Return the address of a file below a place; what an object store is asked with stays behind it."""
    base, mark, query = place.partition("?") if "://" in place else (place, "", "")
    return f"{base.rstrip('/')}/{name}{mark}{query}"


def _lines(blocks: Iterator[bytes]) -> Iterator[tuple[list[bytes], int]]:
    """Yield whole lines and the number of bytes in each block; a last line without its end counts as whole."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise _BrokenError(CORRUPT)
        yield lines, len(block)
    if rest:
        yield [rest], 0


def _inflate(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip of one or more members, in blocks of bounded size; plain text passes."""
    first = next(chunks, b"")
    if not first.startswith(_GZIP):
        if not first:
            raise _BrokenError(TRUNCATED)
        yield first
        yield from chunks
        return
    inflater = zlib.decompressobj(31)
    for chunk in _with(first, chunks):
        data = chunk
        while data:
            if inflater.eof:
                if not data.strip(b"\0"):
                    break  # padding
                inflater = zlib.decompressobj(31)
            try:
                block = inflater.decompress(data, _INFLATED)
            except zlib.error:
                raise _BrokenError(CORRUPT) from None
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            yield block
    if not inflater.eof:
        raise _BrokenError(TRUNCATED)


def _with(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


def _chunks(location: str) -> Iterator[bytes]:
    if location.startswith(("http://", "https://")):
        yield from _download(location)
        return
    filesystem, path = locate(location)
    try:
        if filesystem.get_file_info(path).type != pafs.FileType.File:
            raise _BrokenError(MISSING)
        with filesystem.open_input_file(path) as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except OSError:
        raise _BrokenError(UNREADABLE) from None


def _download(url: str) -> Iterator[bytes]:
    """Yield a file from the web; a connection that breaks is taken up where it broke, if the server can do that."""
    import time

    import urllib3

    done, tag = 0, None
    for attempt in range(_ATTEMPTS):
        ranged = {"Range": f"bytes={done}-", **({"If-Range": tag} if tag else {})} if done else {}
        try:
            response = _pool().request("GET", url, headers=ranged, preload_content=False)
            if response.status == 404:
                raise _BrokenError(MISSING)
            if response.status not in ((206,) if done else (200,)):
                raise _BrokenError(TRUNCATED if done else UNREADABLE)
            tag = tag or response.headers.get("ETag")
            for chunk in response.stream(_CHUNK, decode_content=False):
                done += len(chunk)
                yield chunk
            return
        except urllib3.exceptions.HTTPError:
            if attempt + 1 < _ATTEMPTS:
                time.sleep(_BACKOFF_S * 2**attempt)
    raise _BrokenError(TRUNCATED if done else UNREADABLE)


@cache
def _pool() -> urllib3.PoolManager:
    """Return the connections of this process; busy servers are asked again when they say."""
    import urllib3

    busy = urllib3.Retry(connect=0, read=0, status=5, status_forcelist=(429, 500, 502, 503, 504),
                         backoff_factor=_BACKOFF_S, raise_on_status=False)  # fmt: skip
    return urllib3.PoolManager(retries=busy, timeout=urllib3.Timeout(connect=20, read=60),
                               headers={"User-Agent": "stackcurate"})  # fmt: skip
