"""Programming problems in the formats of HumanEval and MBPP, and pass@k of what a model wrote for them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stackcurate.errors import TrainError
from stackcurate.train.sandbox import Outcome, SandboxConfig, run_program

STOPS = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(", "\n@", "\nassert ", '\n"""')
"""Where a completion is over. Source: Chen et al., Evaluating large language models trained on code, 2021, and MBPP."""
DEFAULT = SandboxConfig()


@dataclass(frozen=True)
class Problem:
    """A programming problem.

    Args:
        name: its id.
        prompt: what the model goes on from.
        tests: what is run behind prompt and completion.
    """

    name: str
    prompt: str
    tests: str


def read_problems(path: str | Path) -> list[Problem]:
    """Read problems, one JSON object a line, in the format of HumanEval or MBPP.

    Raises:
        TrainError: the file is missing or a line has neither format.
    """
    return [_problem(row, f"{path}:{number}") for number, row in _rows(path)]


def _rows(path: str | Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            if line.strip():
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise TrainError(f"{path}:{number}: expected an object, found {type(row).__name__}")
                yield number, row
    except (OSError, ValueError) as error:
        raise TrainError(f"{path}: no JSON lines ({error})") from error


def _problem(row: Mapping[str, Any], where: str) -> Problem:
    try:
        if "entry_point" in row:
            tests = f"{row['test']}\ncheck({row['entry_point']})\n"
            return Problem(str(row["task_id"]), row["prompt"], tests)
        tests = "\n".join([row.get("test_setup_code", ""), *row["test_list"]])
        said = "\n".join([row.get("text") or row["prompt"], *row["test_list"]])
        return Problem(str(row["task_id"]), f'"""\n{said}\n"""\n', tests)
    except (KeyError, TypeError) as error:
        raise TrainError(f"{where}: neither HumanEval's fields nor MBPP's ({error!r})") from error


def read_completions(path: str | Path, problems: Sequence[Problem]) -> dict[str, list[str]]:
    """Read completions by problem: lines with `task_id` and `completion`.

    Raises:
        TrainError: the file is missing, or a line has another form or is of none of the problems.
    """
    names = {problem.name for problem in problems}
    found: dict[str, list[str]] = {}
    for number, row in _rows(path):
        if not isinstance(row.get("completion"), str) or "task_id" not in row:
            raise TrainError(f"{path}:{number}: expected task_id and completion")
        if str(row["task_id"]) not in names:
            raise TrainError(f"{path}:{number}: no problem is called {row['task_id']!r}")
        found.setdefault(str(row["task_id"]), []).append(row["completion"])
    return found


def truncated(completion: str) -> str:
    r"""Return a completion up to where the next thing begins.

    >>> truncated("    return 1\n\ndef other():\n    pass")
    '    return 1\n'
    """
    ends = [completion.find(stop) for stop in STOPS]
    return completion[: min((end for end in ends if end >= 0), default=len(completion))]


def judge(problem: Problem, completion: str, config: SandboxConfig = DEFAULT) -> Outcome:
    """Run prompt, completion and tests in the sandbox.

    Raises:
        SandboxError: there is no sandbox here; nothing was run.
    """
    return run_program(f"{problem.prompt}{completion}\n{problem.tests}", config)


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Return the chance that one of k samples passes, without bias.

    Source: Chen et al., Evaluating large language models trained on code, 2021, equation 1.

    >>> pass_at_k(4, 1, 1), pass_at_k(4, 1, 4)
    (0.25, 1.0)

    Raises:
        TrainError: there are fewer than k samples.
    """
    if not 0 < k <= samples or not 0 <= passed <= samples:
        raise TrainError(f"pass@{k} needs at least {k} samples, there are {samples}")
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


@dataclass(frozen=True)
class Score:
    """How one problem went: samples by status, such as `passed` and `timeout`."""

    name: str
    statuses: Mapping[str, int]

    @property
    def samples(self) -> int:
        """How many programs were run."""
        return sum(self.statuses.values())


def score(
    problems: Sequence[Problem], complete: Callable[[Problem], Sequence[str]], config: SandboxConfig = DEFAULT,
    *, jobs: int = 1,
) -> list[Score]:  # fmt: skip
    """Run the completions of each problem.

    Args:
        problems: what was asked.
        complete: gives the completions of a problem.
        config: what a program may use.
        jobs: programs that run at one time.
    """
    scores = []
    with ThreadPoolExecutor(jobs) as pool:
        for problem in problems:
            found = list(pool.map(partial(judge, problem, config=config), complete(problem)))
            counts = {one.status: 0 for one in found}
            for one in found:
                counts[one.status] += 1
            scores.append(Score(problem.name, counts))
    return scores


def mean_pass_at_k(scores: Sequence[Score], k: int) -> float:
    """Return pass@k over problems; those without samples count as failed."""
    if not scores:
        raise TrainError("there are no problems")
    given = [pass_at_k(one.samples, one.statuses.get("passed", 0), k) if one.samples else 0.0 for one in scores]
    return sum(given) / len(given)
