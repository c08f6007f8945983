"""The trainer's benchmark; torch is imported when it runs, so that the other subjects need none."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.measure import Line


def run() -> Iterator[Line]:
    """Measure the trainer; `make train` installs what it needs."""
    from tests.bench import train_steps

    yield from train_steps.run()
