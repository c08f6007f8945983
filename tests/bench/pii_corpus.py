"""Text for the benchmark of personal data: files of installed packages, as they are and with secrets in them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from tests.bench.build import is_text
from tests.secret_fakes import draw, fake, rows

SUFFIXES = frozenset(".py .pyi .js .ts .json .c .h .md .txt .yaml .yml .toml .html .css .rst".split())  # noqa: SIM905
LARGEST = 300_000
DISTANCE = 1000
"""Bytes of source between two planted secrets, on average: four times as dense as the test data of the peers."""


class Source(NamedTuple):
    """A file: its name, its bytes, and the secrets that were planted in it."""

    path: str
    content: bytes
    planted: tuple[bytes, ...] = ()


def ordinary(megabytes: float, seed: int = 1) -> list[Source]:
    """Return UTF-8 files of installed packages in random order, about as many as asked for.

    Args:
        megabytes: size of all, if there is as much.
        seed: of the order.
    """
    folder = Path(pa.__file__).parents[1]
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and 0 < path.stat().st_size <= LARGEST)
    random.Random(seed).shuffle(paths)
    return list(_up_to(megabytes, (Source(path.name, path.read_bytes()) for path in paths)))


def dense(sources: Sequence[Source], seed: int = 2) -> list[Source]:
    """Return files with a line that holds a secret after about each `DISTANCE` bytes.

    Args:
        sources: files to plant them in.
        seed: of the secrets and of their places.
    """
    rng = random.Random(seed)
    return [_planted(source, rng) for source in sources]


def _planted(source: Source, rng: random.Random) -> Source:
    lines = source.content.splitlines(keepends=True)
    pieces: list[bytes] = []
    planted: list[bytes] = []
    since = 0
    for line in lines:
        pieces.append(line)
        since += len(line)
        if since > DISTANCE and line.endswith(b"\n"):
            statement, secret = statement_of(rng)
            pieces.append(statement.encode())
            planted.append(secret.encode())
            since = 0
    return Source(source.path, b"".join(pieces), tuple(planted))


def statement_of(rng: random.Random) -> tuple[str, str]:
    """Return a line that holds a secret, and what of the secret must be gone after redaction."""
    kind = rng.randrange(4)
    if kind == 0:
        secret = draw(10, "alnum", rng) + "!7" + draw(3, "lower", rng)
        return f'db_password = "{secret}"\n', secret
    if kind == 1:
        secret = draw(38, "alnum", rng) + "/1"
        return f'aws_secret_access_key = "{secret}"\n', secret
    name, *_, template = rng.choice(ROWS)
    secret = fake(template, rng)
    return f'{name} = "{secret}"\n', secret[-16:]


ROWS = [row for row in rows() if not set(fake(row[-1])) & set(" =:?&$/\"'")]
"""Formats that stand in a string as they are."""


def _up_to(megabytes: float, sources: Iterator[Source]) -> Iterator[Source]:
    size = 0
    for source in sources:
        if size >= megabytes * 1e6:
            return
        if is_text(source.content):
            size += len(source.content)
            yield source
