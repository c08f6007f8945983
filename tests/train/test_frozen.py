"""Frozen streams: the same batches as the stream, and nothing that was tampered with."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from stackcurate.errors import TrainError
from stackcurate.train import frozen
from stackcurate.train.frozen import Frozen, freeze, open_frozen
from stackcurate.train.stream import Stream


@pytest.fixture(scope="module")
def folder(stream: Stream, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen") / "rows"
    freeze(stream, folder, 100)
    return folder


def test_the_batches_are_those_of_the_stream(stream: Stream, folder: Path) -> None:
    ours = list(open_frozen(folder).batches(12))
    theirs = list(islice(stream.batches(12), 8))

    assert len(ours) == 8
    assert all(np.array_equal(one.rows, two.rows) for one, two in zip(ours, theirs, strict=True))
    assert [one.state.drawn for one in ours] == [two.state.drawn for two in theirs]


def test_it_goes_on_from_a_state_and_skips(folder: Path) -> None:
    read = open_frozen(folder)
    drawn = list(read.batches(10))
    halves = [next(iter(read.batches(10, state=drawn[3].state, rank=rank, world=2))).rows for rank in range(2)]

    assert np.array_equal(np.concatenate(halves), drawn[4].rows)
    skipped = next(iter(read.batches(10, skip=[(0, 20)])))
    assert np.array_equal(skipped.rows, drawn[2].rows)


def test_batches_cross_files(stream: Stream, folder: Path) -> None:
    whole = open_frozen(folder)
    rows = np.fromfile(folder / "rows-00000.bin", whole.dtype).reshape(-1, whole.width)
    cut = folder.parent / "cut"
    cut.mkdir(exist_ok=True)
    rows[:37].tofile(cut / "a")
    rows[37:].tofile(cut / "b")
    parts = Frozen(str(cut), ("a", "b"), (37, 63), whole.width, whole.dtype, whole.start)

    for one, two in zip(parts.batches(10), whole.batches(10), strict=True):
        assert np.array_equal(one.rows, two.rows)


def test_damage_is_refused(stream: Stream, tmp_path: Path) -> None:
    freeze(stream, tmp_path / "f", 5)
    file = tmp_path / "f" / "rows-00000.bin"
    content = file.read_bytes()

    with pytest.raises(TrainError, match="give another folder"):
        freeze(stream, tmp_path / "f", 5)
    file.write_bytes(content[:-1])
    with pytest.raises(TrainError, match="expected"):
        open_frozen(tmp_path / "f")
    file.write_bytes(b"\xff" + content[1:])
    with pytest.raises(TrainError, match="changed since"):
        open_frozen(tmp_path / "f")
    file.unlink()
    with pytest.raises(TrainError, match="None bytes"):
        open_frozen(tmp_path / "f")
    (tmp_path / "f" / frozen.INDEX).write_text("{}")
    with pytest.raises(TrainError, match="damaged"):
        open_frozen(tmp_path / "f")


def test_the_state_of_another_run_is_refused(folder: Path) -> None:
    read = open_frozen(folder)

    with pytest.raises(TrainError, match="another config"):
        read.batches(10, state=dataclasses.replace(read.start, config="0" * 64))
    with pytest.raises(TrainError, match="no frozen rows"):
        open_frozen(folder.parent)
