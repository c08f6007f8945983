"""Workers: processes that tokenise blocks ahead, handed back in order whatever their number."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np

from stackcurate.errors import StackcurateError, TrainError

AHEAD = 2
"""Blocks that each worker holds: one at work, one ready."""

Block = tuple[int, int]


class Source(Protocol):
    """What tokenises a block: a pure function that pickles."""

    def tokens(self, epoch: int, block: int) -> Any:
        """Return the tokens of a block."""


def tokenized_blocks(source: Source, blocks: Iterator[Block], workers: int) -> Iterator[tuple[Block, Any]]:
    """Yield each block and its tokens, in order.

    Args:
        source: what tokenises.
        blocks: (epoch, block), without end.
        workers: processes; 0 tokenises in this one.

    Raises:
        TrainError: a worker died.
    """
    if not workers:
        yield from ((block, source.tokens(*block)) for block in blocks)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process that uses a GPU breaks
    crew = [_hire(context, source) for _ in range(workers)]
    pending: deque[tuple[Block, Connection]] = deque()
    try:
        for number in range(workers * AHEAD):
            _send(next(blocks), crew[number % workers][1], pending)
        while True:
            block, pipe = pending.popleft()
            tokens = _receive(pipe)
            _send(next(blocks), pipe, pending)
            yield block, tokens
    finally:
        for process, pipe in crew:
            pipe.close()
            process.terminate()
            process.join()


def _hire(context: Any, source: Source) -> tuple[Any, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(source, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _send(block: Block, pipe: Connection, pending: deque[tuple[Block, Connection]]) -> None:
    with suppress(BrokenPipeError):  # its death is told when its answer is due
        pipe.send(block)
    pending.append((block, pipe))


def _receive(pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except (EOFError, ConnectionError):
        raise TrainError("a worker of the stream died, perhaps for lack of memory; resume with fewer workers") from None
    if isinstance(answer, StackcurateError):
        raise answer
    return np.frombuffer(pipe.recv_bytes(), answer)


def _work(source: Source, pipe: Connection) -> None:
    """Answer blocks with their tokens until the other end is closed, as it also is when the trainer is killed."""
    with suppress(EOFError, ConnectionError, KeyboardInterrupt):
        while True:
            try:
                tokens = source.tokens(*pipe.recv())
            except StackcurateError as error:
                pipe.send(error)
                return
            pipe.send(tokens.dtype.str)
            pipe.send_bytes(tokens.tobytes())
