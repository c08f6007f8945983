"""Attribution: milliseconds per text of 200 lines, recall of planted runs, false alerts, size of the index.

Half of the texts hold a run of a released file of just the guaranteed length between lines of nobody, the others are
whole excerpts. The peer looks for each window of the text in all released files, as `grep -F` would.
"""

from __future__ import annotations

import hashlib
import random
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pyarrow as pa

from stackcurate import schema
from stackcurate.kernels.attribution import AttributionConfig, normalise
from stackcurate.release.attribution import Attribution
from stackcurate.release.attribution_index import build_index
from stackcurate.release.shards import encode
from stackcurate.session import SparkConfig, spark_session
from stackcurate.workspace import Workspace, open_workspace, write_bytes, write_json
from tests.bench.measure import Line

CONFIG = AttributionConfig()
MOST_BYTES = 60_000_000
SHARD_BYTES = 8_000_000
QUESTIONS = 1_000
PEER_QUESTIONS = 5
LINES = 200


class Question(NamedTuple):
    """A text, and the run without whitespace that was planted in it."""

    text: bytes
    planted: bytes


def run() -> Iterator[Line]:
    """Index installed Python files and ask about pieces of them."""
    contents = corpus()
    with TemporaryDirectory(prefix="stackcurate-bench-") as folder:
        place = open_workspace(folder)
        yield from index_lines(place, contents)
        attribution = Attribution(place.path("releases", "v1"))
        asked = list(questions(contents))
        attribution.check(asked[0].text)
        spent, missed, wrong = [], 0, 0
        for question in asked:
            start = time.perf_counter()
            answer = attribution.check(question.text)
            spent.append(1000 * (time.perf_counter() - start))
            found = [bare(question.text[match.start : match.end]) for match in answer.matches]
            missed += not (any(question.planted in run for run in found) or not question.planted)
            wrong += sum(
                run not in bare(contents[match.row["path"]]) for run, match in zip(found, answer.matches, strict=True)
            )
        yield line("attribute_ms", sum(spent) / len(spent), "ms", 10)
        yield line("attribute_ms_p99", quantiles(spent, n=100)[98], "ms")
        yield line("attribution_recall", 1 - missed / len(asked), "1", 1.0)
        yield line("attribution_false_alerts", wrong, "matches", 0)
        yield Line("attribution", "attribute_ms", "substring search", peer_ms(contents, asked), "ms")


def line(name: str, value: float, unit: str, goal: float | None = None) -> Line:
    """Return a line of this benchmark."""
    return Line("attribution", name, "stackcurate", value, unit, goal)


def corpus() -> dict[str, bytes]:
    """Return installed Python files by path, up to `MOST_BYTES`."""
    root = Path(sysconfig.get_path("purelib"))
    found: dict[str, bytes] = {}
    total = 0
    for path in sorted(root.rglob("*.py")):
        content = path.read_bytes()
        try:
            content.decode()
        except UnicodeDecodeError:
            continue
        found[path.relative_to(root).as_posix()] = content
        total += len(content)
        if total > MOST_BYTES:
            break
    return found


def index_lines(place: Workspace, contents: dict[str, bytes]) -> Iterator[Line]:
    """Write a release of these files, index it, and yield the share of the index in the text."""
    shards, rows, size = [], [], 0
    empty = dict.fromkeys(schema.RELEASE.columns.names)
    for path, content in [*contents.items(), ("", b"")]:
        if rows and (size > SHARD_BYTES or not path):
            name = f"data/python/train-{len(shards):05d}.parquet"
            data = encode(pa.Table.from_pylist(rows, schema=schema.RELEASE.columns), 6 << 20)
            write_bytes(place, data, "releases", "v1", name)
            shards.append({"path": name, "sha256": hashlib.sha256(data).hexdigest(), "content_bytes": size})
            rows, size = [], 0
        rows.append(empty | {"repo": "bench/bench", "revision": "1", "path": path, "content": content.decode(),
                             "license": "MIT", "size": len(content), "content_id": path})  # fmt: skip
        size += len(content)
    write_json(place, {"shards": shards}, "releases", "v1", "manifest.json")
    spark = spark_session(SparkConfig(master="local[2,4]"))
    record = build_index(spark, place, "v1", shards, CONFIG, 2)
    spark.stop()
    yield line("attribution_index_share", record["bytes"] / sum(map(len, contents.values())), "1", 0.2)


def questions(contents: dict[str, bytes]) -> Iterator[Question]:
    """Yield texts of `LINES` lines, each with a run that stands in a file."""
    draw = random.Random(1)
    long = [content for content in contents.values() if len(bare(content)) > 20 * CONFIG.guaranteed]
    for number in range(QUESTIONS):
        lines = draw.choice(long).splitlines(keepends=True)
        if number % 2:
            text = bare(draw.choice(long))
            start = draw.randrange(len(text) - CONFIG.guaranteed)
            planted = text[start : start + CONFIG.guaranteed]
            lines = [b"value_%.12f = %.12f\n" % (draw.random(), draw.random()) for _ in range(LINES)]
            lines[LINES // 2] = planted + b"\n"
            yield Question(b"".join(lines), planted)
        else:
            first = draw.randrange(max(len(lines) - LINES, 1))
            excerpt = b"".join(lines[first : first + LINES])
            yield Question(excerpt, bare(excerpt) if len(bare(excerpt)) >= CONFIG.guaranteed else b"")


def bare(content: bytes) -> bytes:
    """Return content without whitespace."""
    return normalise(content)[0].tobytes()


def peer_ms(contents: dict[str, bytes], asked: list[Question]) -> float:
    """Return milliseconds per text of a search for each stretch of the window's size in all files."""
    everything = b"\0".join(map(bare, contents.values()))
    start = time.perf_counter()
    for question in asked[:PEER_QUESTIONS]:
        text = bare(question.text)
        for place in range(0, len(text) - CONFIG.guaranteed, CONFIG.window):
            everything.find(text[place : place + CONFIG.window])
    return 1000 * (time.perf_counter() - start) / PEER_QUESTIONS
