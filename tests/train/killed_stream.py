"""Draws batches in child processes and kills each at random: `killed_stream.py RELEASE TOKENIZER FOLDER KILLS`.

A child begins at the last state that was saved, logs the step and the hash of each batch, and saves the state every few
steps, as a trainer does. Children are forks, so that starting them costs little; each opens the release
anew and builds the stream.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from stackcurate.train.position import read_state
from stackcurate.train.shards import open_shards
from stackcurate.train.stream import Stream, StreamConfig
from stackcurate.train.tokenizer import Tokenizer, load_tokenizer

EVERY = 3
"""Steps between two saved states."""
ROWS = 12


def draw(release: str, tokenizer: Tokenizer, folder: Path) -> None:
    stream = Stream(open_shards(release), tokenizer, StreamConfig(sequence_length=64, block_bytes=40_000))
    saved = folder / "state"
    step, state = 0, stream.start
    if saved.exists():
        step, text = json.loads(saved.read_text())
        state = read_state(text)
    with (folder / "log").open("a") as log:
        for number, batch in enumerate(stream.batches(ROWS, state=state), step):
            log.write(f"{json.dumps([number, hashlib.sha256(batch.rows.tobytes()).hexdigest()])}\n")
            log.flush()
            if (number + 1) % EVERY == 0:
                fresh = folder / "state.new"
                fresh.write_text(json.dumps([number + 1, batch.state.to_json()]))
                fresh.replace(saved)
            time.sleep(0.002)


def main(release: str, tokenizer: str, folder: Path, kills: int) -> None:
    chance, loaded = random.Random(7), load_tokenizer(tokenizer)
    loaded.encode("é")  # compiled before the forks
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            draw(release, loaded, folder)
        begun = (folder / "log").stat().st_size if (folder / "log").exists() else 0
        while not (folder / "log").exists() or (folder / "log").stat().st_size == begun:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
