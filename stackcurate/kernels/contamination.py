"""Contamination: texts of benchmarks in files, however they are spaced, quoted, commented or escaped.

What is compared are letters and digits in lower case, so that spacing, quotes, comment signs and operators do not
matter. Of each twelve windows of 24 such characters in a row one is chosen by its hash, in a file as in the benchmark
(winnowing), and looked up; comments that came between the lines of a copy are seen through. A text is found where one
place of the file holds enough of its windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stackcurate import schema
from stackcurate.kernels.contamination_index import ContaminationConfig, Index, Integers, load_index
from stackcurate.kernels.content import as_binary
from stackcurate.kernels.shingles import buffers

_PIECE, _OVERLAP = 16 << 20, 1 << 18
"""Bytes of a content that are looked at together, and bytes that two pieces share; bounds memory."""
_REACH = 1_000
"""Bytes between two windows of one place, beside twice the text's length: comments may come between."""


class _Piece(NamedTuple):
    """A stretch of a row: the row, and where the stretch begins and ends in the bytes of all rows."""

    row: int
    begin: int
    end: int


def find(
    content: pa.Array | Sequence[bytes | str | None],
    config: ContaminationConfig = ContaminationConfig(),  # noqa: B008 - frozen
) -> pa.RecordBatch:
    """Find the benchmarks' texts in each content.

    Args:
        content: bytes or text, shape (N,); a null gives a row of nulls.
        config: benchmarks and thresholds.

    Returns:
        N rows in the same order with the columns that `schema.CONTAMINATION` adds; one overlap per item of a
        benchmark, that of its field with the largest coverage, in order of benchmark and item.

    Raises:
        ConfigError: a benchmark cannot be read; with the line.

    >>> find(["x = 1", None])["overlaps"].to_pylist()
    [[], None]
    """
    array = as_binary(content)
    index = load_index(config)
    valid = array.is_valid().to_pylist()
    found: list[dict[tuple[str, str], dict[str, Any]]] = [{} for _ in valid]
    text, offsets = buffers(array)
    pieces = [piece for row, is_valid in enumerate(valid) if is_valid
              for piece in _pieces(row, int(offsets[row]), int(offsets[row + 1]))]  # fmt: skip
    for piece, overlap in _overlaps(text, pieces, index, config) if pieces else ():
        begin = int(offsets[piece.row])
        overlap |= {"start": overlap["start"] - begin, "end": overlap["end"] - begin}
        key = overlap["benchmark"], overlap["item"]
        known = found[piece.row].setdefault(key, overlap)
        if overlap["coverage"] > known["coverage"]:
            found[piece.row][key] = overlap
    overlaps = [[row[key] for key in sorted(row)] if ok else None for row, ok in zip(found, valid, strict=True)]
    fields = schema.CONTAMINATION.adds
    columns = [pa.array(overlaps, fields.field("overlaps").type), pa.nulls(len(valid), pa.string())]
    return pa.RecordBatch.from_arrays(columns, schema=fields)


def _pieces(row: int, begin: int, end: int) -> Iterator[_Piece]:
    while end - begin > _PIECE:
        yield _Piece(row, begin, begin + _PIECE)
        begin += _PIECE - _OVERLAP
    yield _Piece(row, begin, end)


def _overlaps(
    text: NDArray[np.uint8], pieces: list[_Piece], index: Index, config: ContaminationConfig
) -> Iterator[tuple[_Piece, dict[str, Any]]]:
    """Yield what is found in each piece; places count from the begin of the buffer."""
    from stackcurate.kernels.contamination_index_numba import tables
    from stackcurate.kernels.contamination_numba import densest, room_for, scan_pieces

    begins, ends = (np.array([getattr(piece, name) for piece in pieces], np.int64) for name in ("begin", "end"))
    room = room_for(int((ends - begins).max()))
    seen = tuple(np.zeros(len(part), np.int32) for part in (index.postings[0], index.texts))
    rows, texts = scan_pieces(text, begins, ends, tables(), index.lookup, index.postings, room, seen)
    last, windows = -1, None
    for row, number in zip(rows, texts, strict=True):
        if row != last:
            last, windows = row, _windows(text, pieces[row], index, room)
        assert windows is not None, "set with the first row"
        wanted = index.numbers[1][index.numbers[0][number] : index.numbers[0][number + 1]]
        one = index.texts[number]
        held, start, end = densest(*windows, wanted, _REACH + 2 * one.characters)
        if held / len(wanted) >= config.coverage:
            names = {"benchmark": one.benchmark, "item": one.item, "field": one.field}
            yield pieces[row], {**names, "coverage": held / len(wanted), "start": start, "end": end}


def _windows(text: NDArray[np.uint8], piece: _Piece, index: Index, room: Any) -> tuple[Integers, Integers, Integers]:
    """Return number, first byte and byte after of each window of a piece that the index holds, by number and place."""
    from stackcurate.kernels.contamination_index_numba import WINDOW, normalise, tables
    from stackcurate.kernels.contamination_numba import look_up

    total, plain = look_up(text, piece.begin, piece.end, tables(), index.lookup, room)
    normal, _, comments, _, _, (at, numbers), _ = room
    places = np.empty(piece.end - piece.begin + 1, np.int64)
    kept, flags, *_ = tables()
    n, found = normalise(text, piece.begin, piece.end, kept, flags, normal, places, comments)
    is_code = np.ones(n, bool)
    for begin, end in comments[: 2 * found].reshape(-1, 2):
        is_code[begin:end] = False
    spots, code = places[:n], places[:n][is_code]
    first = np.concatenate([spots[at[:plain]], code[at[plain:total]]])
    last = np.concatenate([spots[at[:plain] + WINDOW - 1], code[at[plain:total] + WINDOW - 1]])
    order = np.lexsort((first, numbers[:total]))
    return numbers[:total][order].astype(np.int64), first[order], last[order] + 1
