"""GitHub on loopback: listings, GraphQL, renames, limits and faults by script, on a clock that tests turn."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stackcurate.sources.github_client import Clock

_FIELD = re.compile(r'(\w+):(?:nodes\(ids:(\[[^\]]*\])\)|repository\(owner:"([^"]+)",name:"([^"]+)"\))')


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.at = 1_700_000_000.0
        self.clock = Clock(lambda: self.at, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.at += max(seconds, 0.0)


def repository(number: int, name: str = "", **given: Any) -> dict[str, Any]:
    """Return a repository as a listing of the REST API gives it."""
    name = name or f"owner{number % 7}/project-{number}"
    return {"id": number, "node_id": f"R_kg{number}", "name": name.partition("/")[2], "full_name": name,
            "private": False, "disabled": False, "owner": {"login": name.partition("/")[0], "id": 7, "type": "User"},
            "fork": False, "size": 3, "stargazers_count": number, "forks_count": 1, "archived": False,
            "default_branch": "main", "license": {"spdx_id": "MIT"}, "created_at": "2020-01-01T00:00:00Z",
            "pushed_at": "2021-01-01T00:00:00Z"} | given  # fmt: skip


def node(one: dict[str, Any]) -> dict[str, Any]:
    """Return the same repository as GraphQL gives it."""
    return {"databaseId": one["id"], "nameWithOwner": one["full_name"], "isFork": one["fork"],
            "owner": {"__typename": "User", "login": one["owner"]["login"], "databaseId": 7},
            "parent": {"databaseId": one["parent"]["id"]} if "parent" in one else None, "diskUsage": one["size"],
            "stargazerCount": one["stargazers_count"], "forkCount": 1, "isArchived": one["archived"],
            "isPrivate": False, "isDisabled": False, "licenseInfo": {"spdxId": "MIT"}, "createdAt": one["created_at"],
            "pushedAt": one["pushed_at"],
            "defaultBranchRef": {"name": "main", "target": {"oid": f"{one['id']:040x}"}}}  # fmt: skip


class Stub:
    """The server's state: what there is, what goes wrong, what was asked.

    Args:
        repositories: all there is, in order of their numbers.
        time: its clock.
        faults: by the number of a request, from 1, what happens in place of an answer.
        heaviest: GraphQL queries for more repositories end with 502.
    """

    def __init__(self, repositories: list[dict[str, Any]], time: Time, faults: dict[int, str] | None = None) -> None:
        self.time, self.faults, self.heaviest = time, faults or {}, 10**9
        self.all = {one["id"]: one for one in repositories}
        self.names = {one["full_name"].lower(): one for one in repositories}
        self.gone: dict[str, int] = {}
        self.moved: dict[str, int] = {}
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.tokens: set[str] | None = None
        self.remaining: Counter[str] = Counter()
        self.limit: int | None = None
        self.closed: dict[str, float] = {}
        self.inside_window = self.most_in_flight = self.confirmed = 0
        self._in_flight: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.url = ""

    def arrive(self, token: str, method: str, path: str, headers: dict[str, str]) -> str | None:
        """Note a request and return the fault that is due."""
        with self._lock:
            self.requests.append((method, path))
            self.headers.append(headers)
            self._in_flight[token] += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight[token])
            self.inside_window += self.closed.get(token, 0.0) > self.time.at
            return self.faults.get(len(self.requests))

    def leave(self, token: str) -> None:
        """Note the end of a request."""
        with self._lock:
            self._in_flight[token] -= 1

    def budget(self, token: str) -> dict[str, str]:
        """Count a request against the limit of a token and return what the headers say."""
        if self.limit is None:
            return {}
        self.remaining[token] += 1
        return {"X-RateLimit-Remaining": str(max(self.limit - self.remaining[token], 0)),
                "X-RateLimit-Reset": str(int(self.time.at) + 100)}  # fmt: skip

    def close(self, token: str, seconds: float) -> None:
        """Shut a token out for a time."""
        self.closed[token] = self.time.at + seconds

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and value of a whole answer."""
        split = urlsplit(path)
        asked = {key: values[0] for key, values in parse_qs(split.query).items()}
        parts = split.path.strip("/").split("/")
        if parts == ["graphql"]:
            return self._graphql(json.loads(body)["query"])
        if parts[0] == "app" and method == "POST":
            return 201, {}, {"token": "installation-secret", "expires_at": "2030-01-01T00:00:00Z"}
        if parts == ["repositories"]:
            later = [one for key, one in sorted(self.all.items()) if key > int(asked.get("since", 0))]
            page = later[:100]
            more = {"Link": f'<{self.url}/repositories?since={page[-1]["id"]}>; rel="next"'} if len(later) > 100 else {}
            return 200, more, page
        if parts[0] == "users":
            return self._owned(parts[1], int(asked.get("page", 1)), int(asked.get("per_page", 30)))
        if parts[0] == "repositories":
            return 200, {}, self.all[int(parts[1])]
        return self._one("/".join(parts[1:3]).lower())

    def _one(self, name: str) -> tuple[int, dict[str, str], Any]:
        if name in self.moved:
            return 301, {"Location": f"{self.url}/repositories/{self.moved[name]}"}, {"message": "Moved Permanently"}
        if name in self.names:
            return 200, {}, self.names[name]
        return self.gone.get(name, 404), {}, {"message": "Not Found"}

    def _owned(self, owner: str, page: int, size: int) -> tuple[int, dict[str, str], Any]:
        mine = [one for one in self.all.values() if one["full_name"].startswith(f"{owner}/")]
        if not mine:
            return 404, {}, {"message": "Not Found"}
        url = f"{self.url}/users/{owner}/repos?per_page={size}&page={page + 1}"
        more = {"Link": f'<{url}>; rel="next", <{url}>; rel="last"'} if len(mine) > page * size else {}
        return 200, more, mine[(page - 1) * size : page * size]

    def _graphql(self, query: str) -> tuple[int, dict[str, str], Any]:
        data: dict[str, Any] = {}
        nodes = {one["node_id"]: one for one in self.all.values()} if "nodes(" in query else {}
        count = 0
        for alias, ids, owner, name in _FIELD.findall(query):
            if ids:
                found = [nodes.get(key) for key in json.loads(ids)]
                assert len(found) <= 100
                data[alias] = [node(one) if one else None for one in found]
                count += len(found)
            else:
                full = f"{owner}/{name}".lower()
                one = self.names.get(full) or self.all.get(self.moved.get(full, 0))
                data[alias] = node(one) if one else None
                count += 1
        if count > self.heaviest:
            return 502, {}, {"message": "timeout"}
        missing = [alias for alias, value in data.items() if value is None]
        return 200, {}, {"data": data, "errors": [{"type": "NOT_FOUND", "path": [alias]} for alias in missing]}


class _Handler(BaseHTTPRequestHandler):
    stub: Stub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authorization", "")
        fault = self.stub.arrive(token, self.command, self.path, dict(self.headers))
        self._answer(token, fault, body)

    def _answer(self, token: str, fault: str | None, body: bytes) -> None:
        known = self.stub.tokens is None or token.removeprefix("Bearer ") in self.stub.tokens
        if not known and not self.path.startswith("/app/"):
            self._send(401, {}, {"message": "Bad credentials"})
        elif fault == "reset":
            self.stub.leave(token)
            self.close_connection = True
            self.connection.close()
        elif fault in ("500", "502", "503"):
            self._send(int(fault), {}, {"message": "Server Error"})
        elif fault in ("429", "secondary"):
            self.stub.close(token, 30)
            said = "You have exceeded a secondary rate limit." if fault == "secondary" else "slow down"
            self._send(403 if fault == "secondary" else 429, {"Retry-After": "30"}, {"message": said})
        elif fault == "primary":
            self.stub.close(token, 100)
            reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(self.stub.time.at) + 100)}
            self._send(403, reset, {"message": "API rate limit exceeded"})
        elif fault == "graphql-limit":
            self.stub.close(token, 100)
            reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(self.stub.time.at) + 100)}
            self._send(200, reset, {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]})
        else:
            status, headers, value = self.stub.answer(self.command, self.path, body)
            headers |= self.stub.budget(token)
            if headers.get("X-RateLimit-Remaining") == "0":
                self.stub.close(token, 100)
                self.stub.remaining[token] = 0
            self._send(status, headers, value, short=fault == "truncated", garbage=fault == "garbage")

    def _send(
        self, status: int, headers: dict[str, str], value: Any, *, short: bool = False, garbage: bool = False
    ) -> None:
        data = json.dumps(value).encode()
        token = self.headers.get("Authorization", "")
        tag = f'"{hashlib.sha256(data + token.encode()).hexdigest()[:16]}"'  # an ETag belongs to a token
        if status == 200 and self.command == "GET" and self.headers.get("If-None-Match") == tag:
            self.stub.confirmed += 1
            status, data = 304, b""
        self.stub.leave(token)  # before the answer: the client may ask again before this thread runs on
        self.send_response_only(status)
        sent = {"Content-Type": "application/json", "Content-Length": str(len(data)), "ETag": tag, **headers}
        for name, text in sent.items():
            self.send_header(name, text)
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(data[: len(data) // 2] if short else b"<" * len(data) if garbage else data)
        if short:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(stub: Stub) -> Iterator[str]:
    """Serve a stub and give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stub": stub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    stub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield stub.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
