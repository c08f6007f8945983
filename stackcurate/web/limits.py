"""Limits of the web page: a bucket of tokens per client, a largest body, and the headers that keep a page harmless."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 128 << 10
"""Bytes of a body."""
_BODY_SECONDS = 15
_MOST_CLIENTS = 20_000
_COSTS = {"/health": 0.0, "/static/": 0.1, "/api/opt-outs/": 5.0}
_POST, _BYTES_PER_TOKEN = 5.0, 4096
"""Tokens of a request that computes or writes, and the bytes of its body that cost one more; a question costs one."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Buckets:
    """A bucket of tokens per client, in memory, filled at a steady rate.

    Args:
        per_minute: tokens a minute, and tokens of a full bucket.
        clock: seconds that only go forward.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._full, self._rate, self._clock = per_minute, per_minute / 60, clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str, tokens: float) -> float:
        """Take tokens and return 0, or the seconds until there are enough.

        >>> buckets = Buckets(60, clock=lambda: 0.0)
        >>> buckets.take("a", 60), buckets.take("a", 2), buckets.take("b", 1)
        (0.0, 2.0, 0.0)
        """
        now = self._clock()
        left, then = self._clients.pop(client, (self._full, now))
        left = min(left + (now - then) * self._rate, self._full)
        enough = left >= tokens
        self._clients[client] = (left - tokens if enough else left, now)
        while len(self._clients) > _MOST_CLIENTS:  # whoever asked last longest ago
            self._clients.popitem(last=False)
        return 0.0 if enough else (tokens - left) / self._rate


def client_of(host: str) -> str:
    """Return what stands for a client: its address, of IPv6 the network that one customer has.

    >>> client_of("192.0.2.7"), client_of("2001:db8:1:2:3::4")
    ('192.0.2.7', '2001:db8:1:2::')
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)


class Limits:
    """Refuse what asks too often or sends too much, and put the headers on every answer.

    Args:
        app: what answers the rest.
        per_minute: tokens a minute for each client.
    """

    def __init__(self, app: ASGIApp, per_minute: float) -> None:
        self._app, self._buckets = app, Buckets(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        wait = self._buckets.take(client_of((scope.get("client") or ("",))[0]), _cost(scope))
        if wait:
            seconds = math.ceil(wait)
            await _refuse(send, 429, f"too many requests; try again in {seconds} s", {"retry-after": str(seconds)})
            return
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _read(scope, receive)
        except TimeoutError:
            await _refuse(send, 408, "the request took too long to arrive")
            return
        if body is None:
            await _refuse(send, 413, f"at most {LARGEST_BODY >> 10} kB are read", {"connection": "close"})
            return
        await self._app(scope, _again(body, receive), send)


def _cost(scope: Scope) -> float:
    if scope["method"] == "POST":
        return _POST + min(_declared(scope), LARGEST_BODY) / _BYTES_PER_TOKEN
    return next((cost for start, cost in _COSTS.items() if scope["path"].startswith(start)), 1.0)


def _declared(scope: Scope) -> int:
    """Return the bytes that a body is said to have; the most there may be where nothing is said."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length) if length.isdigit() else LARGEST_BODY


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """Return the body; None where it is too large."""
    if _declared(scope) > LARGEST_BODY:
        return None
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LARGEST_BODY:
            return None
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read, and then what is left."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def read() -> MutableMapping[str, Any]:
        return pending.pop() if pending else await receive()

    return read


def _with_headers(send: Send) -> Send:
    fixed = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *fixed]}
        await send(message)

    return answer


async def _refuse(send: Send, status: int, error: str, more: MutableMapping[str, str] | None = None) -> None:
    body = json.dumps({"error": error}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **(more or {})}
    listed = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})
