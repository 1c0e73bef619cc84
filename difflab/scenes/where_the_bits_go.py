"""WhereTheBitsGo: the variational bound split along the chain, learned beside the exact optimum.

The exact terms of every chain are read from one curve, the mmse of the data over log-SNR (mmse_curve.py), by Python and by the
browser, where the bars follow the schedule while it is dragged. The network, and L_0 of discrete data, need Python.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..data import DataSet, GaussianMixture
from . import mmse_curve, optimal_terms
from .arrays import Array
from .choices import SCHEDULES, STEP_RANGE, as_data, schedule_of
from .following import Measuring
from .optimal_terms import VARIANCES, Optimal
from .rescheduled import under
from .schedule_table import FORMULAS
from .traits import ScheduleTrait, StepsTrait

if TYPE_CHECKING:
    from torch import Generator

    from ..denoisers import Denoiser

BINS = 40
LEARNED_ROWS = {"points": 16, "images": 8}  # a bin: few, since they are drawn again and again while training


class WhereTheBitsGo(Measuring):
    """L_T, every L_{t-1} and L_0 as bars; what the network pays above the oracle stands on top.

    The exact terms are computed when the scene is made and whenever its data, schedule, steps or variance change;
    `measure(denoiser)` adds the learned ones once, `follow(trainer)` again and again while it trains.

    Args:
        data: whose oracle gives the optimum.
        schedule: a Schedule, its name, or {"name", "params"}.
        steps: T of the chain.
        denoiser: a learned one to measure at once, or None.
        variance: of the reverse steps, "large", "small", "ddpm_large", "ddpm_small" or "optimal" (see `difflab.variances`).
        axis: "step", bars over t, or "log_snr", bars under the curve that no schedule moves.
        view: "learned" (on top of the optimum), "optimal" or "gap" (their difference alone).
        bins: how many bars the chain is grouped into.

    Raises TypeError or TraitError, in one sentence, for anything else.
    """

    schedule = ScheduleTrait()
    steps = StepsTrait(1000, most=10_000)
    choices = traitlets.List(SCHEDULES).tag(sync=True)
    step_range = traitlets.List(list(STEP_RANGE)).tag(sync=True)
    variance = traitlets.Enum([v["name"] for v in VARIANCES], "large").tag(sync=True, echo_update=False)
    variances = traitlets.List(VARIANCES).tag(sync=True)
    axis = traitlets.Enum(["step", "log_snr"], "step").tag(sync=True, echo_update=False)
    view = traitlets.Enum(["learned", "optimal", "gap"], "learned").tag(sync=True, echo_update=False)
    bins = StepsTrait(BINS, most=200)
    #: (3, L): log-SNR, E|x_0 - E[x_0 | x_t]|^2 of a sample, its standard error; and what else terms need of the data
    mmse = Array()
    about = traitlets.Dict({}).tag(sync=True)
    edges = Array()
    optimal = Array()
    optimal_error = Array()
    learned = Array()
    learned_error = Array()
    gap = Array()
    gap_error = Array()
    L_0 = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    L_T = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)
    unit = traitlets.Unicode("nats/dim").tag(sync=True)
    totals = traitlets.Dict({}).tag(sync=True)
    oracle = traitlets.Unicode("population").tag(sync=True)
    #: the schedule and steps that the numbers above belong to, and the variance and the bins
    computed_for = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    computed_as = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "schedule", "steps", "variance", "axis", "view", "bins")
    controls = ("time", "seed", "png", "formula", "param", "axis", "view", "variance", "param_2", "steps", "bins")

    def __init__(
        self,
        data: DataSet | str | None = None,
        schedule: Any = None,
        steps: int = 1000,
        denoiser: Denoiser | None = None,
        **traits: Any,
    ) -> None:
        self.data = mmse_curve.that_differs(as_data(data))
        if denoiser is not None and not callable(denoiser):
            raise TypeError(f"denoiser must be a denoiser to measure or None, but got {type(denoiser).__name__}.")
        #: whether the bound is of a sample given its class; a network that is measured decides for itself
        self.conditional = self.data.is_image and self.data.classes is not None
        self._optimal: Optimal | None = None
        self._curve: tuple[tuple[DataSet, int, bool], mmse_curve.Curve] | None = None
        self._measured: Denoiser | None = None
        self._learned_of: Optimal | None = None  # what the learned terms on screen stand beside
        self._turn = threading.Lock()  # what is shown belongs together: held while `_optimal` and its traits change
        #: called when the exact terms were computed anew, from the lane that computed them
        self.on_optimal: Callable[[], None] = self._measure_again
        super().__init__(schedule=schedule, steps=steps, **traits)
        self.set_trait("oracle", "population" if isinstance(self.data, GaussianMixture) else "training set")
        for name, value in self._first_picture().items():
            self.set_trait(name, value)
        self.observe(lambda _: self._tell_table(), "schedule")
        self.observe(lambda _: self.refresh(), ["schedule", "steps", "seed", "variance", "bins"])
        self.refresh()
        if denoiser is not None:
            self.compute("exact", "learned", lambda: self.measure(denoiser))

    def show(self, data: DataSet | str, seed: int | None = None) -> None:
        """Measure the bound of other data from now on. TypeError for what is no data."""
        data, seed = mmse_curve.that_differs(as_data(data)), self._seed_of(seed)
        with self._turn:
            self.data, self._optimal, self._measured = data, None, None
            self.conditional = data.is_image and data.classes is not None
            self.publish(**_NOTHING, **self._first_picture(seed), seed=seed)
        self.refresh()

    def _first_picture(self, seed: int | None = None) -> dict[str, Any]:
        """What is known without torch: the curve from a few draws, and what the terms need to know beside it."""
        curve = mmse_curve.preview(self.data, self.seed if seed is None else seed, self.conditional)
        return {
            "mmse": None if curve is None else curve.wire(),
            "about": mmse_curve.facts_of(self.data),
            "unit": "bits/dim" if self.data.levels else "nats/dim",
            "totals": {},
        }

    def refresh(self) -> None:
        """Compute the exact terms again, in the background."""
        self.compute("exact", "optimal", self._measure_optimal)

    def _tell_table(self) -> None:
        """A browser that chose a formula which it cannot evaluate gets the schedule back with its table."""
        if self.schedule["name"] not in FORMULAS:
            self.send_state("schedule")

    def _measure_optimal(self) -> None:
        if self._optimal is None:
            entropy, error = mmse_curve.entropy_per_dim(self.data, self.conditional)
            self.publish(totals={"entropy": entropy, "entropy_error": error})
        from ..chain import MarkovChain
        from ..denoisers import ExactDenoiser

        data, spec, steps, conditional = self.data, self.schedule, self.steps, self.conditional
        variance, bins = self.variance, self.bins
        chain = MarkovChain(schedule_of(spec), steps, quiet=True)  # the schedule desk shows L_T
        oracle = ExactDenoiser(data, chain.schedule)
        curve = self._curve_of(data, conditional)
        table = optimal_terms.variance_table(curve, chain, variance, data)
        first = (
            optimal_terms.first_term(oracle, chain, table, conditional, _generator(self.seed + 2))
            if data.levels
            else None
        )
        terms = optimal_terms.chain_terms(curve, chain, table, data, bins, first).per_dim()
        best = optimal_terms.variance_table(curve, chain, "optimal", data)
        least = optimal_terms.chain_terms(curve, chain, best, data, bins, first).per_dim()
        with self._turn:
            if data is not self.data:
                return  # the new data's own terms are next in the lane
            old = self._optimal
            self._optimal = Optimal(terms, least.total, oracle, chain, table, (data, conditional, variance, bins))
            moved = old is None or not self._optimal.same_question(old)
            self.publish(
                mmse=curve.wire(),
                edges=terms.edges.numpy().astype(np.float32),
                optimal=terms.L.numpy().astype(np.float32),
                optimal_error=terms.L_error.numpy().astype(np.float32),
                L_0=self._optimal.first(),
                L_T=terms.L_T,
                unit=terms.unit,
                oracle=oracle.of,
                totals=self._exact_totals(),
                computed_for={"schedule": spec, "steps": steps},
                computed_as={"variance": variance, "bins": bins},
                **(dict.fromkeys(_LEARNED) if moved else {}),
            )
        self.on_optimal()

    def _curve_of(self, data: DataSet, conditional: bool) -> mmse_curve.Curve:
        """The curve of this data and seed, measured once: no schedule changes it."""
        question = (data, self.seed, conditional)
        if self._curve is None or self._curve[0] != question:
            self._curve = (question, mmse_curve.measured(data, _generator(question[1]), conditional))
        return self._curve[1]

    def measure(self, denoiser: Denoiser) -> None:
        """Put the terms of `denoiser` beside the optimal ones: the optimum plus the gap, measured at the same noise.

        Computes on the calling thread, (bins + 1) * LEARNED_ROWS rows of the denoiser. A network that was trained under
        another schedule is asked at the same noise levels of the scene's; nothing is shown if data, schedule or steps
        have changed meanwhile, or if a denoiser that is no network has another schedule.
        """
        from ..denoisers.base import Checked
        from ..elbo import gap

        Checked(denoiser)  # what is none says so here
        self._measured = denoiser
        conditional = (
            getattr(denoiser, "classes", None) is not None if hasattr(denoiser, "classes") else self.conditional
        )
        if conditional != self.conditional:
            self.conditional = conditional
            self._measure_optimal()
        best = self._optimal
        asked = None if best is None else under(denoiser, best.chain.schedule)
        if best is None or asked is None:
            return  # the exact terms are on their way; the next measurement will find them
        data, conditional, _, bins = best.question
        above = gap(
            asked,
            best.oracle,
            best.chain,
            data,
            bins=bins,
            per_bin=LEARNED_ROWS["images" if data.is_image else "points"],
            # noise of its own: the errors of optimum and gap are added as independent
            generator=_generator(self.seed + 1),
            variance=best.variance,
            conditional=conditional,
            device=getattr(denoiser, "device", "cpu"),
        ).per_dim()
        learned = best.terms + above
        with self._turn:
            if self._optimal is not best:
                return
            self._learned_of = best
            self.publish(
                learned=learned.L.numpy().astype(np.float32),
                learned_error=learned.L_error.numpy().astype(np.float32),
                gap=above.L.numpy().astype(np.float32),
                gap_error=above.L_error.numpy().astype(np.float32),
                L_0=best.first() | {"learned": learned.L_0, "gap": above.L_0, "gap_error": above.L_0_error},
                totals=self._exact_totals()
                | {
                    "learned": learned.total,
                    "learned_error": learned.total_error,
                    "gap": above.total,
                    "gap_error": above.total_error,
                },
            )

    def _measure_again(self) -> None:
        """The question changed: what was measured last is measured anew, unless a training has brought a newer one by then."""

        def job() -> None:
            last = self._measured
            if last is not None and self._learned_of is not self._optimal:
                self.measure(last)

        if self._measured is not None:
            self.compute("learned", "again", job)

    def _exact_totals(self) -> dict[str, Any]:
        assert self._optimal is not None
        terms = self._optimal.terms
        entropy, entropy_error = mmse_curve.entropy_per_dim(*self._optimal.question[:2])
        return {
            "optimal": terms.total,
            "optimal_error": terms.total_error,
            "entropy": entropy,
            "entropy_error": entropy_error,
            "variance_cost": terms.total - self._optimal.least,
        }

    def forget(self) -> None:
        """Take the learned terms away."""
        self._measured = None
        known = self._optimal
        shown = {"totals": self._exact_totals(), "L_0": known.first()} if known else {}
        self.publish(**dict.fromkeys(_LEARNED), **shown)

    def numbers(self) -> dict[str, float]:
        """L_T, L_0, and the totals (optimal, learned, gap, entropy) with their errors, per dimension in `unit`; those known.

        "variance_cost" is what the exact denoiser pays for the chosen variance above the best one.
        """
        base = super().numbers() | {"steps": float(self.steps)}
        ends = {"L_T": self.L_T, "L_0": (self.L_0 or {}).get("optimal"), "L_0_learned": (self.L_0 or {}).get("learned")}
        return base | {k: float(v) for k, v in (ends | self.totals).items() if v is not None}


_LEARNED = ("learned", "learned_error", "gap", "gap_error")
_NOTHING = dict.fromkeys(("edges", "optimal", "optimal_error", *_LEARNED, "L_0", "L_T", "computed_for", "computed_as"))


def _generator(seed: int) -> Generator:
    import torch

    return torch.Generator().manual_seed(seed)
