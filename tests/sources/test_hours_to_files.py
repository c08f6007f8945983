"""From hours of GH Archive to files in the workspace, as a person does it: two verbs and a server that speaks git."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .archive_events import event, pull_request, write_hour
from .git_server import serving
from .hostile_git import GOOD, blob, commit, repository


def said(*arguments: str) -> str:
    """Run a verb, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "stackcurate.cli", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_selected_repositories_are_fetched_and_counted_by_reason(tmp_path: Path) -> None:
    hours, listed = tmp_path / "hours", tmp_path / "urls.txt"
    hours.mkdir()
    licences = {"octo/tides": "MIT", "octo/gone": "MIT", "acme/left": "GPL-3.0", "leaver/own": "MIT"}
    write_hour(hours, "2021-01-01-7", [
        event("PullRequestEvent", n, (n, name), pull_request((n, name), trimmed=False, license={"spdx_id": licence}))
        for n, (name, licence) in enumerate(licences.items(), 1)
    ])  # fmt: skip
    requests = tmp_path / "out.csv"
    requests.write_text("owner,requested_at\nleaver,2026-01-15\n")
    values = (f"workspace.path={tmp_path}/workspace", "spark.master=local[1,4]", f'opt_outs.requests=["{requests}"]')
    here = [part for value in values for part in ("--set", value)]
    denied = ("--set", 'repos.denied_licenses=["GPL*"]')

    selected = said("repos", "--source", f"gharchive:{hours}", "--urls", str(listed), *denied, *here)
    assert selected.splitlines() == ["selected: 2", "opted_out: 1", "license_denied: 1"]
    assert listed.read_text() == "https://github.com/octo/gone.git\nhttps://github.com/octo/tides.git\n"

    with serving(tmp_path / "served") as server:
        folder = repository(server.folder / "octo" / "tides.git", "--bare")
        commit(
            folder, ("100644", "blob", blob(folder, b"tide = 1\n"), "tide.py"), ("120000", "blob", blob(folder), "l")
        )
        listed.write_text(listed.read_text().replace("https://github.com", server.url))
        cache = ("--set", f"sources.git_cache={tmp_path}/cache", "--set", 'sources.git_protocols=["http"]')
        fetched = said("files", "--source", "git", "--urls", str(listed), *cache, *here)
    assert fetched.splitlines() == ["repositories read: 1", "repositories gone: 1", "files read: 2", "files link: 1"]
    assert GOOD not in fetched.encode()
