"""One run of a sweep, from its configuration to its end, as a worker does it: in a thread, a process, on another machine."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Literal, TypedDict, cast

from ..known_floor import known_floor
from ..metrics_file import FILE as METRICS
from ..recipe import recipe_from
from ..trainer import Trainer
from . import record
from .configs import Tables

_LOOK = 0.2  # seconds between looks at whether the sweep was stopped
_BUILDING = threading.Lock()  # first weights are drawn from torch's global stream, which threads share


End = Literal["finished", "failed", "stopped"]


class Outcome(TypedDict):
    """What a worker hands back: "finished", "failed" or "stopped", why in one sentence, the last step, the floor of the loss with
    its standard error where the data has an oracle, and metrics.csv, for where the two share no disk."""

    state: End
    error: str
    step: int
    floor: tuple[float, float] | None
    metrics: str


def train_run(name: str, config: Tables, folder: str, stop: str, token: str) -> Outcome:
    """Train as `config` says in `folder`, going on from the run that lies there, with one torch thread unless it says otherwise.

    As soon as there is a file `stop`, and at an interrupt, the run is saved and ends. Never raises but for what takes the worker
    itself down.
    """
    where, stopped = Path(folder), Path(stop)
    if stopped.exists():
        return Outcome(state="stopped", error="", step=0, floor=None, metrics="")
    try:
        with _BUILDING:
            recipe = recipe_from(config, name)
            trainer = recipe.trainer(where, threads=recipe.training.get("threads", 1))
        try:
            record.begin(where, config, token, trainer.step)
        except BaseException:
            trainer.stop()
            raise
        state = _driven(trainer, stopped)
        floor = known_floor(trainer) if state == "finished" else None
    except Exception as error:
        return Outcome(state="failed", error=_sentence(error), step=0, floor=None, metrics=_metrics(where))
    return Outcome(
        state=state,
        error=trainer.error,
        step=trainer.step,
        floor=None if floor is None else (floor.value, floor.error),
        metrics=_metrics(where),
    )


def _driven(trainer: Trainer, stopped: Path) -> End:
    trainer.start()
    try:
        while (state := trainer.wait(_LOOK)) in ("running", "paused"):
            if stopped.exists():
                trainer.stop(timeout=None)
            elif state == "paused":  # by someone in this process, through difflab.runs()
                time.sleep(_LOOK)
    except KeyboardInterrupt:
        trainer.stop(timeout=None)
    return cast(End, trainer.state)


def _metrics(folder: Path) -> str:
    try:
        return (folder / METRICS).read_text(encoding="utf-8")
    except OSError:
        return ""


def _sentence(error: Exception) -> str:
    if isinstance(error, ValueError):
        return str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"
