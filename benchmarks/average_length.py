"""How far a network stays from the exact denoiser, by the length over which its weights are averaged: one training, any length.

    python benchmarks/average_length.py [--steps 3000] [--width 64] [--seed 0]

An MLP on the ring of 8, VPCosine, at a constant rate; the mean squared distance of its posterior mean from the population's, at
16,000 draws of times between 0.02 and 1. `miss` is how much of the profile the two averages that were followed do not give.
"""

from __future__ import annotations

import argparse

import torch

from difflab.data import GaussianMixture
from difflab.denoisers import Denoiser, ExactDenoiser, NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import PostHoc, train

LENGTHS = (0.03, 0.04, 0.05, 0.07, 0.10, 0.12, 0.15, 0.20, 0.25)
N = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)

    ring, schedule = GaussianMixture.ring(), VPCosine()
    denoiser = NetworkDenoiser.for_data(ring, schedule, width=args.width, seed=args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    options = {"batch": 256, "lr": 4e-3, "device": "cpu", "averages": (0.05, 0.1)}
    *_, state = train(denoiser, ring, steps=args.steps, generator=generator, **options)

    generator = torch.Generator().manual_seed(9)
    x0, t = ring.sample(N, generator).float(), torch.linspace(0.02, 1, N)
    alpha, sigma = (level[:, None] for level in schedule.alpha_sigma(t))
    x_t = alpha * x0 + sigma * torch.randn(N, 2, generator=generator)
    due = ExactDenoiser(ring, schedule)(x_t, t).mean.float()

    def distance(of: Denoiser) -> float:
        with torch.no_grad():
            return float((of(x_t, t).mean - due).square().sum(1).mean())

    print("| weights | miss | squared distance to the exact denoiser |\n|---|---:|---:|")
    print(f"| of the last step | | {distance(state.run.denoiser.eval()):.2e} |")
    print(f"| decay {state.run.settings.ema} | | {distance(state.ema):.2e} |")
    made = PostHoc(state.run)
    for length in LENGTHS:
        print(f"| length {length:.2f} | {made.miss(length):.1%} | {distance(made.average(length)):.2e} |")


if __name__ == "__main__":
    main()
