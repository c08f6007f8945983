"""The verbs of training, below `stackcurate train`. Nothing here needs Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stackcurate.config import Config, load
from stackcurate.errors import ConfigError
from stackcurate.verbs import models
from stackcurate.verbs.options import ConfigPath, Overrides, err, out

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
for _verb in (models.export, models.evaluate, models.solve, models.generate, models.plan):
    app.command()(_verb)

ReleaseFolder = Annotated[str, typer.Option("--release", "-r", help="Folder or URI of a release.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where to write; existing files are not replaced.")]
TokenizerPath = Annotated[Path, typer.Option("--tokenizer", "-t", help="A `tokenizer.json`.")]
Rows = Annotated[int, typer.Option("--rows", min=1, help="How many rows.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that tokenise ahead.")]


def train_config(config: Path | None, overrides: list[str] | None) -> Config:
    """Return the sections of training.

    Raises:
        ConfigError: a section, a key or a value is wrong.
    """
    from stackcurate.train.stream import StreamConfig
    from stackcurate.train.tokenizer import TokenizerConfig

    return load(config, {"tokenizer": TokenizerConfig, "stream": StreamConfig}, overrides or ())


@app.callback(invoke_without_command=True)
def train(  # noqa: PLR0917 - a verb has an argument per option
    context: typer.Context,
    release: Annotated[str | None, typer.Option("--release", "-r", help="Folder or URI of a release.")] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", "-p", help="A recipe: tiny, 125M, 1.1B, 3B, 7B, 15B.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run.")] = Path("train-run"),
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Optimizer steps of the whole run.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run; begin where there is none.")] = False,
    tokenizer: Annotated[Path | None, typer.Option("--tokenizer", "-t", help="Without one, one is trained.")] = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
) -> None:
    """Train models on a release, on V100s too. On several GPUs: `torchrun ... -m stackcurate.train`, same options.

    Example: `stackcurate train --preset tiny --release workspace/releases/v1 --steps 200`
    """
    if context.invoked_subcommand is not None:
        if release or preset or resume or steps or tokenizer or config or overrides:
            raise ConfigError(f"options of a verb stand behind it: stackcurate train {context.invoked_subcommand} ...")
        return
    from stackcurate.train.launch import launch
    from stackcurate.train.run import Request

    more = [*(overrides or ()), *([f"train.steps={steps}"] if steps else ())]
    launch(
        Request(folder=output, release=release, preset=preset, config=config, overrides=tuple(more),
                tokenizer=tokenizer, resume=resume),
        lambda line: err.print(line, markup=False, highlight=False),
    )  # fmt: skip


@app.command()
def doctor() -> None:
    """Say whether this torch has kernels for these GPUs, and how to mend it, before CUDA is called.

    Example: `stackcurate train doctor`
    """
    from stackcurate.train.doctor import findings

    styles = {"ok": "green", "note": "yellow", "missing": "bold red"}
    missing = 0
    for finding in findings():
        out.print(f"[{styles[finding.state]}]{finding.state:8}[/]{finding.name:10}", end="")
        remedy = f" -> {finding.remedy}" if finding.remedy else ""
        out.print(finding.found + remedy, markup=False, highlight=False)
        missing += finding.state == "missing"
    raise typer.Exit(1 if missing else 0)


@app.command()
def tokenizer(release: ReleaseFolder, output: Output, config: ConfigPath = None, overrides: Overrides = None) -> None:
    """Train a byte-level BPE tokeniser on a release, with StarCoder's pre-tokeniser and special tokens.

    Example: `stackcurate train tokenizer -r workspace/releases/v1 -o tokenizer.json --set tokenizer.vocab_size=32768`
    """
    from stackcurate.train.shards import open_shards
    from stackcurate.train.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer

    section = train_config(config, overrides)["tokenizer"]
    shards = open_shards(release)
    err.print(f"{shards.rows.sum():,} files in {len(shards.paths):,} shards are what the manifest says; training")
    save_tokenizer(train_tokenizer(shards, section), output)
    loaded = load_tokenizer(output)
    out.print(f"{output}: {loaded.vocab_size:,} tokens, encoded by {loaded.engine}", highlight=False)


@app.command()
def freeze(
    release: ReleaseFolder,
    tokenizer: TokenizerPath,
    output: Output,
    rows: Rows,
    workers: Workers = 0,
    config: ConfigPath = None,
    overrides: Overrides = None,
) -> None:
    """Write the first rows of the stream down as integers, for training that only reads.

    Example: `stackcurate train freeze --release workspace/releases/v1 -t tokenizer.json -o frozen --rows 100000`
    """
    from stackcurate.train.frozen import freeze as write
    from stackcurate.train.shards import open_shards
    from stackcurate.train.stream import Stream
    from stackcurate.train.tokenizer import load_tokenizer

    section = train_config(config, overrides)["stream"]
    stream = Stream(open_shards(release), load_tokenizer(tokenizer), section)
    frozen = write(stream, output, rows, workers=workers)
    said = f"{sum(frozen.rows):,} rows of {frozen.width:,} tokens in {len(frozen.files)} files"
    out.print(f"{output}: {said}", highlight=False)
