"""GitHub's tokens: read from a file or the environment of the driver, each with its own budget; never shown.

A line is a token, or an App's installation: `app APP_ID INSTALLATION_ID KEY_FILE`, for which tokens are fetched and
renewed as they run out. Tables, plans, logs and errors name a token by its place in the list.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from stackcurate.errors import ConfigError, MissingDependencyError

_TOKEN = re.compile(r"[A-Za-z0-9_.-]{8,300}")
MINUTE = 60.0
_JWT_S = 540
"""Seconds for which an App's own assertion is good; GitHub allows ten minutes.
Source: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app"""


@dataclass(frozen=True)
class Installation:
    """An App's installation: who it is, and the key that proves it."""

    app_id: str
    installation_id: str
    key: bytes = field(repr=False)

    def assertion(self, now: float) -> str:
        """Return a JSON web token, signed with RS256, that asks for an installation's token."""
        try:
            from cryptography.hazmat.primitives.asymmetric import padding, rsa
            from cryptography.hazmat.primitives.hashes import SHA256
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ImportError:
            raise MissingDependencyError('App installations need: pip install "stackcurate[sources]"') from None
        key = load_pem_private_key(self.key, password=None)
        assert isinstance(key, rsa.RSAPrivateKey), "checked when the list was read"
        claims = {"iat": int(now) - 60, "exp": int(now) + _JWT_S, "iss": self.app_id}
        text = ".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
        return f"{text}.{_base64(key.sign(text.encode(), padding.PKCS1v15(), SHA256()))}"


@dataclass(kw_only=True)
class Budget:
    """What GitHub said of one token and one resource: when it may be used again, and what is left."""

    blocked_until: float = 0.0
    remaining: int | None = None
    reset: float = 0.0

    def ready(self, now: float) -> float:
        """Return the time from which requests are allowed."""
        spent = self.remaining is not None and self.remaining <= 0 and self.reset > now
        return max(self.blocked_until, self.reset if spent else 0.0)


@dataclass(kw_only=True)
class Token:
    """One token: how it is called, its secret, and its budgets.

    Args:
        name: `token 1`, or `anonymous`.
        secret: as it is sent; null for anonymous requests, or before the first token of an installation.
        installation: the App's installation that gives secrets.
        expires: time at which the secret runs out; null where it does not.
        budgets: by resource, `core` or `graphql`.
        points: time and points of the requests of the last minute, by resource.
    """

    name: str
    secret: str | None = field(default=None, repr=False)
    installation: Installation | None = field(default=None, repr=False)
    expires: float | None = None
    budgets: dict[str, Budget] = field(default_factory=dict)
    points: dict[str, deque[float]] = field(default_factory=dict)
    dead: bool = False

    def budget(self, resource: str) -> Budget:
        """Return the budget of a resource."""
        return self.budgets.setdefault(resource, Budget())

    def ready(self, resource: str, now: float, most: int) -> float:
        """Return the time from which the token may be used: after its limits, and below `most` points a minute."""
        recent = self.points.setdefault(resource, deque())
        while recent and recent[0] <= now - MINUTE:
            recent.popleft()
        paced = recent[-most] + MINUTE if len(recent) >= most else 0.0
        # what one resource is told to wait for, all wait for: secondary limits are shared
        blocked = max((budget.blocked_until for budget in self.budgets.values()), default=0.0)
        return max(self.budget(resource).ready(now), blocked, paced)

    def stale(self, now: float) -> bool:
        """Say whether an installation's secret must be fetched first."""
        return self.installation is not None and (self.secret is None or now > (self.expires or 0.0) - 300)


def read_tokens(path: str = "", variable: str = "") -> list[Token]:
    """Return the tokens of a file, else those of an environment variable, else anonymous access.

    Args:
        path: file with a token per line; empty means none. Empty lines and `#` comments are skipped.
        variable: name of a variable with tokens, separated by commas or white space.

    Raises:
        ConfigError: the file cannot be read, or a line of it is no token.
    """
    if path:
        try:
            lines = Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"repos.tokens_file {path}: {type(error).__name__}") from None
        where = path
    else:
        lines = os.environ.get(variable, "").replace(",", " ").split() if variable else []
        where = f"environment variable {variable}"
    given = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    tokens = [_token(line, number, where) for number, line in enumerate(dict.fromkeys(given), 1)]
    return tokens or [Token(name="anonymous")]


def _token(line: str, number: int, where: str) -> Token:
    """Return the token of a line; an error names its place, never the line."""
    name = f"token {number}"
    words = line.split()
    if words[0] == "app" and len(words) == 4:
        try:
            key = Path(words[3]).read_bytes()
        except OSError as error:
            raise ConfigError(f"{where}: key file of {name}: {error.strerror}") from None
        if b"PRIVATE KEY" not in key:
            raise ConfigError(f"{where}: key file of {name} holds no private key in PEM")
        return Token(name=name, installation=Installation(words[1], words[2], key))
    if not _TOKEN.fullmatch(line):
        raise ConfigError(f"{where}: {name} is neither a token nor `app APP_ID INSTALLATION_ID KEY_FILE`")
    return Token(name=name, secret=line)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
