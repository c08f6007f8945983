"""A text as an array of code points, as compiled loops read it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CodePoints = NDArray[np.uint32]


def code_points(text: str) -> CodePoints:
    """Return a text as code points.

    >>> code_points("aé").tolist()
    [97, 233]
    """
    if text.isascii():
        return np.frombuffer(text.encode(), np.uint8).astype(np.uint32)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).copy()  # writable, like all others


def as_text(points: CodePoints) -> str:
    """Return code points as a text.

    >>> as_text(code_points("aé"))
    'aé'
    """
    return points.tobytes().decode("utf-32-le", "surrogatepass")
