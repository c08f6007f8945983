"""Models as `transformers` stores them: `config.json`, safetensors and the tokeniser, read and written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stackcurate.errors import MissingDependencyError, TrainError
from stackcurate.train.documents import END
from stackcurate.train.model import EPSILON, Model
from stackcurate.train.shapes import Shape
from stackcurate.train.tokenizer import Tokenizer

SHARD_BYTES = 5 << 30
"""The most bytes of one file of weights; what `transformers` writes too."""
_NAMES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "gpt_bigcode": (
        ("embed", "transformer.wte"), ("positions", "transformer.wpe"), ("norm", "transformer.ln_f"),
        ("blocks", "transformer.h"), ("norm_1", "ln_1"), ("norm_2", "ln_2"), ("attention.qkv", "attn.c_attn"),
        ("attention.out", "attn.c_proj"), ("up", "mlp.c_fc"), ("down", "mlp.c_proj"),
    ),
    "starcoder2": (
        ("embed", "model.embed_tokens"), ("norm", "model.norm"), ("head", "lm_head"), ("blocks", "model.layers"),
        ("norm_1", "input_layernorm"), ("norm_2", "post_attention_layernorm"), ("attention.q", "self_attn.q_proj"),
        ("attention.k", "self_attn.k_proj"), ("attention.v", "self_attn.v_proj"), ("attention.out", "self_attn.o_proj"),
        ("up", "mlp.c_fc"), ("down", "mlp.c_proj"),
    ),
}  # fmt: skip
"""Our names and theirs; those of a block's parts follow `blocks.<layer>.`."""


def their_name(name: str, architecture: str) -> str:
    """Return the name of a parameter in `transformers`.

    >>> their_name("blocks.3.attention.qkv.bias", "gpt_bigcode")
    'transformer.h.3.attn.c_attn.bias'
    """
    names = dict(_NAMES[architecture])
    inner = re.fullmatch(r"blocks\.(\d+)\.(.+)\.(\w+)", name)
    if inner:
        return f"{names['blocks']}.{inner[1]}.{names[inner[2]]}.{inner[3]}"
    part, _, leaf = name.rpartition(".")
    return f"{names[part]}.{leaf}"


def to_config(shape: Shape, end: int, dtype: torch.dtype) -> dict[str, Any]:
    """Return the `config.json` of a shape.

    Args:
        shape: the shape.
        end: id of the token between documents.
        dtype: of the weights.
    """
    both: dict[str, Any] = {
        "model_type": shape.architecture, "vocab_size": shape.vocab_size, "tie_word_embeddings": shape.tied,
        "torch_dtype": str(dtype).removeprefix("torch."), "bos_token_id": end, "eos_token_id": end,
    }  # fmt: skip
    if shape.architecture == "gpt_bigcode":
        return both | {
            "architectures": ["GPTBigCodeForCausalLM"], "n_embd": shape.hidden, "n_layer": shape.layers,
            "n_head": shape.heads, "n_inner": shape.inner, "n_positions": shape.positions, "multi_query": True,
            "activation_function": "gelu_pytorch_tanh", "layer_norm_epsilon": EPSILON, "scale_attn_weights": True,
            "attention_softmax_in_fp32": True, "scale_attention_softmax_in_fp32": True,
            "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
        }  # fmt: skip
    return both | {
        "architectures": ["Starcoder2ForCausalLM"], "hidden_size": shape.hidden, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads, "intermediate_size": shape.inner,
        "max_position_embeddings": shape.positions, "sliding_window": shape.window or None,
        "rope_theta": shape.rope_theta, "hidden_act": "gelu_pytorch_tanh", "norm_epsilon": EPSILON, "use_bias": True,
    }  # fmt: skip


def from_config(values: Mapping[str, Any]) -> Shape:
    """Return the shape that a `config.json` describes.

    Raises:
        TrainError: it is no model of ours, or one of a kind that is not trained here.
    """
    try:
        kind, size = values["model_type"], values["vocab_size"]
        if kind == "gpt_bigcode" and values.get("multi_query", True):
            hidden, layers, heads = values["n_embd"], values["n_layer"], values["n_head"]
            shape = Shape(kind, hidden, layers, heads, 1, values["n_positions"], size)
            inner, activation = values.get("n_inner"), values["activation_function"]
        elif kind == "starcoder2" and values.get("use_bias", True):
            theta = values.get("rope_theta") or values["rope_parameters"]["rope_theta"]
            heads, keys = values["num_attention_heads"], values["num_key_value_heads"]
            sizes = values["hidden_size"], values["num_hidden_layers"], heads, keys, values["max_position_embeddings"]
            tied = values.get("tie_word_embeddings", True)
            shape = Shape(kind, *sizes, size, values.get("sliding_window") or 0, float(theta), tied)
            inner, activation = values["intermediate_size"], values["hidden_act"]
        else:
            raise TrainError(f"{kind}: expected gpt_bigcode with one key head, or starcoder2 with biases")
    except (KeyError, TypeError) as error:
        raise TrainError(f"no config of a model ({error!r})") from error
    if inner not in (None, shape.inner) or activation not in ("gelu_pytorch_tanh", "gelu_fast"):
        raise TrainError(f"inner width {inner} and {activation} are not trained here; expected {shape.inner} and GELU")
    return shape


def save_pretrained(
    model: Model,
    tokenizer: Tokenizer,
    folder: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    shard: int = SHARD_BYTES,
) -> None:
    """Write a model that `from_pretrained` loads.

    Args:
        model: not sharded over processes.
        tokenizer: its tokeniser.
        folder: a new one.
        dtype: of the weights in the files.
        shard: the most bytes of one file.

    Raises:
        TrainError: the folder holds a model already.
    """
    from safetensors.torch import save_file

    place = Path(folder)
    if (place / "config.json").exists():
        raise TrainError(f"{folder}: holds a model already; give another folder")
    place.mkdir(parents=True, exist_ok=True)
    kind, end = model.shape.architecture, tokenizer.special_ids([END])[END]
    weights = {
        their_name(name, kind): one.detach().to("cpu", dtype).contiguous() for name, one in model.named_parameters()
    }
    parts = _parts(weights, shard)
    index: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        file = "model.safetensors" if len(parts) == 1 else f"model-{number:05d}-of-{len(parts):05d}.safetensors"
        save_file(part, place / file, metadata={"format": "pt"})
        index |= dict.fromkeys(part, file)
    if len(parts) > 1:
        total = sum(one.nbytes for one in weights.values())
        _write_json(place / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index})
    (place / "tokenizer.json").write_text(tokenizer.text, encoding="utf-8")
    names = {"bos_token": END, "eos_token": END, "unk_token": END, "model_max_length": model.shape.positions}
    _write_json(place / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})
    _write_json(place / "config.json", to_config(model.shape, end, dtype))  # last: it says that the rest is there


def _parts(weights: Mapping[str, Tensor], most: int) -> list[dict[str, Tensor]]:
    parts: list[dict[str, Tensor]] = [{}]
    for name, one in weights.items():
        if parts[-1] and sum(other.nbytes for other in parts[-1].values()) + one.nbytes > most:
            parts.append({})
        parts[-1][name] = one
    return parts


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_pretrained(folder: str | Path, *, dtype: torch.dtype = torch.float32) -> Model:
    """Load a GPTBigCode or Starcoder2 model from a folder of `transformers`; nothing in it is executed.

    Args:
        folder: with `config.json` and safetensors.
        dtype: of the computation; parameters are fp32 where files say so.

    Raises:
        TrainError: it is missing, damaged, or no model of ours.
        MissingDependencyError: safetensors is missing.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise MissingDependencyError('safetensors is missing: pip install "stackcurate[train]"') from None

    place = Path(folder)
    try:
        shape = from_config(json.loads((place / "config.json").read_text(encoding="utf-8")))
        files = sorted(place.glob("model*.safetensors"))
        weights = {name: one for file in files for name, one in load_file(file).items()}
    except (OSError, ValueError, SafetensorError) as error:
        raise TrainError(f"{folder}: no model that can be read ({error})") from error
    with torch.device("meta"):
        model = Model(shape, dtype=dtype)
    theirs = {their_name(name, shape.architecture): name for name, _ in model.named_parameters()}
    weights.pop("lm_head.weight", None) if shape.tied else None
    if missing := sorted(theirs.keys() - weights.keys()):
        raise TrainError(f"{folder}: lacks {len(missing)} weights, such as {missing[0]}; fetch the model again")
    named = {ours: weights[name] for name, ours in theirs.items()}
    try:
        model.load_state_dict(named, assign=True)
    except RuntimeError as error:
        raise TrainError(f"{folder}: weights of another shape than config.json says ({error})") from error
    return model
