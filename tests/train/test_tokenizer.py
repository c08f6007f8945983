"""The tokeniser: ids as the reference gives them, special tokens from the stream alone."""

from __future__ import annotations

import json
import pickle
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tokenizers

from stackcurate.errors import TrainError
from stackcurate.train.documents import SPECIAL_TOKENS
from stackcurate.train.shards import Shards, read_group
from stackcurate.train.tokenizer import (
    FAST,
    PROBES,
    REFERENCE,
    Tokenizer,
    TokenizerConfig,
    encode_pieces,
    load_tokenizer,
    save_tokenizer,
    train_tokenizer,
)
from tests.train.releases import real_files


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return np.frombuffer(tokenizer.encode(text), "<u4").tolist()


def reference(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    """Return the true reference: the file as it is, told to take special tokens for text."""
    found = tokenizers.Tokenizer.from_str(tokenizer.text)
    found.encode_special_tokens = True
    return found


def different(tokenizer: Tokenizer, count: int) -> list[str]:
    right = reference(tokenizer)
    contents = (one["content"] for one in real_files(count, largest=20_000))
    return [text for text in contents if ids(tokenizer, text) != right.encode(text, add_special_tokens=False).ids]


def test_the_fast_engine_is_chosen_and_exact(tokenizer: Tokenizer) -> None:
    assert tokenizer.engine == FAST
    assert different(tokenizer, 1000) == []


@pytest.mark.slow
def test_ids_are_equal_on_ten_thousand_documents(tokenizer: Tokenizer) -> None:
    assert len(list(real_files(10_000, largest=20_000))) == 10_000
    assert different(tokenizer, 10_000) == []


@pytest.mark.parametrize("probe", PROBES)
def test_ids_are_equal_on_texts_that_engines_differ_on(tokenizer: Tokenizer, probe: str) -> None:
    assert ids(tokenizer, probe) == reference(tokenizer).encode(probe, add_special_tokens=False).ids


def test_special_tokens_in_a_source_file_stay_text(tokenizer: Tokenizer) -> None:
    special = set(tokenizer.special_ids(SPECIAL_TOKENS["starcoder"]).values())
    text = "".join(SPECIAL_TOKENS["starcoder"])

    assert special == set(range(19))
    assert not special & set(ids(tokenizer, text))
    assert tokenizer.decode(ids(tokenizer, text)) == text
    plain = tokenizers.Tokenizer.from_str(tokenizer.text)
    assert special <= set(plain.encode(text).ids), "the reference would take them for special tokens"


def test_text_comes_back(tokenizer: Tokenizer) -> None:
    for probe in PROBES:
        assert tokenizer.decode(ids(tokenizer, probe)) == probe


def test_digits_stand_alone(tokenizer: Tokenizer) -> None:
    assert len(ids(tokenizer, "20262026")) == 8


def test_pieces_are_encoded_apart(tokenizer: Tokenizer) -> None:
    special = {"<fim_prefix>": np.array([1], "<u4").tobytes()}
    found = np.frombuffer(encode_pieces([("<fim_prefix>",), "ret", "urn"], special, tokenizer.encode), "<u4").tolist()

    assert found == [1, *ids(tokenizer, "ret"), *ids(tokenizer, "urn")]


def test_training_gives_the_same_file_again(shards: Shards, tokenizer: Tokenizer) -> None:
    assert train_tokenizer(shards, TokenizerConfig(vocab_size=1000)) == tokenizer.text
    assert tokenizer.vocab_size == 1000
    assert tokenizer.dtype is np.uint16


def test_starcoder2_has_its_own_special_tokens(shards: Shards) -> None:
    config = TokenizerConfig(vocab_size=400, format="starcoder2", sample_bytes=20_000)
    found = Tokenizer(train_tokenizer(shards, config), REFERENCE)

    assert list(found.special_ids(SPECIAL_TOKENS["starcoder2"]).values()) == list(range(38))


def test_a_sample_is_a_part(shards: Shards) -> None:
    few = train_tokenizer(shards, TokenizerConfig(vocab_size=400, sample_bytes=1))

    assert few != train_tokenizer(shards, TokenizerConfig(vocab_size=400))
    assert sum(read_group(shards, group).num_rows for group in range(len(shards.rows))) > 100


def test_too_little_text_for_the_vocabulary_is_refused(shards: Shards) -> None:
    with pytest.raises(TrainError, match="set a smaller vocab_size"):
        train_tokenizer(shards, TokenizerConfig(vocab_size=60_000, sample_bytes=1))


@pytest.mark.parametrize(
    "splitter",
    [
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        {"type": "Split", "pattern": {"String": "a"}, "behavior": "Removed", "invert": False},
    ],
)
def test_the_reference_takes_over_for_another_splitter(
    tokenizer: Tokenizer, tmp_path: Path, splitter: dict[str, object]
) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(tokenizer.text) | {"pre_tokenizer": splitter}), encoding="utf-8")

    loaded = load_tokenizer(path)

    assert loaded.engine == REFERENCE
    assert ids(loaded, "banana 2026") == reference(loaded).encode("banana 2026").ids
    with pytest.raises(TrainError, match="leave the engine to us"):
        load_tokenizer(path, engine=FAST)


def test_engines_agree_where_characters_meet(tokenizer: Tokenizer) -> None:
    """Every string of up to five characters that split differently, alone and behind a letter of two bytes."""
    right = reference(tokenizer)
    texts = ["".join(chars) for length in range(6) for chars in product("a1 '\ns(", repeat=length)]
    texts += [f"é{text}" for text in texts[::7]] + [
        text.replace("a", "\u3000").replace("1", "٣") for text in texts[::7]
    ]

    assert [text for text in texts if ids(tokenizer, text) != right.encode(text).ids] == []


def test_long_words_and_many_words_are_remembered_rightly(tokenizer: Tokenizer) -> None:
    right = reference(tokenizer)
    texts = [f"{'ab' * length} {'x' * length}yz" for length in range(1, 90)] * 2 + ["a" * 3000, "q" * 1999]

    assert [text for text in texts if ids(tokenizer, text) != right.encode(text).ids] == []


def test_a_full_memory_is_emptied(tokenizer: Tokenizer) -> None:
    right = reference(tokenizer)
    words = [f"{number:b}".translate({48: "a", 49: "b"}) for number in range(1 << 17)]
    first = tokenizer.encode(" ".join(words))

    assert tokenizer.encode(" ".join(words)) == first
    assert ids(tokenizer, " ".join(words[:4000])) == right.encode(" ".join(words[:4000])).ids
    assert ids(tokenizer, " ".join(words[-4000:])) == right.encode(" ".join(words[-4000:])).ids


@pytest.mark.slow
def test_every_character_is_split_as_the_reference_splits_it(tokenizer: Tokenizer) -> None:
    right = reference(tokenizer)
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    texts = [
        "".join(f"a{chr(code)}b 1{chr(code)}({chr(code)}" for code in codes[at : at + 64])
        for at in range(0, len(codes), 64)
    ]

    assert [hex(codes[64 * n]) for n, text in enumerate(texts) if ids(tokenizer, text) != right.encode(text).ids] == []


def test_it_pickles(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("def") == pickle.loads(pickle.dumps(tokenizer)).encode("def")


@pytest.mark.parametrize("content", ["", "{", '{"model": {}}', '{"model": {"type": "Unigram"}, "added_tokens": []}'])
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(TrainError):
        load_tokenizer(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="stackcurate train tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_a_tokenizer_is_not_overwritten(tmp_path: Path) -> None:
    save_tokenizer("first", tmp_path / "tokenizer.json")

    with pytest.raises(TrainError, match="cannot be written"):
        save_tokenizer("second", tmp_path / "tokenizer.json")


def test_a_missing_special_token_is_named(tokenizer: Tokenizer) -> None:
    with pytest.raises(TrainError, match="<file_sep>"):
        tokenizer.special_ids(["<file_sep>"])
