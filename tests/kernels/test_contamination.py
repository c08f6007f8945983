"""Contamination: texts of benchmarks are found in every disguise, and ordinary code is not accused."""

from __future__ import annotations

import gzip
import json
import random
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stackcurate.errors import ConfigError
from stackcurate.kernels.contamination import _PIECE, find
from stackcurate.kernels.contamination_index import ContaminationConfig, hash_texts, items_looked_for, load_index
from stackcurate.kernels.contamination_index_numba import SHORTEST, WINDOW

WORDS = ("harbor", "tide", "vessel", "anchor", "buoy", "crane", "ledger", "berth", "cargo", "gull", "keel")
Record = dict[str, Any]


def problem(seed: int) -> Record:
    """Return a record of a made-up benchmark: a task in words and code, and its solution."""
    rng = random.Random(seed)
    a, b, c, d, e = rng.sample(WORDS, 5)
    prompt = (
        f'def {a}_{b}_{seed}({c}, {d}):\n    """Move every {c} below the {e} before {seed} {d} units have passed.\n'
        f'    >>> {a}_{b}_{seed}([{seed}, 2], {seed + 7})\n    {seed * 3}\n    """\n'
    )
    solution = (
        f"    {e} = {seed}\n    for {a} in {c}:\n        # {b} goes first\n        {e} += {a} * {seed} - len({d})\n"
    )
    return {"task_id": f"made/{seed}", "prompt": prompt, "canonical_solution": solution + f"    return {e} // {c}\n"}


RECORDS = [problem(seed) for seed in range(40)]
HOST = Path(json.__file__).with_name("decoder.py").read_text(encoding="utf-8")


def whole(record: Record) -> str:
    return str(record["prompt"] + record["canonical_solution"])


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ContaminationConfig:
    return ContaminationConfig(benchmarks=(f"made={write(tmp_path_factory.mktemp('made') / 'made.jsonl', RECORDS)}",))


def write(path: Path, records: list[Record]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def items(content: str | bytes, config: ContaminationConfig) -> list[str]:
    (overlaps,) = find([content], config)["overlaps"].to_pylist()
    return [overlap["item"] for overlap in overlaps]


def each_line(text: str, change: Callable[[str], str]) -> str:
    return "".join(change(line) + "\n" for line in text.splitlines())


DISGUISES: dict[str, Callable[[str], str]] = {
    "verbatim": lambda text: text,
    "re-spaced": lambda text: each_line(text, lambda line: "\t\t" + "  ".join(line.split()) + " \r\n"),
    "without line breaks": lambda text: " ".join(text.split()),
    "commented with #": lambda text: each_line(text, lambda line: f"# {line}"),
    "commented with //": lambda text: each_line(text, lambda line: f"//{line}"),
    "comment block": lambda text: f"/*\n{each_line(text, lambda line: f' * {line}')} */\n",
    "comments between the lines": lambda text: each_line(text, lambda line: f"{line}\n    # now the next of them"),
    "comments behind the lines": lambda text: each_line(text, lambda line: f"{line}  // as the harbour master said"),
    "blocks between the lines": lambda text: each_line(text, lambda line: f"{line}\n/* one\n * two\n */"),
    "JSON": lambda text: json.dumps({"messages": [{"text": text}]}),
    "string literals": lambda text: each_line(text, lambda line: json.dumps(line + "\n") + " +"),
    "capitals": str.upper,
    "other quotes": lambda text: text.replace('"""', "'''"),
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
def test_planted_items_are_found_in_every_disguise(disguise: Callable[[str], str], config: ContaminationConfig) -> None:
    half = HOST.index("\n", len(HOST) // 2) + 1
    planted = [HOST[:half] + disguise(whole(record)) + HOST[half:] for record in RECORDS]
    found = [[o["item"] for o in row] for row in find(planted, config)["overlaps"].to_pylist()]

    assert [record["task_id"] in row for record, row in zip(RECORDS, found, strict=True)] == [True] * len(RECORDS)


def test_span_holds_the_text_alone(config: ContaminationConfig) -> None:
    text = RECORDS[3]["prompt"]
    content = f"{HOST}# é\n{text}{HOST}".encode()
    (overlaps,) = find([content], config)["overlaps"].to_pylist()

    (overlap,) = overlaps
    assert (overlap["benchmark"], overlap["item"], overlap["field"]) == ("made", "made/3", "prompt")
    assert overlap["coverage"] == 1
    start = content.index(text.encode())
    assert start <= overlap["start"] < start + SHORTEST
    assert start + len(text) - 2 * SHORTEST < overlap["end"] <= start + len(text)


def test_solution_alone_is_found_and_half_of_a_text_scattered_is_not(config: ContaminationConfig) -> None:
    prompt = RECORDS[5]["prompt"]
    cut = len(prompt) // 2
    far = HOST[:10_000] + "\n" + "-" * 10_000

    assert items(RECORDS[5]["canonical_solution"], config) == ["made/5"]
    assert items(prompt[: cut + 10] + prompt[cut:], config) == ["made/5"]
    assert items(prompt[: len(prompt) // 3] + far + prompt[-len(prompt) // 3 :], config) == []


def test_shipped_hashes_know_humaneval_and_hold_no_text() -> None:
    assert items_looked_for(ContaminationConfig()) == {"humaneval": 164}
    index = load_index(ContaminationConfig())
    assert index.texts[0].item == "HumanEval/0"
    assert {text.field for text in index.texts} == {"prompt", "canonical_solution"}
    known = "def add(x: int, y: int):\n" + '    """Add two numbers x and y\n    >>> add(2, 3)\n    5\n'
    assert items(known, ContaminationConfig()) == ["HumanEval/53"]


def test_installed_code_is_not_accused() -> None:
    root = Path(sysconfig.get_path("purelib"))
    paths = [path for path in sorted(root.glob("*/*.py")) if path.stat().st_size < 200_000]
    contents = [path.read_bytes() for path in paths]

    assert len(contents) > 1000
    assert [row for row in find(contents)["overlaps"].to_pylist() if row] == []


@pytest.mark.parametrize(
    "text",
    [
        "0123456789" * 20, "abcdefghijklmnopqrstuvwxyz" * 5, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, " * 9, "f0a1b2 " * 40,
        "while b: a, b = b, a % b",
    ],
    ids=["digits", "alphabet", "list", "hex", "short"],
)  # fmt: skip
def test_trivial_texts_are_not_looked_for(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [{"id": 1, "text": text}, RECORDS[0]])
    config = ContaminationConfig(builtin=(), benchmarks=(f"t={path}",))

    assert load_index(config).skipped["t"] >= 1
    assert items(text, config) == []
    assert items(whole(RECORDS[0]), config) == ["made/0"]


def test_windows_of_many_items_count_for_none(tmp_path: Path) -> None:
    template = "import sys\nread_all_the_input_of_this_contest = sys.stdin.readline\nsolve_one_case(read())\n"
    path = write(tmp_path / "t.jsonl", [{"id": i, "text": template + whole(problem(i))} for i in range(30)])
    config = ContaminationConfig(builtin=(), benchmarks=(f"t={path}",))

    assert items(template * 3, config) == []
    assert items(whole(problem(7)), config) == ["7"]


def test_background_takes_common_code_out(tmp_path: Path) -> None:
    text = whole(RECORDS[0])
    path = write(tmp_path / "t.jsonl", [RECORDS[0], RECORDS[1]])
    common = write(tmp_path / "background.jsonl", [{"path": "a.py", "content": HOST + text}] * 25)
    config = ContaminationConfig(builtin=(), benchmarks=(f"t={path}",), background=(str(common),))

    assert items(text, config) == []
    assert items(whole(RECORDS[1]), config) == ["made/1"]


def test_long_contents_are_looked_at_in_pieces(config: ContaminationConfig) -> None:
    filler = (HOST + "\n") * (2 * _PIECE // len(HOST))
    content = filler + whole(RECORDS[2]) + filler[:_PIECE]
    (overlaps,) = find([content], config)["overlaps"].to_pylist()

    assert [overlap["item"] for overlap in overlaps] == ["made/2"]
    assert overlaps[0]["start"] >= len(filler)


def test_hashes_can_be_passed_on_in_place_of_the_text(config: ContaminationConfig, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    fields = ("prompt", "canonical_solution")
    rows = [(record["task_id"], name, record[name]) for record in RECORDS for name in fields]
    table = hash_texts([text for *_, text in rows], [item for item, *_ in rows], [name for _, name, _ in rows])
    pq.write_table(table, tmp_path / "made.parquet")
    passed_on = ContaminationConfig(benchmarks=(f"made={tmp_path / 'made.parquet'}",))
    planted = [whole(record) for record in RECORDS]

    assert find(planted, passed_on) == find(planted, config)
    assert not any(record["prompt"][:20].encode() in (tmp_path / "made.parquet").read_bytes() for record in RECORDS)


def test_lists_and_gzip_are_read(tmp_path: Path) -> None:
    apps = {"problem_id": 9, "solutions": json.dumps([whole(RECORDS[0]), whole(RECORDS[1])])}
    path = tmp_path / "apps.jsonl.gz"
    path.write_bytes(gzip.compress(f"\n{json.dumps(apps)}\n\n".encode()))
    config = ContaminationConfig(builtin=(), benchmarks=(f"apps={path}",))

    assert items(whole(RECORDS[1]), config) == ["9"]
    assert items_looked_for(config) == {"apps": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        ("\n \n", "empty file"),
        ('{"text": "a"}\n{"text": \n', r"t.jsonl:2: expected a JSON object, found Expecting value"),
        ('{"text": "a"}\n[1]\n', r"t.jsonl:2: expected a JSON object, found list"),
        ('{"words": "a"}\n', r"t.jsonl:1: expected a text in one of prompt, .*, found words; name the fields"),
        ("[" * 100_000, r"t.jsonl:1: expected a JSON object"),
    ],
    ids=["empty", "blank", "torn", "list", "other fields", "deep"],
)
def test_malformed_benchmarks_are_refused_with_the_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(content, encoding="utf-8")

    with pytest.raises(ConfigError, match=message):
        find(["x"], ContaminationConfig(benchmarks=(f"t={tmp_path / 't.jsonl'}",)))


@pytest.mark.parametrize("name", ["gone.jsonl", "gone.parquet", "torn.jsonl.gz", "torn.parquet"])
def test_unreadable_benchmarks_are_named(name: str, tmp_path: Path) -> None:
    if name.startswith("torn"):
        (tmp_path / name).write_bytes(gzip.compress(b'{"text": "a"}')[:-9])

    with pytest.raises(ConfigError, match=name):
        find(["x"], ContaminationConfig(benchmarks=(f"t={tmp_path / name}",)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"builtin": ("mbpp",)}, {"benchmarks": ("path.jsonl",)}, {"benchmarks": ("humaneval=a.jsonl",)},
        {"coverage": 0.0}, {"coverage": 1.5}, {"min_characters": 0}, {"max_frequency": 0}, {"fields": ()},
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_is_refused(wrong: Record) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ContaminationConfig(**wrong)


def test_windows_chosen_are_those_of_winnowing(config: ContaminationConfig) -> None:
    """The compiled loops choose what a plain loop over plain integers chooses."""
    from stackcurate.kernels.contamination_index_numba import GROUP, tables
    from stackcurate.kernels.shingles_numba import GOLDEN, MIX_1

    values = [int(value) for value in tables()[2]]
    text = "".join(char.lower() for char in RECORDS[1]["prompt"] if char.isalnum() or char == "_")
    windows = []
    for i in range(len(text) - WINDOW + 1):
        h = 0
        for char in text[i : i + WINDOW]:
            h = (h * int(GOLDEN) + values[ord(char)]) % 2**64
        z = (h ^ (h >> 31)) * int(MIX_1) % 2**64
        windows.append(z ^ (z >> 29))
    chosen = {min(windows[i : i + GROUP]) for i in range(len(windows) - GROUP + 1)}
    table = hash_texts([RECORDS[1]["prompt"]], ["1"], ["prompt"])

    assert table["characters"][0].as_py() == len(text)
    assert set(table["windows"][0].as_py()) == chosen
    assert table["chosen"][0].as_py() == len(chosen)


def test_random_bytes_and_broken_texts_do_no_harm(config: ContaminationConfig) -> None:
    rng = np.random.default_rng(5)
    noise = [rng.integers(0, 256, size, dtype=np.uint8).tobytes() for size in (1, 23, 24, 35, 36, 5000)]
    broken = [b"/*" * 5000, b"//" * 5000, b"#", b"/", b"--", b"\\", b"\n#\n#\n" * 999, b"/**/" * 999]
    facts = find(pa.array([*noise, *broken, None], pa.large_binary()), config)

    assert facts["overlaps"].to_pylist() == [[]] * 14 + [None]
    assert facts["error"].null_count == len(facts)
