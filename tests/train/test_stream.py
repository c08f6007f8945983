"""The stream: the same rows whatever the ranks, the workers and the restarts, and no token lost."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stackcurate.errors import ReleaseError, TrainError
from stackcurate.train.position import State, Tokens, read_state
from stackcurate.train.shards import Shards, open_shards
from stackcurate.train.stream import Stream, StreamConfig, held_out
from stackcurate.train.tokenizer import Tokenizer, encode_pieces

ROWS = 12
CHILD = Path(__file__).with_name("killed_stream.py")


def batches(stream: Stream, count: int, rows: int = ROWS, **options: Any) -> list[Tokens]:
    return [batch.rows for batch in islice(stream.batches(rows, **options), count)]


def epoch_rows(stream: Stream, epochs: int) -> tuple[list[Tokens], State]:
    """Return the rows of the first epochs in the order of their tokens, and the state behind them."""
    found = []
    for block, state in stream._blocks_of_rows(stream.start, 0):
        if state.epoch == epochs:
            return found, state
        order = np.argsort(_row_order(stream, state, len(block)))
        found += list(block[order])
    raise AssertionError


def _row_order(stream: Stream, state: State, count: int) -> Any:
    from stackcurate.train.order import permutation

    return permutation(count, stream.config.seed, "rows", state.epoch, state.block)


def documents_of(stream: Stream, epochs: int) -> Counter[bytes]:
    """Return the documents of the first epochs, tokenised one by one."""
    special = {name: np.array([one], "<u4").tobytes() for name, one in _special(stream).items()}
    return Counter(
        encode_pieces(document.pieces, special, stream.tokenizer.encode)
        for epoch in range(epochs)
        for block in range(stream.plan(epoch).blocks)
        for document in stream.documents(epoch, block)
    )


def _special(stream: Stream) -> dict[str, int]:
    return {name: one for name, one in stream.tokenizer.vocab.items() if name.startswith("<") and name.endswith(">")}


def test_no_token_is_lost_or_repeated(stream: Stream) -> None:
    epochs = 3
    rows, behind = epoch_rows(stream, epochs)
    flat = np.concatenate([*rows, stream.tail(behind.epoch, behind.block, behind.carry)])
    ends = np.flatnonzero(flat == stream.tokenizer.vocab["<|endoftext|>"]) + 1
    found = Counter(part.astype("<u4").tobytes() for part in np.split(flat, ends) if len(part))

    assert found == documents_of(stream, epochs)
    assert behind.drawn == len(rows)
    assert behind.carry <= stream.config.sequence_length


def test_there_is_no_padding(stream: Stream) -> None:
    rows, _ = epoch_rows(stream, 2)

    assert not (np.concatenate(rows) == stream.tokenizer.vocab["<fim_pad>"]).any()


@pytest.mark.parametrize("world", [1, 2, 3, 5, 8, 12])
def test_the_batches_are_the_same_for_any_number_of_ranks(stream: Stream, world: int) -> None:
    whole = batches(stream, 4)
    parts = [batches(stream, 4, rank=rank, world=world) for rank in range(world)]

    assert all(
        (np.concatenate(shares) == one).all() for one, shares in zip(whole, zip(*parts, strict=True), strict=True)
    )


@pytest.mark.slow
def test_the_batches_are_the_same_for_one_to_64_ranks(stream: Stream) -> None:
    whole = batches(stream, 6, rows=64)
    for world in range(1, 65):
        parts = [batches(stream, 6, rows=64, rank=rank, world=world) for rank in range(world)]
        assert all((np.concatenate(p) == one).all() for one, p in zip(whole, zip(*parts, strict=True), strict=True))


@pytest.mark.parametrize("workers", [1, 3])
def test_the_batches_are_the_same_for_any_number_of_workers(stream: Stream, workers: int) -> None:
    assert np.array_equal(batches(stream, 60), batches(stream, 60, workers=workers))


@pytest.mark.slow
def test_the_batches_are_the_same_for_up_to_8_workers(stream: Stream) -> None:
    whole = batches(stream, 100)
    for workers in range(1, 9):
        assert np.array_equal(whole, batches(stream, 100, workers=workers))


def test_every_state_goes_on_where_it_was(stream: Stream) -> None:
    drawn = list(islice(stream.batches(ROWS), 240))

    assert drawn[-1].state.epoch >= 1, "the test should cross an epoch"
    for at in range(0, 239, 13):
        state = read_state(drawn[at].state.to_json())
        after = next(iter(stream.batches(ROWS, state=state)))
        assert np.array_equal(after.rows, drawn[at + 1].rows)
        assert after.state == drawn[at + 1].state


def test_a_state_is_small(stream: Stream) -> None:
    state = dataclasses.replace(stream.start, epoch=10**5, block=10**9, carry=10**5, row=10**7, drawn=10**15)

    assert len(state.to_json()) <= 1024


def test_the_batch_size_does_not_change_the_rows(stream: Stream) -> None:
    assert np.array_equal(np.concatenate(batches(stream, 30, 4)), np.concatenate(batches(stream, 10, 12)))


def test_skipped_rows_are_never_emitted(stream: Stream) -> None:
    plain = np.concatenate(batches(stream, 10))
    skipped = np.concatenate(batches(stream, 8, skip=[(5, 9), (30, 50)]))

    kept = [number for number in range(120) if not (5 <= number < 9 or 30 <= number < 50)]
    assert np.array_equal(skipped, plain[kept])
    assert next(iter(stream.batches(ROWS, skip=[(5, 9)]))).state.drawn == ROWS + 4


def test_every_epoch_and_seed_has_its_own_order_and_cuts(stream: Stream) -> None:
    other = dataclasses.replace(stream, config=dataclasses.replace(stream.config, seed=1))

    assert not np.array_equal(batches(stream, 1), batches(other, 1))
    assert stream.tokens(0, 0)[:100].tolist() != stream.tokens(1, 0)[:100].tolist()


def test_the_tokenizer_of_another_format_is_refused(shards: Shards, tokenizer: Tokenizer) -> None:
    with pytest.raises(TrainError, match="<repo_name>"):
        Stream(shards, tokenizer, StreamConfig(format="starcoder2"))


def test_weights_and_languages_choose_what_is_read(shards: Shards, tokenizer: Tokenizer) -> None:
    config = StreamConfig(languages=("Python", "C"), weights=("C=2",), fim_rate=0.0, repository_share=0.0)
    chosen = Stream(shards, tokenizer, config)
    groups = [group for block in range(chosen.plan(0).blocks) for group, _ in chosen.plan(0).block(block)]

    counts = Counter(shards.languages[shards.language[group]] for group in groups)
    members = Counter(shards.languages[kind] for kind in shards.language.tolist())
    assert counts == {"Python": members["Python"], "C": 2 * members["C"]}


def test_held_out_row_groups_are_never_trained_on(shards: Shards, tokenizer: Tokenizer) -> None:
    kept = Stream(shards, tokenizer, StreamConfig(held_out=3))
    away = {group for groups in held_out(kept).values() for group in groups}
    trained = {group for block in range(kept.plan(0).blocks) for group, _ in kept.plan(0).block(block)}

    assert away
    assert not away & trained
    assert away | trained == set(range(len(shards.rows)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"languages": ("Cobol",)}, "no rows of Cobol"),
        ({"weights": ("Cobol=2",)}, "no rows of Cobol"),
        ({"languages": ("Python",), "weights": ("Python=0",)}, "no row group is left"),
    ],
)
def test_a_language_without_rows_is_refused(
    shards: Shards, tokenizer: Tokenizer, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainError, match=message):
        Stream(shards, tokenizer, StreamConfig(**values))


@pytest.mark.parametrize(
    "values", [{"weights": ("Python",)}, {"weights": ("Python=-1",)}, {"sequence_length": 0}, {"held_out": 1}]
)
def test_bad_config_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"weights|sequence_length|held_out"):
        StreamConfig(**values)


@pytest.mark.parametrize("field", ["release", "config", "tokenizer"])
def test_a_state_of_another_run_is_refused(stream: Stream, field: str) -> None:
    other = dataclasses.replace(stream.start, **{field: "0" * 64})

    with pytest.raises(TrainError, match=f"another {field}"):
        stream.batches(ROWS, state=other)


@pytest.mark.parametrize("change", [{"block": 10**6}, {"carry": 65}, {"epoch": 10**9}, {"row": 10**6}, {"carry": 5}])
def test_a_position_that_is_none_is_refused(stream: Stream, change: dict[str, int]) -> None:
    with pytest.raises(TrainError, match="no such position"):
        next(iter(stream.batches(ROWS, state=dataclasses.replace(stream.start, **change))))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null"])
def test_a_damaged_state_is_refused(text: str) -> None:
    with pytest.raises(TrainError, match="damaged state"):
        read_state(text)


@pytest.mark.parametrize("value", [-1, "1", 1.5, None, True])
def test_a_state_of_wrong_values_is_refused(stream: Stream, value: object) -> None:
    with pytest.raises(TrainError, match="block is"):
        read_state(json.dumps(dataclasses.asdict(stream.start) | {"block": value}))


@pytest.mark.parametrize(("rank", "world"), [(0, 13), (2, 2), (-1, 2)])
def test_a_rank_without_rows_is_refused(stream: Stream, rank: int, world: int) -> None:
    with pytest.raises(TrainError, match="cannot be shared"):
        stream.batches(ROWS, rank=rank, world=world)


def test_an_error_in_a_worker_is_raised_here(release: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    lost = Stream(open_shards(copy), tokenizer, StreamConfig(sequence_length=64))
    shutil.rmtree(copy / "data")

    with pytest.raises(ReleaseError, match="after it was checked"):
        next(iter(lost.batches(ROWS, workers=1)))


def test_a_stream_pickles(stream: Stream) -> None:
    assert np.array_equal(batches(pickle.loads(pickle.dumps(stream)), 2), batches(stream, 2))


def killed(stream: Stream, release: Path, tokenizer_path: Path, folder: Path, kills: int) -> None:
    """Draw batches in processes that are killed at random; what they logged is the undisturbed stream, step by step."""
    command = [sys.executable, str(CHILD), str(release), str(tokenizer_path), str(folder), str(kills)]
    subprocess.run(command, check=True, timeout=1200)
    logged = [json.loads(line) for line in (folder / "log").read_text().splitlines() if line.endswith("]")]
    steps = {step for step, _ in logged}
    right = [hashlib.sha256(rows.tobytes()).hexdigest() for rows in batches(stream, max(steps) + 1)]

    assert steps == set(range(max(steps) + 1))
    assert [(step, sha256) for step, sha256 in logged if right[step] != sha256] == []
    assert sum(after <= before for (before, _), (after, _) in pairwise(logged)) > kills // 10, "kills should cost steps"


def test_fifty_kills_leave_the_stream_as_it_is(
    stream: Stream, release: Path, tokenizer_path: Path, tmp_path: Path
) -> None:
    killed(stream, release, tokenizer_path, tmp_path, 50)


@pytest.mark.slow
def test_a_thousand_kills_leave_the_stream_as_it_is(
    stream: Stream, release: Path, tokenizer_path: Path, tmp_path: Path
) -> None:
    killed(stream, release, tokenizer_path, tmp_path, 1000)
