"""A model that learned a file by heart: what it generates is a copy, and the copy is reported with its source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stackcurate.kernels.attribution import AttributionConfig
from stackcurate.release.attribution_index import build_index
from stackcurate.workspace import Workspace
from tests.train.releases import row, write_release
from tests.train.test_verbs import run

pytestmark = pytest.mark.usefixtures("one_thread")
LEARNED = '''def halve(numbers, wanted):
    """Return where a sorted list holds a number, or would hold it."""
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low
'''
SETTINGS = (
    "tokenizer.vocab_size=340", "stream.fim_rate=0.0", "stream.sequence_length=160", "stream.path_share=0",
    "stream.repository_share=0", "stream.stars_share=0", "train.batch_rows=4", "train.micro_rows=4",
    "train.warmup_steps=5",
    "train.learning_rate=0.005", "train.weight_decay=0", "train.checkpoint_every=1000",
)  # fmt: skip


def test_a_copy_is_reported_with_its_source(tmp_path: Path) -> None:
    release, folder, model = tmp_path / "releases" / "v1", tmp_path / "run", tmp_path / "model"
    write_release(release, [row("made/search", "src/halve.py", LEARNED)])
    shards = json.loads((release / "manifest.json").read_text())["shards"]
    build_index(None, Workspace(str(tmp_path)), "v1", shards, AttributionConfig())
    settings = [part for one in SETTINGS for part in ("--set", one)]

    run("--preset", "tiny", "--release", release, "--output", folder, "--steps", "60", *settings)
    run("export", folder, "-o", model)
    start = "def halve(numbers, wanted):"
    said = run("generate", model, start, "--release", release, "--set", "evaluation.tokens=120")

    assert LEARNED[:300] in said
    assert f"are a copy of made/search@{'1' * 12}/src/halve.py#L2-L10 (MIT)" in said
    said = run("generate", model, start, "--release", release, "--set", "evaluation.tokens=3")
    assert "nothing was copied: no run of 99 bytes" in said
