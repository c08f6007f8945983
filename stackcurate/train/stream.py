"""The stream: an endless sequence of rows of tokens that depends on the release, the config and the tokeniser alone.

An epoch is a list of row groups, cut into blocks. The documents of a block are shuffled, tokenised and laid end to
end behind what the block before left over; whole rows are cut off and shuffled, the rest goes on to the next block.
Nothing is padded, cropped or dropped. A position is four integers: epoch, block, tokens carried into the block, and
rows of the block that were drawn. Every rank makes the same rows and takes its share, so any number of ranks and
workers draws the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from stackcurate.config import digest, setting
from stackcurate.errors import TrainError
from stackcurate.train.documents import USED_TOKENS, Document, DocumentConfig, documents
from stackcurate.train.order import MILLION, Epoch, Integers, permutation, plan_epoch
from stackcurate.train.position import NO_POSITION, Batch, State, Tokens, check_owner, share_of, within
from stackcurate.train.shards import Shards, read_group
from stackcurate.train.tokenizer import Tokenizer, encode_pieces
from stackcurate.train.workers import tokenized_blocks

_LARGEST_WEIGHT, _MOST_EPOCHS = 1000.0, 1_000_000


@dataclass(frozen=True, kw_only=True)
class StreamConfig(DocumentConfig):
    """What the stream is made of, and in which order."""

    sequence_length: int = setting(2048, "tokens a model sees at once; a row holds one more")
    seed: int = setting(0, "seed of every choice")
    languages: tuple[str, ...] = setting((), "languages to read; empty means all")
    weights: tuple[str, ...] = setting((), "passes per epoch where it is not one: `Python=2`, `HTML=0.25`")
    block_bytes: int = setting(16 << 20, "bytes of text that are shuffled together")
    held_out: int = setting(0, "keep every n-th row group of a language for evaluation; 0 keeps none")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sequence_length < 1 or self.block_bytes < 1:
            raise ValueError("sequence_length and block_bytes are at least 1")
        if self.held_out < 0 or self.held_out == 1:
            raise ValueError("held_out is 0 or at least 2")
        _parse_weights(self.weights)


def _parse_weights(weights: Sequence[str]) -> dict[str, float]:
    parsed = {}
    for weight in weights:
        language, equals, number = weight.rpartition("=")
        try:
            parsed[language] = float(number)
        except ValueError:
            equals = ""
        if not equals or not 0 <= parsed[language] <= _LARGEST_WEIGHT:
            raise ValueError(f"weights are `language=passes`, passes from 0 to {_LARGEST_WEIGHT:g}; found {weight!r}")
    return parsed


@dataclass(frozen=True)
class Stream:
    """The stream of a release. Pickles.

    Raises:
        TrainError: a language has no rows, or the tokeniser lacks a special token.
    """

    shards: Shards
    tokenizer: Tokenizer
    config: StreamConfig = StreamConfig()

    def __post_init__(self) -> None:
        found = set(self.shards.languages)
        named = {*self.config.languages, *_parse_weights(self.config.weights)}
        if missing := sorted(named - found):
            raise TrainError(f"the release has no rows of {', '.join(missing)}; it has {', '.join(sorted(found))}")
        if not (self.weights[self.shards.language] > 0)[self.trained].any():
            raise TrainError("no row group is left to train on: languages, weights and held_out leave out all")
        if self.config.held_out and self.trained.all():
            most = np.bincount(self.shards.language).max()
            raise TrainError(
                f"stream.held_out is {self.config.held_out}, but no language has more row groups than {most:,}, so "
                "nothing is held out; set a smaller one, or build the release with a smaller release.row_group_bytes"
            )
        self.tokenizer.special_ids(USED_TOKENS[self.config.format])

    @property
    def start(self) -> State:
        """The state before the first row."""
        whose = self.shards.digest, digest(self.config), self.tokenizer.digest
        return State(0, 0, 0, 0, 0, *whose)

    @cached_property
    def weights(self) -> Integers:
        """Passes per epoch of each language, in millionths."""
        given = _parse_weights(self.config.weights)
        wanted = self.config.languages or self.shards.languages
        passes = [given.get(name, 1.0) if name in wanted else 0.0 for name in self.shards.languages]
        return np.array([round(one * MILLION) for one in passes], np.int64)

    @cached_property
    def trained(self) -> npt.NDArray[np.bool_]:
        """Say of each row group whether it is trained on; the others are held out."""
        chosen = np.ones(len(self.shards.rows), np.bool_)
        if self.config.held_out:
            for kind in range(len(self.shards.languages)):
                members = np.flatnonzero(self.shards.language == kind)
                chosen[members[self.config.held_out - 1 :: self.config.held_out]] = False
        return chosen

    @cached_property
    def _special(self) -> dict[str, bytes]:
        ids = self.tokenizer.special_ids(USED_TOKENS[self.config.format])
        return {name: np.array([one], "<u4").tobytes() for name, one in ids.items()}

    @cached_property
    def _candidates(self) -> tuple[Integers, Integers, Integers]:
        chosen = np.flatnonzero(self.trained)
        return chosen, self.shards.sizes[chosen], self.shards.language[chosen]

    @cached_property
    def plan(self) -> Any:
        """The plan of an epoch by its number; the last few are kept."""

        @lru_cache(maxsize=4)
        def plan(epoch: int) -> Epoch:
            chosen, sizes, kinds = self._candidates
            block, seed = self.config.block_bytes, self.config.seed
            found = plan_epoch(sizes, kinds, self.weights, seed=seed, epoch=epoch, block=block)
            return replace(found, groups=chosen[found.groups])

        return plan

    def __getstate__(self) -> dict[str, Any]:
        """Pickle what it was made from."""
        return {"shards": self.shards, "tokenizer": self.tokenizer, "config": self.config}

    def documents(self, epoch: int, block: int) -> list[Document]:
        """Return the documents of a block in order."""
        found: list[Document] = []
        for group, turn in self.plan(epoch).block(block):
            rows = read_group(self.shards, group)
            found += documents(rows, group, turn, self.config.seed, self.config)
        return sorted(found, key=lambda document: (document.place, document.rows))

    def tokens(self, epoch: int, block: int) -> Tokens:
        """Return the tokens of a block, its documents end to end."""
        encode, special = self.tokenizer.encode, self._special
        ids = b"".join([encode_pieces(document.pieces, special, encode) for document in self.documents(epoch, block)])
        return np.frombuffer(ids, "<u4").astype(self.tokenizer.dtype)

    def blocks(self, epoch: int, block: int) -> Iterator[tuple[int, int]]:
        """Yield (epoch, block) from a position on, without end."""
        while True:
            for number in range(block, self.plan(epoch).blocks):
                yield epoch, number
            epoch, block = epoch + 1, 0

    def tail(self, epoch: int, block: int, count: int) -> Tokens:
        """Return the last `count` tokens before a block; only the documents that hold them are tokenised."""
        encode, special = self.tokenizer.encode, self._special
        pieces: list[bytes] = []
        missing = count * 4
        while missing > 0:
            epoch, block = self._before(epoch, block)
            for document in reversed(self.documents(epoch, block)):
                pieces.append(encode_pieces(document.pieces, special, encode))
                missing -= len(pieces[-1])
                if missing <= 0:
                    break
        ids = b"".join(reversed(pieces))
        return np.frombuffer(ids, "<u4")[len(ids) // 4 - count :].astype(self.tokenizer.dtype)

    def _before(self, epoch: int, block: int) -> tuple[int, int]:
        while block == 0:
            if epoch == 0:
                raise TrainError(NO_POSITION)
            epoch -= 1
            block = self.plan(epoch).blocks
        return epoch, block - 1

    def check(self, state: State) -> None:
        """Refuse the state of another release, config or tokeniser.

        Raises:
            TrainError: with what differs.
        """
        check_owner(state, self.start)
        if state.epoch > _MOST_EPOCHS or state.carry > self.config.sequence_length:
            raise TrainError(NO_POSITION)
        if state.block >= max(1, self.plan(state.epoch).blocks):
            raise TrainError(NO_POSITION)

    def batches(
        self,
        rows: int,
        *,
        rank: int = 0,
        world: int = 1,
        state: State | None = None,
        workers: int = 0,
        skip: Sequence[tuple[int, int]] = (),
    ) -> Iterator[Batch]:
        """Yield the batches of one rank, without end.

        Args:
            rows: rows per batch over all ranks.
            rank: number of this rank.
            world: number of ranks.
            state: where to go on; None begins.
            workers: processes that tokenise ahead; 0 tokenises here.
            skip: ranges [start, stop) of drawn rows that no batch holds: rows that hurt.

        Raises:
            TrainError: the state belongs to another run, or a rank would get no row.
        """
        here = self.start if state is None else state
        self.check(here)
        return self._batches(rows, share_of(rows, rank, world), here, workers, skip)

    def _batches(
        self, rows: int, share: slice, state: State, workers: int, skip: Sequence[tuple[int, int]]
    ) -> Iterator[Batch]:
        parts: list[Tokens] = []
        missing = rows
        for block, before in self._blocks_of_rows(state, workers):
            at = before
            while at.row < len(block):
                row = np.arange(at.row, min(at.row + missing, len(block)))
                kept = row[~within(at.drawn + row - at.row, skip)]
                at = replace(at, row=at.row + len(row), drawn=at.drawn + len(row))
                parts.append(block[kept])
                missing -= len(kept)
                if not missing:
                    yield Batch(np.concatenate(parts)[share], at)
                    parts, missing = [], rows

    def _blocks_of_rows(self, at: State, workers: int) -> Iterator[tuple[Tokens, State]]:
        """Yield the rows of each block, and the state before the first of them that is to be drawn."""
        width = self.config.sequence_length + 1
        left = self.tail(at.epoch, at.block, at.carry)
        for (epoch, block), tokens in tokenized_blocks(self, self.blocks(at.epoch, at.block), workers):
            joined = np.concatenate([left, tokens])
            count = len(joined) // width
            if at.row > count:
                raise TrainError(NO_POSITION)
            at = replace(at, epoch=epoch, block=block, carry=len(left))
            order = permutation(count, self.config.seed, "rows", epoch, block)
            yield joined[: count * width].reshape(count, width)[order], at
            left = joined[count * width :]
            at = replace(at, row=0, drawn=at.drawn + count - at.row)


def held_out(stream: Stream) -> Mapping[str, list[int]]:
    """Return the row groups that are kept for evaluation, by language."""
    groups = np.flatnonzero(~stream.trained)
    names = [stream.shards.languages[kind] for kind in stream.shards.language[groups]]
    return {name: [int(g) for g, n in zip(groups, names, strict=True) if n == name] for name in sorted(set(names))}
