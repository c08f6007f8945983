"""The peers of the stream, each run by an interpreter that has nothing of ours.

    python loader_peers.py PEER JOB RESULT    # a job and its result are JSON

Each reads the same Parquet file, or the same tokens, in one process without workers, and hands out rows as its users
get them. Counted are the tokens of those rows and the CPU seconds of all threads, after imports and set-up.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"

WORDS = r"\p{N}|'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"
"""StarCoder's splitter as one pattern."""
ROWS = 64
HELD = 1000
"""Documents that the best-fit loader chooses among."""
REQUIREMENTS: dict[str, list[list[str]]] = {
    "best-fit (nanochat's recipe)": [["tiktoken==0.14.0", "pyarrow", "numpy"]],
    "HF datasets": [["datasets==5.2.0", "tokenizers"]],
    "Grain": [["grain==0.2.15", "tokenizers", "pyarrow", "numpy"]],
    "litData": [["torch==2.13.0"], ["litdata==0.2.76", "tokenizers", "polars", "pyarrow"]],
    "nanoGPT's memmap": [["numpy"]],
    "litData TokensLoader": [["torch==2.13.0"], ["litdata==0.2.76", "tokenizers", "polars", "pyarrow"]],
}
"""What to install for each peer."""

Job = dict[str, Any]
Rows = Iterator[int]
"""The tokens of each batch that was handed out."""


def reference(job: Job) -> Any:
    """Return HF's tokeniser, which these peers are used with."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(job["tokenizer"])
    tokenizer.encode_special_tokens = True
    return tokenizer


def best_fit(job: Job) -> Rows:
    """Pack whole documents, the largest that fits first, and crop one where none does; as nanochat describes it."""
    import pyarrow.parquet as pq
    import tiktoken

    values = json.loads(Path(job["tokenizer"]).read_text(encoding="utf-8"))
    special = {token["content"]: token["id"] for token in values["added_tokens"]}
    letters = {letter: byte for byte, letter in enumerate(job["letters"])}
    ranks = {
        bytes(letters[c] for c in token): rank
        for token, rank in values["model"]["vocab"].items()
        if token not in special
    }
    encoding = tiktoken.Encoding("ours", pat_str=WORDS, mergeable_ranks=ranks, special_tokens=special)
    width = job["sequence_length"] + 1
    file = pq.ParquetFile(job["parquet"])
    held: list[list[int]] = []
    batch: list[list[int]] = []
    for group in cycle(range(file.num_row_groups)):
        texts = file.read_row_group(group, columns=["content"])["content"].to_pylist()
        for start in range(0, len(texts), 128):
            held += [[0, *ids] for ids in encoding.encode_ordinary_batch(texts[start : start + 128], num_threads=1)]
            while len(held) >= HELD:
                batch.append(best_row(held, width))
                if len(batch) == ROWS:
                    yield handed_out(batch)
                    batch = []


def best_row(held: list[list[int]], width: int) -> list[int]:
    row: list[int] = []
    while len(row) < width:
        room = width - len(row)
        fitting = max((n for n, ids in enumerate(held) if len(ids) <= room), key=lambda n: len(held[n]), default=-1)
        if fitting >= 0:
            row += held.pop(fitting)
        else:
            row += held.pop(min(range(len(held)), key=lambda n: len(held[n])))[:room]
    return row


def handed_out(batch: list[list[int]]) -> int:
    import numpy as np

    return int(np.array(batch, np.int64).size)


def datasets(job: Job) -> Rows:
    """Stream, tokenise in batches and group the texts, as the examples of transformers do."""
    from datasets import load_dataset

    tokenizer, width = reference(job), job["sequence_length"] + 1

    def tokenize(rows: dict[str, list[str]]) -> dict[str, Any]:
        return {"ids": [encoded.ids for encoded in tokenizer.encode_batch_fast(rows["content"])]}

    def group(rows: dict[str, list[list[int]]]) -> dict[str, Any]:
        joined = [one for ids in rows["ids"] for one in (*ids, 0)]
        whole = len(joined) // width * width
        return {"ids": [joined[start : start + width] for start in range(0, whole, width)]}

    found = load_dataset("parquet", data_files=job["parquet"], split="train", streaming=True)
    packed = found.select_columns(["content"]).map(tokenize, batched=True, batch_size=100, remove_columns=["content"])
    for batch in packed.map(group, batched=True, batch_size=100).batch(ROWS):
        yield handed_out(batch["ids"])


def grain(job: Job) -> Rows:
    """Concatenate and split, as torchtitan packs with Grain."""
    import numpy as np
    from grain import experimental

    tokenizer, width = reference(job), job["sequence_length"] + 1

    def tokenize(row: dict[str, Any]) -> dict[str, Any]:
        return {"ids": np.array([*tokenizer.encode(row["content"]).ids, 0], np.int32)}

    read = experimental.ParquetIterDataset(job["parquet"]).map(tokenize)
    packed = experimental.ConcatThenSplitIterDataset(read, length_struct={"ids": width})
    for batch in packed.batch(ROWS):
        yield int(batch["ids"].size)


def litdata(job: Job) -> Rows:
    """Stream Parquet through litData's loader, tokenise and group."""
    import litdata
    from litdata.streaming.item_loader import ParquetLoader

    tokenizer, width = reference(job), job["sequence_length"] + 1
    folder = Path(job["folder"]) / "litdata"
    folder.mkdir(exist_ok=True)
    shutil.copy(job["parquet"], folder / "texts.parquet")
    litdata.index_parquet_dataset(str(folder))
    batch: list[list[int]] = []
    held: list[int] = []
    for row in litdata.StreamingDataset(str(folder), item_loader=ParquetLoader(), shuffle=True):
        content = row["content"] if isinstance(row, dict) else row[job["column"]]
        held += [*tokenizer.encode(content).ids, 0]
        while len(held) >= width:
            batch.append(held[:width])
            held = held[width:]
            if len(batch) == ROWS:
                yield handed_out(batch)
                batch = []


def memmap(job: Job) -> Rows:
    """Take random crops of one long array, as nanoGPT's get_batch does."""
    import numpy as np

    length, chance = job["sequence_length"], np.random.default_rng(0)
    tokens = np.memmap(job["tokens"], np.uint16, "r")
    while True:
        starts = chance.integers(0, len(tokens) - length - 1, ROWS)
        inputs = np.stack([tokens[at : at + length].astype(np.int64) for at in starts])
        targets = np.stack([tokens[at + 1 : at + 1 + length].astype(np.int64) for at in starts])
        assert targets.shape == inputs.shape
        yield int(inputs.size)


def tokens_loader(job: Job) -> Rows:
    """Read blocks of tokens that litData wrote, in a random order."""
    import litdata
    import numpy as np
    import torch
    from litdata.streaming.item_loader import TokensLoader

    width = job["sequence_length"] + 1
    folder = Path(job["folder"]) / "litdata-tokens"
    tokens = np.fromfile(job["tokens"], np.uint16).astype(np.int32)
    writer = litdata.streaming.writer.BinaryWriter(
        str(folder), chunk_size=width * 4096, item_loader=TokensLoader(block_size=width)
    )
    for number, start in enumerate(range(0, len(tokens) // width * width, width * 16)):
        writer.add_item(number, torch.from_numpy(tokens[start : start + width * 16]))
    writer.done()
    writer.merge()
    while True:
        loaded = litdata.StreamingDataset(str(folder), item_loader=TokensLoader(block_size=width), shuffle=True)
        batch = []
        for row in loaded:
            batch.append(row)
            if len(batch) == ROWS:
                yield int(torch.stack(batch).numel())
                batch = []


PEERS: dict[str, Callable[[Job], Rows]] = {
    "best-fit (nanochat's recipe)": best_fit,
    "HF datasets": datasets,
    "Grain": grain,
    "litData": litdata,
    "nanoGPT's memmap": memmap,
    "litData TokensLoader": tokens_loader,
}
RAW = ("best-fit (nanochat's recipe)", "HF datasets", "Grain", "litData")
"""Peers that begin with texts; the others begin with tokens."""


def look(rows: Rows, seconds: float) -> dict[str, float]:
    """Draw batches for some CPU seconds after the first, which pays for the set-up; return tokens and CPU seconds."""
    next(rows)
    tokens, start = 0, time.process_time()
    for count in rows:
        tokens += count
        if time.process_time() - start >= seconds:
            break
    return {"tokens": tokens, "cpu_seconds": time.process_time() - start}


def main(arguments: list[str]) -> None:
    """Do a job and write the result."""
    name, path, result = arguments
    job = json.loads(Path(path).read_text(encoding="utf-8"))
    Path(result).write_text(json.dumps(look(PEERS[name](job), job["seconds"])), encoding="utf-8")
    os._exit(0)  # some leave threads behind that never end


if __name__ == "__main__":
    main(sys.argv[1:])
