"""How a training may end before its last step: one sentence each, and a run that is whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .distributed import ProcessLost

if TYPE_CHECKING:
    from ..denoisers.network import NetworkDenoiser
    from .run import Run

_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "bad_alloc", "alloc_failed")


class OneSentence(BaseException):
    """What a notebook shows as its sentence alone, without the way through our code."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        return [str(self)]


class TrainingDiverged(OneSentence, FloatingPointError):
    """The loss, or the weights after the last step, became nan or inf, or exploded. The run is back at its last good state.

    Attributes:
        step: at which the loss, or after which the weights, were not finite any more.
        kept: the step of the weights that were kept.
    """

    def __init__(self, step: int, kept: int, what: str = "loss was not finite") -> None:
        self.step, self.kept = step, kept
        super().__init__(
            f"Training diverged: the {what} at step {step}; the weights of step {kept} were kept."
            " Try a smaller learning rate."
        )


class TrainingInterrupted(OneSentence, KeyboardInterrupt):
    """A kernel's interrupt, or Ctrl-C, ended the training between two steps. A notebook shows the sentence alone.

    Attributes:
        step: of the weights that the trained denoiser holds.
        denoiser: the average of the weights, as `fit` would have returned it.
        run: can be written with `save(run, path)`.
    """

    def __init__(self, run: Run, checkpoint: Path | None) -> None:
        self.run, self.step = run, run.step
        goes_on = (
            "the denoiser keeps what it has learned; give folder= to be able to go on from there"
            if checkpoint is None
            else f"{checkpoint} holds it, and the same call with resume=True goes on from there"
        )
        super().__init__(f"Training was interrupted after step {run.step} of {run.steps}: {goes_on}.")

    @property
    def denoiser(self) -> NetworkDenoiser:
        return self.run.ema.module


class TrainingOutOfMemory(OneSentence, MemoryError):
    """A step did not fit into memory. The run is as after the one before."""

    @classmethod
    def at(cls, run: Run, step: int) -> TrainingOutOfMemory:
        """In the `step` of `run`."""
        return cls(
            f"Out of memory at step {step}: a batch of {run.settings.batch} does not fit on {run.device};"
            " try a smaller batch or a smaller network."
        )


class NotSaved(OneSentence, OSError):
    """A checkpoint, or a row of metrics, could not be written. What was there before is whole.

    Attributes:
        run: as it was to be written; `save(run, path)` writes it elsewhere.
    """

    def __init__(self, run: Run, folder: Path, error: OSError, whole: int | None) -> None:
        self.run = run
        left = "" if whole is None else f"; the one of step {whole} there is whole"
        super().__init__(
            f"The checkpoint of step {run.step} could not be written into {folder} ({reason(error)}){left}."
        )


@contextmanager
def fitting() -> Iterator[None]:
    """Inside, a run is put together. Raises TrainingOutOfMemory where that does not fit."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingOutOfMemory(
            "Out of memory before the first step: the network, its averages and the data do not fit; try a smaller network."
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, numpy, or torch on any device ran out of memory: torch says so in many ways, most of them in words."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in said for words in _NO_MEMORY)
    )


def reason(error: OSError) -> str:
    """Why the operating system refused, in its words."""
    return error.strerror or next(iter(str(error).splitlines()), type(error).__name__)


def sentence(error: BaseException, step: int) -> str:
    """What ended a training in its `step`, on one line."""
    said = (str(error).strip().splitlines() or ["no message"])[0]
    ours = isinstance(error, FloatingPointError | TrainingOutOfMemory | NotSaved | ProcessLost)
    return said if ours else f"Training failed at step {step}: {type(error).__name__}: {said}"
