"""RunComparison: the losses of several runs on one chart, live, with a table of how they are doing."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any

import numpy as np
import traitlets

from .arrays import Array
from .base import Scene
from .compared import Compared, OfTrainer, compared

LOOK = 0.5  # seconds between two looks
MOST = 24  # runs that one chart can tell apart, by colour and dash


class RunComparison(Scene):
    """Loss curves of several runs, live.

        difflab.RunComparison()                      # every Trainer of this kernel, those to come too
        difflab.RunComparison([trainer, "runs/a"])   # trainers, and directories that other processes train in
        difflab.RunComparison(difflab.sweep(configs))

    Losses compare only where the objective is the same: one prediction, schedule and weighting.

    Args:
        runs: what to compare; None is `difflab.runs()`, as it is at each look.

    Raises TypeError or ValueError, in one sentence, for what is no run, and for more than 24 of them.
    """

    #: of each run: name, state, step, loss, error, excess, speed, differs, note
    runs = traitlets.List(traitlets.Dict()).tag(sync=True)
    #: (m, 3) float32: the number of the run, step, loss
    curves = Array()
    #: of the loss axis
    scale = traitlets.Enum(["log", "linear"], "log").tag(sync=True)
    #: whether runs that begin later may still appear
    open_ended = traitlets.Bool(True).tag(sync=True)

    preset_traits = ("hidden", "scale")
    controls = ("scale", "png")

    def __init__(self, runs: object = None, **traits: Any) -> None:
        chosen = None if runs is None else compared(runs)
        if chosen is not None and len(chosen) > MOST:
            raise ValueError(f"One chart tells up to {MOST} runs apart, but got {len(chosen)}: choose some of them.")
        self._chosen, self._known = chosen, dict[Any, Compared]()
        self._shown: dict[str, Any] = self._now()
        super().__init__(open_ended=runs is None, **self._shown, **traits)
        threading.Thread(target=_watch, args=(weakref.ref(self),), name="difflab comparison", daemon=True).start()

    def compared(self) -> list[Compared]:
        """What is compared now."""
        if self._chosen is not None:
            return self._chosen
        from ..training.runs import runs

        # the oldest first: a colour stays with its run
        self._known = {t: self._known.get(t) or OfTrainer(t) for t in runs()[::-1][-MOST:]}
        return list(self._known.values())

    def _now(self) -> dict[str, Any]:
        looked = [run.look() for run in self.compared()]
        curves = [np.insert(curve, 0, i, axis=1) for i, (_, curve) in enumerate(looked)]
        return {"runs": [row for row, _ in looked], "curves": np.concatenate(curves) if curves else None}

    def look(self) -> bool:
        """Show the runs as they are now; whether anything may still change."""
        with self.shown("look"):
            ended = not self.open_ended and all(run.ended for run in self.compared())  # before the last look
            now = self._now()
            if now["runs"] != self._shown["runs"]:
                self._shown = now
                self.publish(**now)
            return not ended
        return True

    def numbers(self) -> dict[str, float]:
        """The number of runs, and of each, as "name.loss", step, loss, error and excess over the exact floor, as far as known."""
        self.look()
        base = super().numbers() | {"runs": float(len(self.runs))}
        return base | {
            f"{row['name']}.{key}": float(row[key])
            for row in self.runs
            for key in ("step", "loss", "error", "excess")
            if row[key] is not None
        }


def _watch(comparison: weakref.ref[RunComparison]) -> None:
    """Look until every run has ended, or nobody holds the scene any more."""
    while True:
        time.sleep(LOOK)
        scene = comparison()
        if scene is None or not scene.look():
            return
        del scene  # while asleep this thread keeps nothing alive
