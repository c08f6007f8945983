"""Secrets that never were: drawn at run time in the form of real ones, and text that is full of them."""

from __future__ import annotations

import base64
import json
import random
import re
import string
from collections.abc import Mapping
from importlib.resources import files

RNG = random.Random(20)
ALPHABETS = {
    "alnum": string.ascii_letters + string.digits,
    "upper": string.ascii_uppercase + string.digits,
    "lower": string.ascii_lowercase + string.digits,
    "hex": string.digits + "abcdef",
    "digit": string.digits,
    "bech32": "qpzry9x8gf2tvdw0s3jn54khce6mua7l".upper(),
}


def draw(size: int, alphabet: str = "alnum", rng: random.Random = RNG) -> str:
    """Draw characters."""
    return "".join(rng.choices(ALPHABETS[alphabet], k=size))


def uuid(rng: random.Random = RNG) -> str:
    """Draw a UUID."""
    return "-".join(draw(size, "hex", rng) for size in (8, 4, 4, 4, 12))


def fake(template: str, rng: random.Random = RNG) -> str:
    """Draw a secret by a template of `tokens.tsv`."""
    drawn = re.sub(r"\{(\w+):(\d+)\}", lambda match: draw(int(match[2]), match[1], rng), template)
    return drawn.replace("{uuid}", uuid(rng))


def rows() -> list[list[str]]:
    """Return the rows of `tokens.tsv`: name, entity, expression, entropy, template."""
    text = files("stackcurate").joinpath("data/secrets/tokens.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if not line.startswith(("#", "name\t"))]


def part(claims: Mapping[str, object]) -> str:
    """Return a part of a JSON Web Token."""
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


GITHUB, OTHER = "gh" + "p_" + draw(36), "gh" + "o_" + draw(36)
JWT = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': 'karin'})}.{draw(43)}"
BODY = [draw(64), draw(64), draw(22) + "=="]
MARGIN = "-" * 5
BEGIN, END = (f"{MARGIN}{word} RSA PRIVATE KEY{MARGIN}" for word in ("BEGIN", "END"))
AWS_SECRET = draw(38) + "/1"
KEYS = {name: fake(template) for name, *_, template in rows()}


def dense_file(seed: int) -> bytes:
    """Return lines in which most plugins and filters of detect-secrets have something to find or to drop."""
    rng = random.Random(seed)
    secrets = [*KEYS.values(), JWT, BEGIN, AWS_SECRET, draw(24, "lower"), draw(64, "hex"), "hunter2", "foo", "${x}"]
    names = [
        "password",
        "api_key",
        "SECRET",
        "db_pass",
        "aws_key",
        "cl_token",
        "user_id",
        "x",
        "contraseña",
        "pa\u017fsword",
    ]
    marks = [
        " = ",
        ": ",
        "=",
        ' = "',
        "': '",
        " == ",
        '("',
        '",',
        " ",
        "\n    ",
        "\r\n",
        "%(x)s",
        "\\x41",
        "{",
        "[a]",
        "`",
    ]
    marks += [
        " # pragma: allowlist secret",
        "\n# pragma: allowlist nextline secret\n",
        "!!binary ",
        ' = get("x")',
        "\u00a0",
    ]
    lines = ["[section]"] * rng.randint(0, 1)
    for _ in range(rng.randint(1, 8)):
        pieces = [rng.choice(names), rng.choice(marks)]
        pieces += [rng.choice([*secrets, *names, *marks]) for _ in range(rng.randint(0, 4))]
        lines.append("".join(pieces))
    return "\n".join(lines).encode()
