"""`stackcurate licenses --explain`: the decision on each file of a repository, and why."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stackcurate.cli import app
from stackcurate.errors import ConfigError, SourceError
from stackcurate.kernels.content import blob_id
from tests.corpus_text import GPL_NOTICE, c, license_text, python

FILES = {
    "LICENSE": license_text("mit", "The Heron Developers"),
    "NOTICE": b"Heron, by its developers\n",
    "heron/wing.py": python("wing"),
    "heron/crane.c": c("crane", note=GPL_NOTICE),
    "vendor/beak/beak.py": python("beak"),
    "docs/LICENSE": license_text("apache-2.0"),
    "docs/conf.py": python("conf"),
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explained") / "heron-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("linked/LICENSE")
        link.type, link.linkname = tarfile.SYMTYPE, "../docs/LICENSE"
        tar.addfile(link)
        below = tarfile.TarInfo("linked/a.py")
        below.size = len(python("a"))
        tar.addfile(below, io.BytesIO(python("a")))
    return path


def explain(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["licenses", "--explain", *arguments])


def rows(archive: Path, *more: str) -> dict[str, dict[str, Any]]:
    result = explain("--json", str(archive), *more)
    assert result.exit_code == 0, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return {row["path"]: row for row in found}


def test_each_file_has_its_decision_and_evidence(archive: Path) -> None:
    found = rows(archive)
    fates = {path: (row["kept"], row["license"], row["license_reason"]) for path, row in found.items()}
    assert fates["heron/wing.py"] == (True, "MIT", "resolved")
    assert fates["heron/crane.c"] == (False, "GPL-2.0-or-later", "resolved")
    assert fates["vendor/beak/beak.py"] == (False, None, "vendored_unlicensed")
    assert fates["docs/conf.py"] == (True, "Apache-2.0", "resolved")
    assert fates["linked/a.py"] == (False, None, "unknown_license")
    header = found["heron/crane.c"]
    assert (header["license_source"], header["license_lines"], header["license_type"]) == ("header", "1-3", "copyleft")
    assert found["docs/conf.py"]["license_path"] == "docs/LICENSE"
    assert found["heron/wing.py"]["license_blob_ids"] == [blob_id(FILES["LICENSE"])]
    assert found["heron/wing.py"]["notice_blob_ids"] == [blob_id(FILES["NOTICE"])]


def test_the_policy_of_the_config_decides(archive: Path) -> None:
    denied = rows(archive, "--set", 'policy.extra_deny=["MIT"]')
    assert not denied["heron/wing.py"]["kept"]
    assert denied["docs/conf.py"]["kept"]
    published = rows(archive, "--set", "policy.profile=the-stack-v2", "--set", "licenses.rule=the-stack-v2")
    assert all(row["kept"] for row in published.values())


def test_people_read_it_grouped_by_decision(archive: Path) -> None:
    result = explain(str(archive))
    assert result.exit_code == 0
    text = result.stdout
    assert "kept  MIT (permissive)" in text
    assert "root: LICENSE, lines" in text
    assert "out   GPL-2.0-or-later (copyleft)" in text
    assert "heron/crane.c: lines 1-3," in text
    assert "vendored_unlicensed: third-party code" in text
    assert "files may be released by licence" in result.stderr


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m.py").write_bytes(python("a"))
    assert "\x1b[31m" not in explain(str(tmp_path)).stdout


def test_wrong_calls_say_what_is_wrong(tmp_path: Path) -> None:
    assert isinstance(explain().exception, ConfigError)
    assert isinstance(explain(str(tmp_path / "gone")).exception, SourceError)
    assert "--explain requests" in CliRunner().invoke(app, ["licenses", "--help"]).stdout.replace("\n", " ")
