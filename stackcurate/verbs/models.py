"""The verbs of trained models, below `stackcurate train`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from stackcurate.config import Config, load
from stackcurate.errors import TrainError
from stackcurate.verbs.options import ConfigPath, Overrides, err, out

if TYPE_CHECKING:
    from stackcurate.release.attribution import Answer
    from stackcurate.train.model import Model
    from stackcurate.train.tokenizer import Tokenizer

STREAM = "stream.toml"
"""What an exported model was trained on, so that what was held out is known."""
ModelFolder = Annotated[Path, typer.Argument(help="A folder with `config.json`, safetensors and `tokenizer.json`.")]
Release = Annotated[str, typer.Option("--release", "-r", help="Folder or URI of a release.")]


def evaluation_config(config: Path | None, overrides: list[str] | None) -> Config:
    """Return the sections of an evaluation.

    Raises:
        ConfigError: a section, a key or a value is wrong.
    """
    from stackcurate.train.evaluation import EvaluationConfig
    from stackcurate.train.sandbox import SandboxConfig
    from stackcurate.train.stream import StreamConfig

    sections = {"stream": StreamConfig, "evaluation": EvaluationConfig, "sandbox": SandboxConfig}
    return load(config, sections, overrides or ())


def load_model(folder: Path) -> tuple[Model, Tokenizer]:
    """Return a model and its tokeniser, on the GPU where there is one."""
    import torch

    from stackcurate.train.pretrained import load_pretrained
    from stackcurate.train.tokenizer import load_tokenizer

    cuda = torch.cuda.is_available()
    model = load_pretrained(folder, dtype=torch.float16 if cuda else torch.float32)
    return model.to("cuda" if cuda else "cpu").eval(), load_tokenizer(folder / "tokenizer.json")


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder.")],
    half: Annotated[bool, typer.Option("--half", help="Write fp16 weights.")] = False,
) -> None:
    """Write the newest checkpoint of a run as a model that `transformers` loads with `from_pretrained`.

    Example: `stackcurate train export train-run -o model`
    """
    import torch

    from stackcurate.train.checkpoint import Checkpoints, load_weights
    from stackcurate.train.model import Model
    from stackcurate.train.parallel import Ranks
    from stackcurate.train.pretrained import save_pretrained
    from stackcurate.train.run import CHECKPOINTS, as_toml, read_job

    job = read_job(run)
    found = Checkpoints(run / CHECKPOINTS, Ranks(0, 1, torch.device("cpu"))).newest()
    if found is None:
        raise TrainError(f"{run}: holds no checkpoint yet")
    folder, progress, damaged = found
    for problem in damaged:
        err.print(problem, markup=False, highlight=False)
    model = Model(job.shape)
    load_weights(folder, model)
    save_pretrained(model, job.stream.tokenizer, output, dtype=torch.float16 if half else torch.float32)
    (output / STREAM).write_text(as_toml(Config({"stream": job.recipe["stream"]})), encoding="utf-8")
    out.print(f"{output}: {job.shape.parameters:,} parameters after {progress.tokens:,} tokens", highlight=False)


def evaluate(model: ModelFolder, release: Release, config: ConfigPath = None, overrides: Overrides = None) -> None:
    """Print perplexity by language and the share of lines that are filled in exactly, on what training held out.

    What was held out is known for models of `stackcurate train export`; for others, set `stream.held_out`.

    Example: `stackcurate train evaluate model --release workspace/releases/v1`
    """
    from stackcurate.train.evaluation import infill, perplexities
    from stackcurate.train.shards import open_shards
    from stackcurate.train.stream import Stream

    trained = model / STREAM
    sections = evaluation_config(config or (trained if trained.exists() else None), overrides)
    made, tokenizer = load_model(model)
    stream = Stream(open_shards(release), tokenizer, sections["stream"])
    table = Table("language", "tokens", "loss", "perplexity", "bits per byte")
    for one in perplexities(made, stream, sections["evaluation"]):
        numbers = f"{one.tokens:,}", f"{one.loss:.4f}", f"{one.perplexity:,.2f}", f"{one.bits_per_byte:.4f}"
        table.add_row(one.language, *numbers)
    out.print(table)
    filled = infill(made, stream, sections["evaluation"])
    out.print(f"lines filled in exactly: {filled.exact} of {filled.files}", highlight=False)


def solve(
    problems: Annotated[Path, typer.Argument(help="JSON lines as of HumanEval or MBPP.")],
    model: Annotated[Path | None, typer.Option("--model", "-m", help="A model that writes the programs.")] = None,
    completions: Annotated[
        Path | None, typer.Option("--completions", help="Programs that are written already.")
    ] = None,
    k: Annotated[list[int] | None, typer.Option("--k", "-k", min=1, help="k of pass@k; 1 where none is given.")] = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
) -> None:
    """Run programs for problems in a sandbox and print pass@k; without namespaces nothing is run.

    Example: `stackcurate train solve HumanEval.jsonl --model model -k 1 -k 10 --set evaluation.samples=20`
    """
    from stackcurate.train.problems import Problem, mean_pass_at_k, read_completions, read_problems, score

    if (model is None) == (completions is None):
        raise TrainError("give --model or --completions")
    sections, asked = evaluation_config(config, overrides), read_problems(problems)
    if completions is not None:
        given = read_completions(completions, asked)

        def complete(problem: Problem) -> list[str]:
            return given.get(problem.name, [])
    else:
        assert model is not None
        if max(k or [1]) > sections["evaluation"].samples:
            raise TrainError(f"pass@{max(k or [1])} needs as many samples; set evaluation.samples")
        complete = _writer(model, sections["evaluation"])
    scores = score(asked, complete, sections["sandbox"])
    for one in scores:
        said = ", ".join(f"{count} {status}" for status, count in sorted(one.statuses.items())) or "no program"
        out.print(f"{one.name}: {said}", markup=False, highlight=False)
    for number in k or [1]:
        out.print(f"pass@{number}: {mean_pass_at_k(scores, number):.4f} of {len(scores)} problems", highlight=False)


def _writer(folder: Path, config: Any) -> Any:
    from stackcurate.train.evaluation import generate
    from stackcurate.train.problems import Problem, truncated

    model, tokenizer = load_model(folder)

    def write(problem: Problem) -> list[str]:
        numbers = range(config.samples)
        return [truncated(generate(model, tokenizer, problem.prompt, config, number=n).text) for n in numbers]

    return write


def generate(
    model: ModelFolder,
    prompt: Annotated[str, typer.Argument(help="What the model goes on from.")],
    release: Annotated[
        str | None, typer.Option("--release", "-r", help="Say what is copied from this release.")
    ] = None,
    config: ConfigPath = None,
    overrides: Overrides = None,
) -> None:
    """Let a model go on from a prompt, and say which files of a release it copied.

    Example: `stackcurate train generate model "def main(" --release workspace/releases/v1`
    """
    from stackcurate.release.attribution import Attribution
    from stackcurate.train.evaluation import generate as write

    index = Attribution(release) if release else None
    section = evaluation_config(config, overrides)["evaluation"]
    found = write(*load_model(model), prompt, section, check=index.check if index else None)
    out.print(prompt + found.text, markup=False, highlight=False)
    if index:
        for line in _sources(found.sources, index.guaranteed):
            err.print(line, markup=False, highlight=False)


def _sources(answer: Answer, guaranteed: int) -> Iterator[str]:
    """Yield what is said of the sources of a generated text."""
    from stackcurate.release.attribution import credits_of

    for match, credit in zip(answer.matches, credits_of(answer), strict=True):
        yield f"lines {match.start_line}-{match.end_line} of what was generated are a copy of {credit}"
    if not answer.complete:
        yield "there may be more: too many files had to be compared"
    elif not answer.matches:
        yield f"nothing was copied: no run of {guaranteed} bytes, spaces aside, stands in the release"


def plan(
    preset: Annotated[str, typer.Argument(help="Name of a model's shape, such as 1.1B.")],
    tokens: Annotated[float, typer.Option(help="Tokens to train on, such as 1e12.")] = 1e12,
    length: Annotated[int, typer.Option(min=1, help="Tokens of a row.")] = 2048,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs, eight to a node.")] = 512,
    gigabits: Annotated[float, typer.Option(help="Network into a node, gigabits per second.")] = 100.0,
    peak: Annotated[float, typer.Option(help="A GPU's fp16 peak in TFLOP/s.")] = 125.0,
) -> None:
    """Work out days, memory and network traffic of a run, at 20 to 40 % of the peak.

    Example: `stackcurate train plan 15B --tokens 1e12 --length 8192`
    """
    from stackcurate.train.plan import make_plan
    from stackcurate.train.shapes import PRESETS

    if preset not in PRESETS:
        raise TrainError(f"preset is one of {', '.join(PRESETS)}, not {preset!r}")
    shares = 0.2, 0.3, 0.4
    plans = [
        make_plan(
            PRESETS[preset], tokens=tokens, length=length, gpus=gpus, utilisation=share, gigabits=gigabits, peak=peak
        )
        for share in shares
    ]
    rows = {
        "days": [f"{made.days:,.1f}" for made in plans],
        "GPU hours": [f"{made.gpu_hours:,.0f}" for made in plans],
        "tokens per second and GPU": [f"{made.tokens_per_second:,.0f}" for made in plans],
        "memory of a GPU": [f"{made.memory_bytes / 1e9:.1f} GB" for made in plans],
        "into a node per pass": [f"{made.traffic_bytes / 1e9:.1f} GB" for made in plans],
        "time of that on the network": [f"{made.traffic_seconds:.1f} s" for made in plans],
        "time of a pass": [f"{made.compute_seconds:.1f} s" for made in plans],
    }
    table = Table("MFU", *(f"{share:.0%}" for share in shares))
    for name, cells in rows.items():
        table.add_row(name, *cells)
    out.print(table)
