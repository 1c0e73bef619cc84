"""Steps per second of the training loop beside the bare limit: the same network, a fixed batch, forward, backward,
optimiser.

    python benchmarks/training.py [--rounds 12] [--steps 200]

The loop adds drawing data, times and noise, the schedule, the weights' average, the watch over the loss and the
record it yields; the background adds its thread. Rounds are interleaved, since a shared machine's speed drifts by
10-30 %; ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer, train

BATCH = 512


def bare() -> Callable[[int], float]:
    """Steps per second of the least that training is: nothing is drawn, nothing is averaged, nothing is watched."""
    denoiser = NetworkDenoiser.for_data(GaussianMixture.ring(), VPCosine())
    network, optimizer = denoiser.network, torch.optim.AdamW(denoiser.parameters(), lr=2e-3, fused=True)
    x, level, goal = torch.randn(BATCH, 2), torch.randn(BATCH), torch.randn(BATCH, 2)

    def run(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            (network(x, level, None) - goal).square().mean().backward()
            optimizer.step()
        return steps / (time.perf_counter() - start)

    return run


def loop() -> Callable[[int], float]:
    """Steps per second of the generator."""
    data = GaussianMixture.ring()
    states = train(NetworkDenoiser.for_data(data, VPCosine()), data, steps=10**9, batch=BATCH, device="cpu")

    def run(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            next(states)
        return steps / (time.perf_counter() - start)

    return run


def background() -> Callable[[int], float]:
    """Steps per second of the Trainer's thread, its start not counted."""
    data = GaussianMixture.ring()

    def run(steps: int) -> float:
        denoiser = NetworkDenoiser.for_data(data, VPCosine())
        ends: list[float] = []
        trainer = Trainer(
            denoiser,
            data,
            steps=steps + 20,
            batch=BATCH,
            device="cpu",
            on_step=lambda _: ends.append(time.perf_counter()),
        )
        trainer.start()
        trainer.wait()
        return (len(ends) - 20) / (ends[-1] - ends[19])

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sides = {"bare": bare(), "loop": loop(), "background": background()}
    for run in sides.values():
        run(50)
    rounds = [{name: run(args.steps) for name, run in sides.items()} for _ in range(args.rounds)]
    print(f"{'':12}{'steps/s best':>14}{'median':>10}{'of bare, best':>16}{'median':>10}")
    for name in sides:
        speeds = [r[name] for r in rounds]
        shares = [r[name] / r["bare"] for r in rounds]
        speed = f"{max(speeds):14.0f}{statistics.median(speeds):10.0f}"
        print(f"{name:12}{speed}{max(shares):16.2f}{statistics.median(shares):10.2f}")


if __name__ == "__main__":
    main()
