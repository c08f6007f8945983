"""The classifier for files that no rule decides: which candidate's centroid is nearest to the tokens of the text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

import pyarrow.parquet as pq

from stackcurate.kernels.language_heuristics import CONSIDERED
from stackcurate.kernels.language_tokens import tokens


@cache
def weights() -> Mapping[str, Mapping[str, int]]:
    """Read the packaged weights of tokens by language, once per process."""
    found: dict[str, dict[str, int]] = {}
    with files("stackcurate").joinpath("data", "linguist", "classifier.parquet").open("rb") as file:
        columns = pq.read_table(file).to_pydict()
    for language, token, weight in zip(*columns.values(), strict=True):
        found.setdefault(language, {})[token] = weight
    return found


def scores(text: str, candidates: Iterable[str]) -> dict[str, float]:
    """Score how near a text is to each candidate.

    The score is the product of the text's and the candidate's TF-IDF vectors, as in Linguist, but for the length of
    the text's vector, which is the same for all.

    Args:
        text: source text; its first ``CONSIDERED`` characters count.
        candidates: languages; one without samples scores 0.

    >>> found = scores("(defun f (x) (car x))", ["Common Lisp", "OpenCL"])
    >>> max(found, key=found.get)
    'Common Lisp'
    """
    frequency = {token: 1 + math.log(count) for token, count in tokens(text[:CONSIDERED]).items()}
    known = {language: weights().get(language, {}) for language in candidates}
    return {
        language: sum(value * weight.get(token, 0) for token, value in frequency.items())
        for language, weight in known.items()
    }
