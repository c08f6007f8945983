"""Sources: MB of GH Archive's JSON per CPU-second, and GitHub requests per repository with faults on the way.

The peer reads the same hour with `gzip` and `json` and counts stars and forks by repository, nothing else.
"""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from stackcurate.sources.gharchive import hour_files, read_hour
from stackcurate.sources.github import describe, everything, wanted_of
from stackcurate.sources.github_client import Client
from stackcurate.sources.github_tokens import Token
from tests.bench.git_sources import git_lines, hostile_lines
from tests.bench.measure import Line
from tests.sources.archive_events import many
from tests.sources.github_stub import Stub, Time, repository, serving

EVENTS = 60_000
REPOSITORIES = 10_000
FAULTS = {29: "secondary", 97: "truncated"}
"""By number of the request: about one in sixty goes wrong."""


def run() -> Iterator[Line]:
    """Read an hour, then list and describe repositories from a server on loopback."""
    yield from gharchive_lines()
    yield from github_lines()
    yield from git_lines()
    yield from hostile_lines()


def gharchive_lines() -> Iterator[Line]:
    """Write an hour in the shape of 2021 and read it."""
    name = "gharchive_mb_per_cpu_s"
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        path = Path(folder) / "2021-01-01-7.json.gz"
        path.write_bytes(gzip.compress(b"\n".join(many(EVENTS)) + b"\n", 6))
        file = hour_files(folder)[0]
        read_hour(file)  # imports
        start = time.process_time()
        summary, _ = read_hour(file)
        spent = time.process_time() - start
        yield Line("sources", name, "stackcurate", summary["bytes"] / 1e6 / spent, "MB/s", 80)
        start = time.process_time()
        plain(path)
        yield Line("sources", name, "gzip and json", summary["bytes"] / 1e6 / (time.process_time() - start), "MB/s")


def plain(path: Path) -> Counter[int]:
    """Return stars and forks by repository."""
    found: Counter[int] = Counter()
    with gzip.open(path) as lines:
        for line in lines:
            event = json.loads(line)
            found[event["repo"]["id"]] += event["type"] in ("WatchEvent", "ForkEvent")
    return found


def github_lines() -> Iterator[Line]:
    """List everything and describe it, with three tokens and faults; then describe names alone."""
    time_ = Time()
    stub = Stub([repository(number) for number in range(1, REPOSITORIES + 1)], time_, dict(FAULTS))
    with serving(stub):
        tokens = [Token(name=f"token {n}", secret=f"fake-{n}-fake") for n in range(3)]
        client = Client(tokens, stub.url, clock=time_.clock)
        listed = [one for _, page in everything(client) for one in page]
        rows = list(describe(client, map(wanted_of, listed)))
        assert len({row["repo_id"] for row in rows}) == len(rows) == REPOSITORIES
        assert not stub.inside_window
        least = REPOSITORIES / 100 + REPOSITORIES / 500
        yield Line("sources", "github_request_overhead", "stackcurate", len(stub.requests) / least, "1", 1.02)
        stub.requests.clear()
        stub.faults.clear()
        list(describe(client, map(wanted_of, listed)))
        per_request = REPOSITORIES / len(stub.requests)
        yield Line("sources", "graphql_repos_per_request", "stackcurate", per_request, "repositories", 500)
