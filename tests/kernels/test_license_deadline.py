"""Time limits: what is told, and what is ended."""

from __future__ import annotations

import math
import signal
import threading
import time

import pytest

from stackcurate.kernels.license_deadline import Deadline, OutOfTimeError, limited


def spin(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))


def test_deadline_remembers_that_it_stopped_someone() -> None:
    late, early = Deadline(-1), Deadline(math.inf)
    assert not late.hit
    assert late.passed()
    assert late.hit
    assert not time.time() > early
    assert not early.hit


def test_what_takes_too_long_is_ended_even_where_everything_is_caught() -> None:
    before = signal.getsignal(signal.SIGPROF)

    def catch_everything() -> None:
        with limited(0.1):
            try:
                spin(5)
            except:  # noqa: E722 as ScanCode does
                spin(5)

    with pytest.raises(OutOfTimeError):
        catch_everything()
    assert signal.getsignal(signal.SIGPROF) == before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    with limited(5):
        spin(0.01)


def test_other_threads_are_not_ended() -> None:
    done = []

    def work() -> None:
        with limited(0.01):
            spin(0.1)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
