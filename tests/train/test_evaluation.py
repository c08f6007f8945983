"""Perplexity, fill-in-the-middle, generation and pass@k."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from stackcurate.errors import TrainError  # noqa: E402 - torch first, or all is skipped
from stackcurate.train.evaluation import EvaluationConfig, generate, infill, perplexities  # noqa: E402
from stackcurate.train.model import Model, initial_value  # noqa: E402
from stackcurate.train.problems import (  # noqa: E402
    mean_pass_at_k,
    pass_at_k,
    read_completions,
    read_problems,
    score,
    truncated,
)
from stackcurate.train.shapes import PRESETS  # noqa: E402
from stackcurate.train.stream import Stream  # noqa: E402
from tests.train.test_sandbox import locked  # noqa: E402

ADD = {
    "task_id": "made/0", "prompt": "def add(a, b):\n", "entry_point": "add",
    "test": "def check(f):\n    assert f(1, 2) == 3\n    assert f(2, 2) == 4",
}  # fmt: skip
DOUBLE = {"task_id": 11, "text": "Write a function to double.", "test_list": ["assert double(2) == 4"]}


@pytest.fixture(scope="module")
def model() -> Model:
    """A model that learned nothing."""
    shape = replace(PRESETS["tiny"], vocab_size=1024)
    made = Model(shape)
    for name, one in made.named_parameters():
        one.data.copy_(initial_value(name, shape, one.shape, seed=0))
    return made


@pytest.fixture(scope="module")
def held(stream: Stream) -> Stream:
    return replace(stream, config=replace(stream.config, held_out=2))


def test_a_model_that_learned_nothing_knows_all_languages_as_little(model: Model, held: Stream) -> None:
    found = list(perplexities(model, held, EvaluationConfig(rows=4)))

    assert len(found) >= 2
    for one in found:
        assert one.loss == pytest.approx(math.log(1024), rel=0.05)
        assert one.perplexity == pytest.approx(math.exp(one.loss))
        assert 1 < one.bits_per_byte < 10
    longer = replace(held, config=replace(held.config, sequence_length=1000))
    assert next(perplexities(model, longer, EvaluationConfig(rows=1))).tokens > 255
    with pytest.raises(TrainError, match="nothing is held out"):
        list(perplexities(model, replace(held, config=replace(held.config, held_out=0))))


def test_generation_depends_on_seed_and_number_alone(model: Model, held: Stream) -> None:
    config = EvaluationConfig(tokens=12, temperature=1.0)
    texts = [generate(model, held.tokenizer, "import os", config, number=number).text for number in (0, 0, 1)]

    assert texts[0] == texts[1] != texts[2]
    greedy = generate(model, held.tokenizer, "import os", EvaluationConfig(tokens=12), check=len)
    assert greedy.sources == len(greedy.text)
    assert not greedy.finished
    with pytest.raises(TrainError, match="a prompt has 1 to 255 tokens"):
        generate(model, held.tokenizer, "")


def test_middles_are_asked_for(model: Model, held: Stream) -> None:
    found = infill(model, held, EvaluationConfig(files=3, tokens=4))

    assert (found.files, found.exact, found.share) == (3, 0, 0.0)


def test_pass_at_k_is_the_share_of_draws_that_hold_a_pass() -> None:
    assert pass_at_k(10, 3, 1) == pytest.approx(0.3)
    assert pass_at_k(10, 3, 5) == pytest.approx(1 - (7 * 6 * 5 * 4 * 3) / (10 * 9 * 8 * 7 * 6))
    assert pass_at_k(5, 0, 5) == 0.0
    with pytest.raises(TrainError, match="at least 6 samples"):
        pass_at_k(5, 1, 6)


def test_completions_end_where_the_next_thing_begins() -> None:
    assert truncated("    return a\nprint(add(1, 2))") == "    return a"
    assert truncated("    return a\n    # said\n") == "    return a\n    # said\n"


@locked
def test_problems_are_judged(tmp_path: Path) -> None:
    problems, completions = tmp_path / "problems.jsonl", tmp_path / "completions.jsonl"
    problems.write_text(f"{json.dumps(ADD)}\n\n{json.dumps(DOUBLE)}\n")
    written = [("made/0", "    return a + b"), ("made/0", "    return 3"), ("11", "def double(x):\n    return x + x\n")]
    completions.write_text("".join(json.dumps({"task_id": t, "completion": c}) + "\n" for t, c in written))
    asked = read_problems(problems)
    given = read_completions(completions, asked)

    scores = score(asked, lambda problem: given[problem.name], jobs=2)

    assert [dict(one.statuses) for one in scores] == [{"passed": 1, "failed": 1}, {"passed": 1}]
    assert mean_pass_at_k(scores, 1) == 0.75


def test_damaged_problems_are_named(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_text('{"task_id": 1}\n')
    with pytest.raises(TrainError, match="neither HumanEval's fields nor MBPP's"):
        read_problems(path)
    path.write_text("{")
    with pytest.raises(TrainError, match="no JSON lines"):
        read_problems(path)
    path.write_text('{"task_id": "other", "completion": "pass"}\n')
    with pytest.raises(TrainError, match="no problem is called 'other'"):
        read_completions(path, [])
