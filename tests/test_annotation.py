"""Sheets for people to label, what their labels say, and the evaluation set made of them; all persons are invented."""

import hashlib
import json
import stat

import pytest
from typer.testing import CliRunner

from stackcurate.annotation.kit import SPLITS, example, split_of, write_kit
from stackcurate.annotation.review import Source, draw, read_sheet, score, wilson, write_sheet
from stackcurate.cli import app
from stackcurate.errors import ConfigError
from stackcurate.kernels.pii import PiiConfig

PEOPLE = ["Karin Lindqvist", "Bob Bergstrand", "Mirela Kovalenkow", "Ines van der Torp"]


def sources(count=12):
    for number in range(count):
        person = PEOPLE[number % 4]
        mail = person.split()[0].lower() + f"{number}@firma.se"
        lines = [
            f"# Author: {person} <{mail}>\n",
            "x = 1\n" * 30,
            f'HOST = "54.12.33.{number}"  # \N{SNOWMAN}\n',
            "y = 2\n" * 30,
        ]
        yield Source(f"acme/tool{number}", "a.py", "Python", "".join(lines).encode())
    yield Source("acme/tool0", "copy.py", "Python", b"z = 3\n" * 50)
    yield Source("acme/tool1", "copy.py", "Python", b"z = 3\n" * 50)
    yield Source("acme/tool1", "binary", "unknown", b"\0\xff bob@firma.se")


@pytest.fixture
def sheet():
    return draw(sources(), PiiConfig(), findings=12, pages=8)


def test_a_sheet_is_even_over_strata_and_the_same_in_any_order(sheet):
    findings = [row for row in sheet if row["kind"] == "finding"]
    assert [row["id"] for row in draw(reversed(list(sources())), PiiConfig(), findings=12, pages=8)] == [
        row["id"] for row in sheet
    ]
    counts = {}
    for row in findings:
        counts[row["entity"], row["rule"]] = counts.get((row["entity"], row["rule"]), 0) + 1
    assert max(counts.values()) - min(counts.values()) <= 1
    assert {row["stratum"] for row in findings} == {12}
    assert all(row["value"] and row["value"] not in row["before"] for row in findings)


def test_pages_show_fragments_in_characters_and_half_of_them_hold_none(sheet):
    pages = [row for row in sheet if row["kind"] == "page"]
    assert len(pages) == 8
    assert sum(bool(page["fragments"]) for page in pages) in range(4, 8)
    for page in pages:
        for fragment in page["fragments"]:
            start, end = fragment["position"]
            assert page["text"][start:end] == fragment["value"]


def test_another_seed_draws_another_sheet(sheet):
    assert [r["id"] for r in draw(sources(), PiiConfig(), findings=12, pages=8, seed=1)] != [r["id"] for r in sheet]


def test_labels_become_precision_and_recall(sheet):
    for number, row in enumerate(sheet):
        row["label"] = "done" if row["kind"] == "page" else "wrong" if number == 0 else "right"
    page = next(row for row in sheet if row["kind"] == "page" and row["fragments"])
    page["missed"] = [{"category": "USERNAME", "value": page["text"][:4]}]
    scores = {(entry.entity, entry.measure): entry for entry in score(sheet)}
    wrong = scores[sheet[0]["entity"], "precision"]
    assert wrong.right == wrong.labelled - 1
    assert wrong.low < wrong.share < wrong.high
    assert 0 < wrong.weighted < 1
    assert scores["USERNAME", "recall"][2:5] == (0, 1, 0.0)
    assert scores["EMAIL", "recall"].share == 1


def test_wilson_against_published_values():
    assert [round(value, 4) for value in wilson(81, 263)] == [0.2553, 0.3662]  # Newcombe 1998, table I, method 3
    assert [round(value, 4) for value in wilson(0, 20)] == [0.0, 0.1611]
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_sheet_is_private_and_never_overwritten(sheet, tmp_path):
    path = tmp_path / "sheet.jsonl"
    write_sheet(path, sheet)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_sheet(path) == sheet
    with pytest.raises(ConfigError, match="exists"):
        write_sheet(path, sheet)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "maybe"}, "line 1: expected as label"),
        ({"kind": "other"}, "line 1: expected a finding"),
        ({"kind": "page", "text": "a", "label": "", "missed": [{"category": "NAME", "value": "b"}]}, "missed"),
    ],
)
def test_a_wrong_sheet_is_refused_without_quoting_it(sheet, tmp_path, change, message):
    path = tmp_path / "sheet.jsonl"
    write_sheet(path, [sheet[0] | change])
    with pytest.raises(ConfigError, match=message) as error:
        read_sheet(path)
    assert sheet[0]["value"] not in str(error.value)


def test_a_kit_has_the_shape_of_the_known_set_and_hashes_that_hold(sheet, tmp_path):
    for row in sheet:
        row["label"] = "done" if row["kind"] == "page" else ""
    page = next(row for row in sheet if row["kind"] == "page" and len(row["fragments"]) > 1)
    page["fragments"][0]["label"] = "wrong"
    page["missed"] = [{"category": "USERNAME", "value": "x = 1"}]
    made = example(page)
    assert set(made) == {"id", "text", "type", "language", "fragments", "split"}
    assert len(made["fragments"]) == len(page["fragments"]) - 1 + page["text"].count("x = 1")
    assert all(made["text"][slice(*f["position"])] == f["value"] for f in made["fragments"])

    counts = write_kit(tmp_path / "kit", sheet)
    manifest = json.loads((tmp_path / "kit/manifest.json").read_text())
    assert sum(counts.values()) == 8
    for name, digest in manifest["sha256"].items():
        content = (tmp_path / "kit" / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        rows = [json.loads(line) for line in content.splitlines()]
        assert {row["split"] for row in rows} <= {name.split("/")[1].removesuffix(".jsonl")}
    card = (tmp_path / "kit/README.md").read_text()
    assert card.startswith("---\n")
    assert "extra_gated_prompt" in card
    assert not any(person in card for person in PEOPLE)
    with pytest.raises(ConfigError, match="empty folder"):
        write_kit(tmp_path / "kit", sheet)
    with pytest.raises(ConfigError, match="label"):
        write_kit(tmp_path / "other", [row for row in sheet if row["kind"] == "finding"])


def test_repositories_are_split_not_rows():
    splits = [split_of(f"acme/tool{number}") for number in range(2000)]
    assert [round(splits.count(split) / 2000, 1) for split in SPLITS] == [0.6, 0.2, 0.2]


def test_the_verb(tmp_path):
    source, sheet = tmp_path / "a.py", tmp_path / "sheet.jsonl"
    source.write_bytes(next(sources()).content)
    run = CliRunner().invoke
    shown = run(app, ["pii", str(source), "--redacted"])
    assert "# Author: <NAME> <EMAIL>" in shown.output
    assert run(app, ["pii", str(source), "--review", str(sheet)]).exit_code == 0
    rows = read_sheet(sheet)
    labelled = tmp_path / "labelled.jsonl"
    write_sheet(labelled, [row | {"label": "done" if row["kind"] == "page" else "right"} for row in rows])
    judged = run(app, ["pii", "--labels", str(labelled), "--kit", str(tmp_path / "kit"), "--json"])
    assert judged.exit_code == 0, judged.output
    assert {"NAME", "EMAIL", "IP_ADDRESS"} <= {
        json.loads(x)["entity"] for x in judged.output.splitlines() if x[0] == "{"
    }
    assert "Karin" not in judged.output
    assert isinstance(run(app, ["pii", "--kit", str(tmp_path / "kit2")]).exception, ConfigError)
    inside = run(
        app, ["pii", str(source), "--review", str(tmp_path / "w/s.jsonl"), "--set", f"workspace.path={tmp_path}/w"]
    )
    assert isinstance(inside.exception, ConfigError)
