"""Limits on the CPU time of one blob: one that ScanCode obeys, and one that ends whatever it is doing.

CPU time, since wall time would give a busy machine other findings than an idle one.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN = 0.2
"""Seconds of CPU time until a stop is tried again: ScanCode has handlers that catch everything."""


class Deadline(float):
    """A deadline in CPU time that remembers whether it stopped someone.

    ScanCode asks `time() > deadline` and tells nobody.

    >>> deadline = Deadline(-1.0)
    >>> deadline.hit, 0.0 > deadline, deadline.hit
    (False, True, True)
    """

    hit: bool = False

    def __new__(cls, seconds: float) -> Deadline:  # noqa: D102 the class says it
        return super().__new__(cls, time.process_time() + seconds)

    def passed(self) -> bool:
        """Say whether the time is over, and remember that somebody was told so."""
        late = float(self) < time.process_time()
        self.hit = self.hit or late
        return late

    def __lt__(self, _now: float) -> bool:
        return self.passed()

    __hash__ = float.__hash__


class OutOfTimeError(BaseException):
    """The limit is over; no `except Exception` on the way catches it."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """End a block that takes longer; in the main thread alone, where signals arrive: elsewhere nothing ends it.

    Args:
        seconds: CPU time of the process.

    Raises:
        OutOfTimeError: the time is over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise OutOfTimeError
