"""A small release of real files, its tokeniser, and a stream of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stackcurate.train.shards import Shards, open_shards
from stackcurate.train.stream import Stream, StreamConfig
from stackcurate.train.tokenizer import Tokenizer, TokenizerConfig, load_tokenizer, save_tokenizer, train_tokenizer
from tests.train.releases import real_files, write_release


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small models are faster so, above all beside other tests."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(tmp_path_factory.mktemp("train") / "v1", real_files(160, largest=8_000), shard_rows=40)


@pytest.fixture(scope="session")
def shards(release: Path) -> Shards:
    return open_shards(release)


@pytest.fixture(scope="session")
def tokenizer_path(shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    save_tokenizer(train_tokenizer(shards, TokenizerConfig(vocab_size=1000)), path)
    return path


@pytest.fixture(scope="session")
def tokenizer(tokenizer_path: Path) -> Tokenizer:
    return load_tokenizer(tokenizer_path)


@pytest.fixture(scope="session")
def stream(shards: Shards, tokenizer: Tokenizer) -> Stream:
    return Stream(shards, tokenizer, StreamConfig(sequence_length=64, block_bytes=40_000))
