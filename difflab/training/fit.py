"""Training in plain use: run the loop to its end, with a progress bar."""

from __future__ import annotations

from typing import Any

from ..data import DataSet
from ..denoisers.network import NetworkDenoiser
from .loop import TrainingState, begun, continued

_SHOW_EVERY = 20  # steps between looks at the loss


def fit(
    denoiser: NetworkDenoiser, data: DataSet, *, steps: int, progress: bool = True, **options: Any
) -> NetworkDenoiser:
    """Train to the end and return the averaged denoiser. `options` are those of `train`. A progress bar needs tqdm.

    An interrupt leaves the last checkpoint in `folder=`, and `denoiser` with what it had learned.
    """
    run, folder = begun(denoiser, data, steps=steps, **options)
    states = continued(run, folder)
    if progress:
        states = _shown(states, run.step, steps)
    for _ in states:
        pass
    return run.ema.module


def _shown(states: Any, done: int, steps: int) -> Any:
    from tqdm.auto import tqdm

    with tqdm(total=steps, initial=done, unit="step") as bar:
        state: TrainingState
        for state in states:
            bar.update()
            if state.step % _SHOW_EVERY == 0:
                bar.set_postfix(loss=f"{float(state.loss):.4f}", refresh=False)
            yield state
