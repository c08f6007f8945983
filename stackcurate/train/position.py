"""Positions in a stream: what a checkpoint keeps of it, and which rows of a batch are whose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from stackcurate.errors import TrainError
from stackcurate.train.order import Integers

Tokens = npt.NDArray[Any]
"""Ids as the tokeniser's `dtype`."""
NO_POSITION = "damaged state of a stream: there is no such position; take an older checkpoint"
"""What is said of a state that points nowhere."""


@dataclass(frozen=True)
class State:
    """A position in a stream, and whose it is.

    Args:
        epoch: number of the epoch.
        block: number of the block in the epoch.
        carry: tokens that the blocks before left over for this one.
        row: rows of the block that were drawn.
        drawn: rows that were drawn since the beginning, skipped ones included.
        release: digest of the manifest.
        config: digest of the config.
        tokenizer: digest of the tokeniser.
    """

    epoch: int
    block: int
    carry: int
    row: int
    drawn: int
    release: str
    config: str
    tokenizer: str

    @property
    def whose(self) -> dict[str, str]:
        """The digests of what the stream is made from."""
        return {"release": self.release, "config": self.config, "tokenizer": self.tokenizer}

    def to_json(self) -> str:
        """Return the state as JSON, less than a kilobyte."""
        return json.dumps(asdict(self))


def read_state(text: str) -> State:
    """Parse a state.

    Raises:
        TrainError: it is cut or no state.
    """
    try:
        values = json.loads(text)
        state = State(**values)
    except (ValueError, TypeError) as error:
        raise TrainError(f"damaged state of a stream ({error}); take an older checkpoint") from error
    for one in fields(State):
        value = values[one.name]
        if type(value).__name__ != one.type or (one.type == "int" and value < 0):
            raise TrainError(f"damaged state of a stream ({one.name} is {value!r}); take an older checkpoint")
    return state


@dataclass(frozen=True)
class Batch:
    """The rows of one rank, [share, sequence_length + 1], and the state of the stream behind the whole batch."""

    rows: Tokens
    state: State


def share_of(rows: int, rank: int, world: int) -> slice:
    """Return which rows of a batch are a rank's; shares differ by one row at most.

    Raises:
        TrainError: a rank would get no row.
    """
    if not 0 <= rank < world or rows < world:
        raise TrainError(f"{rows} rows cannot be shared by {world} ranks (this is rank {rank}); set more rows")
    return slice(rank * rows // world, (rank + 1) * rows // world)


def check_owner(state: State, ours: State) -> None:
    """Refuse a state of another release, config or tokeniser.

    Raises:
        TrainError: with what differs.
    """
    other = [name for name, found in state.whose.items() if found != ours.whose[name]]
    if other:
        raise TrainError(
            f"the state belongs to another {' and '.join(other)}; resume with the one that it was made with, "
            "or start a new run"
        )


def within(drawn: Integers, ranges: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Say of each number whether one of the ranges [start, stop) holds it."""
    inside = np.zeros(len(drawn), np.bool_)
    for start, stop in ranges:
        inside |= (start <= drawn) & (drawn < stop)
    return inside
