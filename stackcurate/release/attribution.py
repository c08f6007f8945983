"""Attribution: is this text a copy of something in a release, of which file, under which licence.

Reads a release's folder without Spark. What is reported was compared with the released text byte by byte,
whitespace aside: there are no false alerts. Every verbatim run of at least `guaranteed` bytes is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stackcurate.errors import ReleaseError
from stackcurate.kernels import bloom
from stackcurate.kernels.attribution import HASH_BITS, Text, bloom_keys, normalise, rolling, shared_runs, stored
from stackcurate.release.attribution_index import FOLDER, FORMAT, INDEX
from stackcurate.release.manifest import MANIFEST
from stackcurate.workspace import Workspace, read_bytes, read_json

SHOWN = ("repo", "revision", "path", "license", "license_path", "blob_id", "content_id")
"""Columns of the released row that a match tells."""
MOST_CANDIDATES = 200
"""Files that are compared for one text; beyond them an answer says that it is not complete."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A verbatim run: where it stands in the text that was asked about, and in which released file.

    Offsets are bytes of UTF-8, lines count from 1; `row` holds the columns of `SHOWN`.
    """

    start: int
    end: int
    start_line: int
    end_line: int
    source_start_line: int
    source_end_line: int
    row: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """All matches of a text, by start; `complete` is false where too many files had to be compared."""

    matches: tuple[Match, ...]
    complete: bool = True


class Attribution:
    """An opened index of a release.

    Args:
        folder: folder or URI of the release.

    Raises:
        ReleaseError: the folder holds no release with an index, or one of another format.
    """

    def __init__(self, folder: str) -> None:
        self._place = Workspace(folder)
        record = read_json(self._place, FOLDER, INDEX)
        manifest = read_json(self._place, MANIFEST)
        if record is None or manifest is None:
            raise ReleaseError(f"{folder}: no release with an attribution index; build it with [attribution] index")
        if record["format"] != FORMAT or record["hash_bits"] != HASH_BITS:
            raise ReleaseError(f"{folder}: the attribution index is of another format; build the release again")
        self._record = record
        self._parts = [_Part(self._place, part) for part in record["parts"]]
        self._rows = lru_cache(maxsize=32)(self._read_row_group)
        self._shard = lru_cache(maxsize=256)(self._open_shard)

    @property
    def guaranteed(self) -> int:
        """Bytes, whitespace aside, of the shortest run that is always found."""
        return int(self._record["guaranteed"])

    def check(self, text: str | bytes) -> Answer:
        """Find the verbatim runs of a text that stand in the release.

        Args:
            text: source code of any length.

        Returns:
            Runs of at least `guaranteed` bytes, from the files that share most of the text; a run that lies within
            another one is told once.
        """
        content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        mine, places = normalise(content)
        candidates = self._candidates(mine)
        matches: list[Match] = []
        for _ in range(MOST_CANDIDATES):
            if not candidates.num_rows:
                break
            shard, row = _most_frequent(candidates)
            source = self._content(shard, row)
            other, other_places = normalise(source)
            runs = list(shared_runs(mine, other, self.guaranteed))
            for run in runs:
                start, end = _span(places, run.start, run.size)
                lines = _lines(source, *_span(other_places, run.other, run.size))
                matches.append(_match(content, start, end, lines, self._row(shard, row)))
            ends = [(run.start, run.start + run.size - self._record["window"]) for run in runs]
            candidates = _left(candidates, shard, row, ends)
        ordered = sorted(matches, key=lambda m: (m.start, -m.end, m.row["repo"], m.row["path"]))
        return Answer(tuple(ordered), complete=not candidates.num_rows)

    def _candidates(self, text: Text) -> pa.Table:
        """Return place, shard and row of each window of a text that the index holds."""
        hashes = stored(rolling(text, self._record["window"]))
        numbers = hashes >> (HASH_BITS - self._record["part_bits"])
        found = [_NO_CANDIDATES]
        for number in np.unique(numbers):
            inside = np.flatnonzero(numbers == number)
            found.append(self._parts[number].find(hashes[inside], inside))
        return pa.concat_tables(found).combine_chunks()

    def _open_shard(self, shard: int) -> tuple[pq.ParquetFile, NDArray[np.int64]]:
        filesystem, folder = self._place.locate()
        file = pq.ParquetFile(f"{folder}/{self._record['shards'][shard]['path']}", filesystem=filesystem)
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        return file, np.cumsum([0, *sizes])

    def _read_row_group(self, shard: int, group: int, column: str) -> pa.ChunkedArray:
        return self._shard(shard)[0].read_row_group(group, columns=[column])[column]

    def _value(self, shard: int, row: int, column: str) -> Any:
        starts = self._shard(shard)[1]
        group = int(np.searchsorted(starts, row, side="right")) - 1
        return self._rows(shard, group, column)[row - int(starts[group])].as_py()

    def _content(self, shard: int, row: int) -> bytes:
        return str(self._value(shard, row, "content")).encode()

    def _row(self, shard: int, row: int) -> dict[str, Any]:
        return {name: self._value(shard, row, name) for name in SHOWN}


_CANDIDATE = pa.schema([("place", pa.int64()), ("shard", pa.int32()), ("row", pa.int32())])
_NO_CANDIDATES = _CANDIDATE.empty_table()


class _Part:
    """One part of an index: its filter, and its row groups' first hashes."""

    def __init__(self, place: Workspace, part: Mapping[str, Any]) -> None:
        self._place, self._part = place, part
        self._group = lru_cache(maxsize=64)(self._read_group)

    @cached_property
    def _filter(self) -> bloom.Blocks:
        data = read_bytes(self._place, FOLDER, self._part["bloom"])
        if data is None:
            raise ReleaseError(f"{self._place.root}: {self._part['bloom']} is missing; run `stackcurate verify`")
        return np.frombuffer(data, "<u4").reshape(-1, bloom.WORDS)

    @cached_property
    def _file(self) -> tuple[pq.ParquetFile, NDArray[np.int64], NDArray[np.int64]]:
        filesystem, folder = self._place.locate(FOLDER)
        file = pq.ParquetFile(f"{folder}/{self._part['path']}", filesystem=filesystem)
        stats = [file.metadata.row_group(i).column(0).statistics for i in range(file.metadata.num_row_groups)]
        return file, np.array([s.min for s in stats], np.int64), np.array([s.max for s in stats], np.int64)

    def _read_group(self, group: int) -> tuple[NDArray[np.int64], pa.Table]:
        rows = self._file[0].read_row_group(group).combine_chunks()
        return rows["hash"].to_numpy(), rows

    def find(self, hashes: NDArray[np.int64], places: NDArray[np.int64]) -> pa.Table:
        """Return place, shard and row of the hashes that the part holds."""
        passed = bloom.contains(self._filter, bloom_keys(hashes))
        found = [_NO_CANDIDATES]
        for value, place in zip(hashes[passed], places[passed], strict=True):
            _, lows, highs = self._file
            for group in range(int(np.searchsorted(highs, value)), int(np.searchsorted(lows, value, side="right"))):
                keys, rows = self._group(group)
                first, last = np.searchsorted(keys, value), np.searchsorted(keys, value, side="right")
                if last > first:
                    there = rows.slice(int(first), int(last - first)).select(["shard", "row"])
                    column = pa.array(np.full(there.num_rows, place, np.int64))
                    found.append(there.add_column(0, "place", column))
        return pa.concat_tables(found)


def _most_frequent(candidates: pa.Table) -> tuple[int, int]:
    """Return the file with most windows of the text; the first of equals."""
    keys = (candidates["shard"].to_numpy().astype(np.int64) << 32) | candidates["row"].to_numpy()
    files, counts = np.unique(keys, return_counts=True)
    return divmod(int(files[np.argmax(counts)]), 1 << 32)


def _left(candidates: pa.Table, shard: int, row: int, covered: list[tuple[int, int]]) -> pa.Table:
    """Drop a file that was compared, and the windows that lie in runs that were found.

    Args:
        candidates: place, shard and row.
        shard: shard of the file.
        row: its row.
        covered: first and last place of the windows within each run.
    """
    compared = pc.and_(pc.equal(candidates["shard"], shard), pc.equal(candidates["row"], row))
    places = candidates["place"].to_numpy()
    inside = np.zeros(places.size, dtype=bool)
    for first, last in covered:
        inside |= (places >= first) & (places <= last)
    return candidates.filter(pc.invert(pc.or_(compared, pa.array(inside))))


def _span(places: NDArray[np.int64], start: int, size: int) -> tuple[int, int]:
    """Return the bytes of a run in the text with its whitespace."""
    return int(places[start]), int(places[start + size - 1]) + 1


def _lines(content: bytes, start: int, end: int) -> tuple[int, int]:
    first = content.count(b"\n", 0, start) + 1
    return first, first + content.count(b"\n", start, end)


def _match(content: bytes, start: int, end: int, source: tuple[int, int], row: Mapping[str, Any]) -> Match:
    first, last = _lines(content, start, end)
    return Match(
        start=start,
        end=end,
        start_line=first,
        end_line=last,
        source_start_line=source[0],
        source_end_line=source[1],
        row=row,
    )


def guard(
    attribution: Attribution, policy: Callable[[str | None], str] = lambda _: "cite"
) -> Callable[[str], tuple[str, Answer]]:
    """Return a filter for a generation service.

    Args:
        attribution: an opened index.
        policy: licence of a match to `block`, `cite` or `flag`; by default all matches are cited.

    Returns:
        A function from generated text to the gravest action, or `pass` where nothing matches, and the answer. A text
        whose answer is not complete is never passed.
    """
    order = ("block", "flag", "cite")

    def check(text: str) -> tuple[str, Answer]:
        answer = attribution.check(text)
        actions = {policy(match.row["license"]) for match in answer.matches}
        if unknown := actions - set(order):
            raise ValueError(f"policy must return one of {', '.join(order)}, not {sorted(unknown)}")
        if not answer.complete:
            actions.add("flag")
        return next((action for action in order if action in actions), "pass"), answer

    return check


def credits_of(answer: Answer) -> Iterator[str]:
    """Yield one line per source of an answer: repository, revision, path, lines and licence."""
    for match in answer.matches:
        row = match.row
        place = (
            f"{row['repo']}@{row['revision'][:12]}/{row['path']}#L{match.source_start_line}-L{match.source_end_line}"
        )
        yield f"{place} ({row['license'] or 'no licence found'})"
