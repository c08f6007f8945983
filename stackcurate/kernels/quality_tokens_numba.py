"""Words and marks in an array of code points, as `quality_declarations_numba` reads them."""

from __future__ import annotations

from typing import Any

import numpy as np

from stackcurate.kernels.quality_text_numba import FAR, SPACE, WORD
from stackcurate.kernels.shingles_numba import compiled

NONE = -1
"""In place of where something ends: it does not stand there."""


def number(word: str) -> int:
    """Return the number that `number_of` gives a word.

    >>> number("ab")
    3105
    """
    h = 0
    for char in word:
        h = h * 31 + ord(char)
    return h


def numbers(words: str) -> tuple[Any, ...]:
    """Return the numbers of some words, as `marks` does."""
    return tuple(np.int64(number(word)) for word in words.split())


def marks(text: str) -> tuple[Any, ...]:
    """Return code points as numbers of NumPy: for each literal that it gets, numba compiles a function anew."""
    return tuple(np.int64(ord(char)) for char in text)


STAR, OPEN, CLOSE, COMMA, BRACE, CLOSING_BRACE, COLON, SEMICOLON, EQUALS = marks("*(),{}:;=")
LESS, GREATER, HASH_SIGN, QUOTE, APOSTROPHE, BACKSLASH, SLASH, DASH = marks("<>#\"'\\/-")


@compiled
def word_end(text: Any, at: int, classes: Any) -> int:
    """Return where the run of letters, digits and underscores at a place ends."""
    while at < len(text) and classes[text[at]] & WORD:
        at += 1
    return at


@compiled
def space_end(text: Any, at: int, classes: Any) -> int:
    """Return the place after spaces."""
    while at < len(text) and classes[text[at]] & SPACE:
        at += 1
    return at


@compiled
def number_of(text: Any, begin: int, end: int) -> int:
    """Return the number of a word; none of a long one."""
    h = 0
    for i in range(begin, min(end, begin + 12)):
        h = h * 31 + text[i]
    return h if end - begin <= 12 else NONE


@compiled
def holds(text: Any, at: int, mark: int) -> bool:
    """Say whether a mark stands at a place."""
    return at < len(text) and text[at] == mark


@compiled
def past(text: Any, at: int, mark: int) -> int:
    """Return the place after the next mark; none where it does not come."""
    for i in range(at, min(len(text), at + FAR)):
        if text[i] == mark:
            return i + 1
    return NONE


@compiled
def spaced(text: Any, at: int, word: int, classes: Any) -> int:
    """Return the place after a word and the spaces that must follow it; none where it does not stand there."""
    stop = word_end(text, at, classes)
    if number_of(text, at, stop) != word:
        return NONE
    following = space_end(text, stop, classes)
    return following if following > stop else NONE
