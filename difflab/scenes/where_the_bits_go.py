"""WhereTheBitsGo: the variational bound split along the chain, learned beside the exact optimum."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..data import DataSet, FiniteSet, GaussianMixture
from .arrays import Array
from .base import Scene
from .choices import as_data, schedule_of
from .traits import ScheduleTrait, StepsTrait

if TYPE_CHECKING:
    from torch import Generator

    from ..chain import MarkovChain
    from ..denoisers import Denoiser, ExactDenoiser
    from ..elbo import Terms

BINS = 40
OPTIMAL_ROWS = {"points": 512, "images": 64}  # a bin: the oracle of 1,797 digits costs more than that of 8 modes
LEARNED_ROWS = {"points": 16, "images": 8}  # a bin: few, since they are drawn again and again while training


class WhereTheBitsGo(Scene):
    """L_T, every L_{t-1} and L_0 as bars; what the network pays above the oracle stands on top.

    The exact terms are computed when the scene is made and whenever its data, schedule or steps change; `measure(denoiser)`
    adds the learned ones.

    Args:
        data: whose oracle gives the optimum.
        schedule: a Schedule, its name, or {"name", "params"}.
        steps: T of the chain.
        denoiser: a learned one to measure at once, or None.
    """

    schedule = ScheduleTrait()
    steps = StepsTrait(1000, most=10_000)
    edges = Array()
    optimal = Array()
    learned = Array()
    learned_error = Array()
    L_0 = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)
    L_T = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)
    unit = traitlets.Unicode("nats/dim").tag(sync=True)
    totals = traitlets.Dict({}).tag(sync=True)
    oracle = traitlets.Unicode("population").tag(sync=True)
    #: the schedule and steps that the numbers above belong to
    computed_for = traitlets.Dict(allow_none=True, default_value=None).tag(sync=True)

    preset_traits = ("t", "seed", "hidden", "schedule", "steps")

    def __init__(
        self,
        data: DataSet | str | None = None,
        schedule: Any = None,
        steps: int = 1000,
        denoiser: Denoiser | None = None,
        **traits: Any,
    ) -> None:
        self.data = as_data(data)
        #: whether the bound is of a sample given its class; a network that is measured decides for itself
        self.conditional = self.data.is_image and self.data.classes is not None
        self._optimal: _Optimal | None = None
        self._turn = threading.Lock()  # what is shown belongs together: held while `_optimal` and its traits change
        #: called when the exact terms were computed anew, from the lane that computed them
        self.on_optimal: Callable[[], None] = lambda: None
        super().__init__(schedule=schedule, steps=steps, **traits)
        self.observe(lambda _: self.refresh(), ["schedule", "steps", "seed"])
        self.refresh()
        if denoiser is not None:
            self.compute("exact", "learned", lambda: self.measure(denoiser))

    def show(self, data: DataSet, seed: int | None = None) -> None:
        """Measure the bound of other data from now on."""
        with self._turn:
            self.data, self._optimal = data, None
            self.conditional = data.is_image and data.classes is not None
            gone = dict.fromkeys(("edges", "optimal", "learned", "learned_error", "L_0", "L_T", "computed_for"))
            self.publish(**gone, totals={}, seed=self.seed if seed is None else seed)
        self.refresh()

    def refresh(self) -> None:
        """Compute the exact terms again, in the background."""
        self.compute("exact", "optimal", self._measure_optimal)

    def _measure_optimal(self) -> None:
        from ..chain import MarkovChain
        from ..denoisers import ExactDenoiser
        from ..elbo import stratified

        data, spec, steps, conditional = self.data, self.schedule, self.steps, self.conditional
        chain = MarkovChain(schedule_of(spec), steps, quiet=True)  # the schedule desk shows L_T
        oracle = ExactDenoiser(data, chain.schedule)
        rows = OPTIMAL_ROWS["images" if data.is_image else "points"]
        options: dict[str, Any] = {"generator": _generator(self.seed), "conditional": conditional}
        terms = stratified(oracle, chain, data, bins=BINS, per_bin=rows, **options).per_dim()
        with self._turn:
            if data is not self.data:
                return  # the new data's own terms are next in the lane
            old, self._optimal = self._optimal, _Optimal(terms, oracle, chain, data, conditional)
            moved = old is None or not self._optimal.same_question(old)
            self.publish(
                edges=terms.edges.numpy().astype(np.float32),
                optimal=terms.L.numpy().astype(np.float32),
                L_0={"optimal": terms.L_0, "learned": None},
                L_T=terms.L_T,
                unit=terms.unit,
                oracle=oracle.of,
                totals=self._exact_totals(),
                computed_for={"schedule": spec, "steps": steps},
                **({"learned": None, "learned_error": None} if moved else {}),
            )
        self.on_optimal()

    def measure(self, denoiser: Denoiser) -> None:
        """Put the terms of `denoiser` beside the optimal ones: the optimum plus the gap, measured at the same noise.

        Computes on the calling thread, (BINS + 1) * LEARNED_ROWS rows of the denoiser. Nothing is shown if data, schedule
        or steps have changed meanwhile, or if the denoiser's schedule is not the scene's.
        """
        from ..denoisers.base import Checked
        from ..elbo import gap

        Checked(denoiser)  # what is none says so here
        conditional = (
            getattr(denoiser, "classes", None) is not None if hasattr(denoiser, "classes") else self.conditional
        )
        if conditional != self.conditional:
            self.conditional = conditional
            self._measure_optimal()
        best = self._optimal
        if best is None or best.chain.schedule != denoiser.schedule:
            return  # the exact terms are on their way; the next measurement will find them
        above = gap(
            denoiser,
            best.oracle,
            best.chain,
            best.data,
            bins=BINS,
            per_bin=LEARNED_ROWS["images" if best.data.is_image else "points"],
            generator=_generator(
                self.seed + 1
            ),  # noise of its own: the errors of optimum and gap are added as independent
            conditional=best.conditional,
            device=getattr(denoiser, "device", "cpu"),
        ).per_dim()
        learned = best.terms + above
        with self._turn:
            if self._optimal is not best:
                return
            self.publish(
                learned=learned.L.numpy().astype(np.float32),
                learned_error=learned.L_error.numpy().astype(np.float32),
                L_0={"optimal": best.terms.L_0, "learned": learned.L_0},
                totals=self._exact_totals() | {"learned": learned.total, "learned_error": learned.total_error},
            )

    def _exact_totals(self) -> dict[str, Any]:
        assert self._optimal is not None
        terms = self._optimal.terms
        entropy, entropy_error = _entropy(self._optimal.data, self._optimal.conditional)
        return {
            "optimal": terms.total,
            "optimal_error": terms.total_error,
            "entropy": entropy,
            "entropy_error": entropy_error,
        }

    def forget(self) -> None:
        """Take the learned terms away."""
        self.publish(learned=None, learned_error=None, totals=self._exact_totals() if self._optimal else {})

    def numbers(self) -> dict[str, float]:
        """L_T, L_0, and the totals (optimal, learned, entropy) with their errors, per dimension in `unit`; those known."""
        base = super().numbers() | {"steps": float(self.steps)}
        ends = {"L_T": self.L_T, "L_0": (self.L_0 or {}).get("optimal"), "L_0_learned": (self.L_0 or {}).get("learned")}
        return base | {k: float(v) for k, v in (ends | self.totals).items() if v is not None}


@dataclass(frozen=True)
class _Optimal:
    """The exact terms, and the question they answer."""

    terms: Terms
    oracle: ExactDenoiser
    chain: MarkovChain
    data: DataSet
    conditional: bool

    def same_question(self, other: _Optimal) -> bool:
        same_chain = self.chain.schedule == other.chain.schedule and self.chain.steps == other.chain.steps
        return same_chain and self.data is other.data and self.conditional == other.conditional


def _generator(seed: int) -> Generator:
    import torch

    return torch.Generator().manual_seed(seed)


@lru_cache(maxsize=8)
def _entropy(data: DataSet, conditional: bool) -> tuple[float | None, float | None]:
    """Entropy per dimension where it is known: of a mixture in nats, of discrete examples in bits; given the class or not."""
    if isinstance(data, GaussianMixture):
        if conditional:
            _, log_det = np.linalg.slogdet(2 * np.pi * np.e * data.covariances)
            return float(data.weights @ log_det / 2 / data.dim), 0.0
        nats, error = data.entropy()
        return nats / data.dim, error / data.dim
    if isinstance(data, FiniteSet) and data.levels and data.weights is None:
        given = conditional and data.labels is not None
        counts = np.bincount(data.labels) if given else np.array([len(data)])  # type: ignore[arg-type]
        counts = counts[counts > 0]
        return float(counts @ np.log2(counts) / counts.sum() / data.dim), 0.0
    return None, None
