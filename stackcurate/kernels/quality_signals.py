"""OpenCoder's quality signals of a file, as facts: vectorised, without dice, without a clock.

What each signal measures is in `stackcurate.schema_signals`; a signal that does not apply to a language is null. Texts
count as English, in which OpenCoder counts all languages but Chinese and Japanese.

Source: OpenCoder (arXiv 2411.04905), opc_data_filtering, `quality_signals/`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from stackcurate import schema
from stackcurate.config import setting
from stackcurate.kernels.content import as_binary, decode


@dataclass(frozen=True, kw_only=True)
class SignalsConfig:
    """What is measured; thresholds stand in `quality_policy`."""

    parse: bool = setting(
        False, "measure `parse_errors` as well, which takes as long as all else; needs the extra `parse`"
    )
    parse_bytes: int = setting(1_000_000, "largest file that is parsed for it")

    def __post_init__(self) -> None:
        if self.parse_bytes < 0:
            raise ValueError(f"parse_bytes: expected 0 or more, found {self.parse_bytes}")


def measure_signals(
    content: pa.Array | Sequence[bytes | str | None],
    path: pa.Array | Sequence[str | None],
    language: pa.Array | Sequence[str | None],
    language_type: pa.Array | Sequence[str | None],
    config: SignalsConfig = SignalsConfig(),
) -> pa.RecordBatch:
    r"""Measure each file by the signals of its language.

    Args:
        content: bytes of the files; null and binary content give a row of nulls.
        path: of the files.
        language: as Linguist spells it; null gives a row of nulls.
        language_type: Linguist's type of it, which tells prose and data from code.
        config: what is measured.

    Returns:
        A batch of the columns of ``schema.SIGNALS.adds``, row by row.

    >>> row = measure_signals([b"def f():\n    return 1\n"], ["f.py"], ["Python"], ["programming"])
    >>> row["rules"][0].as_py(), row["signals"][0]["num_words"].as_py()
    ('python', 4.0)
    """
    columns = [as_binary(content), *(pa.array(one, pa.string()) for one in (path, language, language_type))]
    with _without_collector():
        rows = [_row(config, *values) for values in zip(*(column.to_pylist() for column in columns), strict=True)]
    adds = schema.SIGNALS.adds
    found = zip(*rows, strict=True) if rows else [()] * len(adds)
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(found, adds, strict=True)], schema=adds)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Let nobody look for cycles: neither signals nor syntax trees have any, and looking takes up to a third."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _row(
    config: SignalsConfig, content: bytes | None, path: str | None, language: str | None, kind: str | None
) -> tuple[Any, ...]:
    from stackcurate.kernels.quality_code import code_signals
    from stackcurate.kernels.quality_parse import parse_errors
    from stackcurate.kernels.quality_prose import text_signals
    from stackcurate.kernels.quality_shared import shared_signals
    from stackcurate.kernels.quality_styles import group_of

    if content is None or language is None:
        return None, None, None, None
    try:
        text, encoding = decode(content)
        if text is None:
            return None, None, None, None
        if encoding == "utf-8-sig":  # OpenCoder counts the mark
            text = "\ufeff" + text
        group, name = group_of(language, kind), (path or "").rpartition("/")[2]
        signals = shared_signals(text) | {"size_file_byte": len(content)}
        signals |= text_signals(text, name) if group == "text" else code_signals(text, language, group, name)
        wrong = (
            parse_errors(text.encode("utf-8", "surrogatepass"), language, config.parse_bytes) if config.parse else None
        )
        return group, signals, wrong, None
    except Exception:  # noqa: BLE001 - one bad file must not cost its batch
        return None, None, None, "failed"
