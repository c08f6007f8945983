"""Shapes of models: sizes, counts of parameters and of operations. No torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from stackcurate.config import setting
from stackcurate.errors import TrainError

ARCHITECTURES = ("gpt_bigcode", "starcoder2")
"""GPTBigCode: one key head, learned positions. Starcoder2: grouped key heads, rotary positions, sliding window."""


@dataclass(frozen=True)
class Shape:
    """The shape of a model.

    Args:
        architecture: one of `ARCHITECTURES`.
        hidden: width of the residual stream.
        layers: number of blocks.
        heads: number of query heads.
        kv_heads: number of key and value heads.
        positions: the longest sequence.
        vocab_size: rows of the embedding.
        window: tokens back that attention sees; 0 is all.
        rope_theta: base of the rotary positions.
        tied: whether the embedding is also the head.
    """

    architecture: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int = 1
    positions: int = 8192
    vocab_size: int = 49152
    window: int = 0
    rope_theta: float = 10000.0
    tied: bool = True

    @property
    def head_size(self) -> int:
        """Width of one head."""
        return self.hidden // self.heads

    @property
    def inner(self) -> int:
        """Width between the two layers of the feed-forward network."""
        return 4 * self.hidden

    @property
    def parameters(self) -> int:
        """Number of parameters, embeddings included."""
        keys = 2 * self.kv_heads * self.head_size
        attention = self.hidden * (self.hidden + keys) + self.hidden + keys + self.hidden * self.hidden + self.hidden
        forward = 2 * self.hidden * self.inner + self.inner + self.hidden
        learned = self.positions * self.hidden if self.architecture == "gpt_bigcode" else 0
        tables = self.vocab_size * self.hidden * (1 if self.tied else 2) + learned
        return self.layers * (attention + forward + 4 * self.hidden) + 2 * self.hidden + tables

    def model_operations(self, length: int) -> float:
        """Return the floating point operations per trained token that the model needs: 6 N + 12 L d T.

        Args:
            length: tokens of a sequence (T); N counts all parameters, L layers, d the width. Attention counts in full,
                though half of it is masked. Source: Chowdhery et al., PaLM, 2022, appendix B.
        """
        return 6.0 * self.parameters + 12.0 * self.layers * self.hidden * length

    def hardware_operations(self, length: int, *, checkpointing: bool) -> float:
        """Return the operations per trained token that are really done, recomputed ones included.

        The loss recomputes its logits always (2 V d); with activation checkpointing the blocks run forward twice
        (2 (N - V d) + 4 L d T more).

        Args:
            length: tokens of a sequence.
            checkpointing: whether activations are recomputed.
        """
        head = 2.0 * self.vocab_size * self.hidden
        again = 2.0 * self.parameters - head + 4.0 * self.layers * self.hidden * length if checkpointing else 0.0
        return self.model_operations(length) + head + again


_ONE, _TWO = ARCHITECTURES
PRESETS: dict[str, Shape] = {
    "tiny": Shape(_ONE, 128, 2, 4, positions=256, vocab_size=4096),
    "125M": Shape(_ONE, 768, 12, 12, positions=2048),
    "1.1B": Shape(_ONE, 2048, 24, 16, positions=2048),
    "3B": Shape(_ONE, 2816, 36, 22),
    "7B": Shape(_ONE, 4096, 42, 32),
    "15B": Shape(_ONE, 6144, 40, 48),
    "starcoder2-tiny": Shape(_TWO, 128, 2, 4, 2, positions=256, vocab_size=4096, window=128),
    "starcoder2-3b": Shape(_TWO, 3072, 30, 24, 2, 16384, window=4096, rope_theta=999999.4420358813),
    "starcoder2-7b": Shape(_TWO, 4608, 32, 36, 4, 16384, window=4096, rope_theta=1000000.0),
    "starcoder2-15b": Shape(_TWO, 6144, 40, 48, 4, 16384, window=4096, rope_theta=100000.0, tied=False),
}
"""Shapes by name. Source: the configs of bigcode/santacoder-megatron (1.1B), of starcoderbase and starcoder2."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Which model is trained."""

    preset: str = setting("1.1B", f"one of {', '.join(PRESETS)}")
    vocab_size: int = setting(0, "rows of the embedding; 0: the tokeniser's, rounded up to a multiple of 64")
    init_std: float = setting(0.0, "spread of the first weights; 0: sqrt(2 / (5 hidden))")
    checkpointing: bool = setting(True, "recompute activations instead of keeping them")
    loss_chunk: int = setting(2048, "tokens whose logits exist at one time")

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ValueError(f"preset is one of {', '.join(PRESETS)}, not {self.preset!r}")
        if self.vocab_size < 0 or self.init_std < 0 or self.loss_chunk < 1:
            raise ValueError("vocab_size and init_std are at least 0, loss_chunk at least 1")


def make_shape(config: ModelConfig, tokens: int, length: int) -> Shape:
    """Return the shape of a model for a tokeniser and a stream.

    Args:
        config: the preset.
        tokens: size of the tokeniser's vocabulary.
        length: tokens of a sequence.

    Raises:
        TrainError: the embedding has fewer rows than there are tokens, or positions than a sequence is long.
    """
    preset = PRESETS[config.preset]
    rows = config.vocab_size or -(-tokens // 64) * 64  # tensor cores want multiples of 8, and 64 is as cheap
    if rows < tokens:
        raise TrainError(
            f"vocabulary mismatch: model.vocab_size is {rows:,}, the tokeniser has {tokens:,} tokens; "
            "set 0 to take the tokeniser's"
        )
    if length > preset.positions:
        raise TrainError(
            f"stream.sequence_length is {length:,}, the preset {config.preset} has {preset.positions:,} positions"
        )
    return replace(preset, vocab_size=rows)
