"""GPTBigCode and Starcoder2 in plain torch, for fp16 without bf16 and without FlashAttention.

Weights are cast to the dtype of computation where they are used; the residual stream, norms, softmax and loss stay in
fp32. In fp32 the casts do nothing, and the logits are those of `transformers` to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from stackcurate.train.order import draw_bits
from stackcurate.train.shapes import Shape

EPSILON = 1e-5
"""Added to the variance in norms. Source: the configs of bigcode/starcoder and bigcode/starcoder2-15b."""


class Seen(NamedTuple):
    """What all layers are told of a batch, made once.

    Args:
        rotary: cosine and sine of the angles at each position, [length, head_size]; None for learned positions.
        mask: added to scores, [length, keys]; None is plain causality.
    """

    rotary: tuple[Tensor, Tensor] | None
    mask: Tensor | None


Cache = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, [batch, kv_heads, length, head_size]."""


class Linear(nn.Linear):
    """A linear layer that computes in the dtype of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `x W' + b`."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


class Norm(nn.LayerNorm):
    """A layer norm that computes in fp32."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normed rows, fp32."""
        return F.layer_norm(x.float(), self.normalized_shape, self.weight.float(), self.bias.float(), self.eps)


class Attention(nn.Module):
    """Causal attention; softmax in fp32, as every kernel of SDPA does it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        keys = shape.kv_heads * shape.head_size
        if shape.architecture == "gpt_bigcode":
            self.qkv = Linear(shape.hidden, shape.hidden + 2 * keys)
        else:
            self.q, self.k, self.v = (Linear(shape.hidden, width) for width in (shape.hidden, keys, keys))
        self.out = Linear(shape.hidden, shape.hidden)

    def _projected(self, x: Tensor) -> Sequence[Tensor]:
        shape = self.shape
        if shape.architecture == "gpt_bigcode":
            keys = shape.kv_heads * shape.head_size
            parts = self.qkv(x).split((shape.hidden, keys, keys), dim=-1)
        else:
            parts = self.q(x), self.k(x), self.v(x)
        return [part.view(*x.shape[:2], -1, shape.head_size).transpose(1, 2) for part in parts]

    def forward(self, x: Tensor, seen: Seen, cache: Cache | None, layer: int) -> Tensor:
        """Return what each token takes from those before it, [batch, length, hidden]."""
        q, k, v = self._projected(x)
        if seen.rotary is not None:
            q, k = _rotated(q, *seen.rotary), _rotated(k, *seen.rotary)
        if cache is not None:
            if layer < len(cache):
                k, v = torch.cat([cache[layer][0], k], dim=2), torch.cat([cache[layer][1], v], dim=2)
                cache[layer] = k, v
            else:
                cache.append((k, v))
        k, v = (_expanded(one, self.shape.heads) for one in (k, v))
        causal = seen.mask is None and q.shape[2] > 1
        found = F.scaled_dot_product_attention(q, k, v, seen.mask, is_causal=causal, scale=self.shape.head_size**-0.5)
        given: Tensor = self.out(found.transpose(1, 2).reshape(x.shape))
        return given


def _expanded(x: Tensor, heads: int) -> Tensor:
    """Repeat key heads. SDPA's own way to do so leaves the memory-efficient kernel, the only one a V100 has."""
    batch, groups, length, size = x.shape
    return x[:, :, None].expand(batch, groups, heads // groups, length, size).reshape(batch, heads, length, size)


def _mask(queries: int, keys: int, window: int, device: torch.device, dtype: torch.dtype) -> Tensor | None:
    """Return what is added to scores: 0 where a query sees a key, else -inf; None where plain causality says it."""
    if (not window or keys <= window) and queries in (1, keys):
        return None
    here = torch.arange(keys - queries, keys, device=device)[:, None]
    there = torch.arange(keys, device=device)[None]
    hidden = (there > here) | (there <= here - (window or keys))
    return torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, -torch.inf)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    wide = x.float()
    left, right = wide.chunk(2, dim=-1)
    return (wide * cos + torch.cat((-right, left), dim=-1) * sin).to(x.dtype)


class Block(nn.Module):
    """Attention and a feed-forward network, each behind a norm and beside the residual stream."""

    def __init__(self, shape: Shape, layer: int, *, checkpointing: bool) -> None:
        super().__init__()
        self.layer, self.checkpointing = layer, checkpointing
        self.norm_1, self.norm_2 = Norm(shape.hidden), Norm(shape.hidden)
        self.attention = Attention(shape)
        self.up, self.down = Linear(shape.hidden, shape.inner), Linear(shape.inner, shape.hidden)

    def forward(self, x: Tensor, seen: Seen, cache: Cache | None, dtype: torch.dtype) -> Tensor:
        """Return the residual stream behind the block, fp32."""
        if self.checkpointing and torch.is_grad_enabled():
            found: Tensor = checkpoint(self._forward, x, seen, cache, dtype, use_reentrant=False)
            return found
        return self._forward(x, seen, cache, dtype)

    def _forward(self, x: Tensor, seen: Seen, cache: Cache | None, dtype: torch.dtype) -> Tensor:
        x = x + self.attention(self.norm_1(x).to(dtype), seen, cache, self.layer)
        wide = F.gelu(self.up(self.norm_2(x).to(dtype)), approximate="tanh")
        found: Tensor = x + self.down(wide)
        return found


class Model(nn.Module):
    """A language model.

    Args:
        shape: its shape.
        dtype: what matrix products are computed in: fp32 or fp16.
        checkpointing: recompute activations of blocks.
        loss_chunk: tokens whose logits exist at one time.
    """

    def __init__(
        self, shape: Shape, *, dtype: torch.dtype = torch.float32, checkpointing: bool = False, loss_chunk: int = 2048
    ) -> None:
        super().__init__()
        self.shape, self.dtype, self.loss_chunk = shape, dtype, loss_chunk
        self.embed = nn.Embedding(shape.vocab_size, shape.hidden)
        if shape.architecture == "gpt_bigcode":
            self.positions = nn.Embedding(shape.positions, shape.hidden)
        self.blocks = nn.ModuleList(Block(shape, n, checkpointing=checkpointing) for n in range(shape.layers))
        self.norm = Norm(shape.hidden)
        if not shape.tied:
            self.head = Linear(shape.hidden, shape.vocab_size, bias=False)

    def forward(self, tokens: Tensor, targets: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """Return logits, or the summed loss where targets are given.

        Args:
            tokens: ids, [batch, length].
            targets: the id behind each token, [batch, length]; None asks for logits.
            cache: what was seen before; extended. An empty list begins one.

        Returns:
            Logits in the dtype of computation, [batch, length, vocab_size]; or the sum of the cross-entropy, fp32.
        """
        before = cache[0][0].shape[2] if cache else 0
        at = torch.arange(before, before + tokens.shape[1], device=tokens.device)
        x, rotary = self.embed(tokens), None
        if self.shape.architecture == "gpt_bigcode":
            x = x + self.positions(at)
        else:
            rotary = _rotary(at, self.shape)
        x = x.float()
        seen = Seen(rotary, _mask(tokens.shape[1], before + tokens.shape[1], self.shape.window, x.device, self.dtype))
        for block in self.blocks:
            x = block(x, seen, cache, self.dtype)
        x = self.norm(x).to(self.dtype)
        weight = (self.embed if self.shape.tied else self.head).weight.to(self.dtype)
        if targets is None:
            return F.linear(x, weight)
        rows, wanted = (torch.split(one, self.loss_chunk) for one in (x.flatten(0, 1), targets.flatten()))
        losses = [
            checkpoint(_loss, one, weight, right, use_reentrant=False) for one, right in zip(rows, wanted, strict=True)
        ]
        return torch.stack(losses).sum()


def _loss(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(x, weight).float(), targets, reduction="sum")


def _rotary(at: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the angles at each position, [length, head_size], fp32."""
    powers = torch.arange(0, shape.head_size, 2, device=at.device).float() / shape.head_size
    angles = torch.outer(at.float(), 1.0 / shape.rope_theta**powers)
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()


def initial_value(name: str, shape: Shape, size: torch.Size, *, seed: int, std: float = 0.0) -> Tensor:
    """Return the first value of a parameter, the same in every process and for any sharding.

    Weights are normal; those that write to the residual stream are smaller by sqrt(2 layers), norms are one, biases
    zero. Source: Nguyen and Salazar, Transformers without tears, 2019 (sqrt(2 / (5 hidden))); GPT-2 (2019).

    Args:
        name: of the parameter in `Model`.
        shape: of the model.
        size: of the parameter.
        seed: of the run.
        std: spread; 0 derives it from the width.
    """
    if name.endswith("bias"):
        return torch.zeros(size)
    if "norm" in name:
        return torch.ones(size)
    spread = std or (2 / (5 * shape.hidden)) ** 0.5
    if name.endswith(("attention.out.weight", "down.weight")):
        spread /= (2 * shape.layers) ** 0.5
    generator = torch.Generator().manual_seed(int(draw_bits(1, seed, "weights", name)[0] >> 1))
    return torch.empty(size).normal_(0.0, spread, generator=generator)
