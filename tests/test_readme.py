"""README.md, CONTRIBUTING.md and CHANGELOG.md: the reference is that of the code, links lead somewhere, and what the
README tells to type does what it says."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds
import pytest
import typer

from stackcurate.cli import app
from stackcurate.stages import PIPELINE
from tests import reference
from tests.corpus_text import license_text, markdown, personal_module, python
from tests.corpus_writers import Answer, git

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = reference.ROOT
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
README = reference.README.read_text(encoding="utf-8")
GENERATED = README.partition(reference.BEGIN)[2].partition(reference.END)[0]
SECONDS = 1_700_000_000


@dataclass(frozen=True)
class Block:
    """A fenced block: `sh not run` is language and note, `toml build.toml` language and file name."""

    language: str
    note: str
    text: str

    def __str__(self) -> str:
        return f"{self.language} {self.note}\n{self.text}"


def blocks() -> list[Block]:
    found = re.findall(r"^```(\w+) ?(.*)\n((?:.*\n)*?)^```$", README, re.MULTILINE)
    return [Block(*groups) for groups in found]


# --- words ----------------------------------------------------------------------------------------------------


def test_the_reference_is_that_of_the_code() -> None:
    assert reference.updated(README) == README, "README.md is stale: run `make docs`"


def test_every_declaration_is_in_the_reference() -> None:
    for stage in PIPELINE:
        assert f"| `{stage.name}` |" in GENERATED
        assert all(f"`{name}`" in GENERATED for name in stage.table.columns.names)
        assert all(f"`{metric}`: `{sql}`" in GENERATED for metric, sql in stage.metrics.items())


def test_failures_are_those_of_the_kernels() -> None:
    stages = {stage.name: stage for stage in PIPELINE}
    for name, codes in reference.FAILURES.items():
        kernel = str(stages[name].kernel).partition(":")[0]
        modules = [f"kernels.{kernel}", *stages[name].modules]
        source = "".join(Path(str(import_module(f"stackcurate.{m}").__file__)).read_text() for m in modules)
        missing = [code for code in codes if code.strip("*") not in source]
        assert missing == [], name


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", prose)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    anchors = {*map(anchor, headings), *re.findall(r'<a id="([^"]+)">', prose)}
    inside = [link for link in links if link.startswith("#") and link[1:] not in anchors]
    outside = [link for link in links if ":" not in link and not link.startswith("#")]

    assert inside == []
    assert [link for link in outside if not (ROOT / link.partition("#")[0]).exists()] == []


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_picture_and_the_caption_are_of_one_release() -> None:
    picture = (ROOT / "notebooks" / "funnel.svg").read_text(encoding="utf-8")
    caption = README.partition(reference.FUNNEL_BEGIN)[2].partition(reference.FUNNEL_END)[0]
    numbers = re.findall(r"\*\*([\d,]+)\*\*", caption)
    bars = re.findall(r'text-anchor="end">([\d,]+)', picture)

    assert "(notebooks/funnel.svg)" in caption
    assert numbers == [bars[0], bars[-1]], "files read and kept"
    assert len(picture) < 10_000


# --- commands -------------------------------------------------------------------------------------------------


def commands(language: str = "sh") -> Iterator[list[str]]:
    """Yield the words of each command of the shell blocks."""
    for block in blocks():
        if block.language == language:
            for line in block.text.splitlines():
                if words := shlex.split(line, comments=True):
                    yield words


def test_make_knows_the_targets() -> None:
    targets = {words[1] for words in commands() if words[0] == "make"}
    known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert targets >= {"demo", "test"}
    assert targets <= set(known)


def test_verbs_and_options_exist_in_commands_that_are_not_run() -> None:
    verbs = vars(typer.main.get_command(app))["commands"]
    seen = [as_verb(words) for words in commands() if words[0] in ("stackcurate", "spark-submit")]
    for verb, *arguments in seen:
        verbs[verb].make_context(verb, arguments)

    assert {"build", "release", "opt-out", "lookup", "verify", "report", "licenses"} <= {verb for verb, *_ in seen}


def as_verb(words: list[str]) -> list[str]:
    """Return verb and arguments of a command, of a job those of the verb that it stands for."""
    if words[0] == "stackcurate":
        return words[1:]
    at = next(i for i, word in enumerate(words) if word.endswith(".py"))
    verb = re.search(r'main\("([a-z-]+)"\)', (ROOT / words[at]).read_text(encoding="utf-8"))
    assert verb, f"{words[at]}: no job"
    return [verb[1], *words[at + 1 :]]


@dataclass(frozen=True)
class Outcome:
    """The folder in which the README was followed, and what each block printed."""

    folder: Path
    printed: dict[Block, str]

    def of(self, words: str) -> str:
        """Return what the block with these words printed."""
        return next(text for block, text in self.printed.items() if words in block.text)

    def released(self, version: str) -> set[tuple[str, str]]:
        """Return repository and path of each row of a release."""
        table = ds.dataset(self.folder / "workspace" / "releases" / version / "data").to_table(["repo", "path"])
        return set(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Outcome:
    """Follow the README from top to bottom in a folder with three small repositories."""
    folder = tmp_path_factory.mktemp("readme")
    write_repositories(folder / "repositories")
    printed: dict[Block, str] = {}
    names: dict[str, Any] = {}
    for block in blocks():
        if block.language in ("toml", "csv"):
            (folder / block.note).write_text(block.text)
        elif block.language == "sh" and block.note != "not run":
            printed[block] = in_shell(block, folder)
        elif block.language == "python":
            printed[block] = in_process(block, folder, names)
    return Outcome(folder, printed)


def write_repositories(folder: Path) -> None:
    folder.mkdir()
    mit, kept = license_text("mit", "Tide Gauges"), Answer()
    moon = {"src/moon.py": python("moon"), "web/moon.py": python("moon")}
    tides = {"LICENSE": mit, "README.md": markdown("Tides"), "src/tides.py": python("tides"), **moon}
    trees = {
        ("acme", "tides"): {**tides, "src/contacts.py": personal_module()},
        ("harbor-io", "cranes"): {"LICENSE": mit, "cranes.py": python("cranes")},
        ("octocat", "hello-world"): {"LICENSE": mit, "hello.py": python("hello")},
    }
    for (owner, name), tree in trees.items():
        git({path: (content, kept) for path, content in tree.items()}, owner, bare=False)(folder / name, SECONDS)


def in_shell(block: Block, folder: Path) -> str:
    """Run each command of a block: in a shell, or on the session of the tests where it would start Spark."""
    printed = ""
    for line in block.text.splitlines():
        words = shlex.split(line, comments=True)
        on_spark = words[:1] == ["stackcurate"] and words[1] in ("build", "opt-out") and "--dry-run" not in words
        printed += on_session(words[1:], folder) if on_spark else typed(line, folder)
    return printed


def typed(line: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder, env=os.environ | {"PATH": path, "COLUMNS": "200"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def on_session(words: list[str], folder: Path) -> str:
    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        app(words, standalone_mode=False)
    return out.getvalue()


def in_process(block: Block, folder: Path, names: dict[str, Any]) -> str:
    out = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out):
        exec(compile(block.text, "README.md", "exec"), names)  # the README's own text
    return out.getvalue()


def test_examples_print_what_they_say(followed: Outcome) -> None:
    expected = {block: re.findall(r"# -> (.*)", block.text) for block in followed.printed if block.language == "python"}
    shown = {block: lines for block, lines in expected.items() if lines}

    assert shown
    for block, lines in shown.items():
        assert followed.printed[block].splitlines() == lines


def test_a_release_is_built(followed: Outcome) -> None:
    repos = {repo for repo, _ in followed.released("v1")}
    printed = followed.of("stackcurate verify --config")

    assert repos == {"acme/tides", "harbor-io/cranes"}, "octocat has opted out"
    assert " 0 problems" in printed
    assert "opted_out" in printed
    assert "Python" in followed.of("duckdb.sql") or "Python" in printed


def test_requests_take_files_out_and_promote_copies(followed: Outcome) -> None:
    before, after = followed.released("v1"), followed.released("v2")

    assert before >= {("acme/tides", "src/moon.py"), ("harbor-io/cranes", "cranes.py")}
    assert before - after >= {("acme/tides", "src/moon.py"), ("harbor-io/cranes", "cranes.py")}
    assert {repo for repo, _ in after} == {"acme/tides"}
    assert ("acme/tides", "web/moon.py") in after - before
    assert " 0 problems" in followed.of("--to v2")


def test_lookup_answers(followed: Outcome) -> None:
    printed = followed.of("git hash-object")
    answer = json.loads(printed.splitlines()[-1])

    assert (answer["repo"], answer["path"], answer["kept"]) == ("acme/tides", "src/tides.py", True)


def test_verbs_on_files_need_no_spark(followed: Outcome) -> None:
    printed = followed.of("stackcurate pii")
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    found = {span["entity"] for line in lines for span in line.get("spans") or []}

    assert {"NAME", "EMAIL"} <= found
