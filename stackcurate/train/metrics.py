"""What a run tells: one JSON line per step, TensorBoard where it is installed, and a plot."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stackcurate.errors import MissingDependencyError, TrainError

METRICS, EVENTS, PLOT, BOARD = "metrics.jsonl", "events.jsonl", "loss.png", "tensorboard"
PEAKS: tuple[tuple[str, float], ...] = (
    ("V100-PCIE", 112.0), ("V100", 125.0), ("A100", 312.0), ("H100 PCIe", 756.0), ("H100", 989.0), ("H200", 989.0),
    ("L40S", 362.0), ("A10", 125.0), ("T4", 65.0),
)  # fmt: skip
"""Dense fp16 TFLOP/s of tensor cores by a part of the device's name. Source: NVIDIA's data sheets."""


def peak_operations(device: str, given: float) -> float | None:
    """Return the fp16 operations per second of a GPU; None where they are unknown.

    Args:
        device: its name.
        given: TFLOP/s that the recipe says; 0 looks the name up.

    >>> peak_operations("Tesla V100-SXM2-32GB", 0.0)
    125000000000000.0
    """
    if given:
        return given * 1e12
    return next((peak * 1e12 for name, peak in PEAKS if name in device), None)


class Metrics:
    """The metrics of a run in a folder. The file holds exactly the steps that the weights have seen.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._board: Any = None

    def rewind(self, step: int) -> None:
        """Begin behind a step: forget what lies after it, and a line that a kill cut."""
        kept = [line for line in read_metrics(self.folder) if line["step"] <= step]
        path = self.folder / METRICS
        fresh = path.with_suffix(".new")
        fresh.write_text("".join(f"{json.dumps(line)}\n" for line in kept), encoding="utf-8")
        fresh.replace(path)
        self.close()
        with suppress(ImportError):  # optional
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder / BOARD), purge_step=step + 1)

    def close(self) -> None:
        """Let TensorBoard have what it was told."""
        if self._board is not None:
            self._board.close()

    def write(self, line: Mapping[str, Any]) -> None:
        """Append the metrics of a step."""
        _append(self.folder / METRICS, line)
        if self._board is not None:
            for name, value in line.items():
                if isinstance(value, int | float) and name != "step":
                    self._board.add_scalar(name, value, line["step"])

    def tell(self, line: Mapping[str, Any]) -> None:
        """Append an event: a start, a checkpoint, a spike. Events are never forgotten."""
        _append(self.folder / EVENTS, line)


def _append(path: Path, line: Mapping[str, Any]) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + os.linesep)
    except OSError as error:
        raise TrainError(f"{path}: cannot be written ({error.strerror}); free some space, then --resume") from error


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """Return the metrics of a run, step by step."""
    path = Path(folder) / METRICS
    return list(_lines(path)) if path.exists() else []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):  # the last line, where a kill cut it
            yield json.loads(line)


def plot_loss(folder: str | Path) -> Path:
    """Draw loss, learning rate and gradient norm of a run to `loss.png` and return its path.

    Raises:
        MissingDependencyError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError('matplotlib is missing: pip install "stackcurate[notebooks]"') from None
    lines = read_metrics(folder)
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
    names = {"loss": "loss, nats per token", "learning_rate": "learning rate", "gradient_norm": "gradient norm"}
    for panel, (name, label) in zip(panels, names.items(), strict=True):
        points = [(line["step"], line[name]) for line in lines if line[name] is not None]
        panel.plot(*zip(*points, strict=True) if points else ([], []), color="#2f7d6b", linewidth=1.2)
        panel.set_ylabel(label, fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("step")
    path = Path(folder) / PLOT
    figure.savefig(path, dpi=120)
    return path
