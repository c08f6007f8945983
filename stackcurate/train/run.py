"""The folder of a run: its recipe, its tokeniser and where its release lies. What does not fit is refused here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from stackcurate.config import Config, load
from stackcurate.errors import TrainError
from stackcurate.train.checkpoint import check_space
from stackcurate.train.parallel import Ranks, check_ranks
from stackcurate.train.recipe import FREE, SECTIONS, load_recipe
from stackcurate.train.shapes import Shape, make_shape
from stackcurate.train.shards import Shards, open_shards
from stackcurate.train.stream import Stream
from stackcurate.train.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer

RECIPE, RUN, TOKENIZER, RECEIPT, CHECKPOINTS = (
    "recipe.toml",
    "run.json",
    "tokenizer.json",
    "checked.json",
    "checkpoints",
)
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for.

    Args:
        folder: of the run.
        release: folder or URI of a release; None where the run knows it.
        preset: name of a recipe that comes with the package.
        config: a TOML file instead.
        overrides: `section.key=value`.
        tokenizer: a `tokenizer.json`; None trains one.
        resume: go on where there is a run, begin where there is none.
    """

    folder: Path
    release: str | None = None
    preset: str | None = None
    config: Path | None = None
    overrides: tuple[str, ...] = ()
    tokenizer: Path | None = None
    resume: bool = False


@dataclass(frozen=True)
class Job:
    """A run that may begin or go on.

    Args:
        folder: of the run.
        recipe: its sections.
        stream: what it reads.
        shape: of its model.
    """

    folder: Path
    recipe: Config
    stream: Stream
    shape: Shape


def open_job(request: Request, ours: Ranks, say: Say) -> Job:
    """Return a run that is checked: release, recipe, tokeniser, model and disk fit each other.

    Args:
        request: what was asked for.
        ours: the ranks; the first one checks and writes.
        say: takes what is told on the way.

    Raises:
        StackcurateError: something does not fit; no step was done.
    """
    release = ours.alone(lambda: _prepare(request, ours, say))
    job = read_job(request.folder, release, request)
    ours.alone(lambda: _check_room(job, ours))
    return job


def _check_room(job: Job, ours: Ranks) -> None:
    check_ranks(job.recipe["train"].batch_rows, ours)
    check_space(job.folder, job.shape.parameters)


def read_job(folder: Path, release: str | None = None, request: Request | None = None) -> Job:
    """Return the run of a folder.

    Args:
        folder: of the run.
        release: where its release lies; None asks the folder.
        request: what may override free settings.

    Raises:
        StackcurateError: there is no run, or what it reads changed.
    """
    if not (folder / RECIPE).exists():
        raise TrainError(f"{folder}: holds no run; of several nodes, each must see the folder")
    recipe = load(folder / RECIPE, SECTIONS, _free(request.overrides) if request else ())
    shards = open_shards(release or _release(folder), receipt=folder / RECEIPT)
    return _fitted(folder, recipe, shards)


def _fitted(folder: Path, recipe: Config, shards: Shards) -> Job:
    """Return a run whose stream, tokeniser and model fit each other."""
    stream = Stream(shards, load_tokenizer(folder / TOKENIZER), recipe["stream"])
    length = recipe["stream"].sequence_length
    return Job(folder, recipe, stream, make_shape(recipe["model"], stream.tokenizer.vocab_size, length))


def _free(overrides: tuple[str, ...]) -> list[str]:
    return [one for one in overrides if one.partition("=")[0].strip().removeprefix("train.") in FREE]


def _prepare(request: Request, ours: Ranks, say: Say) -> str:
    """Make the folder of a new run, or compare an old one with what was asked for; return where the release lies."""
    folder = request.folder
    if (folder / RUN).exists():
        if not request.resume:
            raise TrainError(f"{folder}: holds a run already; --resume goes on with it, or give another --output")
        _compare(request)
        return request.release or _release(folder)
    if request.release is None:
        raise TrainError(f"{folder}: holds no run to resume; give --release to begin one")
    if not (request.preset or request.config):
        raise TrainError("give --preset or --config to begin a run; --preset tiny is for a first try on a CPU")
    recipe = load_recipe(request.preset, request.config, request.overrides)
    shards = open_shards(request.release, receipt=folder / RECEIPT)
    say(f"{shards.rows.sum():,} files in {len(shards.paths):,} shards are what the manifest says")
    if request.tokenizer:
        text = load_tokenizer(request.tokenizer).text
    else:
        say(f"training a tokeniser of {recipe['tokenizer'].vocab_size:,} tokens")
        text = train_tokenizer(shards, recipe["tokenizer"])
    (folder / TOKENIZER).unlink(missing_ok=True)  # of a request that was refused
    save_tokenizer(text, folder / TOKENIZER)
    _check_room(_fitted(folder, recipe, shards), ours)
    (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
    (folder / RECIPE).write_text(as_toml(recipe), encoding="utf-8")
    (folder / RUN).write_text(json.dumps({"release": request.release}) + "\n", encoding="utf-8")
    return request.release


def _release(folder: Path) -> str:
    try:
        return str(json.loads((folder / RUN).read_text(encoding="utf-8"))["release"])
    except (OSError, ValueError, KeyError) as error:
        raise TrainError(f"{folder}: no run ({error!r})") from error


def _compare(request: Request) -> None:
    """Refuse to go on with a recipe that would compute something else."""
    if not (request.preset or request.config or request.overrides):
        return
    saved = load(request.folder / RECIPE, SECTIONS)
    base = (request.preset, request.config) if request.preset or request.config else (None, request.folder / RECIPE)
    asked = load_recipe(*base, request.overrides).to_dict()
    other = [
        f"{section}.{key}: {value!r} then, {asked[section][key]!r} now"
        for section, values in saved.to_dict().items()
        for key, value in values.items()
        if asked[section][key] != value and not (section == "train" and key in FREE)
    ]
    if other:
        raise TrainError(f"{request.folder}: the run was begun with another config ({'; '.join(other)}); take that one")
    if request.tokenizer and load_tokenizer(request.tokenizer).text != (request.folder / TOKENIZER).read_text("utf-8"):
        raise TrainError(f"{request.folder}: the run was begun with another tokeniser; leave --tokenizer out")


def as_toml(recipe: Config) -> str:
    """Return a recipe as TOML.

    >>> from stackcurate.train.stream import StreamConfig
    >>> print(as_toml(Config({"stream": StreamConfig(languages=("C", "Go"))})).splitlines()[0])
    [stream]
    """
    sections = (
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in asdict(section).items())
        for name, section in recipe.sections.items()
    )
    return "\n".join(sections)
