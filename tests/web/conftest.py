"""The site of the tests: one release, written once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from stackcurate.web.app import create_app
from stackcurate.workspace import Workspace
from tests.web.sites import write_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with release v1."""
    return write_site(tmp_path_factory.mktemp("web") / "workspace")


@pytest.fixture(scope="session")
def address(site: Workspace) -> Iterator[str]:
    """Where a true server listens while the tests run."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(site, "v1", 10_000), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)
