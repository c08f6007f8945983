"""The index of benchmarks: hashes of what their texts hold and ordinary code does not.

A benchmark comes as JSON lines, or as the table of hashes that `hash_texts` makes of them: HumanEval is shipped as
such a table. A window counts only where it is neither trivial (a run of digits, the alphabet) nor common: held by many
items of its benchmark or by many documents of a background of ordinary code.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stackcurate.config import setting
from stackcurate.errors import ConfigError

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]

SHIPPED = ("humaneval",)
"""Benchmarks in `stackcurate/data/benchmarks`."""
HASHED = pa.schema([
    ("item", pa.string()), ("field", pa.string()), ("characters", pa.int64()), ("chosen", pa.int32()),
    ("windows", pa.list_(pa.uint64())), ("frequency", pa.list_(pa.int32())),
])  # fmt: skip
"""A benchmark as hashes: its texts, how many characters and distinct windows each has once normalised, the windows that
are not trivial, and in how many background documents each of these stands."""
_BENCHMARK = pa.field("benchmark", pa.string())
FEWEST = 2
"""Windows that a text has to have, and that a file has to share with it."""
_LEAST_RARE = 1 / 3
"""Share of a text's windows that must count, or else what is left says nothing about the text."""


@dataclass(frozen=True, kw_only=True)
class ContaminationConfig:
    """Which benchmarks to look for, and how much of a text is a find."""

    builtin: tuple[str, ...] = setting(SHIPPED, "shipped benchmarks to look for; only hashes are shipped")
    benchmarks: tuple[str, ...] = setting(
        (), "further benchmarks, as `name=path` of JSON lines (`.gz` as well) or of hashes (`.parquet`)"
    )  # fmt: skip
    fields: tuple[str, ...] = setting(
        ("prompt", "canonical_solution", "text", "code", "question", "solution", "solutions"),
        "fields of a record that hold its texts, each a string or a list of strings",
    )
    id_fields: tuple[str, ...] = setting(
        ("task_id", "problem_id", "question_id", "id", "name"), "fields of which the first names a record"
    )
    background: tuple[str, ...] = setting(
        (), "JSON lines of ordinary code, one document each; what is frequent in it tells nothing"
    )
    coverage: float = setting(0.5, "share of a text's windows that a file has to hold in one place")
    min_characters: int = setting(
        45, "letters and digits of the shortest text looked for; shorter ones arise by chance"
    )
    max_frequency: int = setting(20, "items of a benchmark, or background documents, that may share a window")

    def __post_init__(self) -> None:
        """Refuse unknown names, shares that are none, and limits below one."""
        if unknown := sorted(set(self.builtin) - set(SHIPPED)):
            raise ValueError(f"unknown builtin benchmarks {unknown}; shipped: {', '.join(SHIPPED)}")
        named = [entry.partition("=") for entry in self.benchmarks]
        if wrong := [name + separator + path for name, separator, path in named if not (name and path)]:
            raise ValueError(f"benchmarks: expected name=path, found {', '.join(wrong)}")
        names = [*self.builtin, *(name for name, _, _ in named)]
        if len(set(names)) < len(names):
            raise ValueError(f"benchmarks: each needs a name of its own, found {', '.join(names)}")
        if not 0 < self.coverage <= 1:
            raise ValueError(f"coverage: expected a share above 0, found {self.coverage}")
        if min(self.min_characters, self.max_frequency) < 1 or not self.fields:
            raise ValueError("min_characters and max_frequency must be at least 1, and fields must name one")

    @property
    def benchmark_paths(self) -> tuple[str, ...]:
        """The files of the further benchmarks."""
        return tuple(entry.partition("=")[2] for entry in self.benchmarks)


class Text(NamedTuple):
    """A text of a benchmark: where it comes from, and its letters and digits."""

    benchmark: str
    item: str
    field: str
    characters: int


class Index(NamedTuple):
    """What is looked for.

    Args:
        texts: what is looked for, and what is skipped.
        lookup: distinct hashes in ascending order, bitmap and table, as `contamination_numba.fill` makes them.
        postings: by number of a hash where its texts begin, these texts, and by text how many windows make a find.
        numbers: by text where its hashes begin, and the numbers of these in ascending order.
        skipped: by benchmark the texts that are too short or too common to be looked for.
    """

    texts: list[Text]
    lookup: tuple[Any, ...]
    postings: tuple[Any, ...]
    numbers: tuple[Integers, Integers]
    skipped: Mapping[str, int]


@cache
def load_index(config: ContaminationConfig) -> Index:
    """Read all benchmarks that a config names.

    Raises:
        ConfigError: a file cannot be read, or holds nothing that can be looked for; with the line.
    """
    folder = package_files("stackcurate").joinpath("data", "benchmarks")
    named = [(name, str(folder.joinpath(f"{name}.parquet"))) for name in config.builtin]
    named += [(name, path) for name, _, path in (entry.partition("=") for entry in config.benchmarks)]
    parts = [HASHED.append(_BENCHMARK).empty_table()]
    for name, path in named:
        table = hashed(path, config)
        parts.append(table.append_column(_BENCHMARK, pa.array([name] * len(table), pa.string())))
    return _indexed(pa.concat_tables(parts), config)


def items_looked_for(config: ContaminationConfig) -> dict[str, int]:
    """Return the number of items by benchmark, those aside whose texts are all too short or too common.

    >>> items_looked_for(ContaminationConfig())
    {'humaneval': 164}
    """
    index = load_index(config)
    usable = zip(index.texts, np.diff(index.numbers[0]), strict=True)
    return dict(Counter(name for name, _ in sorted({(text.benchmark, text.item) for text, size in usable if size})))


def hashed(path: str, config: ContaminationConfig) -> pa.Table:
    """Return a benchmark as `HASHED`.

    Raises:
        ConfigError: the file cannot be read, or a line of it is no record.
    """
    if path.endswith(".parquet"):
        try:
            return pq.read_table(path, schema=HASHED)
        except (OSError, pa.ArrowException) as error:
            raise ConfigError(f"{path}: expected hashes of a benchmark, found {error}") from error
    texts = list(read_texts(path, config))
    table = hash_texts([text for *_, text in texts], [item for item, *_ in texts], [field for _, field, _ in texts])
    return with_frequency(table, config.background) if config.background else table


def read_texts(path: str, config: ContaminationConfig) -> Iterator[tuple[str, str, str]]:
    """Yield item, field and text of each text of a benchmark's JSON lines.

    Raises:
        ConfigError: the file cannot be read, is empty, or a line of it is no record; with the line.
    """
    found = False
    for line, record in _records(path):
        found = True
        item = next((str(record[name]) for name in config.id_fields if record.get(name) is not None), str(line))
        texts = [(name, text) for name in config.fields for text in _texts(record.get(name))]
        if not texts:
            raise ConfigError(
                f"{path}:{line}: expected a text in one of {', '.join(config.fields)}, found {', '.join(record)}; "
                "name the fields in [contamination] fields"
            )
        yield from ((item, name, text) for name, text in texts)
    if not found:
        raise ConfigError(f"{path}: expected JSON lines, one record each, found an empty file")


def _texts(value: Any) -> Iterator[str]:
    """Yield a text, or those of a list, which APPS keeps as JSON inside a string."""
    if isinstance(value, str) and value.startswith('["'):
        with suppress(json.JSONDecodeError):
            value = json.loads(value)
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (one for one in value if isinstance(one, str))


def _records(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode("utf-8-sig")
    except (EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise ConfigError(f"{path}: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            record = json.loads(content)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ConfigError(f"{path}:{line}: expected a JSON object, found {error}") from None
        if not isinstance(record, dict):
            raise ConfigError(f"{path}:{line}: expected a JSON object, found {type(record).__name__}")
        yield line, record


def hash_texts(texts: Sequence[str], items: Sequence[str], fields: Sequence[str]) -> pa.Table:
    """Hash the texts of a benchmark; one that holds comments gives a second row for the text without them.

    Returns:
        `HASHED`, in order, with a frequency of 0.

    >>> hash_texts(["the quick brown fox jumps over the lazy dog and runs"], ["1"], ["text"])["chosen"].to_pylist()
    [2]
    """
    from stackcurate.kernels.contamination_index_numba import all_text_hashes, tables

    parts = [text.encode("utf-8", "surrogatepass") for text in texts]
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    data = np.frombuffer(b"".join(parts), np.uint8)
    hashes, owners = np.empty(2 * len(data) + 1, np.uint64), np.empty(2 * len(data) + 1, np.int32)
    sizes = np.zeros(2 * len(parts), np.int64)
    total = all_text_hashes(data, offsets, tables(), hashes, owners, sizes)
    order = np.lexsort((hashes[:total], owners[:total]))
    owner, value = owners[:total][order], hashes[:total][order]
    new = np.append(True, (owner[1:] != owner[:-1]) | (value[1:] != value[:-1]))[: len(owner)]
    owner, value = owner[new], value[new]
    chosen = np.bincount(owner, minlength=len(sizes))
    owner, value = owner[value != 0], value[value != 0]
    ends = np.append(0, np.cumsum(np.bincount(owner, minlength=len(sizes))))
    lists = [pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(part))
             for part in (value, np.zeros(len(value), np.int32))]  # fmt: skip
    columns = [np.repeat(np.asarray(names, dtype=object), 2) for names in (items, fields)]
    arrays = [pa.array(column, pa.string()) for column in columns]
    table = pa.table([*arrays, pa.array(sizes), pa.array(chosen, pa.int32()), *lists], schema=HASHED)
    keep = np.flatnonzero((sizes > 0) | (np.arange(len(sizes)) % 2 == 0))
    return table.take(pa.array(keep))


def with_frequency(table: pa.Table, paths: Sequence[str]) -> pa.Table:
    """Fill in how many documents of a background hold each window.

    Args:
        table: as `HASHED`.
        paths: JSON lines; all strings of a record make its document.

    Raises:
        ConfigError: a file cannot be read, or a line of it is no record.
    """
    from stackcurate.kernels.contamination_index_numba import tables
    from stackcurate.kernels.contamination_numba import count_pieces, room_for

    windows = table["windows"].combine_chunks()
    values = windows.flatten().to_numpy()
    distinct, inverse = np.unique(values, return_inverse=True)
    frequency = np.zeros(len(distinct), np.int32)
    lookup = _lookup(distinct)
    for path in paths:
        for _, record in _records(path):
            document = "\n".join(value for value in record.values() if isinstance(value, str))
            data = np.frombuffer(document.encode("utf-8", "surrogatepass"), np.uint8)
            ends = np.zeros(1, np.int64), np.array([len(data)], np.int64)
            count_pieces(data, *ends, tables(), lookup, room_for(len(data)), frequency)
    counted = pa.ListArray.from_arrays(windows.offsets, pa.array(frequency[inverse], pa.int32()))
    return table.set_column(HASHED.get_field_index("frequency"), HASHED.field("frequency"), counted)


def _indexed(table: pa.Table, config: ContaminationConfig) -> Index:
    """Put the windows that count of all texts into one index."""
    table = table.combine_chunks()
    lists = table["windows"].combine_chunks()
    hashes = lists.flatten().to_numpy().astype(np.uint64) if len(table) else np.empty(0, np.uint64)
    owners = np.repeat(np.arange(len(table)), lists.value_lengths().to_numpy() if len(table) else 0)
    distinct, number = np.unique(hashes, return_inverse=True)
    counts = _items_per_window(table, number, owners) <= config.max_frequency
    if len(table):
        counts &= table["frequency"].combine_chunks().flatten().to_numpy() <= config.max_frequency
    rare = np.bincount(owners[counts], minlength=len(table))
    usable = (rare >= FEWEST) & (rare >= _LEAST_RARE * table["chosen"].to_numpy())
    usable &= table["characters"].to_numpy() >= config.min_characters
    pairs = counts & usable[owners]
    distinct, number = np.unique(hashes[pairs], return_inverse=True)
    owners = owners[pairs]
    by_number = np.argsort(number, kind="stable")
    starts = np.append(0, np.cumsum(np.bincount(number, minlength=len(distinct))))
    needed = np.maximum(FEWEST, np.ceil(config.coverage * rare - 1e-9)).astype(np.int32)
    begins = np.append(0, np.cumsum(np.bincount(owners, minlength=len(table))))
    return Index(
        [Text(*row) for row in zip(*(table[name].to_pylist() for name in Text._fields), strict=True)],
        _lookup(distinct),
        (starts, owners[by_number].astype(np.int32), needed),
        (begins, number),
        _skipped(table, usable),
    )


def _items_per_window(table: pa.Table, number: Integers, owners: Integers) -> Integers:
    """Return for each pair of a window and a text how many items of the text's benchmark hold the window."""
    names = pc.binary_join_element_wise(table["benchmark"], table["item"], "\0")
    benchmark, item = (_codes(column) for column in (table["benchmark"], names))
    group = number * (int(benchmark.max(initial=0)) + 1) + benchmark[owners]
    width = int(item.max(initial=0)) + 1
    groups, items = np.unique(np.unique(group * width + item[owners]) // width, return_counts=True)
    held: Integers = items[np.searchsorted(groups, group)] if len(group) else group
    return held


def _codes(column: pa.ChunkedArray) -> Integers:
    """Return a number for each value, the same for equal ones."""
    codes = column.combine_chunks().dictionary_encode().indices
    return np.asarray(codes.to_numpy(zero_copy_only=False), np.int64)


def _skipped(table: pa.Table, usable: NDArray[np.bool_]) -> dict[str, int]:
    names = table["benchmark"].to_pylist()
    return {name: sum(n == name and not u for n, u in zip(names, usable, strict=True)) for name in dict.fromkeys(names)}


def _lookup(distinct: Hashes) -> tuple[Any, ...]:
    """Return hashes, bitmap of at least 16 bits each, and a table at most half full."""
    from stackcurate.kernels.contamination_numba import fill

    words = 1 << max(6, (len(distinct) // 4).bit_length())
    bits, slots = np.zeros(words, np.uint64), np.full(8 * words, -1, np.int32)
    fill(distinct, bits, slots)
    return distinct, bits, slots
