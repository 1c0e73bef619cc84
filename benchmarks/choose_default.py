"""How the default sampler's knobs were chosen: on mixtures that are in no table of quality.

    python benchmarks/choose_default.py [--points 100] [--budgets 2 3 5 8 10 20 50]

18 targets of 1 to 8 dimensions, of unit variance: rings of other counts and widths, uniform means from other seeds, random full
covariances, lattices and a finite set. The score of a choice is the geometric mean, over the targets, of the median distance to
the end of the probability flow. Printed are, by budget, scores over the number of points, the lowest level and the spacing.
"""

from __future__ import annotations

import argparse
import itertools
import math

import numpy as np
import torch
from torch import Tensor

from difflab.convergence import flow
from difflab.data import DataSet, FiniteSet, GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.flow.circle import place, times_of
from difflab.samplers import VelocityAdams, final, sample
from difflab.schedules import VPCosine

SCHEDULE = VPCosine()


def uniform(components: int, dim: int, std: float, seed: int) -> GaussianMixture:
    means = np.random.RandomState(seed).uniform(-40, 40, (components, dim))
    return GaussianMixture(None, means, std**2, f"{components} in {dim}-D").standardised()


def targets() -> list[DataSet]:
    points = np.random.RandomState(3).uniform(-1, 1, (40, 2))
    points = (points - points.mean(0)) / (points - points.mean(0)).std()
    return [
        GaussianMixture.ring(3, 1.0, 0.1),
        GaussianMixture.ring(6, 1.0, 0.08),
        GaussianMixture.ring(16, 1.0, 0.02),
        *(uniform(*knobs) for knobs in ((20, 2, 2.0, 2), (60, 2, 1.0, 3), (30, 2, 0.5, 10), (6, 1, 1.0, 5))),
        *(uniform(*knobs) for knobs in ((15, 3, 2.0, 7), (40, 4, 2.0, 8), (8, 8, 3.0, 9))),
        *(GaussianMixture.random(*knobs) for knobs in ((3, 2, 2), (12, 2, 3), (5, 3, 4), (8, 5, 5), (10, 8, 6))),
        GaussianMixture.grid(3, 2.0, 0.2),
        GaussianMixture.grid(5, 2.0, 0.1),
        FiniteSet(points),
    ]


def grid(steps: int, lowest: float, power: float) -> Tensor:
    """The default grid with another lowest level (in widths) and another spacing."""
    first = place(SCHEDULE, 1.0, 1.0)
    u = first + (-math.asinh(1 / lowest) - first) * torch.linspace(0, 1, steps, dtype=torch.float64) ** power
    times = times_of(SCHEDULE, u, 1.0)
    times[0] = 1.0
    return torch.cat([times, times.new_zeros(1)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--budgets", type=int, nargs="+", default=[2, 3, 5, 8, 10, 20, 50])
    options = parser.parse_args()
    known = []
    for data in targets():
        oracle = ExactDenoiser(data, SCHEDULE)
        z = torch.randn(options.points, data.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        known.append((oracle, z, flow(oracle, z, 1.0, 0.0, steps=200)))
    for budget in options.budgets:
        scores = {}
        for points, factor, power in itertools.product((2, 3), (0.5, 0.7, 1.0, 1.4, 2.0), (1.0, 1.2, 1.4, 1.6)):
            lowest = factor * 0.3 / budget**1.2
            logs = [
                ((final(sample(oracle, VelocityAdams(points), grid(budget, lowest, power), x=z)) - end).norm(dim=1))
                .median()
                .clamp(min=1e-9)
                .log()
                .item()
                for oracle, z, end in known
            ]
            scores[points, factor, power] = math.exp(sum(logs) / len(logs))
        chosen = scores[3 if budget > 6 else 2, 1.0, 1.2]
        best = sorted(scores.items(), key=lambda item: item[1])[:4]
        print(f"{budget} evaluations: as chosen {chosen:.2e};", end=" ")
        print(*(f"{s:.2e} ({p} points, lowest x {f:g}, power {w:g})" for (p, f, w), s in best), sep=", ", flush=True)


if __name__ == "__main__":
    main()
