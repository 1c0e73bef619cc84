"""What a grid is worth at 5 and 8 evaluations: plain ones beside those optimised on the spot, with the exact score.

    python benchmarks/grids.py [--points 20000] [--markdown]

Two targets of unit variance, the ring of eight and 40 components. Every grid but the first two leads over the same levels,
sigma / alpha from 8 to 0.02, so that only the spacing differs. Optimised grids see other draws than they are judged on: 1,024
points of the data (Align Your Steps) or 256 starts (GITS, with DDIM's jumps as published; LD3, for the method itself).

Judged are `points` runs: the median distance of their ends to the exact probability flow's from the same starts, and the energy
distance to as many points of the data (5,000 of each; of two true sets it is 0 with the spread given). Methods that draw noise
follow no path, so of them only the energy distance is judged; Align Your Steps is made for them.
"""

from __future__ import annotations

import argparse
import math
from functools import cache

import numpy as np
from torch import Generator, Tensor

from difflab.convergence import flow
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.metrics import energy_distance
from difflab.samplers import DDIM, Ancestral, DPMSolver, Heun, Sampler, final, grids, sample
from difflab.samplers.best import best
from difflab.schedules import VPCosine

SCHEDULE = VPCosine()
LOW, HIGH = 0.02, 8.0
OPTIMISED, JUDGED, DATA = 1, 2, 3  # seeds
JUDGED_BY_ENERGY = 5000
BUDGETS = (5, 8)
RANDOM_COLUMNS = ["even in t", "log-SNR", "Karras", "AYS"]
COLUMNS = ["even in t", "its own", "log-SNR", "Karras", "AYS", "GITS", "LD3"]


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def targets() -> dict[str, GaussianMixture]:
    means = np.random.RandomState(0).uniform(-40, 40, (40, 2))
    forty = GaussianMixture(None, means, math.log1p(math.e) ** 2, "40 components")
    return {"ring": GaussianMixture.ring(), "40": forty.standardised()}


def methods() -> list[Sampler]:
    chosen: list[Sampler] = [DDIM(), Heun(), DPMSolver(2)]
    return chosen if best() in chosen else [*chosen, best()]


def steps_of(sampler: Sampler, evaluations: int) -> int:
    """As many as the method's own grid for so many evaluations has."""
    return len(sampler.default_grid(SCHEDULE, evaluations)) - 1


class Judge:
    """Runs on one target, and where they should have ended."""

    def __init__(self, data: GaussianMixture, points: int) -> None:
        self.oracle, self.points = ExactDenoiser(data, SCHEDULE), points
        self.truth = data.sample(min(points, JUDGED_BY_ENERGY), seeded(DATA)).double()
        self.between = cache(self._between)

    def _between(self, t: float) -> tuple[Tensor, Tensor]:
        """Starts at `t`, and the flow's ends."""
        x = next(sample(self.oracle, DDIM(), [t, 0.0], n=self.points, generator=seeded(JUDGED), quiet=True)).x.double()
        return x, flow(self.oracle, x, t, 0.0, steps=300)

    def __call__(self, sampler: Sampler, grid: Tensor) -> tuple[float, float]:
        """Median distance to the flow's ends, energy distance to the data."""
        x, ends = self.between(float(grid[0]))
        ended = final(sample(self.oracle, sampler, grid, x=x))
        return float((ended - ends).norm(dim=1).median()), energy_distance(ended[: len(self.truth)], self.truth).value

    def energy_of(self, sampler: Sampler, grid: Tensor) -> float:
        """Energy distance to the data of a run from noise that is drawn with its steps'."""
        run = sample(self.oracle, sampler, grid, n=len(self.truth), generator=seeded(JUDGED), quiet=True)
        return energy_distance(final(run).double(), self.truth).value

    def spread(self) -> float:
        """Of the energy distance of two true sets, by four pairs."""
        data = self.oracle.data
        pairs = [data.sample(len(self.truth), seeded(DATA + 1 + k)).double() for k in range(4)]
        return float(np.mean([energy_distance(other, self.truth).value ** 2 for other in pairs]) ** 0.5)


def candidates(oracle: ExactDenoiser, sampler: Sampler, evaluations: int) -> dict[str, tuple[Tensor, float | None]]:
    """Grids and the seconds they took, by column."""
    steps = steps_of(sampler, evaluations)
    plain = {
        "even in t": grids.uniform(SCHEDULE, steps),
        "its own": sampler.default_grid(SCHEDULE, evaluations),
        "log-SNR": grids.log_snr(SCHEDULE, steps, sigma_min=LOW, sigma_max=HIGH),
        "Karras": grids.karras(SCHEDULE, steps, sigma_min=LOW, sigma_max=HIGH),
    }
    searched = {
        "AYS": grids.align_your_steps(oracle, steps, generator=seeded(OPTIMISED), sigma_min=LOW, sigma_max=HIGH),
        "GITS": grids.gits(oracle, steps, generator=seeded(OPTIMISED), sigma_min=LOW, sigma_max=HIGH),
        "LD3": grids.ld3(oracle, steps, sampler, generator=seeded(OPTIMISED), sigma_min=LOW, sigma_max=HIGH),
    }
    return {k: (g, None) for k, g in plain.items()} | {k: (found.times, found.seconds) for k, found in searched.items()}


def random_rows(points: int) -> list[list[str]]:
    """Energy distances of ancestral sampling on the grids that are laid for random steps too."""
    rows = []
    for name, data in targets().items():
        judge = Judge(data, min(points, JUDGED_BY_ENERGY))
        for steps in BUDGETS:
            laid = {
                "even in t": grids.uniform(SCHEDULE, steps),
                "log-SNR": grids.log_snr(SCHEDULE, steps, sigma_min=LOW, sigma_max=HIGH),
                "Karras": grids.karras(SCHEDULE, steps, sigma_min=LOW, sigma_max=HIGH),
                "AYS": grids.align_your_steps(
                    judge.oracle, steps, generator=seeded(OPTIMISED), sigma_min=LOW, sigma_max=HIGH
                ).times,
            }
            for sampler in (Ancestral("small"), Ancestral("large")):
                judged = [judge.energy_of(sampler, laid[column]) for column in RANDOM_COLUMNS]
                rows.append([name, str(steps), sampler.label, *(f"{value:.1e}" for value in judged)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20_000)
    parser.add_argument("--markdown", action="store_true")
    arguments = parser.parse_args()
    distances, energies, seconds = [], [], []
    for name, data in targets().items():
        judge = Judge(data, arguments.points)
        for evaluations in BUDGETS:
            for sampler in methods():
                found = candidates(judge.oracle, sampler, evaluations)
                judged = {column: judge(sampler, grid) for column, (grid, _) in found.items()}
                row = [name, str(evaluations), sampler.label]
                plain = min(judged[column][0] for column in COLUMNS[:4])
                gain = plain / judged["LD3"][0]
                distances.append([*row, *(f"{judged[c][0]:.2g}" for c in COLUMNS), f"{gain:.1f}"])
                energies.append([*row, *(f"{judged[c][1]:.1e}" for c in COLUMNS)])
                seconds.append([*row, *(f"{taken:.1f}" for c in COLUMNS if (taken := found[c][1]) is not None)])
        print(f"{name}: energy distance of two true sets {judge.spread():.1e}", flush=True)
    head = ["target", "evaluations", "method"]
    show("median distance", [*head, *COLUMNS, "gain"], distances, arguments.markdown)
    show("energy distance", [*head, *COLUMNS], energies, arguments.markdown)
    show("energy distance, random steps", [*head, *RANDOM_COLUMNS], random_rows(arguments.points), arguments.markdown)
    show("seconds of the search", [*head, *COLUMNS[4:]], seconds, arguments.markdown)


def show(title: str, head: list[str], rows: list[list[str]], markdown: bool) -> None:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    bar = " | " if markdown else "  "
    print(f"\n{title}\n")
    for k, row in enumerate([head, *rows]):
        line = bar.join(
            cell.ljust(w) if i < 3 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print(f"| {line} |" if markdown else line)
        if markdown and k == 0:
            print("|" + "---|" * 3 + "---:|" * (len(head) - 3))


if __name__ == "__main__":
    main()
