"""The verb: a true process that answers, and errors that say what to do."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from typer.testing import CliRunner

from stackcurate.cli import app
from stackcurate.errors import ReleaseError
from stackcurate.workspace import Workspace


def test_the_server_answers_and_listens_to_this_machine_alone(site: Workspace) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stackcurate.cli", "serve", "--set", f'workspace.path="{site.root}"',
               "--version", "v1", "--port", str(port)]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            with first_answer(f"http://127.0.0.1:{port}/api/release") as answer:
                assert b'"The Sample"' in answer.read()
                assert "server" not in answer.headers
        finally:
            server.terminate()
        assert server.stderr is not None
        assert f"http://127.0.0.1:{port}/" in server.stderr.read()


def first_answer(url: str) -> urllib.request._UrlopenRet:
    deadline = time.monotonic() + 30
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5)
        except urllib.error.URLError:
            assert time.monotonic() < deadline, "the server never came up"
            time.sleep(0.1)


def test_a_release_that_is_not_there_is_named(site: Workspace, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["serve", "--set", f'workspace.path="{site.root}"', "--version", "v9"])

    assert isinstance(done.exception, ReleaseError)
    assert "v9" in str(done.exception)
