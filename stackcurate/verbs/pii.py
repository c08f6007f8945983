"""The verb of the personal data stage, which also shows the redacted text and helps people to judge findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stackcurate.errors import ConfigError
from stackcurate.stages import pii as stage
from stackcurate.verbs.options import ConfigPath, Json, Overrides, Paths, err, out
from stackcurate.verbs.stages import look_or_run

if TYPE_CHECKING:
    from stackcurate.annotation.review import Source
    from stackcurate.config import Config

Redacted = Annotated[bool, typer.Option("--redacted", help="Print the redacted text of each file, not the spans.")]
Review = Annotated[
    Path | None, typer.Option("--review", help="Draw findings and pages into a new sheet for people to label.")
]
Labels = Annotated[Path | None, typer.Option("--labels", help="Read a labelled sheet; print precision and recall.")]
Kit = Annotated[Path | None, typer.Option("--kit", help="With --labels: write an evaluation set into a new folder.")]
Findings = Annotated[int, typer.Option("--findings", min=0, help="With --review: findings to draw.")]
Pages = Annotated[int, typer.Option("--pages", min=0, help="With --review: pages to draw.")]
Seed = Annotated[int, typer.Option("--seed", help="With --review: draws another sheet.")]


def pii(
    paths: Paths = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
    *,
    as_json: Json = False,
    redacted: Redacted = False,
    review: Review = None,
    labels: Labels = None,
    kit: Kit = None,
    findings: Findings = 500,
    pages: Pages = 200,
    seed: Seed = 0,
) -> None:
    """Find personal data and secrets: where they stand, never what they are.

    With paths: print what is found in these files. Without: run the pipeline up to here.

    Example: `stackcurate pii src/ --review sheet.jsonl`, then `stackcurate pii --labels sheet.jsonl --kit set/`
    """
    from stackcurate.pipeline import load_config

    if kit and not labels:
        raise ConfigError("--kit: expected --labels with a sheet of --review that people have labelled")
    if labels:
        _judge(labels, kit, as_json=as_json)
    elif review or redacted:
        loaded = load_config(config, overrides or [])
        _draw(review, paths, loaded, findings, pages, seed) if review else _redact(paths, loaded)
    else:
        look_or_run(stage, paths, config, overrides, as_json=as_json)


def _draw(sheet: Path, paths: Paths, config: Config, findings: int, pages: int, seed: int) -> None:
    from stackcurate.annotation.review import draw, write_sheet

    workspace = Path(config["workspace"].path).resolve()
    if sheet.resolve().is_relative_to(workspace):
        raise ConfigError(f"{sheet}: expected a place outside the workspace: a sheet holds personal data in clear")
    rows = draw(_sources(paths, config), config["pii"], findings=findings, pages=pages, seed=seed)
    write_sheet(sheet, rows)
    drawn = sum(row["kind"] == "finding" for row in rows)
    out.print(f"{drawn:,} findings and {len(rows) - drawn:,} pages: {sheet}", markup=False, highlight=False)
    err.print("the sheet holds personal data and secrets in clear: only its labellers may read it; delete it after use",
              style="yellow")  # fmt: skip
    err.print("label findings `right` or `wrong`; on pages strike wrong fragments, list what is missed, label `done`")


def _sources(paths: Paths, config: Config) -> Iterator[Source]:
    from stackcurate import sample, stages
    from stackcurate.annotation.review import Source

    chosen = paths or [Path(name) for name in config["sources"].inputs]
    if not chosen:
        raise ConfigError("--review: expected files, folders or archives, or [sources] inputs in the config")
    for path in chosen:
        files = sample.read_files([path], config["sources"])
        readable = [row for row in files.to_pylist() if row["content"] is not None]
        languages = sample.run(stages.language, files, config["language"])["language"].to_pylist()
        for row, language in zip(readable, languages, strict=True):
            yield Source(row["repo_id"], row["path"], language or "unknown", row["content"])


def _judge(labels: Path, kit: Path | None, *, as_json: bool) -> None:
    import pyarrow as pa

    from stackcurate.annotation.kit import write_kit
    from stackcurate.annotation.review import read_sheet, score
    from stackcurate.terminal import print_rows

    rows = read_sheet(labels)
    scores = [_rounded(entry._asdict()) for entry in score(rows)]
    if not scores:
        raise ConfigError(f"{labels}: nothing is labelled yet")
    print_rows(out, pa.Table.from_pylist(scores), as_json=as_json)
    if kit:
        counts = ", ".join(f"{split} {count:,}" for split, count in write_kit(kit, rows).items())
        out.print(f"{counts}: {kit}", markup=False, highlight=False)
        err.print("the set holds personal data in clear: publish it behind gated access alone", style="yellow")


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}


def _redact(paths: Paths, config: Config) -> None:
    from functools import partial

    from stackcurate import sample
    from stackcurate.kernels.content import decode
    from stackcurate.kernels.pii import find_spans
    from stackcurate.kernels.spans import redact_fully
    from stackcurate.terminal import printable

    if not paths:
        raise ConfigError("--redacted: expected a file, folder or archive to look at, found none")
    look, key = partial(find_spans, config=config["pii"]), config["release"].redaction_key.encode()
    for row in sample.read_files(paths, config["sources"]).to_pylist():
        if row["content"] is None:
            continue
        options = {"path": row["path"], "repo_id": row["repo_id"], "key": key, "config": config["redaction"]}
        content, count = redact_fully(row["content"], look(row["content"]), look, **options)
        err.print(f"{row['path']}: {count:,} spans replaced", markup=False, highlight=False)
        text = decode(content)[0] or ""
        shown = "".join(char if char in "\t\r\n" else printable(char) for char in text) if out.is_terminal else text
        out.file.write(shown)
