"""The models beside those of `transformers`, and their way there and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from stackcurate.errors import TrainError  # noqa: E402 - torch first, or all is skipped
from stackcurate.train.model import Cache, Model, initial_value  # noqa: E402
from stackcurate.train.pretrained import load_pretrained, save_pretrained  # noqa: E402
from stackcurate.train.shapes import PRESETS, Shape  # noqa: E402
from stackcurate.train.tokenizer import Tokenizer  # noqa: E402

SHAPES = {
    "gpt_bigcode": replace(PRESETS["tiny"], vocab_size=1000),
    "starcoder2": replace(PRESETS["starcoder2-tiny"], vocab_size=1000, rope_theta=123456.0),
    "untied": replace(PRESETS["starcoder2-tiny"], vocab_size=1000, tied=False, window=0),
}


def make(shape: Shape, dtype: torch.dtype = torch.float32, **more: int) -> Model:
    """Return a model whose norms and biases are not trivial."""
    model = Model(shape, dtype=dtype, **more)
    spread = torch.Generator().manual_seed(1)
    for name, one in model.named_parameters():
        value = initial_value(name, shape, one.shape, seed=0)
        one.data.copy_(value + 0.02 * torch.randn(one.shape, generator=spread) if one.ndim == 1 else value)
    return model


def ids(length: int) -> torch.Tensor:
    return torch.randint(0, 1000, (2, length), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_transformers(name: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = make(SHAPES[name])
    save_pretrained(model, tokenizer, tmp_path / "model")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()

    with torch.no_grad():
        for length in (1, 64, 200):  # the last is longer than the sliding window
            wide, given = model(ids(length)), theirs(ids(length)).logits
            assert (wide - given).abs().max().item() == 0.0, length
        half = make(SHAPES[name], torch.float16)
        narrow, given = half(ids(200)).float(), theirs.half()(ids(200)).logits.float()
        assert (narrow - given).abs().max().item() <= 1e-2
        assert (narrow - wide).abs().max().item() <= (given - wide).abs().max().item()  # fp32 where it matters


@pytest.mark.parametrize("name", SHAPES)
def test_models_come_back(name: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = make(SHAPES[name])
    save_pretrained(model, tokenizer, tmp_path / "ours", shard=1 << 20)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    theirs.save_pretrained(tmp_path / "theirs")

    for folder in ("ours", "theirs"):
        back = load_pretrained(tmp_path / folder)
        assert back.shape == model.shape
        assert all((one == dict(model.named_parameters())[n]).all() for n, one in back.named_parameters())
    assert len(list((tmp_path / "ours").glob("*.safetensors"))) > 1
    words = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert words("def f(x):")["input_ids"] == list(
        torch.frombuffer(bytearray(tokenizer.encode("def f(x):")), dtype=torch.int32)
    )
    with pytest.raises(TrainError, match="holds a model already"):
        save_pretrained(model, tokenizer, tmp_path / "ours")


def test_damaged_models_are_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_pretrained(make(SHAPES["gpt_bigcode"]), tokenizer, folder)
    config = json.loads((folder / "config.json").read_text())

    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 2000}))
    with pytest.raises(TrainError, match="weights of another shape"):
        load_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config | {"n_layer": 3}))
    with pytest.raises(TrainError, match=r"lacks 12 weights, such as transformer\.h\.2"):
        load_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    with pytest.raises(TrainError, match="expected gpt_bigcode"):
        load_pretrained(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(TrainError, match="no model that can be read"):
        load_pretrained(folder)


@pytest.mark.parametrize("name", ["gpt_bigcode", "starcoder2"])
def test_a_cache_changes_nothing(name: str) -> None:
    model, tokens = make(SHAPES[name]), ids(160)
    cache: Cache = []

    with torch.no_grad():
        parts = [model(tokens[:, :70], cache=cache), model(tokens[:, 70:150], cache=cache)]
        parts += [model(tokens[:, at : at + 1], cache=cache) for at in range(150, 160)]
        assert torch.cat(parts, dim=1) == pytest.approx(model(tokens), abs=1e-4)


def test_loss_and_gradient_do_not_depend_on_chunks_or_checkpointing() -> None:
    rows = ids(65)
    found = []
    for chunk, checkpointing in ((10_000, False), (7, True)):
        model = make(SHAPES["starcoder2"], loss_chunk=chunk, checkpointing=checkpointing)
        loss = model(rows[:, :-1], rows[:, 1:])
        loss.backward()
        found.append((loss.item(), model.blocks[0].up.weight.grad))
    logits = torch.nn.functional.cross_entropy(
        model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten(), reduction="sum"
    )

    assert found[0][0] == pytest.approx(logits.item(), rel=1e-6)
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    assert torch.allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("preset", "billions"),
    [("1.1B", 1.125), ("3B", 3.043), ("7B", 7.327), ("15B", 15.517), ("starcoder2-3b", 3.030), ("starcoder2-7b", 7.174),
     ("starcoder2-15b", 15.958)],
)  # fmt: skip
def test_presets_have_the_published_sizes(preset: str, billions: float) -> None:
    with torch.device("meta"):
        counted = sum(one.numel() for one in Model(PRESETS[preset]).parameters())

    assert counted == PRESETS[preset].parameters
    assert counted / 1e9 == pytest.approx(billions, abs=0.001)
