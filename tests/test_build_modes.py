"""Ways to take near-duplicates out, each in a whole build: verified, as The Stack did, and within languages."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from stackcurate import pipeline
from stackcurate.kernels.minhash import exact_jaccard
from stackcurate.workspace import open_workspace
from tests.built import decisions
from tests.corpus_text import license_text

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

WORDS = [
    first + last for first in ("tide", "wave", "wind", "reef", "salt", "deck") for last in ("s", "_of", "_in", "x")
]


def source(seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["{} = {} + {} * {}".format(*rng.sample(WORDS, 4)) for _ in range(100)]


def texts() -> dict[str, bytes]:
    """Return a chain of three, of which the ends are not similar, and a pair in two languages."""
    first, other, pair = source(1), source(2), source(3)
    chain = [first, other[:9] + first[9:], other[:18] + first[18:]]
    files = {f"{name}.py": lines for name, lines in zip("abc", chain, strict=True)}
    files |= {"e.py": pair, "e.js": [*pair, "sea_level = 0"]}
    return {name: "\n".join(lines).encode() for name, lines in files.items()}


@pytest.mark.slow
def test_modes_decide_as_they_say(spark: SparkSession, tmp_path: Path) -> None:
    folder, files = tmp_path / "inputs" / "sea", texts()
    folder.mkdir(parents=True)
    for name, text in ({"LICENSE": license_text("mit", "Sea Contributors")} | files).items():
        (folder / name).write_bytes(text)
    similar = exact_jaccard(
        [files["a.py"], files["b.py"], files["a.py"]], [files["b.py"], files["c.py"], files["c.py"]]
    )
    assert similar[0] >= 0.7 <= similar[1]
    assert similar[2] < 0.7

    def kept(version: str, *settings: str) -> set[str]:
        options = [
            f'sources.inputs=["{folder.parent}"]',
            f'workspace.path="{tmp_path / "w"}"',
            f'release.version="{version}"',
        ]
        pipeline.build(pipeline.load_config(None, [*options, "spark.partitions=2", *settings]))
        rows = decisions(open_workspace(tmp_path / "w"), version)
        return {row["path"] for row in rows if row["kept"] and row["path"] != "LICENSE"}

    assert kept("verified") == {"a.py", "c.py", "e.js"}
    assert kept("bigcode", 'near_dups.mode="bigcode"') == {"a.py", "e.js"}
    assert kept("within", "near_dups.within_language=true") == {"a.py", "c.py", "e.js", "e.py"}
    both = ('near_dups.mode="bigcode"', "near_dups.within_language=true")
    assert kept("bigcode-within", *both) == {"a.py", "e.js", "e.py"}
