"""Frozen streams: the rows of a stream written down once, for trainers that would rather read than tokenise.

rows-00000.bin ...    rows as little-endian integers, one after the other
frozen.json           written last: shape, files with their SHA-256, and the state before and behind them
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from stackcurate.errors import TrainError
from stackcurate.train.position import Batch, State, Tokens, check_owner, read_state, share_of, within
from stackcurate.train.stream import Stream
from stackcurate.workspace import Workspace, read_json, write_json

INDEX = "frozen.json"
_FILE_BYTES = 1 << 30


@dataclass(frozen=True)
class Frozen:
    """A frozen stream that was checked.

    Args:
        folder: where it lies.
        files: names of the files, in order.
        rows: rows of each.
        width: tokens of a row.
        dtype: type of a token.
        start: state of the stream before the first row.
    """

    folder: str
    files: tuple[str, ...]
    rows: tuple[int, ...]
    width: int
    dtype: str
    start: State

    def batches(
        self,
        rows: int,
        *,
        rank: int = 0,
        world: int = 1,
        state: State | None = None,
        skip: Sequence[tuple[int, int]] = (),
    ) -> Iterator[Batch]:
        """Yield the batches of one rank until the rows end; the same as those of the stream that was frozen.

        Args:
            rows: rows per batch over all ranks.
            rank: number of this rank.
            world: number of ranks.
            state: where to go on; None begins. Only its drawn rows count.
            skip: ranges [start, stop) of drawn rows that no batch holds.

        Raises:
            TrainError: the state belongs to another run, or a rank would get no row.
        """
        here = self.start if state is None else state
        check_owner(here, self.start)
        if here.drawn < self.start.drawn:
            raise TrainError(f"the frozen rows begin at row {self.start.drawn}, the state is at row {here.drawn}")
        return self._batches(rows, share_of(rows, rank, world), here, skip)

    def _batches(self, rows: int, share: slice, here: State, skip: Sequence[tuple[int, int]]) -> Iterator[Batch]:
        first, ends = here.drawn - self.start.drawn, list(accumulate(self.rows))
        drawn = first
        parts: list[Tokens] = []
        missing = rows
        for name, count, end in zip(self.files, self.rows, ends, strict=True):
            if end <= drawn:
                continue
            table = np.memmap(Path(self.folder) / name, self.dtype, "r", shape=(count, self.width))
            while drawn < end:
                stop = min(drawn + missing, end)
                piece = table[drawn - end + count : stop - end + count]
                if skip:
                    piece = piece[~within(np.arange(drawn, stop) + self.start.drawn, skip)]
                parts.append(piece)
                drawn, missing = stop, missing - len(piece)
                if not missing:
                    joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
                    yield Batch(np.array(joined[share]), replace(here, drawn=drawn + self.start.drawn))
                    parts, missing = [], rows


def freeze(stream: Stream, folder: str | Path, rows: int, *, workers: int = 0, state: State | None = None) -> Frozen:
    """Write down rows of a stream.

    Args:
        stream: what to write down.
        folder: where to; made where there is none.
        rows: how many.
        workers: processes that tokenise ahead.
        state: where to begin; None begins at the beginning.

    Raises:
        TrainError: the folder holds other rows.
    """
    place = Workspace(str(Path(folder).absolute()))
    begin = stream.start if state is None else state
    if read_json(place, INDEX) is not None:
        raise TrainError(f"{folder}: holds frozen rows already; give another folder")
    Path(folder).mkdir(parents=True, exist_ok=True)
    width, dtype = stream.config.sequence_length + 1, np.dtype(stream.tokenizer.dtype).newbyteorder("<")
    per_file = max(1, _FILE_BYTES // (width * dtype.itemsize))
    files: list[dict[str, Any]] = []
    drawn = stream.batches(1, state=begin, workers=workers)
    for number, start in enumerate(range(0, rows, per_file)):
        path = Path(folder) / f"rows-{number:05d}.bin"
        sha256, count = hashlib.sha256(), min(per_file, rows - start)
        with path.open("wb") as file:
            for _ in range(count):
                content = next(drawn).rows.astype(dtype).tobytes()
                sha256.update(content)
                file.write(content)
        files.append({"name": path.name, "rows": count, "sha256": sha256.hexdigest()})
    index = {"width": width, "dtype": dtype.str, "files": files, "start": asdict(begin)}
    write_json(place, index, INDEX)
    return open_frozen(folder)


def open_frozen(folder: str | Path) -> Frozen:
    """Check frozen rows against their index.

    Raises:
        TrainError: there are none, or a file is missing, changed or truncated.
    """
    index = read_json(Workspace(str(Path(folder).absolute())), INDEX)
    if index is None:
        raise TrainError(f"{folder}: no frozen rows; `stackcurate train freeze` writes them")
    try:
        size = index["width"] * np.dtype(index["dtype"]).itemsize
        for file in index["files"]:
            path = Path(folder) / Path(file["name"]).name
            found = path.stat().st_size if path.is_file() else None
            if found != file["rows"] * size:
                raise TrainError(f"{path}: has {found} bytes, expected {file['rows'] * size}; freeze the rows again")
            with path.open("rb") as content:
                if hashlib.file_digest(content, "sha256").hexdigest() != file["sha256"]:
                    raise TrainError(f"{path}: changed since it was written; freeze the rows again")
        names, rows = zip(*((Path(file["name"]).name, file["rows"]) for file in index["files"]), strict=True)
        start = read_state(json.dumps(index["start"]))
        return Frozen(str(folder), names, rows, index["width"], index["dtype"], start)
    except (KeyError, TypeError, ValueError) as error:
        raise TrainError(f"{folder}/{INDEX}: damaged ({error!r}); freeze the rows again") from error
