"""The tokeniser: byte-level BPE as `tokenizer.json`, encoded by the fast engine where its ids are proven equal.

Text is always encoded as ordinary text: a `<|endoftext|>` that a source file spells out stays what it is. Special
tokens come from the stream alone, by id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stackcurate.config import setting
from stackcurate.errors import MissingDependencyError, TrainError
from stackcurate.train.bpe import Encode, letters, make_encoder, takes
from stackcurate.train.documents import SPECIAL_TOKENS, Piece
from stackcurate.train.order import draw_bits, permutation
from stackcurate.train.shards import Shards, read_group

FAST, REFERENCE = "numba", "tokenizers"
"""The engines; the reference defines what is right."""
PROBES = (
    "def f(x):\n    return x + 1\n",
    "\t\tif (a != b) { c[12] = 0x3F; }  // 1234567890\r\n\r\n   \n",
    "don't I'LL we've they'Re 'sS 'tis it''s",
    "<|endoftext|><fim_prefix>x<fim_suffix><reponame> <file_sep>\n<gh_stars>1-10 <fim_middle>",
    "１２３ ½ ² Ⅷ ٣٤ 𝟘𝟙 a٠١ 中文 123中 Ωmega ﷺ ß",
    "\u00a0\u2003 a\u3000b\u2028c\x85d\ufeff#!\x00\x01\x7f\u200b\u200d",
    "e\u0301 👩\u200d👩\u200d👧 🇫🇷 \ud7ff\ue000\ufffd\U0010ffff",
    "x" * 300 + " " * 100 + "\n" * 50 + "=" * 80 + "\t" * 40 + "1" * 40,
)
"""Texts on which engines are known to differ: digits, spaces, contractions, specials spelled out, odd characters."""
_PROBED_TOKENS = 3000


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How a tokeniser is trained."""

    vocab_size: int = setting(49152, "number of tokens, special ones included")
    format: str = setting("starcoder", "whose special tokens: `starcoder` or `starcoder2`")
    sample_bytes: int = setting(1 << 30, "bytes of text to train on, drawn row group by row group")
    seed: int = setting(0, "seed of that draw")

    def __post_init__(self) -> None:
        if self.format not in SPECIAL_TOKENS:
            raise ValueError(f"format is one of {', '.join(SPECIAL_TOKENS)}, not {self.format!r}")
        least = len(SPECIAL_TOKENS[self.format]) + 256
        if self.vocab_size < least:
            raise ValueError(f"vocab_size is at least {least}: the bytes and the special tokens")
        if self.sample_bytes < 1:
            raise ValueError("sample_bytes is at least 1")


@dataclass(frozen=True)
class Tokenizer:
    """A tokeniser that is loaded. Pickles.

    Args:
        text: its `tokenizer.json`.
        engine: which engine encodes, `numba` or `tokenizers`.
    """

    text: str
    engine: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `tokenizer.json`."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def vocab(self) -> Mapping[str, int]:
        """The id of each token as byte-level BPE spells it, special ones included."""
        values = _parse(self.text)
        return dict(values["model"]["vocab"]) | {token["content"]: token["id"] for token in values["added_tokens"]}

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return max(self.vocab.values()) + 1

    @property
    def dtype(self) -> type[np.uint16] | type[np.uint32]:
        """The smallest type that holds every id."""
        return np.uint16 if self.vocab_size <= 1 << 16 else np.uint32

    @cached_property
    def encode(self) -> Encode:
        """Encode a text as ordinary text to little-endian uint32."""
        return _engine(self.engine, self.text)

    def __getstate__(self) -> dict[str, str]:
        """Pickle what it was made from; engines do not pickle."""
        return {"text": self.text, "engine": self.engine}

    def special_ids(self, names: Iterable[str]) -> dict[str, int]:
        """Return the ids of special tokens.

        Raises:
            TrainError: the tokeniser lacks one.
        """
        wanted = list(names)
        if missing := [name for name in wanted if name not in self.vocab]:
            raise TrainError(f"the tokeniser lacks {', '.join(missing)}; train one with this format's special tokens")
        return {name: self.vocab[name] for name in wanted}

    def decode(self, ids: Sequence[int] | npt.NDArray[Any]) -> str:
        """Return the text of ids, special tokens spelled out."""
        return str(_reference(self.text).decode([int(one) for one in ids], skip_special_tokens=False))


def load_tokenizer(path: str | Path, *, engine: str | None = None) -> Tokenizer:
    """Load a `tokenizer.json`; the fast engine encodes if it gives the reference's ids on the probes.

    Args:
        path: the file.
        engine: `numba` or `tokenizers`; None chooses.

    Raises:
        TrainError: it is missing, damaged, no byte-level BPE, or the engine asked for is not exact.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        model, special = _parse(text)["model"]["type"], _parse(text)["added_tokens"]
    except FileNotFoundError:
        raise TrainError(f"{path}: no tokeniser here; `stackcurate train tokenizer` makes one") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{path}: no tokenizer.json ({error!r})") from error
    if model != "BPE" or not special:
        raise TrainError(f"{path}: expected a byte-level BPE with special tokens, found {model} with {len(special)}")
    if engine is None:
        engine = FAST if is_exact(text) else REFERENCE
    elif engine not in (FAST, REFERENCE):
        raise TrainError(f"engine is {FAST} or {REFERENCE}, not {engine!r}")
    elif engine == FAST and not is_exact(text):
        raise TrainError(f"{path}: {FAST} is missing or gives other ids than {REFERENCE}; leave the engine to us")
    return Tokenizer(text, engine)


def is_exact(text: str) -> bool:
    """Say whether the fast engine is installed and gives the reference's ids on texts that engines differ on.

    Args:
        text: a `tokenizer.json`.
    """
    try:
        fast = _engine(FAST, text)
    except MissingDependencyError:
        return False
    right = _engine(REFERENCE, text)
    return all(fast(probe) == right(probe) for probe in (*PROBES, _probe(text)))


def _probe(text: str) -> str:
    """Return a text of tokens drawn from the vocabulary, so that rare merges are tried too."""
    tokens = sorted(_parse(text)["model"]["vocab"])
    drawn = (draw_bits(_PROBED_TOKENS, "probe") % np.uint64(len(tokens))).tolist()
    byte_of = {letter: byte for byte, letter in enumerate(letters())}
    return b"".join(bytes(byte_of.get(c, 63) for c in tokens[index]) for index in drawn).decode(errors="replace")


@lru_cache(maxsize=2)
def _parse(text: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(text)
    return values


@lru_cache(maxsize=2)
def _ordinary(text: str) -> Any:
    """Return the reference without special tokens or additions, so that all text is ordinary."""
    without: dict[str, Any] = {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    return _reference(json.dumps(_parse(text) | without))


@lru_cache(maxsize=4)
def _engine(name: str, text: str) -> Encode:
    tokenizer = _ordinary(text)

    def reference(text: str) -> bytes:
        return np.array(tokenizer.encode(text, add_special_tokens=False).ids, "<u4").tobytes()

    if name == REFERENCE:
        return reference
    if find_spec("numba") is None or not takes(_parse(text)):
        raise MissingDependencyError(
            "the fast engine needs numba and StarCoder's splitter; pip install 'stackcurate[tokenizer]'"
        )
    return make_encoder(_parse(text), reference)


def _reference(text: str) -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingDependencyError("tokenizers is not installed; pip install 'stackcurate[tokenizer]'") from None
    return tokenizers.Tokenizer.from_str(text)


def encode_pieces(pieces: Iterable[Piece], special: Mapping[str, bytes], encode: Encode) -> bytes:
    """Return the ids of a document as little-endian uint32.

    Args:
        pieces: texts and special tokens, in order.
        special: the id of each special token, as little-endian uint32.
        encode: the engine.
    """
    return b"".join([encode(piece) if type(piece) is str else special[piece[0]] for piece in pieces])


def train_tokenizer(shards: Shards, config: TokenizerConfig = TokenizerConfig()) -> str:
    """Train on a release and return the `tokenizer.json`.

    Digits stand alone and words are cut as GPT-2 cuts them. Source: StarCoder (2023), section 5.2.

    Args:
        shards: the release.
        config: size, special tokens and sample.

    Raises:
        TrainError: the text holds fewer different pairs than the vocabulary asks for.
    """
    from tokenizers import Tokenizer as Reference
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokenizer = Reference(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=list(SPECIAL_TOKENS[config.format]),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_sample(shards, config), trainer)
    if tokenizer.get_vocab_size() < config.vocab_size:
        raise TrainError(
            f"the sample yields {tokenizer.get_vocab_size()} tokens, not {config.vocab_size}; "
            "set a smaller vocab_size or take more text"
        )
    return str(tokenizer.to_str(pretty=True))


def save_tokenizer(text: str, path: str | Path) -> None:
    """Write a `tokenizer.json`; never over another one.

    Raises:
        TrainError: the path is taken.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise TrainError(f"{path}: cannot be written ({error.strerror}); give another path") from None


def _sample(shards: Shards, config: TokenizerConfig) -> Iterable[list[str]]:
    left = config.sample_bytes
    for group in permutation(len(shards.rows), config.seed, "tokenizer").tolist():
        if left <= 0:
            return
        yield read_group(shards, group, ["content"])["content"].to_pylist()
        left -= int(shards.sizes[group])
