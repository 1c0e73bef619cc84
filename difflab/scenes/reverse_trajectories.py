"""ReverseTrajectories: from noise back to data, by several samplers and denoisers side by side, from the same noise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..data import DataSet
from .arrays import Array
from .base import Scene
from .choices import SAMPLERS, as_data, schedule_of
from .look import Drawn, view_of
from .runs import GRIDS, KNOBS, MOST_RUNS, MOST_STEPS, RunsTrait, pair
from .sampling import FRAMES as FRAMES
from .sampling import JUDGEMENT, Request, decided_half, judged, sampler_of, states_of
from .schedule_table import on_the_wire
from .traits import ScheduleTrait, StepsTrait, WholeTrait

if TYPE_CHECKING:
    from ..denoisers import Denoiser

POINTS, IMAGES = 2000, 100
LIVE = 0.1  # seconds between two pictures while sampling


def question_on_the_wire(question: dict[str, Any] | None, widget: Any) -> dict[str, Any] | None:
    """What samples were drawn for, with the table of a schedule that the browser has no formula for."""
    return question and question | {"schedule": on_the_wire(question["schedule"], widget)}


class ReverseTrajectories(Drawn, Scene):
    """Up to four columns of samples on their way back from the same noise; learned beside exact to begin with.

    Args:
        data: what the oracle knows.
        schedule: a Schedule, its name, or {"name", "params"}.
        denoiser: the learned one, or a function that returns it (or None) when sampling starts.
        n: samples; default 2,000 points or 100 images.
        runs: the columns, one to four of {"sampler", "steps", "of": "exact" or "learned"}, with "knobs" where some are turned
            (`runs.KNOBS`). Columns of the learned denoiser are left out while there is none. Or, for learned beside exact:
        sampler, steps: "Ancestral", "DDIM", "Heun", ..., a name in `choices.SAMPLERS`, and how many steps, by default 50.

    Traits beside them: `budget` ("steps", or "evaluations": then that is what `steps` counts), `grid` (how the times are
    laid), `colour` ("denoiser", or "mode": by the mode where a point ends), `column` (0 shows all), `picked` (samples whose
    whole path is drawn), `picture` ("sheet" of images, or "strip": one image over time).
    """

    schedule = ScheduleTrait()
    runs = RunsTrait(pair("Ancestral", 50))
    results = traitlets.List(traitlets.Dict(allow_none=True)).tag(sync=True)
    times_1, times_2, times_3, times_4 = Array(), Array(), Array(), Array()
    frames_1, frames_2, frames_3, frames_4 = Array(), Array(), Array(), Array()
    computed_for = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True, to_json=question_on_the_wire)
    live = Array()
    live_t = traitlets.Float(1.0).tag(sync=True)
    live_column = traitlets.Int(0, min=0, max=MOST_RUNS - 1).tag(sync=True)
    sampler = traitlets.Enum(list(SAMPLERS), "Ancestral").tag(sync=True)
    samplers = traitlets.List([{"name": k, "label": v[0]} for k, v in SAMPLERS.items()]).tag(sync=True)
    steps = StepsTrait(50, most=MOST_STEPS)
    step_range = traitlets.List([1, 250]).tag(sync=True)
    knobs = traitlets.Dict(KNOBS).tag(sync=True)
    grid = traitlets.Enum(list(GRIDS), "default").tag(sync=True)
    grids = traitlets.List([{"name": k, "label": v} for k, v in GRIDS.items()]).tag(sync=True)
    budget = traitlets.Enum(["steps", "evaluations"], "steps").tag(sync=True)
    n = WholeTrait(None, 1, 100_000, allow_none=True)
    has_network = traitlets.Bool(False).tag(sync=True)
    colour = traitlets.Enum(["denoiser", "mode"], "denoiser").tag(sync=True)
    picture = traitlets.Enum(["sheet", "strip"], "sheet").tag(sync=True)
    column = WholeTrait(0, 0, MOST_RUNS)
    picked = traitlets.List(traitlets.Int(min=0), maxlen=12).tag(sync=True)
    evaluations = traitlets.Int(0).tag(sync=True)
    quality = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    preset_traits = (
        *("t", "seed", "hidden", "schedule", "sampler", "steps", "runs", "grid", "budget", "n"),
        *("colour", "picture", "column", "picked"),
    )
    controls = (
        *("time", "seed", "png", "sampler", "steps", "columns", "colour", "sample"),
        *("knobs", "budget", "grid", "n", "picture"),
    )

    def __init__(
        self,
        data: DataSet | str | None = None,
        schedule: Any = None,
        denoiser: Denoiser | Callable[[], Denoiser | None] | None = None,
        *,
        n: int | None = None,
        **traits: Any,
    ) -> None:
        self.data = as_data(data)
        if "runs" in traits and {"sampler", "steps"} & set(traits):
            raise ValueError("Give either runs, or a sampler and its steps.")
        if {"sampler", "steps"} & set(traits):
            traits["runs"] = pair(traits.pop("sampler", "Ancestral"), traits.pop("steps", 50))
        self._denoiser = denoiser
        self._turn = threading.Lock()  # frames belong to the data they are shown with: held while either changes
        self._spreading = False
        self._drawn_with: int | None = None  # the seed of what is on screen
        super().__init__(schedule=schedule, n=n, has_network=denoiser is not None, **(view_of(self.data) | traits))

    @property
    def denoiser(self) -> Denoiser | Callable[[], Denoiser | None] | None:
        """The learned one, or what returns it; may be changed between two samplings."""
        return self._denoiser

    @denoiser.setter
    def denoiser(self, denoiser: Denoiser | Callable[[], Denoiser | None] | None) -> None:
        self._denoiser = denoiser
        self.publish(has_network=denoiser is not None)

    @traitlets.observe("sampler", "steps")
    def _spread(self, change: dict[str, Any]) -> None:
        """One sampler for all columns; the knobs of another one mean nothing to it."""
        if self._spreading:
            return
        name = change["name"]
        dropped = {name, "knobs"} if name == "sampler" else {name}
        self.runs = [{k: v for k, v in run.items() if k not in dropped} | {name: change["new"]} for run in self.runs]

    @traitlets.observe("runs")
    def _gather(self, _change: Any) -> None:
        self._spreading = True
        try:
            self.sampler, self.steps = self.runs[0]["sampler"], self.runs[0]["steps"]
        finally:
            self._spreading = False

    @traitlets.observe("seed")
    def _draw_anew(self, change: dict[str, Any]) -> None:
        if self._drawn_with not in (None, change["new"]):
            self.sample()

    def show(self, data: DataSet | str, seed: int | None = None) -> None:
        """Change the data; old samples go."""
        data, seed = as_data(data), self._seed_of(seed)
        view = view_of(data)
        with self._turn:
            self.data, self._drawn_with = data, None
            self.publish(**view, **self._empty(), picked=[], seed=seed)

    def _empty(self) -> dict[str, Any]:
        arrays = dict.fromkeys([f"{what}_{i}" for what in ("times", "frames") for i in range(1, MOST_RUNS + 1)])
        return arrays | {"results": [], "computed_for": None, "live": None, "quality": None, "evaluations": 0}

    def frames_of(self, column: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Times (F,) and states (F, n, D) of a column, counted from 1; None while it has none."""
        times, frames = getattr(self, f"times_{column}"), getattr(self, f"frames_{column}")
        return None if times is None or frames is None else (times, frames)

    @property
    def times(self) -> np.ndarray | None:
        """Of the first column that was sampled."""
        return next((found[0] for i in _columns() if (found := self.frames_of(i)) is not None), None)

    @property
    def exact(self) -> np.ndarray | None:
        """(F, n, D): the first column of the exact denoiser."""
        return self._first("exact")

    @property
    def learned(self) -> np.ndarray | None:
        """(F, n, D): the first column of the learned denoiser."""
        return self._first("learned")

    def _first(self, of: str) -> np.ndarray | None:
        for i, result in enumerate(self.results, start=1):
            if result and result["run"]["of"] == of and (found := self.frames_of(i)) is not None:
                return found[1]
        return None

    def requests(self) -> tuple[str, ...]:
        return ("sample",)

    def on_sample(self) -> None:
        self.sample()

    def sample(self) -> None:
        """Draw samples in the background, one column after the other, and compare each with data."""
        self.compute("sample", "sample", self._sample_or_end, status="sampling")

    def _sample_or_end(self) -> None:
        try:
            self._sample()
        except Exception:
            self.publish(live=None)  # what failed is no longer under way: the button comes back
            raise

    def _learned(self) -> Denoiser | None:
        # a function has no schedule; a denoiser is callable too
        if self.denoiser is None or hasattr(self.denoiser, "schedule"):
            return self.denoiser  # type: ignore[return-value]
        return self.denoiser()  # type: ignore[call-arg, return-value]

    def _sample(self) -> None:
        import torch

        from ..denoisers import Conditioned, ExactDenoiser

        data, spec = self.data, self.schedule
        schedule = schedule_of(spec)
        n = self.n or (IMAGES if data.is_image else POINTS)
        request = Request(data, schedule, tuple(self.runs), n, self.budget, self.grid, self.seed)
        labels = torch.arange(n) % data.classes if data.is_image and data.classes else None
        sources = {"exact": ExactDenoiser(data, schedule), "learned": self._learned()}
        if all(sources[run["of"]] is None for run in request.runs):
            raise ValueError("There is no learned denoiser here: give one as denoiser, or sample the exact one.")
        for run in request.runs:
            sampler_of(run)  # knobs that do not go together end here, before anything is drawn
        question = {"schedule": spec, "n": self.n, "budget": self.budget, "grid": self.grid}
        found = self._empty() | {"computed_for": question}
        del found["live"], found["results"]  # the state of the moment stays until the last column is done
        results: list[dict[str, Any] | None] = [None] * len(request.runs)
        for i, run in enumerate(request.runs):
            denoiser: Any = sources[run["of"]]
            if denoiser is None:
                continue
            if labels is not None:
                denoiser = Conditioned(denoiser, labels)
            walked = self._walk(i, run, denoiser, request)
            if walked is None:
                return  # a newer request waits, or other data
            times, frames, evaluations, steps = walked
            half = decided_half(data, schedule, times, frames)
            results[i] = {"run": run, "evaluations": evaluations, "steps": steps, "decided_half_t": half}
            results[i] |= dict.fromkeys(JUDGEMENT)  # type: ignore[operator]
            found |= {f"times_{i + 1}": times, f"frames_{i + 1}": frames, "evaluations": evaluations}
            self._publish_of(data, **found, results=list(results))
        self._drawn_with = request.seed
        if self._publish_of(data, live=None):
            ends = [found[f"frames_{i + 1}"] for i in range(len(results))]
            self._publish_of(data, **judged(request, results, ends, balanced=labels is not None))

    def _publish_of(self, data: DataSet, **traits: Any) -> bool:
        """Publish what belongs to `data`, unless other data is shown by now."""
        with self._turn:
            if self.data is data:
                self.publish(**traits)
            return self.data is data

    def _walk(
        self, column: int, run: dict[str, Any], denoiser: Denoiser, request: Request
    ) -> tuple[np.ndarray, np.ndarray, int, int] | None:
        """Times, frames, evaluations and steps of one column; its state of the moment is shown meanwhile."""
        import torch

        times, frames, shown, evaluations, steps = [], [], 0.0, 0, 0
        kept: set[int] = set()
        for i, state in enumerate(states_of(request, run, denoiser)):
            if i == 0:
                steps = len(state.grid) - 1
                kept = set(np.linspace(0, steps, min(steps + 1, request.frames)).round().astype(int).tolist())
            if self.superseded("sample", "sample") or self.data is not request.data:
                return None
            evaluations = state.evaluations
            if i in kept:
                times.append(float(state.t))
                frames.append(state.x.reshape(request.n, -1).to(torch.float16).cpu().numpy())
            if time.monotonic() - shown > LIVE:
                shown = time.monotonic()
                status = f"sampling, {run['of']} · step {i} of {steps}"
                self._publish_of(request.data, live=frames[-1], live_t=times[-1], live_column=column, status=status)
        return np.array(times, np.float32), np.stack(frames), evaluations, steps

    def numbers(self) -> dict[str, float]:
        """steps, evaluations, and of each column k its "k.evaluations", "k.energy_distance", "k.mode_gap" and
        "k.decided_half_t" with their errors, as far as they are known; "energy_distance_exact", "..._learned" are the first
        of each kind."""
        found = super().numbers() | {"steps": float(self.steps), "evaluations": float(self.evaluations)}
        for i, result in enumerate(self.results, start=1):
            for name in ("evaluations", *JUDGEMENT, "decided_half_t"):
                if result and result[name] is not None:
                    found[f"{i}.{name}"] = float(result[name])
        named = {k: v for k, v in (self.quality or {}).items() if k != "label" and v is not None}
        return found | {f"energy_distance_{k}": float(v) for k, v in named.items()}


def _columns() -> range:
    return range(1, MOST_RUNS + 1)
