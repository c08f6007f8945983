"""The benchmarks' machinery on a few processes and files; `make bench` runs the whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stackcurate.kernels.content import blob_id
from tests.bench.build import COST, cost_lines, evenly, is_text, naive_lines
from tests.bench.measure import ROOT, Line, Usage, as_json, measure
from tests.bench.naive import STEPS
from tests.bench.near_dups import (
    GOALS,
    affine32_mismatches,
    alike,
    done,
    exact_similarities,
    result_lines,
    stratified,
    union_find_lines,
)
from tests.bench.near_dups import (
    evenly as evenly_of,
)
from tests.bench.near_dups_peers import PEERS, REQUIREMENTS, meeting, removed
from tests.corpus_text import license_text, python

BURN = "import time\nwhile time.process_time() < {}: pass\n"
DAEMON = f"""
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0:
    {BURN.format(0.6).replace(chr(10), chr(10) + "    ")}
    time.sleep(0.5)  # idle when it ends, as a worker is
    os._exit(0)
time.sleep(1.5)
"""
"""Like Spark's Python daemon: nobody waits for its child."""
ORPHAN = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {BURN.format(0.6)!r}])"
"""Leaves a child behind that works on after it."""


def test_line_has_the_six_keys() -> None:
    line = json.loads(as_json(Line("build", COST, "naive", 1.23456, "s")))

    assert line == {"subject": "build", "name": COST, "who": "naive", "value": 1.235, "unit": "s", "goal": None}
    assert list(line) == ["subject", "name", "who", "value", "unit", "goal"]


@pytest.mark.parametrize("arguments", [[], ["nothing"]])
def test_unknown_subject_names_the_known(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "tests.bench", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    assert done.returncode == 2
    assert "build" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("script", [BURN.format(0.6), DAEMON, ORPHAN], ids=["plain", "daemon", "orphan"])
def test_cpu_of_the_whole_tree_is_measured(script: str) -> None:
    usage = measure([sys.executable, "-c", script])

    assert 0.5 < usage.cpu_seconds < 1.5
    assert usage.wall_seconds > 0.5
    assert 0.4 < sum(usage.by_program.values()) <= usage.cpu_seconds + 0.05


def test_failure_of_the_command_is_raised() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        measure([sys.executable, "-c", "raise SystemExit(3)"])

    assert caught.value.returncode == 3


def test_our_parts_add_up_to_the_whole() -> None:
    usage = Usage(cpu_seconds=50.0, wall_seconds=40.0, returncode=0, by_program={"java": 20.0, "python": 29.0})
    total, *parts = cost_lines(usage, {"pii": 10.0, "malware": 5.0}, files=2000)

    assert (total.name, total.who, total.value) == (COST, "stackcurate", 25.0)
    assert [part.name.partition(":")[2] for part in parts] == ["pii", "malware", "jvm", "rest"]
    assert sum(part.value for part in parts) == pytest.approx(total.value)


def test_sample_is_even_and_of_text() -> None:
    items = [(str(number), b"") for number in range(250)]

    assert [path for path, _ in evenly(items, 100)] == [str(number) for number in range(1, 250, 3)]
    assert evenly(items[:7], 100) == items[:7]
    assert is_text("naïve".encode())
    assert not is_text(b"\xff")
    assert not is_text(b"a\0b")


def test_naive_peer_finds_what_is_there(tmp_path: Path) -> None:
    folder, result = tmp_path / "sample", tmp_path / "naive.json"
    folder.mkdir()
    key = "AKIA" + blob_id(b"key").upper()[:16].replace("0", "Q")
    tides = python("tides")
    (folder / "0_tides.py").write_bytes(tides + b"# Written by Jane Doe <jane.doe@example.com>\n")
    (folder / "1_copy.py").write_bytes(tides + f"access = '{key}'\n".encode())
    (folder / "2_LICENSE").write_bytes(license_text("mit", "Atlas"))

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.bench.naive", str(folder), str(result)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, env=environment)
    measured = json.loads(result.read_text())
    found = {name: step["found"] for name, step in measured["steps"].items()}
    total, *parts, setup = naive_lines(measured)

    assert list(found) == list(STEPS)
    assert found["licenses"] >= 1
    assert found["near_dups"] == 1
    assert found["personal_data"] >= 1
    assert found["secrets"] >= 1
    assert (total.name, total.who, setup.name) == (COST, "naive", "setup_cpu_s")
    assert sum(part.value for part in parts) == pytest.approx(total.value)
    assert setup.value > 0


@pytest.fixture(scope="module")
def versions() -> list[bytes]:
    """Texts in families: each member lacks some more words than the one before."""
    words = [f"name{number}" for number in range(400)]
    families = [words[start : start + 60] for start in range(0, 400, 60)]
    return [" ".join(family[cut:]).encode() for family in families for cut in range(0, 12, 2)]


def test_truth_is_exact_and_clusters_are_whole(versions: list[bytes]) -> None:
    texts = [text.decode() for text in alike(versions, len(versions))]
    truth = exact_similarities(texts)

    assert sorted(text.encode() for text in texts) == sorted(versions)
    assert truth.diagonal().tolist() == [1.0] * len(texts)
    assert truth[0, 1] == pytest.approx(54 / 56)
    assert all(0.3 <= truth[pair] < 1 for pair in stratified(truth))


def test_removals_of_chains_and_of_the_kept_only() -> None:
    pairs = meeting([["a", "x"], ["a", "y"], ["b", "y"], ["c", "z"]])

    assert pairs == {(0, 1), (1, 2)}
    assert removed(4, pairs, chained=True) == [1, 2]
    assert removed(4, pairs, chained=False) == [1]


def test_near_dups_of_ours_and_of_a_peer(versions: list[bytes], tmp_path: Path) -> None:
    texts = [text.decode() for text in versions]
    truth = exact_similarities(texts)
    sample = stratified(truth)
    job = {"texts": texts, "sample": sample, "speed": texts}
    script = str(Path(__file__).with_name("bench") / "near_dups_peers.py")
    commands = {
        "stackcurate": [sys.executable, "-m", "tests.bench.near_dups", "stackcurate"],
        "datasketch": [sys.executable, "-P", script, "datasketch"],
    }
    lines = {
        (line.who, line.name): line
        for who, command in commands.items()
        for line in result_lines(who, done(command, job, tmp_path), versions, truth, sample)
    }
    ours = {name: line for (who, name), line in lines.items() if who == "stackcurate"}

    assert len(lines) == 2 * len(ours) == 10
    assert all(line.goal == GOALS[name] for name, line in ours.items())
    assert all(line.goal is None for (who, _), line in lines.items() if who == "datasketch")
    assert ours["pair_recall"].value == 1
    assert ours["wrong_removals"].value == 0
    assert lines["datasketch", "estimate_rmse"].value < 0.1
    assert ours["sketch_docs_per_cpu_s"].value > lines["datasketch", "sketch_docs_per_cpu_s"].value


def test_near_dups_of_the_rest(versions: list[bytes]) -> None:
    ours, peer = union_find_lines(scale=1000)

    assert affine32_mismatches(evenly_of(versions, 5)) == 0
    assert (ours.who, peer.who) == ("stackcurate", "scipy")
    assert ours.value > 0 < peer.value
    assert set(REQUIREMENTS) == set(PEERS)
