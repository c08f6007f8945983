"""Attribution: all copied runs of the guaranteed length are found, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stackcurate import schema
from stackcurate.errors import ReleaseError
from stackcurate.kernels.attribution import AttributionConfig
from stackcurate.release.attribution import Attribution, credits_of, guard
from stackcurate.release.attribution_index import build_index, index_problems
from stackcurate.release.shards import encode
from stackcurate.workspace import Workspace, open_workspace, write_bytes, write_json
from tests.samples import files

CONFIG = AttributionConfig()
GPL = "GPL-3.0-only"


@pytest.fixture(scope="module")
def texts() -> list[str]:
    decoded = [
        content.decode(errors="replace") for path, content in files(600) if path.endswith((".py", ".pyi", ".c", ".js"))
    ]
    return sorted(decoded)[:60]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return open_workspace(tmp_path_factory.mktemp("attribution"))


@pytest.fixture(scope="module")
def attribution(place: Workspace, texts: list[str], spark: Any) -> Attribution:
    write_release(place, "v1", [texts[:20], texts[20:40], texts[40:]], spark)
    return Attribution(place.path("releases", "v1"))


def write_release(
    place: Workspace, version: str, shards: list[list[str]], spark: Any, tasks: int = 2, older: str | None = None
) -> dict[str, Any]:
    """Write shards of the true schema, their manifest and the index; return the index's record."""
    listed = []
    for number, contents in enumerate(shards):
        rows = [row(content, number, index) for index, content in enumerate(contents)]
        data = encode(pa.Table.from_pylist(rows, schema=schema.RELEASE.columns), 64 << 10)
        path = f"data/python/train-{number:05d}-of-{len(shards):05d}.parquet"
        write_bytes(place, data, "releases", version, path)
        size = sum(len(content.encode()) for content in contents)
        listed.append({"path": path, "sha256": hashlib.sha256(data).hexdigest(), "content_bytes": size})
    write_json(place, {"shards": listed}, "releases", version, "manifest.json")
    return build_index(spark, place, version, listed, CONFIG, tasks, older)


def row(content: str, shard: int, index: int) -> dict[str, Any]:
    empty = dict.fromkeys(schema.RELEASE.columns.names)
    size = len(content.encode())
    return empty | {"repo": f"o/r{shard}", "revision": "f" * 40, "path": f"f{index}.py",
                    "content": content, "license": GPL if shard == 1 else "MIT", "size": size,
                    "content_id": f"{shard}-{index}"}  # fmt: skip


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_each_run_of_the_guaranteed_length_is_found(attribution: Attribution, texts: list[str]) -> None:
    draw = random.Random(7)
    missed = []
    for _ in range(300):
        text = draw.choice([text for text in texts if len(squeezed(text)) > 400])
        bare = squeezed(text)
        start = draw.randrange(len(bare) - CONFIG.guaranteed)
        run = bare[start : start + CONFIG.guaranteed]
        answer = attribution.check("§ " + " ".join(run) + "\n§")
        if not any(run.encode() in squeezed(source(match.row, texts)).encode() for match in answer.matches):
            missed.append(run)

    assert missed == []


def source(row: dict[str, Any], texts: list[str]) -> str:
    shard, index = map(int, row["content_id"].split("-"))
    return texts[shard * 20 + index]


def test_what_is_reported_stands_in_the_file_it_names(attribution: Attribution, texts: list[str]) -> None:
    for text in texts[::7]:
        lines = text.splitlines(keepends=True)
        question = "x = 1  # ours\n" + "".join(lines[len(lines) // 3 :])
        for match in attribution.check(question).matches:
            found = squeezed(question.encode()[match.start : match.end].decode())
            there = source(match.row, texts).splitlines(keepends=True)
            cited = squeezed("".join(there[match.source_start_line - 1 : match.source_end_line]))
            assert found in cited
            assert len(found.encode()) >= CONFIG.guaranteed


def test_text_of_nobody_raises_no_alert(attribution: Attribution) -> None:
    draw = random.Random(3)
    words = ["alpha", "beta", "gamma", "delta", "omega", "=", "(", ")", "return", "\n"]
    for _ in range(50):
        assert attribution.check(" ".join(f"{draw.choice(words)}{draw.random():.9f}" for _ in range(300))).matches == ()


def test_short_texts_and_empty_ones_have_no_answer(attribution: Attribution) -> None:
    assert attribution.check("").matches == attribution.check("import os\n").matches == ()


def test_guard_takes_the_gravest_action(attribution: Attribution, texts: list[str]) -> None:
    decide = guard(attribution, lambda found: "block" if found == GPL else "cite")

    assert decide(texts[25])[0] == "block"
    assert decide(texts[5])[0] in ("cite", "block")
    assert decide("print('hello')")[0] == "pass"
    assert any("o/r1@ffffffffffff/f5.py#L1-" in line and GPL in line for line in credits_of(decide(texts[25])[1]))


def test_index_has_the_same_bytes_for_any_tasks_and_taken_over(place: Workspace, texts: list[str], spark: Any) -> None:
    before = write_release(place, "before", [texts[:30], texts[30:50], ["unlike = 1\n" * 40]], spark)
    changed = [texts[:30], texts[30:48], ["unlike = 1\n" * 40]]
    fresh = write_release(place, "fresh", changed, spark, tasks=1)
    taken = write_release(place, "taken", changed, spark, older="before")
    alone = write_release(place, "alone", changed, None, older="before")

    assert alone == taken == fresh != before


def test_index_is_small(place: Workspace, attribution: Attribution, texts: list[str]) -> None:
    record = json.loads((Path(place.path("releases", "v1", "attribution")) / "index.json").read_text())

    assert 0 < record["bytes"] <= 0.2 * sum(len(text.encode()) for text in texts)


def test_damage_is_named(place: Workspace, texts: list[str], spark: Any) -> None:
    write_release(place, "damaged", [texts[:3]], spark)
    shards = json.loads(Path(place.path("releases", "damaged", "manifest.json")).read_text())["shards"]
    folder = Workspace(place.path("releases", "damaged"))
    assert list(index_problems(folder, shards)) == []

    Path(folder.path("attribution", "windows", "000.bloom")).write_bytes(b"")

    assert ["000.bloom" in problem for problem in index_problems(folder, shards)] == [True]
    with pytest.raises(ReleaseError, match="no release with an attribution index"):
        Attribution(place.path("releases", "nothing"))
