"""GitHub's API: requests that obey every limit, with several tokens, each with a budget and ETags of its own.

Each token has one request in flight at most, as GitHub asks, so that nothing is sent while a limit that it was told of
lasts; several tokens work side by side. What breaks on the way is sent again, by whichever token is free first.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

from stackcurate.errors import ConfigError, MissingDependencyError, SourceError
from stackcurate.sources.github_tokens import MINUTE, Token

if TYPE_CHECKING:
    import urllib3

API = "https://api.github.com"
POINTS = {"core": 900, "graphql": 2000}
"""Points a minute for each resource; a GET or a query costs one.
Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api"""
MOST_AT_ONCE = 100
"""Requests in flight at most. Source: the same page."""
_ATTEMPTS = 6
_MOST_WAITS = 200
_SECONDARY_S, _LONGEST_RESET_S, _LONGEST_WAIT_S = 60.0, 2 * 3600.0, 24 * 3600.0
_MOST_REDIRECTS = 5
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28", "User-Agent": "stackcurate"}
_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')


class GaveUpError(SourceError):
    """GitHub did not answer a request after several attempts."""


@dataclass(frozen=True)
class Clock:
    """The time, and how to wait for another."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers by lower-case name, body, and the address that gave it after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    def json(self) -> Any:
        """Return the parsed body."""
        return json.loads(self.body)


Etags = MutableMapping[str, tuple[str, bytes, dict[str, str]]]
"""By token and address: the ETag, the body and its headers. Any mapping serves, also one on a disk."""


@dataclass(eq=False)
class Client:
    """A client of GitHub's API that threads share.

    Args:
        tokens: as `read_tokens` gives them.
        api_url: GitHub's, or `https://HOST/api/v3` of an Enterprise server.
        clock: the time.
        points: requests a minute for each resource and token.
        etags: answers that GitHub may confirm instead of sending them again.
        notify: told in a sentence when the client waits for a limit.

    Raises:
        ConfigError: tokens would cross a network in the clear.
    """

    tokens: Sequence[Token] = field(repr=False)
    api_url: str = API
    clock: Clock = Clock()
    points: Mapping[str, int] = field(default_factory=lambda: POINTS)
    etags: Etags = field(default_factory=dict, repr=False)
    notify: Callable[[str], None] = field(default=lambda _sentence: None, repr=False)
    requests: int = 0

    def __post_init__(self) -> None:
        split = urlsplit(self.api_url)
        if split.scheme != "https" and not (split.scheme == "http" and split.hostname in ("127.0.0.1", "localhost")):
            raise ConfigError(f"repos.api_url: expected an https address, found {self.api_url!r}")
        self.api_url = self.api_url.rstrip("/")
        self._http = _pool(len(self.tokens))
        self._free = threading.Condition()
        self._busy: set[str] = set()

    @property
    def anonymous(self) -> bool:
        """Whether there is no token, so that GraphQL is out of reach."""
        return all(token.secret is None and token.installation is None for token in self.tokens)

    @property
    def at_once(self) -> int:
        """Number of requests that may be in flight."""
        return min(len(self.tokens), MOST_AT_ONCE)

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Reply:
        """Return the answer for a path or an address of this API, after redirects, whatever its status.

        Raises:
            GaveUpError: GitHub does not answer.
            SourceError: a redirect leaves the API, or no token is good.
        """
        url = self._url(path, parameters)
        for _ in range(_MOST_REDIRECTS):
            reply = self._send("GET", url, "core")
            if reply.status not in (301, 302, 307, 308):
                return reply
            url = self._url(urljoin(url, reply.headers.get("location", "")))
        raise SourceError(f"{path}: more than {_MOST_REDIRECTS} redirects")

    def pages(self, path: str, parameters: Mapping[str, Any] | None = None) -> Iterator[Reply]:
        """Yield a listing page by page, as the Link headers chain them.

        Raises:
            SourceError: the chain comes back to a page, or leaves the API.
        """
        url, seen = self._url(path, parameters), set[str]()
        while url:
            if url in seen:
                raise SourceError(f"{path}: its pages form a loop")
            seen.add(url)
            reply = self.get(url)
            yield reply
            found = _NEXT.search(reply.headers.get("link", ""))
            url = self._url(urljoin(reply.url, found[1])) if found else ""

    def graphql(self, query: str) -> Any:
        """Return the answer to a query, `data` and `errors`.

        Raises:
            GaveUpError: GitHub does not answer, such as when the query takes too long.
        """
        url = self.api_url.removesuffix("/v3") if self.api_url.endswith("/api/v3") else self.api_url
        reply = self._send("POST", f"{url}/graphql", "graphql", json.dumps({"query": query}).encode(), attempts=3)
        answer = reply.json() if reply.status == 200 else {}
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
            raise GaveUpError(f"GraphQL: status {reply.status} and no data: {_said(reply)}")
        return answer

    def _url(self, path: str, parameters: Mapping[str, Any] | None = None) -> str:
        url = path if "://" in path else f"{self.api_url}/{path.lstrip('/')}"
        if urlsplit(url)[:2] != urlsplit(self.api_url)[:2]:
            raise SourceError(f"{urlsplit(url).netloc!r} is not {self.api_url}: tokens do not go there")
        return f"{url}?{urlencode(parameters)}" if parameters else url

    def _send(
        self, method: str, url: str, resource: str, body: bytes | None = None, attempts: int = _ATTEMPTS
    ) -> Reply:
        """Send a request until it is answered; waits for limits do not count as attempts."""
        failures = waits = 0
        while failures < attempts and waits < _MOST_WAITS:
            with self._leased(resource, url) as token:
                reply = self._once(token, method, url, resource, body)
                now = self.clock.now()
                if reply is None or reply.status >= 500 or reply.status == 408:
                    pause = 2.0**failures
                    failures += 1
                elif reply.status == 401:
                    pause = 0.0
                    self._refused(token)
                else:
                    pause = _limit(reply, waits, now)
                    waits += pause > 0
                    if not pause:
                        return reply
                token.budget(resource).blocked_until = now + max(pause, _retry_after(reply, now) or 0.0)
        raise GaveUpError(f"{urlsplit(url).path}: no answer after {failures} attempts and {waits} waits")

    def _once(self, token: Token, method: str, url: str, resource: str, body: bytes | None) -> Reply | None:
        """Send a request once; None where the connection or the body breaks."""
        import urllib3

        if token.stale(self.clock.now()) and not self._renew(token):
            return None
        key = f"{token.name} {url}"
        known = self.etags.get(key) if method == "GET" else None
        headers = _HEADERS | ({"If-None-Match": known[0]} if known else {})
        if token.secret:
            headers["Authorization"] = f"Bearer {token.secret}"
        try:
            self._count(token, resource)
            raw = self._http.request(method, url, headers=headers, body=body, redirect=False)
            reply = Reply(raw.status, {name.lower(): value for name, value in raw.headers.items()}, raw.data, url)
            if reply.status == 200 and "json" in reply.headers.get("content-type", ""):
                json.loads(reply.body)
        except (urllib3.exceptions.HTTPError, ValueError):
            return None
        _note_budget(token, resource, reply, self.clock.now())
        if reply.status == 304 and known:
            return Reply(200, known[2] | dict(reply.headers), known[1], url)
        if reply.status == 200 and method == "GET" and "etag" in reply.headers:
            kept = {name: reply.headers[name] for name in ("link", "content-type") if name in reply.headers}
            self.etags[key] = reply.headers["etag"], reply.body, kept
        return reply

    def _renew(self, token: Token) -> bool:
        """Fetch an installation's token and say whether that worked."""
        import urllib3

        assert token.installation is not None, "only installations run out"
        now, path = self.clock.now(), f"/app/installations/{token.installation.installation_id}/access_tokens"
        headers = _HEADERS | {"Authorization": f"Bearer {token.installation.assertion(now)}"}
        try:
            self.requests += 1
            raw = self._http.request("POST", self._url(path), headers=headers, redirect=False)
            if raw.status in (401, 403, 404):
                token.dead = True
                return False
            token.secret, token.expires = str(raw.json()["token"]), now + 3600
        except (urllib3.exceptions.HTTPError, ValueError, LookupError, TypeError):
            return False
        return True

    def _refused(self, token: Token) -> None:
        if token.installation is not None and token.secret is not None:
            token.secret = None  # it may have been revoked early; a second refusal is final
            token.expires = None
        else:
            token.dead = True
            self.notify(f"GitHub refuses {token.name}; going on without it")

    def _count(self, token: Token, resource: str) -> None:
        with self._free:
            self.requests += 1
        token.points[resource].append(self.clock.now())

    @contextmanager
    def _leased(self, resource: str, url: str) -> Iterator[Token]:
        """Wait for the token that is free first and hold it."""
        token = self._take(resource, url)
        try:
            yield token
        finally:
            with self._free:
                self._busy.discard(token.name)
                self._free.notify_all()

    def _take(self, resource: str, url: str) -> Token:
        while True:
            with self._free:
                now = self.clock.now()
                alive = [token for token in self.tokens if not token.dead]
                if not alive:
                    raise SourceError("GitHub accepts none of the tokens; check repos.tokens_file or repos.tokens_env")
                idle = [token for token in alive if token.name not in self._busy]
                ready = {token.name: token.ready(resource, now, self.points[resource]) for token in idle}
                able = [token for token in idle if ready[token.name] <= now]
                if able:
                    known = [token for token in able if f"{token.name} {url}" in self.etags]
                    token = known[0] if known else max(able, key=lambda one: _left(one, resource))
                    self._busy.add(token.name)
                    return token
                if self._busy:
                    self._free.wait(0.05)
                    continue
                pause = min(ready.values()) - now
            if pause > 5:
                self.notify(f"waiting {pause:,.0f} s for GitHub's limits")
            self.clock.sleep(pause)


def _limit(reply: Reply, waits: int, now: float) -> float:
    """Return how many seconds an answer asks to wait; 0 where it is none about limits."""
    limited = reply.status in (403, 429)
    if reply.status == 200 and b'"RATE_LIMITED"' in reply.body[-100_000:] and "graphql" in reply.url:
        limited = True
    if not limited:
        return 0.0
    given = _retry_after(reply, now)
    if given is not None:
        return max(given, 1.0)
    if reply.headers.get("x-ratelimit-remaining") == "0":
        return max(_until_reset(reply, now), 1.0)
    if reply.status == 403 and b"secondary rate limit" not in reply.body.lower():
        return 0.0
    return float(_SECONDARY_S * 2 ** min(waits, 4))


def _note_budget(token: Token, resource: str, reply: Reply, now: float) -> None:
    left = reply.headers.get("x-ratelimit-remaining", "")
    if left.isdigit():
        budget = token.budget(resource)
        budget.remaining, budget.reset = int(left), now + _until_reset(reply, now)


def _until_reset(reply: Reply, now: float) -> float:
    """Return the seconds to the reset, by the server's own clock where it tells it, and one more."""
    reset = reply.headers.get("x-ratelimit-reset", "")
    there = _date(reply.headers.get("date", "")) or now
    return min(max(float(reset) - there, 0.0) + 1, _LONGEST_RESET_S) if reset.isdigit() else MINUTE


def _retry_after(reply: Reply | None, now: float) -> float | None:
    """Return the seconds that an answer asks to wait, as a number or as a date; null where it does not."""
    value = reply.headers.get("retry-after", "").strip() if reply else ""
    if value.isdigit():
        return min(float(value), _LONGEST_WAIT_S)
    date = _date(value)
    return None if reply is None or date is None else max(date - (_date(reply.headers.get("date", "")) or now), 0.0)


def _date(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, TypeError):
        return None


def _left(token: Token, resource: str) -> int:
    remaining = token.budget(resource).remaining
    return 1 << 30 if remaining is None else remaining


def _said(reply: Reply) -> str:
    try:
        answer = reply.json()
        errors = answer.get("errors") or [answer]
        return str(errors[0].get("message", ""))[:200]
    except (ValueError, AttributeError, LookupError):
        return "no message"


def _pool(size: int) -> urllib3.PoolManager:
    try:
        import urllib3
    except ImportError:
        raise MissingDependencyError('GitHub needs: pip install "stackcurate[sources]"') from None
    return urllib3.PoolManager(maxsize=size, retries=False, timeout=urllib3.Timeout(connect=20, read=90))
