"""WhereTheBitsGo: the variational bound split along the chain, learned beside the exact optimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from ..data import DataSet, FiniteSet, GaussianMixture
from .arrays import Array
from .base import Scene
from .choices import as_data, schedule_of
from .traits import ScheduleTrait, StepsTrait

if TYPE_CHECKING:
    from ..denoisers import Denoiser
    from ..elbo import Terms

BINS = 40
OPTIMAL_ROWS = {"points": 512, "images": 64}  # a bin: the oracle of 1,797 digits costs more than that of 8 modes
LEARNED_ROWS = 16


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

    preset_traits = ("t", "seed", "schedule", "steps")

    def __init__(
        self,
        data: DataSet | str | None = None,
        schedule: Any = None,
        steps: int = 1000,
        denoiser: Denoiser | None = None,
        **traits: Any,
    ) -> None:
        self.data = as_data(data)
        self._optimal: Terms | None = None
        #: called when the exact terms were computed anew, from the lane that computed them
        self.on_optimal: Callable[[], None] = lambda: None
        super().__init__(schedule=schedule, steps=steps, **traits)
        self.observe(lambda _: self.refresh(), ["schedule", "steps"])
        self.refresh()
        if denoiser is not None:
            self.compute("exact", "learned", lambda: self.measure(denoiser))

    def show(self, data: DataSet) -> None:
        """Measure the bound of other data from now on."""
        self.data = data
        self._optimal = None
        self.publish(edges=None, optimal=None, learned=None, learned_error=None, totals={}, L_0=None, L_T=None)
        self.refresh()

    def refresh(self) -> None:
        """Compute the exact terms again, in the background."""
        self.compute("exact", "optimal", self._measure_optimal)

    def _measure_optimal(self) -> None:
        from ..chain import MarkovChain
        from ..denoisers import ExactDenoiser
        from ..elbo import stratified

        chain = MarkovChain(schedule_of(self.schedule), self.steps)
        oracle = ExactDenoiser(self.data, chain.schedule)
        rows = OPTIMAL_ROWS["images" if self.data.is_image else "points"]
        optimal = stratified(oracle, chain, self.data, bins=BINS, per_bin=rows, **self._options()).per_dim()
        self._optimal, old = optimal, self._optimal
        kept = {} if _same_bins(old, optimal) else {"learned": None, "learned_error": None}
        entropy, entropy_error = _entropy(self.data)
        self.publish(
            edges=_edges(optimal),
            optimal=optimal.L.numpy().astype(np.float32),
            L_0={"optimal": optimal.L_0, "learned": None},
            L_T=optimal.L_T,
            unit=optimal.unit,
            oracle=oracle.of,
            totals={
                "optimal": optimal.total,
                "optimal_error": optimal.total_error,
                "entropy": entropy,
                "entropy_error": entropy_error,
            },
            **kept,
        )
        self.on_optimal()

    def measure(self, denoiser: Denoiser) -> None:
        """Put the terms of `denoiser` beside the optimal ones: the optimum plus the gap, measured at the same noise.

        Computes on the calling thread, (BINS + 1) * 16 rows of the denoiser. ValueError if the denoiser has another schedule.
        """
        from ..chain import MarkovChain
        from ..denoisers import ExactDenoiser
        from ..elbo import gap

        optimal = self._optimal
        if optimal is None:
            return  # the exact terms are on their way; the next measurement will find them
        chain = MarkovChain(denoiser.schedule, self.steps)
        oracle = ExactDenoiser(self.data, chain.schedule)
        device = getattr(denoiser, "device", "cpu")
        rows: dict[str, Any] = {"bins": BINS, "per_bin": LEARNED_ROWS}
        above = gap(denoiser, oracle, chain, self.data, device=device, **rows, **self._options()).per_dim()
        if not _same_bins(optimal, above):
            return  # the schedule moved meanwhile
        learned = optimal + above
        self.publish(
            learned=learned.L.numpy().astype(np.float32),
            learned_error=learned.L_error.numpy().astype(np.float32),
            L_0={"optimal": optimal.L_0, "learned": learned.L_0},
            totals=self.totals | {"learned": learned.total, "learned_error": learned.total_error},
        )

    def _options(self) -> dict[str, Any]:
        import torch

        conditional = self.data.is_image and self.data.classes is not None
        return {"generator": torch.Generator().manual_seed(self.seed), "conditional": conditional}

    def forget(self) -> None:
        """Take the learned terms away."""
        kept = {k: v for k, v in self.totals.items() if not k.startswith("learned")}
        self.publish(learned=None, learned_error=None, totals=kept)

    def numbers(self) -> dict[str, float]:
        """L_T, L_0, and the totals (optimal, learned, entropy) with their errors, per dimension in `unit`; those known."""
        base = super().numbers() | {"steps": float(self.steps)}
        ends = {"L_T": self.L_T, "L_0": (self.L_0 or {}).get("optimal"), "L_0_learned": (self.L_0 or {}).get("learned")}
        return base | {k: float(v) for k, v in (ends | self.totals).items() if v is not None}


def _edges(terms: Terms) -> np.ndarray:
    return terms.edges.numpy().astype(np.float32)


def _same_bins(a: Terms | None, b: Terms) -> bool:
    import torch

    return a is not None and a.unit == b.unit and torch.equal(a.edges, b.edges)


def _entropy(data: DataSet) -> tuple[float | None, float | None]:
    """Entropy per dimension where it is known: of a mixture in nats; of discrete examples, given their class, in bits."""
    if isinstance(data, GaussianMixture):
        nats, error = data.entropy()
        return nats / data.dim, error / data.dim
    if isinstance(data, FiniteSet) and data.levels:
        counts = np.array([len(data)]) if data.labels is None else np.bincount(data.labels)
        counts = counts[counts > 0]
        return float(counts @ np.log2(counts) / counts.sum() / data.dim), 0.0
    return None, None
