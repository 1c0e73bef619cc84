"""Steps per second of the training loop beside the bare limit and, with --peers, beside other libraries' loops.

    python benchmarks/training.py [--batch 512] [--rounds 12] [--steps 200] [--peers] [--markdown]

The bare limit is the same network on a fixed batch: forward, mean squared error, backward, fused optimiser. The loop adds
drawing data, times and noise, the schedule, the weights' average, the watch over the loss and the record it yields; the
background adds its thread, a callback, metrics and checkpoints. All sides take turns in one process on one thread, and
ratios are taken within a round, since a shared machine's speed drifts by 10-30 %: ratios within 15 % of 1 are not resolved
by the clock on the wall. Beside it stands the ratio of the process's own time, which what else runs on the machine disturbs
less.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.nn import functional as F

from difflab.data import DataSet, FiniteSet, GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer, TrainingState, train

POINTS = 10_000  # of the finite set that stands for the ring, where data has to lie in memory
FOREVER = 10**9
Side = Callable[[int], object]  # does so many steps


def fresh(data: DataSet) -> NetworkDenoiser:
    return NetworkDenoiser.for_data(data, VPCosine())


def points() -> torch.Tensor:
    """(POINTS, 2) of the ring."""
    return GaussianMixture.ring().sample(POINTS, torch.Generator().manual_seed(0))


def bare(batch: int) -> Side:
    """The least that training is: nothing is drawn, nothing is averaged, nothing is watched."""
    denoiser = fresh(GaussianMixture.ring())
    network, optimizer = denoiser.network, torch.optim.AdamW(denoiser.parameters(), lr=2e-3, fused=True)
    x, level, goal = torch.randn(batch, 2), torch.randn(batch), torch.randn(batch, 2)

    def run(steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            F.mse_loss(network(x, level, None), goal).backward()
            optimizer.step()

    return run


def loop(batch: int, data: DataSet) -> Side:
    """The generator."""
    states = train(fresh(data), data, steps=FOREVER, batch=batch, device="cpu")

    def run(steps: int) -> None:
        for _ in range(steps):
            next(states)

    return run


@contextmanager
def background(batch: int, data: DataSet, folder: str) -> Iterator[Side]:
    """The Trainer's thread, with a callback, metrics and checkpoints at their default intervals."""
    last, done = 0, threading.Event()

    def on_step(state: TrainingState) -> None:
        if state.step == last:
            trainer.pause()
            done.set()

    trainer = Trainer(fresh(data), data, steps=FOREVER, batch=batch, device="cpu", on_step=on_step, folder=folder)

    def run(steps: int) -> None:
        nonlocal last
        last = trainer.step + steps
        done.clear()
        trainer.start()
        done.wait()

    yield run
    trainer.stop()


def taken(run: Side, steps: int) -> tuple[float, float]:
    """Seconds for each step: by the clock on the wall, of the process."""
    wall, process = time.perf_counter(), time.process_time()
    run(steps)
    return (time.perf_counter() - wall) / steps, (time.process_time() - process) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--peers", action="store_true", help='other libraries\' loops, of the extra "benchmarks"')
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ring, resident = GaussianMixture.ring(), FiniteSet(points(), name="points of the ring")
    with tempfile.TemporaryDirectory() as folder, background(args.batch, ring, f"{folder}/run") as thread:
        sides = {
            "bare": bare(args.batch),
            "loop": loop(args.batch, ring),
            "loop, a finite set": loop(args.batch, resident),
            "background, with a folder": thread,
        }
        if args.peers:
            from training_peers import peers

            sides |= peers(args.batch, points())
        report(sides, args)


def report(sides: dict[str, Side], args: argparse.Namespace) -> None:
    for run in sides.values():
        run(50)
    rounds = [{name: taken(run, args.steps) for name, run in sides.items()} for _ in range(args.rounds)]
    columns = ["", "steps/s, best", "median", "of bare, best", "median", "by process time"]
    print(line(columns, args.markdown))
    if args.markdown:
        print("|---|---:|---:|---:|---:|---:|")
    for name in sides:
        speeds = [1 / r[name][0] for r in rounds]
        shares = [r["bare"][0] / r[name][0] for r in rounds]
        process = statistics.median(r["bare"][1] / r[name][1] for r in rounds)
        numbers = [f"{max(speeds):.0f}", f"{statistics.median(speeds):.0f}"]
        numbers += [f"{share:.2f}" for share in (max(shares), statistics.median(shares), process)]
        print(line([name, *numbers], args.markdown))


def line(cells: list[str], markdown: bool) -> str:
    if markdown:
        return f"| {' | '.join(cells)} |"
    return f"{cells[0]:34}" + "".join(f"{cell:>16}" for cell in cells[1:])


if __name__ == "__main__":
    main()
