"""ReverseTrajectories: from noise back to data, by the network and by the oracle, from the same noise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..data import DataSet
from .arrays import Array
from .base import Scene
from .choices import SAMPLERS, as_data, schedule_of
from .forward_noising import view_of
from .traits import ScheduleTrait, StepsTrait

if TYPE_CHECKING:
    from ..denoisers import Denoiser
    from ..samplers import Sampler, State
    from ..schedules import Schedule

POINTS, IMAGES, FRAMES = 2000, 100, 61
LIVE = 0.1  # seconds between two pictures while sampling
JUDGED = 1000  # samples that enter the energy distance


class ReverseTrajectories(Scene):
    """Samples on their way back, learned beside exact: same sampler, same grid, same noise.

    Args:
        data: what the oracle knows.
        schedule: a Schedule, its name, or {"name", "params"}.
        denoiser: the learned one, or a function that returns it (or None) when sampling starts.
        sampler: "Ancestral", "AncestralLarge", "DDIM", "Default" (that of `difflab.sample`), "DPMSolver", "UniPC", "Heun",
            "AnnealedLangevin" or "AnnealedLangevinNoisy", the last without the final denoising step.
        steps: that the sampler takes, on its own grid.
        n: samples; default 2,000 points or 100 images.
    """

    kind = traitlets.Enum(["points", "images"], "points").tag(sync=True)
    image_shape = traitlets.List(traitlets.Int()).tag(sync=True)
    extent = traitlets.Float(3.0).tag(sync=True)
    range = traitlets.List(traitlets.Float(), [-1.0, 1.0]).tag(sync=True)
    mixture = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    schedule = ScheduleTrait()
    times = Array()
    learned = Array()
    exact = Array()
    live = Array()
    live_t = traitlets.Float(1.0).tag(sync=True)
    live_of = traitlets.Enum(["learned", "exact"], "learned").tag(sync=True)
    sampler = traitlets.Enum(list(SAMPLERS), "Ancestral").tag(sync=True)
    samplers = traitlets.List([{"name": k, "label": v[0]} for k, v in SAMPLERS.items()]).tag(sync=True)
    steps = StepsTrait(50, most=10_000)
    step_range = traitlets.List([1, 250]).tag(sync=True)
    evaluations = traitlets.Int(0).tag(sync=True)
    quality = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "schedule", "sampler", "steps")

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
        if n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1):
            raise ValueError(f"n must be a whole number of at least 1, but got {n!r}.")
        self.n = n
        self.denoiser = denoiser
        self._turn = threading.Lock()  # frames belong to the data they are shown with: held while either changes
        super().__init__(schedule=schedule, **(view_of(self.data) | traits))

    def show(self, data: DataSet, seed: int | None = None) -> None:
        """Change the data; old samples go."""
        view = view_of(data)
        with self._turn:
            self.data = data
            self.publish(**view, **self._empty(), seed=self.seed if seed is None else seed)

    def _empty(self) -> dict[str, Any]:
        return {"times": None, "learned": None, "exact": None, "live": None, "quality": None, "evaluations": 0}

    def requests(self) -> tuple[str, ...]:
        return ("sample",)

    def on_sample(self) -> None:
        self.sample()

    def sample(self) -> None:
        """Draw samples in the background: by the network if there is one, then by the oracle; compare both with data."""
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

        # all that decides is read once: what is moved meanwhile is for the next run
        data = self.data
        run = _Run(data, self.n or (IMAGES if data.is_image else POINTS), self.sampler, self.steps, self.seed)
        schedule = schedule_of(self.schedule)
        sources: dict[str, Denoiser | None] = {"learned": self._learned(), "exact": ExactDenoiser(data, schedule)}
        labels = torch.arange(run.n) % data.classes if data.is_image and data.classes else None
        found: dict[str, Any] = self._empty()
        last: dict[str, np.ndarray] = {}
        for name, denoiser in sources.items():
            if denoiser is None:
                continue
            if labels is not None:
                denoiser = Conditioned(denoiser, labels)
            frames = self._walk(name, denoiser, run)
            if frames is None:
                return  # a newer request waits, or other data
            times, states, evaluations = frames
            last[name] = states[-1].astype(np.float32)
            found |= {"times": times, name: states, "evaluations": evaluations}
            # the first run stays in sight while the second one goes on
            self._publish_of(data, **{k: v for k, v in found.items() if k != "live"})
        if self._publish_of(data, **found):
            self._publish_of(data, quality=quality(data, last, run.seed, balanced=labels is not None))

    def _publish_of(self, data: DataSet, **traits: Any) -> bool:
        """Publish what belongs to `data`, unless other data is shown by now."""
        with self._turn:
            if self.data is data:
                self.publish(**traits)
            return self.data is data

    def _walk(self, name: str, denoiser: Denoiser, run: _Run) -> tuple[np.ndarray, np.ndarray, int] | None:
        import torch

        from ..samplers import sample, sampler_from

        generator = torch.Generator().manual_seed(run.seed)
        shape, device = run.data.shape, getattr(denoiser, "device", "cpu")
        _, cls, knobs = SAMPLERS[run.sampler]
        sampler = None if cls is None else sampler_from(cls, **knobs)
        states: Iterable[State] = sample(
            denoiser,
            sampler,
            evaluations=run.steps if sampler is None else _evaluations(sampler, denoiser.schedule, run.steps),
            n=run.n,
            shape=shape,
            generator=generator,
            device=device,
            quiet=True,  # the schedule desk shows L_T
        )
        times, frames, shown, evaluations = [], [], 0.0, 0
        for i, state in enumerate(states):
            if i == 0:
                steps = len(state.grid) - 1
                kept = set(np.linspace(0, steps, min(steps + 1, FRAMES)).round().astype(int).tolist())
            if self.superseded("sample", "sample") or self.data is not run.data:
                return None
            evaluations = state.evaluations
            if i in kept:
                times.append(float(state.t))
                frames.append(state.x.reshape(run.n, -1).to(torch.float16).cpu().numpy())
            if time.monotonic() - shown > LIVE:
                shown = time.monotonic()
                status = f"sampling, {name} · step {i} of {steps}"
                self._publish_of(run.data, live=frames[-1], live_t=times[-1], live_of=name, status=status)
        return np.array(times, np.float32), np.stack(frames), evaluations

    def numbers(self) -> dict[str, float]:
        """steps, evaluations, and the energy distance of learned and exact samples to the data, with their errors."""
        base = super().numbers() | {"steps": float(self.steps), "evaluations": float(self.evaluations)}
        named = {k: v for k, v in (self.quality or {}).items() if k != "label" and v is not None}
        return base | {f"energy_distance_{k}": float(v) for k, v in named.items()}


@dataclass(frozen=True)
class _Run:
    """What was asked for when Sample was pressed."""

    data: DataSet
    n: int
    sampler: str
    steps: int
    seed: int


def _evaluations(sampler: Sampler, schedule: Schedule, steps: int) -> int:
    """What `sampler` spends on so many steps: some take more for their first step, or their last."""
    spent = steps * sampler.evaluations_per_step
    while len(sampler.default_grid(schedule, spent)) <= steps:
        spent += 1
    return spent


def quality(data: DataSet, samples: dict[str, np.ndarray], seed: int, balanced: bool = False) -> dict[str, Any]:
    """Energy distance of samples to fresh data, beside its standard error, for "learned" and "exact" where they exist.

    `balanced`: the samples are of class 0, 1, ... in turn. Then it is the mean over the classes of the distance within each:
    a sample with equally many of each class is no independent one, and the whole would look too near.
    """
    import torch

    from ..metrics import energy_distance

    classes = (data.classes or 1) if balanced else 1
    x, labels = data.sample_labelled(4 * JUDGED if balanced else JUDGED, torch.Generator().manual_seed(seed + 1))
    result: dict[str, Any] = {"label": "energy distance"}
    for name in ("learned", "exact"):
        drawn = torch.from_numpy(samples[name][:JUDGED]) if name in samples else None
        if drawn is None or len(drawn) < 2 * classes:  # a distance needs two of each
            result |= {name: None, f"{name}_error": None}
            continue
        parts = []
        for c in range(classes):
            truth = x[labels == c][: JUDGED // classes] if balanced and labels is not None else x
            parts.append(energy_distance(drawn[c::classes], truth.flatten(1)))
        error = sum(e**2 for _, e in parts) ** 0.5 / classes
        result |= {name: sum(v for v, _ in parts) / classes, f"{name}_error": error}
    return result
