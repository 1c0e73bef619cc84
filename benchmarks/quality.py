"""The default sampler beside difflab's others and the settings of other libraries, with the exact score: error per evaluation.

    python benchmarks/quality.py [--points 20000] [--budgets 5 8 10 20 50] [--quick] [--markdown] [--plot docs/images/quality.svg]

Two targets of unit variance: the ring of 8 Gaussians and 40 Gaussians. Every setting starts from its own prior, made of the same
standard normal z, and its end is compared with that of the probability flow from the same start (RK4 in log sigma, 500 steps,
float64): the median distance over all points. An evaluation is a call of the denoiser, the last one too. The energy distance and
the sliced Wasserstein distance to data are those of our default and of the two other settings of least median distance. All
settings run with 1,000 points; the best of them with all.
"""

from __future__ import annotations

import argparse
import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from quality_peers import SIGMA_MAX, Counted, Denoise, Setting, settings
from quality_plot import svg
from torch import Tensor

from difflab.data import GaussianMixture
from difflab.denoisers import Denoiser, ExactDenoiser, Posterior
from difflab.metrics import energy_distance, sliced_wasserstein
from difflab.samplers import (
    DDIM,
    DEIS,
    IPNDM,
    DPMSolver,
    DPMSolverSingleStep,
    EDMStochastic,
    Euler,
    Heun,
    Sampler,
    UniPC,
    final,
    grids,
    sample,
)
from difflab.samplers.base import prior_std
from difflab.schedules import EDM, Geometric, Schedule

RING = GaussianMixture.ring()
FORTY = GaussianMixture(
    None, np.random.RandomState(0).uniform(-40, 40, (40, 2)), math.log(1 + math.e) ** 2, "40 Gaussians"
).standardised()
SCREENED, KEPT = 1000, 6  # points that all settings run with, and how many of the best run with all
BESIDE = 2  # of them have their distances to data measured
BUDGETS = (5, 8, 10, 20, 50)
WIDE = Geometric(1e-4, 1e3)  # any sigma that a peer may ask about
#: the best of 60 settings of other libraries, as they were once measured elsewhere: median distance, by target
GIVEN = {
    RING.name: {5: 3.4e-2, 8: 9.3e-3, 10: 4.4e-3, 20: 1.9e-3, 50: 1.9e-4},
    FORTY.name: {5: 4.8e-2, 8: 2.1e-2, 10: 1.7e-2, 20: 3.0e-3, 50: 3.4e-4},
}
OURS: list[Sampler] = [
    DDIM(),
    Euler(),
    Heun(),
    EDMStochastic(churn=0.0),
    DPMSolver(2),
    DPMSolver(3),
    DPMSolverSingleStep(2),
    DPMSolverSingleStep(3),
    DEIS(2),
    DEIS(3),
    DEIS(4),
    IPNDM(),
    UniPC(2),
    UniPC(3),
]


@dataclass
class Run:
    """What one setting did with one budget."""

    setting: Setting
    evaluations: int
    error: float
    samples: Tensor = field(repr=False)
    energy: float = math.nan
    sliced: float = math.nan

    @property
    def name(self) -> str:
        return self.setting.name

    @property
    def ours(self) -> bool:
        return self.name.startswith("difflab")


def denoise_of(denoiser: Denoiser) -> Denoise:
    """E[x_0 | y] at sigma, of a denoiser with any schedule."""

    def denoise(y: Tensor, sigma: float) -> Tensor:
        t = float(denoiser.schedule.t_of_log_snr(-2 * math.log(sigma)))
        answer: Posterior = denoiser(y * denoiser.schedule.level(t).alpha, t)
        return answer.mean

    return denoise


def flow_end(denoise: Denoise, y: Tensor, sigma: float, steps: int = 500, last: float = 2e-4) -> Tensor:
    """Where the probability flow takes y (n, *shape) from sigma, (n, *shape): RK4 in log sigma; from `last` on it is straight in
    sigma^2, an error of 1e-10 for data of width 0.07."""
    h = (math.log(last) - math.log(sigma)) / steps

    def slope(y: Tensor, place: float) -> Tensor:
        return y - denoise(y, math.exp(place))

    for k in range(steps):
        place = math.log(sigma) + k * h
        a = slope(y, place)
        b = slope(y + h / 2 * a, place + h / 2)
        c = slope(y + h / 2 * b, place + h / 2)
        d = slope(y + h * c, place + h)
        y = y + h / 6 * (a + 2 * b + 2 * c + d)
    return y - slope(y, math.log(last)) / 2


def own(denoiser: Denoiser) -> list[Setting]:
    """difflab's settings under the schedule of `denoiser`, the default first."""
    schedule: Schedule = denoiser.schedule
    top = schedule.level(1.0)
    start = (schedule.prior_std / top.alpha, top.ratio)

    def default(denoise: Denoise, z: Tensor, budget: int) -> Tensor:
        return final(sample(_Asked(denoise, schedule), evaluations=budget, x=z * schedule.prior_std))

    found = [Setting("difflab, default", default, start)]
    for method in OURS:
        first = schedule.level(float(method.default_grid(schedule, BUDGETS[0])[0]))  # the same for all budgets
        width = prior_std(schedule, first.t)

        def run(denoise: Denoise, z: Tensor, budget: int, method: Sampler = method, width: float = width) -> Tensor:
            grid = method.default_grid(schedule, budget)
            return final(sample(_Asked(denoise, schedule), method, grid, x=z * width))

        found.append(Setting(f"difflab {method.label}", run, (width / first.alpha, first.ratio)))

        def long(denoise: Denoise, z: Tensor, budget: int, method: Sampler = method) -> Tensor:
            grid = grids.karras(schedule, len(method.default_grid(schedule, budget)) - 1)
            return final(sample(_Asked(denoise, schedule), method, grid, x=z * schedule.prior_std))

        found.append(Setting(f"difflab {method.label}, Karras", long, start))
    return found


class _Asked:
    """A `Denoise` as a denoiser under a schedule."""

    sigma_data = 1.0

    def __init__(self, denoise: Denoise, schedule: Schedule) -> None:
        self.denoise, self.schedule = denoise, schedule

    def __call__(self, x_t: Tensor, t: float, labels: Tensor | None = None) -> Posterior:
        level = self.schedule.level(t)
        return Posterior(self.denoise(x_t / level.alpha, level.ratio))


def measure(
    denoise: Denoise, settings: list[Setting], z: Tensor, budgets: tuple[int, ...], data: Tensor | None
) -> dict[int, list[Run]]:
    """The runs of each budget, the default first, then by their error; those that do badly with the first points of z are not
    run with all of them. `data` is what distances are measured to."""
    ends: dict[tuple[tuple[float, float], int], Tensor] = {}

    def runs_of(settings: list[Setting], budget: int, z: Tensor) -> list[Run]:
        runs = []
        for setting in settings:
            key = (setting.start, len(z))
            if key not in ends:
                ends[key] = flow_end(denoise, z * setting.start[0], setting.start[1])
            asked = Counted(denoise)
            try:
                x = setting.run(asked, z, setting.steps(budget))
            except FloatingPointError:
                continue
            if asked.calls > budget:
                continue
            error = float((x - ends[key]).flatten(1).norm(dim=1).median())
            runs.append(Run(setting, asked.calls, error if math.isfinite(error) else math.inf, x))
        return [runs[0], *sorted(runs[1:], key=lambda run: run.error)]

    found: dict[int, list[Run]] = {}
    for budget in budgets:
        runs = screened = runs_of([s for s in settings if s.steps(budget) >= 1], budget, z[:SCREENED])
        if len(z) > SCREENED:
            peers = [run.setting for run in screened[1:] if not run.ours][:KEPT]
            own = [run.setting for run in screened[1:] if run.ours][:KEPT]
            runs = runs_of([screened[0].setting, *peers, *own], budget, z)
            known = {run.name for run in runs}
            runs += [run for run in screened if run.name not in known]
        if data is not None:
            others = [run for run in runs[1:] if not run.ours][:BESIDE]
            for run in [runs[0], *others]:
                run.energy = float(energy_distance(run.samples[: len(data)], data).value)
                run.sliced = sliced(run.samples[: len(data)], data)
        for run in runs:
            run.samples = torch.empty(0)
        found[budget] = runs
        print(f"{budget} evaluations:", *(f"{r.error:.2g} ({r.name})" for r in runs[:4]), flush=True)
    return found


def sliced(x: Tensor, y: Tensor) -> float:
    return sliced_wasserstein(x, y, generator=torch.Generator().manual_seed(0))


def table(name: str, found: dict[int, list[Run]], floor: tuple[float, float] | None) -> str:
    lines = [
        f"| {name}, evaluations | default | best of the others | which | best of difflab's others | which | given |",
        "|---:|---:|---:|---|---:|---|---:|",
    ]
    for budget, runs in found.items():
        peer = next(r for r in runs[1:] if not r.ours)
        ours = next(r for r in runs[1:] if r.ours)
        given = GIVEN.get(name, {}).get(budget)
        cells = [f"{budget}", f"{runs[0].error:.1e}", f"{peer.error:.1e}", peer.name, f"{ours.error:.1e}"]
        cells += [ours.name.removeprefix("difflab "), "" if given is None else f"{given:.1e}"]
        lines.append(f"| {' | '.join(cells)} |")
    if floor is not None:
        lines += [
            "",
            f"| {name}, evaluations | energy distance, default | least of the others | sliced Wasserstein, default | others |",
            "|---:|---:|---:|---:|---:|",
        ]
        for budget, runs in found.items():
            others = [r for r in runs[1:] if math.isfinite(r.energy)]
            cells = [f"{budget}", f"{runs[0].energy:.1e}", f"{min(r.energy for r in others):.1e}"]
            cells += [f"{runs[0].sliced:.1e}", f"{min(r.sliced for r in others):.1e}"]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append(f"| two true sets | {floor[0]:.1e} | | {floor[1]:.1e} | |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--data", type=int, default=20_000, help="samples of each set in the distances to data")
    parser.add_argument("--budgets", type=int, nargs="+", default=list(BUDGETS))
    parser.add_argument("--quick", action="store_true", help="1,000 points, and no distances to data")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of schedulers, about options that do not go together
    points = 1000 if options.quick else options.points
    z = torch.randn(points, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    panels = {}
    peers = settings()
    print(f"{len(peers)} settings of other libraries, {points} points")
    for mixture in (RING, FORTY):
        print(mixture.name)
        denoise = denoise_of(ExactDenoiser(mixture, WIDE))
        data = floor = None
        if not options.quick:
            count = min(points, options.data)
            data, again = (mixture.sample(count, torch.Generator().manual_seed(seed)).double() for seed in (1, 2))
            floor = (float(energy_distance(data, again).value), sliced(data, again))
        under = ExactDenoiser(mixture, EDM(sigma_max=SIGMA_MAX))
        panels[mixture.name] = found = measure(denoise, [*own(under), *peers], z, tuple(options.budgets), data)
        if options.markdown:
            print(table(mixture.name, found, floor))
    if options.plot:
        options.plot.write_text(
            svg(
                {
                    name: {b: [(r.name, r.error) for r in runs] for b, runs in found.items()}
                    for name, found in panels.items()
                }
            )
        )


if __name__ == "__main__":
    main()
