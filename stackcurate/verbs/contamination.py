"""The verb of the contamination stage, which also turns a benchmark into hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stackcurate.errors import ConfigError
from stackcurate.stages import contamination as stage
from stackcurate.verbs.options import ConfigPath, Json, Overrides, Paths, out
from stackcurate.verbs.stages import look_or_run

HashesTo = Annotated[
    Path | None,
    typer.Option(
        "--hashes",
        help="Write the one benchmark in [contamination] benchmarks as hashes, to be passed on (.parquet).",
    ),
]


def contamination(
    paths: Paths = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
    *,
    as_json: Json = False,
    hashes: HashesTo = None,
) -> None:
    """Find texts of benchmarks, however they are spaced, quoted or commented.

    With paths: print what is found in these files. Without: run the pipeline up to here.

    Example: `stackcurate contamination src/ --set 'contamination.benchmarks=["mbpp=mbpp.jsonl"]'`
    """
    if hashes is None:
        look_or_run(stage, paths, config, overrides, as_json=as_json)
        return
    import pyarrow.parquet as pq

    from stackcurate.kernels.contamination_index import hashed
    from stackcurate.pipeline import load_config

    section = load_config(config, overrides or [])["contamination"]
    if len(section.benchmarks) != 1 or hashes.suffix != ".parquet":
        raise ConfigError("--hashes: expected a .parquet file to write, and one entry in [contamination] benchmarks")
    table = hashed(section.benchmark_paths[0], section)
    pq.write_table(table, hashes, compression="zstd")
    out.print(f"{table.num_rows:,} texts as hashes: {hashes}", markup=False, highlight=False)
