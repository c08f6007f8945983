"""Benchmark of the stream: speed beside other loaders on the same file, exactness, resume.

    make bench subject=loader

The texts are files of the installed packages, as one shard of a release. Counted are tokens that are handed out per
CPU second of all threads, after set-up. What is ours runs in a process of its own, as the peers do.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from stackcurate import schema
from stackcurate.train.bpe import letters
from stackcurate.train.frozen import freeze, open_frozen
from stackcurate.train.position import Batch, read_state
from stackcurate.train.shards import open_shards
from stackcurate.train.stream import Stream, StreamConfig
from stackcurate.train.tokenizer import (
    TokenizerConfig,
    encode_pieces,
    load_tokenizer,
    save_tokenizer,
    train_tokenizer,
)
from tests.bench.loader_peers import PEERS, RAW, REQUIREMENTS
from tests.bench.measure import ROOT, Line
from tests.train.releases import real_files, row, write_release

OURS = "stackcurate"
LENGTH, ROWS = 2048, 64
RAW_GOAL, PRETOKENISED_GOAL = 20.0, 1000.0
"""Mtok per CPU second."""
FILES, LARGEST = 20_000, 200_000
PEER_SECONDS = 5.0
RAW_EPOCHS = 2
FROZEN_ROWS = 20_000


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def line(name: str, value: float, unit: str, goal: float | None = None, who: str = OURS) -> Line:
    return Line("loader", name, who, value, unit, goal)


def run() -> Iterator[Line]:
    """Yield the lines; peers that do not install are left out."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        job = prepare(folder)
        ours = in_a_process("raw", job, folder)
        yield line("raw_mtok_per_cpu_s", rate(ours), "Mtok/CPU-s", RAW_GOAL)
        frozen = in_a_process("frozen", job, folder)
        yield line("pretokenised_mtok_per_cpu_s", rate(frozen), "Mtok/CPU-s", PRETOKENISED_GOAL)
        for who, command in peer_commands():
            name = "raw_mtok_per_cpu_s" if who in RAW else "pretokenised_mtok_per_cpu_s"
            try:
                found = in_process(command, job, folder)
            except (subprocess.SubprocessError, OSError) as error:
                say(f"{who}: failed ({error}), left out")
                continue
            yield line(name, rate(found), "Mtok/CPU-s", who=who)
            if who in RAW:
                yield line(f"raw_speed_over {who}", rate(ours) / rate(found), "times", 25.0)
        resumed = in_a_process("resume", job, folder)
        yield line("resume_cpu_s", resumed["cpu_seconds"], "CPU-s", 1.0)
        yield line("process_start_cpu_s", resumed["start_cpu_seconds"], "CPU-s")
        yield line("state_bytes", resumed["state_bytes"], "bytes", 1024.0)
        yield from exactness_lines(job)


def rate(found: dict[str, float]) -> float:
    """Return Mtok per CPU second."""
    return found["tokens"] / found["cpu_seconds"] / 1e6


def prepare(folder: Path) -> dict[str, Any]:
    """Write the release, its tokeniser and frozen rows; return the job that all do."""
    rows = [row(one["repo"], one["path"], one["content"], "Text") for one in real_files(FILES, largest=LARGEST)]
    say(f"{len(rows)} files, {sum(one['size'] for one in rows) / 1e6:.1f} MB")
    release = write_release(folder / "release", rows, row_group_bytes=6 << 20, shard_rows=len(rows))
    shards = open_shards(release)
    text = train_tokenizer(shards, TokenizerConfig(sample_bytes=30 << 20))
    save_tokenizer(text, folder / "tokenizer.json")
    stream = Stream(shards, load_tokenizer(folder / "tokenizer.json"), StreamConfig(sequence_length=LENGTH))
    freeze(stream, folder / "frozen", FROZEN_ROWS)
    state = next(islice(stream.batches(ROWS), 40, None)).state
    return {
        "release": str(release),
        "parquet": str(release / shards.paths[0]),
        "tokenizer": str(folder / "tokenizer.json"),
        "letters": letters(),
        "tokens": str(folder / "frozen" / "rows-00000.bin"),
        "folder": str(folder),
        "sequence_length": LENGTH,
        "seconds": PEER_SECONDS,
        "column": schema.RELEASE.columns.names.index("content"),
        "state": state.to_json(),
    }


def in_a_process(what: str, job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run one of our parts."""
    return in_process([sys.executable, "-m", "tests.bench.loader", what], job, folder)


def in_process(command: Sequence[str], job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run a command on a job and return its result."""
    given, result = folder / "job.json", folder / "result.json"
    given.write_text(json.dumps(job), encoding="utf-8")
    result.unlink(missing_ok=True)
    subprocess.run([*command, str(given), str(result)], cwd=ROOT, stdout=sys.stderr, check=True, timeout=300)
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


def make_stream(job: dict[str, Any]) -> Stream:
    receipt = Path(job["folder"]) / "receipt.json"
    shards = open_shards(job["release"], receipt=receipt)
    return Stream(shards, load_tokenizer(job["tokenizer"]), StreamConfig(sequence_length=job["sequence_length"]))


def spend(batches: Iterator[Batch], *, epochs: int) -> dict[str, float]:
    """Draw batches, all or those of some epochs; return tokens and CPU seconds."""
    tokens, start = 0, time.process_time()
    for batch in batches:
        tokens += batch.rows.size
        if batch.state.epoch >= epochs:
            break
    return {"tokens": tokens, "cpu_seconds": time.process_time() - start}


def resume(job: dict[str, Any]) -> dict[str, float]:
    """Go on from a state in a process that has done nothing but imports; those are counted apart."""
    start = time.process_time()
    next(iter(make_stream(job).batches(ROWS, state=read_state(job["state"]))))
    spent = time.process_time() - start
    return {"cpu_seconds": spent, "start_cpu_seconds": start, "state_bytes": len(job["state"])}


def exactness_lines(job: dict[str, Any]) -> Iterator[Line]:
    """Yield mismatches over ranks, workers and restarts, tokens lost over two epochs, and padding."""
    whole = make_stream(job)
    small = replace(whole, config=replace(whole.config, block_bytes=1 << 20))
    yield line("stream_mismatches", mismatches(small), "batches", 0.0)
    lost, repeated, padding, total = account(whole, 2)
    yield line("tokens_lost", lost, "tokens", 0.0)
    yield line("tokens_repeated", repeated, "tokens", 0.0)
    yield line("padding_share", 100 * padding / total, "%", 0.05)


def mismatches(stream: Stream, batches: int = 12) -> int:
    """Count batches that differ from the undisturbed ones, over ranks, workers and resumes."""
    right = list(islice(stream.batches(ROWS), batches))
    hashes = [hashed([batch]) for batch in right]
    wrong = 0
    for world in (2, 3, 8, 64):
        ranks = [stream.batches(ROWS, rank=rank, world=world) for rank in range(world)]
        wrong += sum(hashed(list(shares)) != one for one, *shares in zip(hashes, *ranks, strict=False))
    for workers in (1, 8):
        wrong += sum(
            hashed([batch]) != one for one, batch in zip(hashes, stream.batches(ROWS, workers=workers), strict=False)
        )
    for before, after in zip(right, hashes[1:], strict=False):
        wrong += hashed([next(iter(stream.batches(ROWS, state=read_state(before.state.to_json()))))]) != after
    return wrong


def hashed(shares: Sequence[Batch]) -> str:
    return hashlib.sha256(np.concatenate([share.rows for share in shares]).tobytes()).hexdigest()


def account(stream: Stream, epochs: int) -> tuple[int, int, int, int]:
    """Compare the tokens of some epochs with those of the documents alone; return lost, repeated, padding, all.

    Rows are shuffled, so tokens are counted by id, over all documents of the epochs.
    """
    found: Counter[int] = Counter()
    last = stream.start
    for batch in stream.batches(1):
        if batch.state.epoch >= epochs:
            break
        found.update(batch.rows.ravel().tolist())
        last = batch.state
    width = stream.config.sequence_length + 1
    rest = stream.tail(epochs, 0, expected_tokens(stream, epochs) - last.drawn * width)
    found.update(rest.tolist())
    wanted: Counter[int] = Counter()
    special = stream._special
    for epoch in range(epochs):
        for block in range(stream.plan(epoch).blocks):
            for document in stream.documents(epoch, block):
                ids = np.frombuffer(encode_pieces(document.pieces, special, stream.tokenizer.encode), "<u4")
                wanted.update(ids.tolist())
    padding = found[stream.tokenizer.vocab["<fim_pad>"]]
    return (wanted - found).total(), (found - wanted).total(), padding, found.total()


def expected_tokens(stream: Stream, epochs: int) -> int:
    blocks = ((epoch, block) for epoch in range(epochs) for block in range(stream.plan(epoch).blocks))
    return sum(len(stream.tokens(*block)) for block in blocks)


def peer_commands() -> Iterator[tuple[str, list[str]]]:
    """Yield the command of each peer that installs; peers of equal needs share an environment, kept for next time."""
    script = str(Path(__file__).with_name("loader_peers.py"))
    for name in PEERS:
        needs = json.dumps(REQUIREMENTS[name])
        folder = ROOT / ".demo" / "bench" / f"loader-{hashlib.sha256(needs.encode()).hexdigest()[:8]}"
        if install(folder, name, needs):
            yield name, [str(folder / "bin" / "python"), "-P", script, name]


def install(folder: Path, name: str, needs: str) -> bool:
    """Install a peer where that is not done yet, and say whether it is there."""
    stamp = folder / "installed"
    if stamp.exists():
        return True
    venv.create(folder, with_pip=True, clear=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for arguments in json.loads(needs):
        say(f"installing {' '.join(arguments)}")
        if subprocess.run([*pip, *arguments], stdout=sys.stderr, check=False).returncode:
            say(f"{name} does not install: left out")
            return False
    stamp.touch()
    return True


def main(arguments: list[str]) -> None:
    """Do one of our parts."""
    what, path, result = arguments
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    if what == "raw":
        found = spend(make_stream(job).batches(ROWS), epochs=RAW_EPOCHS)
    elif what == "frozen":
        found = spend(open_frozen(Path(job["folder"]) / "frozen").batches(ROWS), epochs=1 << 30)
    else:
        found = resume(job)
    Path(result).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
