"""A run from the request to its end, in each of its processes."""

from __future__ import annotations

from stackcurate.errors import MissingDependencyError
from stackcurate.train.checkpoint import Progress
from stackcurate.train.doctor import check_torch
from stackcurate.train.metrics import METRICS, plot_loss
from stackcurate.train.parallel import ranks
from stackcurate.train.run import Request, Say, open_job
from stackcurate.train.trainer import Trainer


def launch(request: Request, say: Say) -> Progress:
    """Train as requested; the first rank speaks.

    Args:
        request: what was asked for.
        say: takes what is told on the way.

    Raises:
        StackcurateError: something does not fit, or the run cannot go on.
    """
    check_torch()
    with ranks() as ours:
        voice: Say = say if ours.first else lambda _: None
        job = open_job(request, ours, voice)
        processes = f"{ours.world} {'process' if ours.world == 1 else 'processes'} ({ours.device.type})"
        voice(
            f"{job.shape.parameters / 1e6:,.1f} million parameters on {processes}; steps go to {job.folder / METRICS}"
        )
        progress = Trainer(job, ours, voice).run()
        if ours.first:
            voice(f"step {progress.step:,}: loss {progress.losses[-1]:.3f}")
            try:
                voice(f"{plot_loss(job.folder)}: the loss of {progress.step:,} steps")
            except MissingDependencyError as error:
                voice(f"no plot: {error}")
    return progress
