"""Mirrors from `git http-backend` behind nginx, as hosts run it; answers that fail midway are asked for again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from .hostile_git import GOOD, blob, commit, git, repository
from .test_git_urls import fetched, settings

NGINX, WRAPPER = (shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") for name in ("nginx", "fcgiwrap"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NGINX, reason="no nginx: apt-get install nginx-light"),
    pytest.mark.skipif(not WRAPPER, reason="no fcgiwrap: apt-get install fcgiwrap"),
]

LARGE = 300_000
SCRIPT = """#!/bin/sh
answer=$(mktemp) && git http-backend > "$answer"
fault=none
if [ "$(wc -c < "$answer")" -gt 100000 ]; then read -r fault < "{fault}" && rm "{fault}"; fi 2> /dev/null
case $fault in
  500) printf 'Status: 500 Internal Server Error\\r\\n\\r\\n' ;;
  cut) head -c 100000 "$answer" ;;
  *) cat "$answer" ;;
esac
rm "$answer"
"""
"""Answers as git does, but for one pack where there is a fault."""
CONFIG = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ }}
http {{
  access_log {folder}/access.log; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
  fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      fastcgi_pass unix:{folder}/socket;
      fastcgi_param SCRIPT_FILENAME {folder}/backend;
      fastcgi_param GIT_PROJECT_ROOT {folder}/served;
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param GIT_PROTOCOL $http_git_protocol;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param REMOTE_ADDR $remote_addr;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Host:
    """A host of repositories: its address, and the folder that holds them, its log, and the fault of the next pack."""

    url: str
    folder: Path

    def answers(self) -> list[str]:
        """Return method and status of each request."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [f"{line.split()[5][1:]} {line.split()[8]}" for line in lines]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    folder = tmp_path / "host"
    served = repository(folder / "served/owner/name.git", "--bare")
    git(served, "config", "uploadpack.allowFilter", "true")
    commit(served, ("100644", "blob", blob(served, os.urandom(LARGE)), "large.bin"))
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "backend").write_text(SCRIPT.format(fault=folder / "fault"))
    (folder / "backend").chmod(0o700)
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=port, user=user))
    commands = [[WRAPPER, "-s", f"unix:{folder}/socket"], [NGINX, "-p", folder, "-c", folder / "nginx.conf"]]
    processes = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in commands]
    try:
        _listening(port)
        yield Host(f"http://127.0.0.1:{port}", folder)
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def _listening(port: int) -> None:
    for _ in range(100):
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail("nginx does not answer")


@pytest.mark.parametrize("fault", ["none", "500", "cut"])
def test_mirror_of_a_real_host(host: Host, tmp_path: Path, fault: str) -> None:
    (host.folder / "fault").write_text(f"{fault}\n")
    row, entries = fetched(f"{host.url}/owner/name.git", settings(tmp_path))

    assert (row.error, row.owner, row.name, row.default_branch) == (None, "owner", "name", "main")
    assert [(entry.path, entry.size, entry.error) for entry in entries] == [
        ("good.py", len(GOOD), None), ("large.bin", LARGE, None)
    ]  # fmt: skip
    assert ("POST 500" in host.answers()) == (fault == "500")
    assert not (host.folder / "fault").exists()


def test_large_files_stay_at_the_host(host: Host, tmp_path: Path) -> None:
    _, entries = fetched(f"{host.url}/owner/name.git", settings(tmp_path, max_file_bytes=10_000))

    assert [(entry.path, entry.error) for entry in entries] == [("good.py", None), ("large.bin", "too_large")]
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.pack")) < 10_000
