"""A real object store on loopback, SeaweedFS, and a proxy before it that breaks some of the requests."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.fs as pafs

from tests.sources.serving import running

WEED = Path(sys.executable).parent / "weed"
BUCKET = "stackcurate"
_HOP = ("connection", "content-length", "expect", "transfer-encoding")
"""Headers that a proxy writes itself."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, nor on the ones 10,000 above, where SeaweedFS speaks gRPC."""
    found: list[int] = []
    while len(found) < count:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1] % 20_000 + 12_000
            with suppress(OSError):
                other.bind(("127.0.0.1", port + 10_000))
                found.append(port)
    return found


class Store:
    """A SeaweedFS that can be killed and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = free_ports(4)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.ports[3]}"

    def start(self) -> None:
        master, volume, filer, s3 = self.ports
        self.folder.mkdir(exist_ok=True)
        command = [
            str(WEED), "-logtostderr=false", f"-logdir={self.folder}", "server", f"-dir={self.folder}",
            "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.port={s3}", f"-master.port={master}",
            f"-volume.port={volume}", f"-filer.port={filer}", "-master.volumeSizeLimitMB=64", "-volume.max=100",
            "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        ]  # fmt: skip
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, cwd=self.folder, stdin=quiet, stdout=quiet, stderr=quiet)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError):
                connect(self.endpoint).create_dir(BUCKET)
                return
            time.sleep(0.2)
        raise TimeoutError("SeaweedFS did not start")

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


def connect(endpoint: str) -> pafs.S3FileSystem:
    return pafs.S3FileSystem(
        access_key="any", secret_key="any" * 3, endpoint_override=endpoint, scheme="http", region="us-east-1",
        allow_bucket_creation=True, connect_timeout=2, request_timeout=5,
    )  # fmt: skip


@contextmanager
def storing(folder: Path) -> Iterator[Store]:
    """Run a store, with credentials for it in the environment, until the block ends."""
    kept = dict(os.environ)
    os.environ.update(AWS_ACCESS_KEY_ID="any", AWS_SECRET_ACCESS_KEY="any" * 3, AWS_EC2_METADATA_DISABLED="true")
    store = Store(folder)
    try:
        yield store
    finally:
        store.kill()
        os.environ.clear()
        os.environ.update(kept)
        shutil.rmtree(folder, ignore_errors=True)


def uri(endpoint: str, *names: str) -> str:
    """Return the address of something in the bucket."""
    path = "/".join((BUCKET, *map(quote, names)))
    return f"s3://{path}?scheme=http&endpoint_override={endpoint.replace(':', '%3A')}&region=us-east-1"


class Breaking(ThreadingHTTPServer):
    """Passes requests on to a store and breaks each n-th: an error, or a closed connection."""

    daemon_threads = True

    def __init__(self, store: Store, every: int) -> None:
        self.store, self.every = store, every
        self.count = self.broken = 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Passing)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error here."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Breaking

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or self._chunks()
        with self.server.lock:
            self.server.count += 1
            number = self.server.count
            broken = number % self.server.every == 0
            self.server.broken += broken
        if broken and number % (2 * self.server.every):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if broken:
            self._answer(503, {}, b"")
            return
        upstream = http.client.HTTPConnection(self.server.store.endpoint, timeout=10)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP}
        upstream.request(self.command, self.path, body, headers)
        reply = upstream.getresponse()
        self._answer(reply.status, dict(reply.getheaders()), reply.read())
        upstream.close()

    def _chunks(self) -> bytes:
        body = b""
        while self.headers.get("Transfer-Encoding") == "chunked" and (size := int(self.rfile.readline(), 16)):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - names of the standard library

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        length = headers.get("Content-Length", str(len(body)))
        for key, value in headers.items():
            if key.lower() not in _HOP:
                self.send_header(key, value)
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def breaking(store: Store, every: int) -> Iterator[Breaking]:
    """Run a proxy before a store that breaks each n-th request."""
    with running(Breaking(store, every)) as server:
        yield server
