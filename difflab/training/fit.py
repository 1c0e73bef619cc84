"""Training in plain use: run the loop to its end, with a progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..data import DataSet
from ..denoisers.network import NetworkDenoiser
from .faults import TrainingInterrupted
from .interrupts import HeldBack
from .loop import CHECK_EVERY, TrainingState, begun, continued


def fit(
    denoiser: NetworkDenoiser, data: DataSet, *, steps: int, progress: bool = True, **options: Any
) -> NetworkDenoiser:
    """Train to the end and return the averaged denoiser. `options` are those of `train`. A progress bar needs tqdm.

    An interrupt ends it after the step in hand: `folder=` has a checkpoint of that step, `denoiser` its weights, and the
    TrainingInterrupted that is raised has their average as its `denoiser`. Raises as `train`.
    """
    with (
        HeldBack() as interrupt
    ):  # from here on: torch's optimisers take seconds to import, and break if that is cut short
        run, folder = begun(denoiser, data, steps=steps, **options)
        states = continued(run, folder)
        try:
            for _ in _shown(states, run.step, steps) if progress and run.world.is_first else states:
                if interrupt.pressed and run.step < steps:
                    raise KeyboardInterrupt
        except TrainingInterrupted:
            raise
        except KeyboardInterrupt:
            states.close()  # writes what `folder` lacks
            raise TrainingInterrupted(run, None if folder is None else folder.checkpoint) from None
        if run.step < steps:  # the interrupt came to another process of several
            raise TrainingInterrupted(run, None if folder is None else folder.checkpoint)
    return run.average()


def _shown(states: Iterator[TrainingState], done: int, steps: int) -> Iterator[TrainingState]:
    from tqdm.auto import tqdm

    with tqdm(total=steps, initial=done, unit="step", dynamic_ncols=True) as bar:
        for state in states:
            bar.update()
            if state.step % CHECK_EVERY == 1 or state.step == steps:  # the losses that the loop has waited for anyway
                bar.set_postfix(loss=f"{float(state.loss):.4f}", refresh=False)
            yield state
