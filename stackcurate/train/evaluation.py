"""Evaluation: perplexity by language, fill-in-the-middle, and generation that knows where its words come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stackcurate.config import setting
from stackcurate.errors import TrainError
from stackcurate.train.documents import END, MIDDLE, PREFIX, SUFFIX, USED_TOKENS, DocumentConfig, documents
from stackcurate.train.model import Cache, Model
from stackcurate.train.order import draw_units
from stackcurate.train.shards import read_group
from stackcurate.train.stream import Stream, held_out
from stackcurate.train.tokenizer import Tokenizer, encode_pieces

Check = Callable[[str], Any]
"""What says of which files a text is a copy, such as `Attribution(release).check`."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How models are evaluated."""

    rows: int = setting(64, "most rows per language for perplexity")
    files: int = setting(100, "most files for fill-in-the-middle")
    tokens: int = setting(128, "most tokens that are generated")
    temperature: float = setting(0.0, "spread of generation; 0 takes the likeliest token")
    top_p: float = setting(0.95, "share of probability that is drawn from, where temperature is not 0")
    samples: int = setting(1, "programs per problem; pass@k needs at least k")
    seed: int = setting(0, "seed of all draws")

    def __post_init__(self) -> None:
        if min(self.rows, self.files, self.tokens, self.samples) < 1:
            raise ValueError("rows, files, tokens and samples are at least 1")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError("temperature is at least 0, top_p above 0 and at most 1")


@dataclass(frozen=True)
class Perplexity:
    """How well a model knows a language.

    Args:
        language: its name.
        tokens: how many were predicted.
        loss: nats per token.
        bits_per_byte: of text, which compares models of different tokenisers.
    """

    language: str
    tokens: int
    loss: float
    bits_per_byte: float

    @property
    def perplexity(self) -> float:
        """The exponential of the loss."""
        return math.exp(self.loss)


def perplexities(model: Model, stream: Stream, config: EvaluationConfig = EvaluationConfig()) -> Iterator[Perplexity]:
    """Yield the perplexity of each language on the row groups that the stream holds out, without rearrangement.

    Args:
        model: of the stream's tokeniser.
        stream: with `held_out` set; its rows are cut to the positions of the model.
        config: how many rows.

    Raises:
        TrainError: nothing is held out, or the model has fewer tokens than the tokeniser.
    """
    check_vocabulary(model, stream.tokenizer)
    groups = held_out(stream)
    if not groups:
        raise TrainError(
            "nothing is held out: set stream.held_out before training, to no more than the row groups of a language"
        )
    width = min(stream.config.sequence_length, model.shape.positions) + 1
    plain = replace(stream.config, fim_rate=0.0)
    for language, members in groups.items():
        ids, size = _tokens(stream, members, plain, config.rows * width)
        if len(ids) < 2:
            continue
        rows = [ids[start : start + width] for start in range(0, len(ids) - 1, width - 1)]
        with torch.no_grad():
            losses = [float(_summed(model, row)) for row in rows]
        predicted = sum(len(row) - 1 for row in rows)
        yield Perplexity(language, predicted, sum(losses) / predicted, sum(losses) / math.log(2) / size)


def _tokens(stream: Stream, groups: Sequence[int], plain: DocumentConfig, most: int) -> tuple[Tensor, int]:
    """Return ids of the documents of row groups, at most so many, and the bytes of text behind them."""
    ids = stream.tokenizer.special_ids(USED_TOKENS[plain.format])
    special = {name: np.array([one], "<u4").tobytes() for name, one in ids.items()}
    parts: list[bytes] = []
    size = count = 0
    for group in groups:
        for document in documents(read_group(stream.shards, group), group, 0, stream.config.seed, plain):
            if count >= most:
                break
            parts.append(encode_pieces(document.pieces, special, stream.tokenizer.encode))
            count += len(parts[-1]) // 4
            size += sum(len(piece.encode()) for piece in document.pieces if isinstance(piece, str))
    return torch.from_numpy(np.frombuffer(b"".join(parts), "<u4").astype(np.int64)), max(size, 1)


def _summed(model: Model, row: Tensor) -> Tensor:
    one = row[None].to(next(model.parameters()).device)
    loss: Tensor = model(one[:, :-1], one[:, 1:])
    return loss


def check_vocabulary(model: Model, tokenizer: Tokenizer) -> None:
    """Refuse a tokeniser with more tokens than the model knows.

    Raises:
        TrainError: with both sizes.
    """
    if tokenizer.vocab_size > model.shape.vocab_size:
        raise TrainError(
            f"vocabulary mismatch: the model has {model.shape.vocab_size:,} tokens, "
            f"the tokeniser {tokenizer.vocab_size:,}"
        )


@dataclass(frozen=True)
class Generated:
    """What a model wrote.

    Args:
        text: it.
        finished: whether the model ended it; else the limit did.
        sources: what the check says of it; None without a check.
    """

    text: str
    finished: bool
    sources: Any = None


def generate(
    model: Model, tokenizer: Tokenizer, prompt: str | Sequence[int], config: EvaluationConfig = EvaluationConfig(),
    *, number: int = 0, check: Check | None = None,
) -> Generated:  # fmt: skip
    """Let a model go on from a prompt.

    Args:
        model: the model.
        tokenizer: its tokeniser.
        prompt: ordinary text, or ids, which may hold special tokens.
        config: length and spread.
        number: of the sample; each number draws its own.
        check: asked about the text that was generated, such as an attribution index's.

    Raises:
        TrainError: the prompt is empty or leaves no position free.
    """
    check_vocabulary(model, tokenizer)
    device = next(model.parameters()).device
    ids = _ids(tokenizer, prompt) if isinstance(prompt, str) else list(prompt)
    room = model.shape.positions - len(ids)
    if not ids or room < 1:
        raise TrainError(f"a prompt has 1 to {model.shape.positions - 1:,} tokens, this one {len(ids):,}")
    end = tokenizer.special_ids([END])[END]
    draws = draw_units(config.tokens, config.seed, "generate", number)
    cache: Cache = []
    found: list[int] = []
    follow = torch.tensor([ids], device=device)
    with torch.no_grad():
        for draw in draws[:room].tolist():
            logits = model(follow, cache=cache)[0, -1].float()[: tokenizer.vocab_size]
            token = _drawn(logits, draw, config)
            if token == end:
                break
            found.append(token)
            follow = torch.tensor([[token]], device=device)
        else:
            token = -1
    text = tokenizer.decode(found)
    return Generated(text, token == end, None if check is None else check(text))


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return [int(one) for one in np.frombuffer(tokenizer.encode(text), "<u4")]


def _drawn(logits: Tensor, draw: float, config: EvaluationConfig) -> int:
    """Return the likeliest token, or one from the smallest set that holds `top_p` of the probability."""
    if config.temperature == 0:
        return int(logits.argmax())
    shares, order = torch.softmax(logits / config.temperature, dim=-1).sort(descending=True)
    sums = shares.cumsum(-1)
    kept = int((sums - shares < config.top_p).sum())
    place = int(torch.searchsorted(sums[:kept].contiguous(), draw * float(sums[kept - 1])))
    return int(order[min(place, kept - 1)])


@dataclass(frozen=True)
class Infill:
    """How many middles were filled in exactly."""

    files: int
    exact: int

    @property
    def share(self) -> float:
        """Exact ones among all."""
        return self.exact / max(1, self.files)


def infill(model: Model, stream: Stream, config: EvaluationConfig = EvaluationConfig()) -> Infill:
    """Take one line out of each held-out file, let the model fill it in, and count exact matches.

    Source: Bavarian et al., Efficient training of language models to fill in the middle, 2022 (single-line infilling).

    Args:
        model: of the stream's tokeniser.
        stream: with `held_out` set.
        config: how many files and tokens.
    """
    check_vocabulary(model, stream.tokenizer)
    special = stream.tokenizer.special_ids([PREFIX, SUFFIX, MIDDLE])
    asked = exact = 0
    most = model.shape.positions - config.tokens
    for content in _held_out_files(stream):
        if asked >= config.files:
            break
        cut = _cut_line(content, asked, config.seed)
        if cut is None:
            continue
        before, line, after = cut
        left, right = _ids(stream.tokenizer, before), _ids(stream.tokenizer, after)
        share = max(1, (most - 3) // 2)
        prompt = [special[PREFIX], *left[-share:], special[SUFFIX], *right[:share], special[MIDDLE]]
        asked += 1
        written = generate(model, stream.tokenizer, prompt, replace(config, temperature=0.0))
        exact += written.text.strip() == line.strip()
    return Infill(asked, exact)


def _held_out_files(stream: Stream) -> Iterator[str]:
    for members in held_out(stream).values():
        for group in members:
            yield from read_group(stream.shards, group, ["content"])["content"].to_pylist()


def _cut_line(content: str, number: int, seed: int) -> tuple[str, str, str] | None:
    """Return a file before, within and after one of its lines that says something; None where there is none."""
    lines = content.splitlines(keepends=True)
    full = [index for index, line in enumerate(lines) if line.strip()]
    if len(full) < 3:
        return None
    at = full[int(draw_units(1, seed, "line", number)[0] * len(full))]
    body = lines[at].rstrip("\r\n")
    return "".join(lines[:at]), body, lines[at][len(body) :] + "".join(lines[at + 1 :])
