r"""Whether the Hyperscan that is installed can be trusted.

Wheels from 0.7.22 on are built from a Vectorscan that no longer finds some patterns once others stand beside them
(VectorCamp/vectorscan, issue 358). What misses matches is no gate: without an exact build the slow paths run.

The wheels carry a C++ runtime of their own; where it is the first of the process, loading pyarrow or torch after it
aborts. So pyarrow comes before.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec

import pyarrow as pa  # noqa: F401 - see above

_MISSED = b'      "NS_GEXF": "http://wexf.ne "N'
"""Text that a broken build takes for empty of the first pattern of a pair."""

_PAIR = (rb':\s*"http:\/\/[^"]+"', rb':\s*"sptthyyyyyyyyyy?:\/\/\d{1,3}\.\d{1,3}')


@functools.cache
def is_exact() -> bool:
    """Return whether Hyperscan is installed and finds a pattern that broken builds miss beside another."""
    if not find_spec("hyperscan"):
        return False
    import hyperscan

    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    flags = [hyperscan.HS_FLAG_SINGLEMATCH, hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_CASELESS]
    database.compile(expressions=list(_PAIR), ids=[0, 1], elements=2, flags=flags)
    seen: list[int] = []
    database.scan(_MISSED, match_event_handler=lambda number, *_: seen.append(number))
    return seen == [0]
