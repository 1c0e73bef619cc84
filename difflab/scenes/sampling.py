"""One column of ReverseTrajectories, sampled and judged: no widget, no thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import DataSet, GaussianMixture
from .choices import SAMPLERS
from .fate import decided_shares, half_time

if TYPE_CHECKING:
    from ..denoisers import Denoiser
    from ..estimate import Estimate
    from ..samplers import Sampler, State
    from ..schedules import Schedule

JUDGED = 1000  # samples that enter the energy distance
FRAMES, FEWEST = 61, 16  # that are kept of a run
#: how near the end of a column is to data; null where it is not known
JUDGEMENT = ("energy_distance", "energy_distance_error", "mode_gap", "mode_gap_floor", "mode_gap_floor_std")
BYTES = 1_500_000  # of all columns' frames together, unless somebody asks for very many samples


@dataclass(frozen=True)
class Request:
    """What was asked for when Sample was pressed: read once, what is moved meanwhile is for the next one."""

    data: DataSet
    schedule: Schedule
    runs: tuple[dict[str, Any], ...]
    n: int
    budget: str
    grid: str
    seed: int

    @property
    def frames(self) -> int:
        """How many of a column are kept, so that a saved page stays small."""
        one = 2 * self.n * self.data.dim * len(self.runs)
        return max(FEWEST, min(FRAMES, BYTES // one))


def states_of(request: Request, run: dict[str, Any], denoiser: Denoiser) -> Iterator[State]:
    """The states of one column. The pool of noise is named by the seed alone: sample i has one start, and step k of every
    random sampler the same draw."""
    from ..samplers import NoisePool, sample

    sampler = sampler_of(run)
    return sample(
        denoiser,
        sampler,
        **_times(request, run, sampler),
        n=request.n,
        shape=request.data.shape,
        noise=NoisePool(request.seed),
        device=getattr(denoiser, "device", "cpu"),
        quiet=True,  # the schedule desk shows L_T
    )


def sampler_of(run: dict[str, Any]) -> Sampler | None:
    """The method of a run; None is the default of `difflab.sample`."""
    from ..samplers import sampler_from

    _, cls, knobs = SAMPLERS[run["sampler"]]
    return None if cls is None else sampler_from(cls, **(knobs | run.get("knobs", {})))


def _times(request: Request, run: dict[str, Any], sampler: Sampler | None) -> dict[str, Any]:
    """A grid, or as many evaluations as make the steps that were asked for."""
    from ..samplers import RK45, grids

    count, by_evaluations = run["steps"], request.budget == "evaluations"
    if isinstance(sampler, RK45):  # it steps as it likes: a grid says only what is kept
        return {"grid": grids.uniform(request.schedule, request.frames - 1)}
    if request.grid != "default":
        spent = 1 if sampler is None else sampler.evaluations_per_step
        steps = max(1, count // spent) if by_evaluations else count
        laid = {"uniform": grids.uniform, "log_snr": grids.log_snr, "karras": grids.karras}[request.grid]
        return {"grid": laid(request.schedule, steps)}
    if by_evaluations or sampler is None:
        return {"evaluations": count}
    return {"evaluations": _evaluations(sampler, request.schedule, count)}


def _evaluations(sampler: Sampler, schedule: Schedule, steps: int) -> int:
    """What `sampler` spends on so many steps: some take more for their first step, or their last."""
    spent = steps * sampler.evaluations_per_step
    while len(sampler.default_grid(schedule, spent)) <= steps:
        spent += 1
    return spent


def judged(
    request: Request, results: list[dict[str, Any] | None], frames: list[np.ndarray | None], balanced: bool
) -> dict[str, Any]:
    """The traits `results` and `quality`: how near the last of each column's `frames` are to data.

    `quality` holds the energy distances of the first column of each kind.
    """
    data, seen = request.data, list[Any]()
    mixture = data if isinstance(data, GaussianMixture) else None
    chance = (0.0, 0.0) if mixture is None else mode_chance(mixture, request.n, request.seed)
    quality = {"label": "energy distance", "learned": None, "learned_error": None, "exact": None, "exact_error": None}
    for result, kept in zip(results, frames, strict=True):
        if result is None or kept is None:
            seen.append(None)
            continue
        numbers: dict[str, Any] = dict.fromkeys(JUDGEMENT)
        if (distance := distance_to(data, kept[-1], request.seed, balanced)) is not None:
            numbers |= {"energy_distance": distance.value, "energy_distance_error": distance.error}
        if mixture is not None:
            numbers |= {"mode_gap": gap_of(mixture, kept[-1])}
            numbers |= {"mode_gap_floor": chance[0], "mode_gap_floor_std": chance[1]}
        seen.append(result | numbers)
        of = result["run"]["of"]
        if quality[of] is None:
            quality |= {of: numbers["energy_distance"], f"{of}_error": numbers["energy_distance_error"]}
    return {"results": seen, "quality": quality}


def distance_to(data: DataSet, samples: np.ndarray, seed: int, balanced: bool = False) -> Estimate | None:
    """Energy distance of `samples` (n, D) to fresh data; None of too few to have one.

    `balanced`: the samples are of class 0, 1, ... in turn. Then it is the mean over the classes of the distance within each:
    a sample with equally many of each class is no independent one, and the whole would look too near.
    """
    import torch

    from ..estimate import Estimate
    from ..metrics import energy_distance

    classes = (data.classes or 1) if balanced else 1
    x, labels = data.sample_labelled(4 * JUDGED if balanced else JUDGED, torch.Generator().manual_seed(seed + 1))
    drawn = torch.from_numpy(samples[:JUDGED].astype(np.float32))
    if len(drawn) < 2 * classes:  # a distance needs two of each
        return None
    parts = []
    for c in range(classes):
        truth = x[labels == c][: JUDGED // classes] if balanced and labels is not None else x
        parts.append(energy_distance(drawn[c::classes], truth.flatten(1)))
    error = sum(e**2 for _, e in parts) ** 0.5 / classes
    return Estimate(sum(v for v, _ in parts) / classes, error)


def gap_of(mixture: GaussianMixture, samples: np.ndarray) -> float:
    """How far the shares of the modes are off, as total variation: `mode_gap` of samples (n, 2) of any dtype."""
    import torch

    from ..metrics import mode_gap

    return mode_gap(torch.from_numpy(samples.astype(np.float64)), mixture)


def mode_chance(mixture: GaussianMixture, n: int, seed: int) -> tuple[float, float]:
    """Mean and standard deviation of `mode_gap` of n true samples, by 20 draws: what counting alone makes."""
    import torch

    from ..metrics import mode_gap, noise_floor

    generator = torch.Generator().manual_seed(seed + 2)
    floor = noise_floor(lambda x, _: mode_gap(x, mixture), mixture, n, generator=generator, against=1)
    return floor.mean, floor.std


def decided_half(data: DataSet, schedule: Schedule, times: np.ndarray, frames: np.ndarray) -> float | None:
    """From which time on half of the samples are decided; None where no mixture is known or they never are."""
    if not isinstance(data, GaussianMixture):
        return None
    return half_time(times, decided_shares(data, schedule, times, frames))
