"""The fast engine: StarCoder's byte-level BPE in compiled loops that remember words.

It takes a `tokenizer.json` of exactly that form, and hands a text with a character that Python's Unicode does not know,
or with a word of thousands of letters, to the reference.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

Encode = Callable[[str], bytes]
"""A text to its ids as little-endian uint32."""

WHITE_SPACE = (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
"""Source: Unicode, property White_Space."""
ASSIGNED = (range(0x40000), range(0xE0000, 0xE0200))
"""Where Unicode has characters, private ones aside."""
PRIVATE = 0xF0000
_PLAIN = {
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "byte_fallback": False,
    "ignore_merges": False,
}
"""What a model must say for merges alone to decide."""


def takes(values: Mapping[str, Any]) -> bool:
    """Say whether a `tokenizer.json` is what the loops were written for: StarCoder's splitter, then plain merges."""
    model, splitter = values["model"], values.get("pre_tokenizer") or {}
    steps = splitter.get("pretokenizers", [])
    return (
        values.get("normalizer") is None
        and all((model.get(name) or default) == default for name, default in _PLAIN.items())
        and [step.get("type") for step in steps] == ["Digits", "ByteLevel"]
        and steps[0].get("individual_digits") is True
        and steps[1].get("add_prefix_space") is False
        and steps[1].get("use_regex", True) is True
        and set(letters()) <= set(model["vocab"])
    )


@cache
def letters() -> tuple[str, ...]:
    """Return the character that stands for each byte. Source: GPT-2, encoder.py, bytes_to_unicode."""
    shown = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = iter(range(256, 512))
    return tuple(chr(byte) if byte in shown else chr(next(hidden)) for byte in range(256))


@cache
def character_classes() -> npt.NDArray[np.uint8]:
    """Return the class of each code point, as `bpe_numba` counts them."""
    from stackcurate.train.bpe_numba import LETTER, NUMBER, OTHER, SPACE, UNKNOWN

    kinds = {"L": LETTER, "N": NUMBER}
    classes = np.full(0x110000, UNKNOWN, np.uint8)
    for codes in ASSIGNED:
        names = map(unicodedata.category, map(chr, codes))
        classes[codes.start : codes.stop] = [UNKNOWN if n == "Cn" else kinds.get(n[0], OTHER) for n in names]
        # What only a newer Unicode knows counts where every version gives it the same class: no letter, no number.
        for match in regex.finditer(r"[^\p{Cn}\p{Cs}\p{L}\p{N}]", "".join(map(chr, codes))):
            classes[ord(match[0])] = OTHER
    classes[PRIVATE:] = OTHER
    classes[list(WHITE_SPACE)] = SPACE
    return classes


def _room(size: int) -> tuple[npt.NDArray[Any], ...]:
    """Return what texts of that size are worked on in; fresh memory for each would cost more than the work."""
    return np.empty(size, np.int32), np.empty(size, "<u4"), np.empty(size, np.uint8), np.empty(size, np.uint8)


def make_encoder(values: Mapping[str, Any], reference: Encode) -> Encode:
    """Return the engine for a `tokenizer.json` that it takes.

    Args:
        values: the parsed file.
        reference: encodes what the loops hand back.
    """
    from stackcurate.train import bpe_numba

    vocab = values["model"]["vocab"]
    byte_ids = np.array([vocab[letter] for letter in letters()], np.uint32)
    pairs = [pair if isinstance(pair, list) else pair.split(" ") for pair in values["model"]["merges"]]
    merges = np.array([(vocab[a], vocab[b], vocab[a + b]) for a, b in pairs], np.uint32).reshape(-1, 3)
    bits = max(4, (2 * len(merges)).bit_length())
    table, shift = np.zeros((1 << bits, 2), np.uint64), np.uint64(64 - bits)
    bpe_numba.put_merges(table, *(np.ascontiguousarray(column) for column in merges.T), shift)
    cache, arena = np.zeros(bpe_numba.SLOT << bpe_numba.CACHE_BITS, np.uint64), np.zeros(bpe_numba.ARENA, np.uint64)
    memory = (cache, arena, np.zeros(2, np.uint64))
    margin, padding = bytes(bpe_numba.MARGIN), bpe_numba.PADDING + 8
    room, classes = _room(1 << 16), character_classes()

    def encode(text: str) -> bytes:
        nonlocal room
        content = text.encode()
        end = len(margin) + len(content)
        padded = np.frombuffer(b"".join((margin, content, bytes(padding - end % 8))), np.uint8)
        if end > len(room[0]) - 8:
            room = _room(2 * end)
        starts, ids, kinds, begins = room
        count = bpe_numba.word_starts(padded, end, classes, kinds, begins, starts)
        if count >= 0:
            count = bpe_numba.encode(padded, padded.view("<u8"), starts, count, ids, byte_ids, table, shift, *memory)
        return reference(text) if count < 0 else ids[:count].tobytes()

    return encode
