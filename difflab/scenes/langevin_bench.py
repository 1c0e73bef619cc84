"""LangevinBench: walks by the exact score, unadjusted, adjusted, annealed and corrected, abreast at equal score calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..data import DataSet, GaussianMixture
from .arrays import Array
from .base import Scene
from .bench_setup import (
    METHODS,
    MethodsTrait,
    check_mixture,
    natural,
    reshaped,
    start_points,
    two_modes,
    view_extent,
)
from .choices import as_data
from .look import FARTHEST
from .traits import NumberTrait, WholeTrait, check_seed

if TYPE_CHECKING:
    from .bench_measures import Frame
    from .bench_walks import Walk

FRAMES = 36  # with those of the samples, a page of the whole Lab stays below 3 MB
LIVE = 0.1  # seconds between two pictures while sampling
#: knobs that move the modes or the points of the start: what was walked before does not belong to them
_SHAPE = ("distance", "weight", "sigma_min", "sigma_max", "start", "n", "seed")
_ASKED = (*_SHAPE, "step", "calls", "levels", "annealed_step", "denoise", "leapfrog", "snr", "methods")
_GONE = dict.fromkeys(
    (
        "positions", "frames", "live", "mass", "mass_error", "variance", "variance_error", "variance_predicted",
        "level", "spread", "computed_for",
    )
)  # fmt: skip


class LangevinBench(Scene):
    """Four ways to walk on the same modes, from the same points, with the same number of score calls.

    Unadjusted Langevin stays in the mode where it began and settles at a variance that its step says; a Metropolis test mends
    the variance and not the modes; falling noise levels mend the modes.

    Args:
        data: a GaussianMixture in the plane or the name of one; default two modes of weights 0.2 and 0.8, eight apart.
        seed: of the points of the start and of the noise of all steps.
        traits: the knobs, such as `step` (r = a / V, V the smallest variance of a mode at sigma_min: Langevin is stable below
            2), `calls`, `distance` of the nearest two modes, `weight` of the first one, `levels`, `sigma_min`, `sigma_max`,
            `methods` (up to four of "langevin", "mala", "hmc", "annealed", "pc"), `start` ("prior" or "one mode"), `n`.

    Raises ValueError for data that are no mixture in the plane, TraitError for a knob out of range.
    """

    mixture = traitlets.Dict({}).tag(sync=True)
    extent = traitlets.Float(6.0).tag(sync=True)
    #: the knobs that the data suggest: distance, weight, sigma_min, sigma_max
    natural = traitlets.Dict({}).tag(sync=True)
    start_points = Array()
    method_labels = traitlets.Dict(METHODS).tag(sync=True)

    step = NumberTrait(0.3, 1e-4, 10.0)
    calls = WholeTrait(1000, 2, 20_000)
    distance = NumberTrait(8.0, 0.0, FARTHEST)
    weight = NumberTrait(0.2, 0.001, 1.0)
    levels = WholeTrait(20, 1, 1000)
    sigma_min = NumberTrait(0.1, 1e-6, FARTHEST)
    sigma_max = NumberTrait(20.0, 1e-6, FARTHEST)
    annealed_step = traitlets.Enum(["v2", "v1", "advised"], "v2").tag(sync=True, echo_update=False)
    methods = MethodsTrait(["langevin", "mala", "annealed", "pc"])
    start = traitlets.Enum(["prior", "one mode"], "prior").tag(sync=True, echo_update=False)
    n = WholeTrait(1000, 2, 5000)
    denoise = traitlets.Bool(False).tag(sync=True, echo_update=False)
    leapfrog = WholeTrait(10, 1, 100)
    snr = NumberTrait(0.16, 1e-3, 0.999)
    chart = traitlets.Enum(["mass", "variance"], "mass").tag(sync=True, echo_update=False)
    #: the score call that is shown
    call = WholeTrait(0, 0, 20_000)

    # what was found, for methods M, frames F (so far, while sampling), n points and K modes
    positions = Array()  # (F,), in score calls
    frames = Array()  # (M, F, n, 2)
    live = Array()  # (M, n, 2) of a run under way
    mass = Array()  # (M, F, K)
    mass_error = Array()
    variance = Array()  # (M, F), of a mode, over the exact one
    variance_error = Array()
    variance_predicted = Array()
    level = Array()  # (M, F), sigma; 0 once denoised
    spread = Array()  # (M, F), half-width of what holds nearly all points
    outcomes: Any = traitlets.List([]).tag(
        sync=True
    )  # of each method: calls spent, acceptance, its error, why it exploded
    computed_for = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    preset_traits = (
        "t", "seed", "hidden", "step", "calls", "distance", "weight", "levels", "sigma_min", "sigma_max",
        "annealed_step", "methods", "start", "n", "denoise", "leapfrog", "snr", "chart",
    )  # fmt: skip
    controls = (
        "time", "seed", "png", "step", "calls", "distance", "levels", "sample", "methods", "start", "weight", "n",
        "sigma_min", "sigma_max", "advise", "annealed_step", "denoise", "leapfrog", "snr", "chart",
    )  # fmt: skip

    def __init__(self, data: DataSet | str | None = None, *, seed: int = 0, **traits: Any) -> None:
        seed = check_seed(seed)
        self.data = two_modes() if data is None else check_mixture(as_data(data))
        self._turn = threading.Lock()  # frames belong to the modes they are shown with: held while either changes
        self._told: dict[str, Any] = {}
        suggested = natural(self.data)
        super().__init__(**({"natural": suggested, "seed": seed} | suggested | traits))
        self._told = {name: getattr(self, name) for name in _SHAPE}
        for name, value in self._set_out().items():
            self.set_trait(name, value)
        self.observe(self._reshape, list(_SHAPE))

    def show(self, data: DataSet | str, seed: int | None = None) -> None:
        """Walk on other modes from now on, with the ladder that they suggest; what was found goes.

        Raises ValueError, and leaves all as it was, for data that are no mixture in the plane.
        """
        mixture, seed = check_mixture(as_data(data)), None if seed is None else check_seed(seed)
        suggested = natural(mixture)
        for name, knob in suggested.items():
            self.traits()[name].validate(self, knob)
        with self._turn:
            self.data = mixture
            self._told |= suggested | {"seed": self._told["seed"] if seed is None else seed}
            self.publish(
                natural=suggested, **suggested, seed=self._told["seed"], **self._set_out(), **_GONE, outcomes=[]
            )

    def apply(self, preset: dict[str, Any]) -> None:
        super().apply(preset)
        with self._turn:  # other modes may have brought other knobs, which are still on their way
            self._told |= {name: getattr(self, name) for name in _SHAPE if name in preset}
            self.publish(**self._set_out(), **_GONE, outcomes=[], call=0)

    def _reshape(self, change: Any) -> None:
        """A knob was moved, here or in the browser: the modes and the start follow at once."""
        with self._turn:
            if self._told[change["name"]] == change["new"]:
                return
            self._told[change["name"]] = change["new"]
            self.publish(**self._set_out(), **_GONE, outcomes=[], call=0)

    def _set_out(self) -> dict[str, Any]:
        """The traits that show where a run begins."""
        told = self._told
        self._modes = reshaped(self.data, told["distance"], told["weight"])
        self._start = start_points(
            self._modes, told["start"], told["n"], told["sigma_min"], told["sigma_max"], told["seed"]
        )
        return {
            "mixture": self._modes.to_dict(),
            "extent": view_extent(self._modes),
            "start_points": self._start,
        }

    def requests(self) -> tuple[str, ...]:
        return ("sample", "advise")

    def on_sample(self) -> None:
        self.sample()

    def on_advise(self) -> None:
        self.advise()

    def sample(self) -> None:
        """Walk in the background, all methods abreast; what is found is shown as it comes. The newest request counts."""
        self.compute("sample", "sample", self._sample_or_end, status="sampling")

    def advise(self) -> None:
        """Take the highest level and the number of levels that NCSNv2's techniques 1 and 2 give for these modes.

        Two dimensions are far from what technique 2 is made for: an overlap of 0.99 is asked for, and still they are few.
        """
        self.compute("exact", "advise", self._advise, status="looking at the data")

    def _advise(self) -> None:
        import torch

        from ..advice import advise

        generator = torch.Generator().manual_seed(self.seed)
        found = advise(self._modes, sigma_min=self._told["sigma_min"], overlap=0.99, generator=generator)
        self.publish(sigma_max=found.sigma_max, levels=found.levels)

    def _sample_or_end(self) -> None:
        try:
            self._sample()
        except Exception:
            self.publish(live=None)  # what failed is no longer under way
            raise

    def _sample(self) -> None:
        import torch

        from .bench_walks import Question, Walk, positions

        with self._turn:  # all that decides is read once: what is moved meanwhile is for the next run
            modes, start = self._modes, self._start
            asked = {name: getattr(self, name) for name in _ASKED} | self._told
        others = ("distance", "weight", "start", "n")
        question = Question(modes, start, **{k: v for k, v in asked.items() if k not in others})
        keep = positions(question.calls, FRAMES)
        walks = [Walk(method, question, keep) for method in question.methods]
        shown = time.monotonic()
        for calls in keep[1:]:
            for walk in walks:
                if self._superseded(modes):
                    return
                walk.advance(calls)
            if time.monotonic() - shown > LIVE:
                shown = time.monotonic()
                status = f"sampling · score call {calls:,} of {question.calls:,}"
                live = np.stack([walk.frames[-1].x.to(torch.float16).numpy() for walk in walks])
                found = _table(walks)
                self._publish_of(modes, **found, live=live, frames=None, call=calls, computed_for=asked, status=status)
        frames = np.stack([[frame.x.to(torch.float16).numpy() for frame in walk.frames] for walk in walks])
        self._publish_of(modes, **_table(walks), frames=frames, live=None, call=question.calls, computed_for=asked)

    def _superseded(self, modes: GaussianMixture) -> bool:
        return self.superseded("sample", "sample") or self._modes is not modes

    def _publish_of(self, modes: GaussianMixture, **traits: Any) -> None:
        """Publish what belongs to these modes, unless others are shown by now."""
        with self._turn:
            if self._modes is modes:
                self.publish(**traits)

    def numbers(self) -> dict[str, float]:
        """Of the last run, by method: mass_METHOD of the first mode, mass_gap_METHOD, the total variation of all masses from
        the weights; variance_METHOD over the exact one, variance_predicted_METHOD; acceptance_METHOD where there is one; mass,
        variance and acceptance with their _error; calls_METHOD spent; exploded_METHOD, 0 or 1, and then no mass and no
        variance. And always mass_exact, step, levels, calls."""
        base = super().numbers() | {"step": self.step, "levels": float(self.levels), "calls": float(self.calls)}
        weights = self._modes.weights
        base["mass_exact"] = float(weights[0])
        if self.frames is None or self.computed_for is None:
            return base
        for i, (method, outcome) in enumerate(zip(self.computed_for["methods"], self.outcomes, strict=True)):
            found = {"calls": outcome["calls"], "exploded": outcome["exploded"] != ""}
            if not outcome["exploded"]:
                mass = self.mass[i, -1].astype(float)
                found |= {
                    "mass": mass[0],
                    "mass_error": self.mass_error[i, -1, 0],
                    "mass_gap": np.abs(mass - weights).sum() / 2,
                    "variance": self.variance[i, -1],
                    "variance_error": self.variance_error[i, -1],
                    "variance_predicted": self.variance_predicted[i, -1],
                }
            if outcome["acceptance"] is not None:
                found |= {name: outcome[name] for name in ("acceptance", "acceptance_error")}
            base |= {f"{name}_{method}": float(value) for name, value in found.items()}
        return base


def _table(walks: list[Walk]) -> dict[str, Any]:
    """What is measured of the frames so far, as traits."""

    def each(of: Callable[[Frame, Walk], Any]) -> np.ndarray:
        return np.array([[of(frame, walk) for frame in walk.frames] for walk in walks], np.float32)

    def outcome(walk: Walk) -> dict[str, Any]:
        acceptance = walk.acceptance or (None, None)
        said = {"calls": walk.spent, "exploded": walk.exploded}
        return said | {"acceptance": acceptance[0], "acceptance_error": acceptance[1]}

    count = len(walks[0].frames)
    largest = float(np.finfo(np.float32).max)
    predicted = np.stack([walk.predicted() for walk in walks])
    return {
        "positions": np.array(walks[0].keep[:count], np.float32),
        "mass": each(lambda frame, _: frame.mass),
        "mass_error": each(lambda frame, _: frame.mass_error),
        "variance": each(lambda frame, _: frame.variance),
        "variance_error": each(lambda frame, _: frame.variance_error),
        "variance_predicted": np.clip(predicted, 0, largest).astype(np.float32),
        "level": each(lambda frame, walk: walk.oracle.schedule.level(frame.t).sigma if frame.t else 0.0),
        "spread": each(lambda frame, _: frame.spread),
        "outcomes": [outcome(walk) for walk in walks],
    }
