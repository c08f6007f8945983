"""The notebooks run from top to bottom, and what they show may be published.

`python -m tests.test_notebooks` runs them and keeps their output.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from stackcurate.kernels.pii import find_spans

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
QUICKSTART, NEAR_DUPS, LICENSES, PII, OPT_OUT, QUALITY, TRAINING = (
    NOTEBOOKS[0].with_stem(stem)
    for stem in ("quickstart", "near_dups", "licenses", "pii", "opt_out", "quality", "training")
)
PICTURES = {
    "quickstart": ["funnel", "limit"],
    "near_dups": ["pairs", "curve"],
    "licenses": ["compared"],
    "pii": ["counts", "threshold"],
    "opt_out": ["touched"],
    "quality": ["languages", "histograms"],
    "training": ["waste", "loss"],
}


def execute(path: Path, folder: Path) -> NotebookNode:
    """Run a notebook in a fresh kernel of this interpreter and return it with its output.

    Args:
        path: the notebook; it is not written.
        folder: an empty one: where the notebook runs, and where its temporary files go.

    Raises:
        CellExecutionError: a cell raised.
    """
    notebook = nbformat.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    here = KernelSpecManager(kernel_dirs=[])  # whatever kernels are registered: the one of this interpreter
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=here)
    client = NotebookClient(
        notebook, km=manager, timeout=600, startup_timeout=180, coalesce_streams=True, record_timing=False
    )
    client.execute(cwd=str(folder), cleanup_kc=True)
    notebook.metadata = metadata
    for cell in codes(notebook):
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]  # what the JVM says
    return notebook


def codes(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: NotebookNode) -> str:
    """Return all text that a cell shows; pictures are left out."""
    texts = [output.get("text", "") for output in cell.outputs]
    for output in cell.outputs:
        texts += [str(data) for kind, data in output.get("data", {}).items() if not kind.startswith("image/")]
    return "\n".join(texts)


def kinds(notebook: NotebookNode) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Return what each cell shows: the kinds of its outputs."""
    return [
        (cell.id, [(output.output_type, *sorted(output.get("data", {}))) for output in cell.outputs])
        for cell in codes(notebook)
    ]


def run_now(path: Path) -> dict[str, str]:
    """Return what each cell of a notebook shows when it is run now."""
    with TemporaryDirectory() as folder:
        notebook = execute(path, Path(folder))
    assert kinds(notebook) == kinds(nbformat.read(path, as_version=4)), "stale: run `make notebooks`"
    return {cell.id: shown(cell) for cell in codes(notebook)}


@pytest.fixture(scope="module")
def executed() -> dict[str, str]:
    return run_now(QUICKSTART)


@pytest.fixture(scope="module")
def near_dups() -> dict[str, str]:
    return run_now(NEAR_DUPS)


@pytest.fixture(scope="module")
def licenses() -> dict[str, str]:
    return run_now(LICENSES)


@pytest.fixture(scope="module")
def pii() -> dict[str, str]:
    return run_now(PII)


@pytest.fixture(scope="module")
def opt_out() -> dict[str, str]:
    return run_now(OPT_OUT)


def test_facts_without_spark(executed: dict[str, str]) -> None:
    assert re.search(r"GPL-2.0-only +header", executed["licenses"])
    assert re.search(r"MPL-2.0 +directory", executed["licenses"])
    assert re.search(r"^C\b", executed["languages"], re.MULTILINE)
    assert len(re.findall(r" 0\.\d\d", executed["near_dups"])) > 5
    assert re.search(r"samples/virus.txt +drop +hash", executed["malware"])
    assert all(f"'{entity}'" in executed["pii"] for entity in ("NAME", "EMAIL", "IP_ADDRESS", "KEY"))


def test_redaction_keeps_the_code_and_nothing_else(executed: dict[str, str]) -> None:
    _, _, released = executed["redaction"].partition("4 spans replaced")

    assert 'aws_access_key_id = "<KEY>"' in released
    assert "<EMAIL>" in released
    assert "berth.length > 12" in released
    assert "81." not in released


def test_the_build_and_its_decisions(executed: dict[str, str]) -> None:
    kept, read = re.search(r"(\d+) of (\d+) files kept", executed["build"]).groups()  # type: ignore[union-attr]

    assert 10 < int(kept) < int(read)
    fates = {"contacts.py": "True", "crane.c": "license_copyleft", "tides.py": "long_line", "virus.txt": "malware_drop"}
    for path, fate in fates.items():
        assert re.search(rf"{path} .*{fate}", executed["why"])
    assert "problems: []" in executed["release"]
    assert "acme/harbor" in executed["release"]


def test_another_threshold_scans_nothing_again(executed: dict[str, str]) -> None:
    v1, v2 = map(int, re.search(r"v1: (\d+) files, v2: (\d+) files", executed["v2"]).groups())  # type: ignore[union-attr]
    stages = re.findall(r"^(\w+): [\d,]+ rows", executed["v2"], re.MULTILINE)

    assert v2 < v1
    assert stages[-1] == "release"
    assert not {"license_scan", "language", "quality", "near_dup_bands"} & set(stages)
    assert f"{v1} of " in executed["build"]


def test_estimates_err_less_than_an_ideal_minhash(near_dups: dict[str, str]) -> None:
    ideal, fill = (float(re.search(rf"{who} +(0\.\d+)", near_dups["estimate"])[1]) for who in ("MinHash", "fill"))  # type: ignore[index]

    assert fill < ideal


def test_bands_that_are_verified_find_all_and_remove_nothing_wrongly(near_dups: dict[str, str]) -> None:
    shares = re.findall(r"^(.+ x \d+) .*(\d\.\d{4})", near_dups["missed"], re.MULTILINE)
    found = {name: float(share) for name, share in shares}
    rows = re.findall(r"^(.+erified) +(\d+) +(\d+)$", near_dups["unverified"], re.MULTILINE)
    wrong = {name: int(count) for name, _, count in rows}

    assert found["stackcurate 42 x 5"] >= 0.999
    assert found["The Stack 25 x 10"] < found["stackcurate 42 x 5"]
    assert wrong["stackcurate 42 x 5, verified"] == 0
    assert all(count > 0 for name, count in wrong.items() if "unverified" in name)
    assert len(wrong) == 3


def test_a_higher_threshold_removes_less(near_dups: dict[str, str]) -> None:
    counts = [int(count) for count in re.findall(r"^0\.\d\d +(\d+) ", near_dups["removed"], re.MULTILINE)]

    assert len(counts) == 10
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_a_pair_stands_side_by_side(near_dups: dict[str, str]) -> None:
    similarity = float(re.search(r"similarity (0\.\d+)", near_dups["side"])[1])  # type: ignore[index]
    lines = near_dups["side"].splitlines()[4:]

    assert 0.7 <= similarity <= 0.8
    assert len(lines) >= 20
    assert any("≠" in line for line in lines)


def test_no_copyleft_is_kept_that_the_label_would_keep(licenses: dict[str, str]) -> None:
    kept = re.findall(r"^(\S.*?) +(\d+) +(\d+) +(\d+)$", licenses["beside"], re.MULTILINE)
    copyleft = {rule: int(count) for rule, count, _, _ in kept}
    permissive = {rule: int(count) for rule, _, _, count in kept}

    assert copyleft["stackcurate"] == 0 < copyleft["The Stack v2, label MIT"]
    assert permissive["stackcurate"] >= 0.99 * permissive["The Stack v2, label MIT"]


def test_the_evidence_is_shown(licenses: dict[str, str]) -> None:
    assert re.search(r"LGPL-3.0-or-later by header: \S+ \d+-\d+ lgpl", licenses["why"])
    assert "Lesser General Public License" in licenses["header"]
    assert "vendored_unlicensed" in licenses["why"]


def test_fakes_are_found_and_nothing_is_left_of_them(pii: dict[str, str]) -> None:
    scores = re.findall(r"^(\d\.\d\d) +(\d+) +(\d\.\d+) +(\d\.\d+)$", pii["threshold"], re.MULTILINE)
    by_limit = {float(limit): (float(precision), float(recall)) for limit, _, precision, recall in scores}

    assert "changes: 0; fakes that are left: 0" in pii["twice"]
    assert min(by_limit[0.5]) >= 0.95
    assert by_limit[1.0][1] < by_limit[0.5][1]
    assert "<mark title=" in pii["side"]
    assert "&lt;NAME&gt;" in pii["side"]


def test_an_opt_out_is_proved_and_can_be_taken_back(opt_out: dict[str, str]) -> None:
    assert "the copy is v2, byte for byte: True" in opt_out["copy"]
    assert "v2: nothing is left" in opt_out["prove"]
    assert "belongs to owner acme" in opt_out["prove"]
    assert re.search(r"v2 harbor/pilot.py nothing", opt_out["attribute"])
    assert "the shards of v1 again: True" in opt_out["withdrawn"]
    assert "carried ones are the same file: True" in opt_out["touched"]


def test_each_filter_removes_something_and_looser_ones_less() -> None:
    quality = run_now(QUALITY)
    rows = re.findall(r"^(\S.*?) +(\d+) +[\d.]+%$", quality["ablation"], re.MULTILINE)
    kept = {name: int(count) for name, count in rows}

    assert kept["none"] > kept["max_line_length = 10,000"] >= kept["starcoder2"] >= kept["max_line_length = 300"]
    assert kept["drop_generated = 0"] > kept["starcoder2"] > kept["min_alphabetic = 0.5"]
    assert {"generated", "long_line", "low_alphabetic"} <= set(re.findall(r"^(\w+)", quality["examples"], re.MULTILINE))


def test_a_model_learns_rows_by_heart() -> None:
    pytest.importorskip("torch")
    training = run_now(TRAINING)
    fertility = {name: (float(python), float(c)) for name, python, c in re.findall(
        r"^(.+, [\d,]+) +(\d\.\d\d) +(\d\.\d\d)$", training["fertility"], re.MULTILINE
    )}  # fmt: skip

    assert fertility["both, 1,024"][1] > 1.1 * fertility["Python, 1,024"][1]
    assert min(fertility["both, 4,096"]) > max(fertility["both, 1,024"])
    assert "stream: 0 of" in training["waste"]
    assert float(re.search(r"(\d\.\d+) at last", training["loss"])[1]) < 0.1  # type: ignore[index]
    assert "word for word: True" in training["samples"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_committed_in_order(path: Path) -> None:
    committed = nbformat.read(path, as_version=4)
    counts = [cell.execution_count for cell in codes(committed)]
    pictures = [cell.id for cell in codes(committed) if any("image/png" in o.get("data", {}) for o in cell.outputs)]

    assert counts == list(range(1, len(counts) + 1))
    assert pictures == PICTURES[path.stem]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_text_holds_no_secrets_and_no_places(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    texts = [cell.source for cell in notebook.cells] + [shown(cell) for cell in codes(notebook)]
    text = "\n".join(texts)
    places = {str(Path.home()), str(Path.cwd()), sys.prefix, "/tmp/", "site-packages"} - {"/"}

    assert [span.rule for span in find_spans(text.encode()) if span.entity in ("KEY", "PASSWORD", "EMAIL")] == []
    assert [place for place in places if place in text] == []
    assert "Traceback" not in text


def main() -> None:
    """Run all notebooks and keep their output."""
    for path in NOTEBOOKS:
        with TemporaryDirectory() as folder:
            notebook = execute(path, Path(folder))
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
