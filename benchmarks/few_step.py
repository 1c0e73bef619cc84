"""What few-step models are worth: consistency training and MeanFlow beside DDIM and the default sampler, at few evaluations.

    python benchmarks/few_step.py [--points 60] [--digits 120] [--markdown]

Points: the ring of eight. The energy distance of 4,000 samples to 4,000 true ones, and, where nothing is drawn on the way,
the median distance between a sample and where the exact probability flow takes the same start. DDIM and the default
sampler have the exact denoiser, whose flow it is.

Digits, with classes: the share of 1,000 samples that a support-vector machine calls by their label, and the energy distance
to the digits. DDIM and the default sampler have a denoiser of the same network that was trained as long.

Every model has the same budget of CPU time (`time.process_time`, one torch thread), so that a busy machine changes little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import torch
from judge import Judge, parted
from torch import Tensor

from difflab.convergence import flow
from difflab.data import DataSet, GaussianMixture, digits
from difflab.denoisers import Conditioned, ConsistencyDenoiser, ExactDenoiser, MeanFlowDenoiser, NetworkDenoiser
from difflab.metrics import energy_distance
from difflab.objectives import ConsistencyTraining, MeanFlowTraining
from difflab.samplers import DDIM, Consistency, MeanFlow, NoisePool, Sampler, final, sample
from difflab.schedules import VPCosine
from difflab.training import train, train_few_step

BUDGETS = (1, 2, 4, 10)


def trained(model: Any, data: DataSet, objective: Any, seconds: float, **options: Any) -> tuple[Any, int, float]:
    """The averaged model after about `seconds` of CPU time, the steps that took, and the seconds really used."""
    options = {"generator": torch.Generator().manual_seed(0), "device": "cpu"} | options
    start = 0.0
    for state in train_few_step(model_like(model, data), data, objective, steps=40, **options):
        if state.step == 10:  # the first ones load what torch loads when it is first asked
            start = time.process_time()
    steps = int(seconds / (time.process_time() - start) * 30)
    start = time.process_time()
    *_, state = train_few_step(model, data, objective, steps=steps, **options)
    return state.ema, steps, time.process_time() - start


def model_like(model: Any, data: DataSet) -> Any:
    """A fresh one of this kind, to take the time with."""
    return type(model).for_data(data, conditional=model.classes is not None)


def denoiser_trained(data: DataSet, seconds: float) -> tuple[NetworkDenoiser, int, float]:
    """The averaged denoiser after `seconds` of CPU time."""
    start = time.process_time()
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), conditional=True)
    states = train(denoiser, data, steps=10**9, batch=128, generator=torch.Generator().manual_seed(0), device="cpu")
    state = next(states)
    while time.process_time() - start < seconds:
        state = next(states)
    return state.ema, state.step, time.process_time() - start


def points(seconds: float) -> Iterator[tuple[str, list[str]]]:
    """Rows of the table on the ring: name, and what is found at each of BUDGETS."""
    data, n = GaussianMixture.ring(), 4000
    real = data.sample(n, torch.Generator().manual_seed(5))

    def row(denoiser: Any, sampler: Sampler | None) -> list[str]:
        cells, pool, schedule = [], NoisePool(3), denoiser.schedule
        start = pool.start(n, (2,)).double() * schedule.prior_std
        end = flow(ExactDenoiser(data, schedule), start, 1.0, 0.0, steps=200).float()
        for evaluations in BUDGETS:
            *_, last = sample(denoiser, sampler, evaluations=evaluations, n=n, shape=(2,), noise=pool, quiet=True)
            x = last.x.float()
            cell = f"{energy_distance(x, real).value:.4f}"
            same_start = sampler is not None and (evaluations == 1 or not sampler.random)
            cells.append(cell + (f", {float((x - end).norm(dim=1).median()):.3f}" if same_start else ""))
            assert last.evaluations <= evaluations, (denoiser, sampler, last.evaluations)
        return cells

    yield "DDIM, exact denoiser", row(ExactDenoiser(data, VPCosine()), DDIM())
    yield "the default sampler, exact denoiser", row(ExactDenoiser(data, VPCosine()), None)
    model, steps, spent = trained(
        ConsistencyDenoiser.for_data(data), data, ConsistencyTraining(fine=160), seconds, lr=3e-3
    )
    yield f"consistency, {steps} steps in {spent:.0f} s", row(model, Consistency())
    mean_flow, steps, spent = trained(
        MeanFlowDenoiser.for_data(data), data, MeanFlowTraining(apart=0.5, std=1.5), seconds, batch=256, lr=3e-3
    )
    yield f"MeanFlow, {steps} steps in {spent:.0f} s", row(mean_flow, MeanFlow())


def images(seconds: float) -> Iterator[tuple[str, list[str]]]:
    """Rows of the table on the digits."""
    data = digits()
    judge = Judge(*parted(data))
    labels = torch.arange(10).repeat_interleave(100)
    real = torch.from_numpy(data.x).flatten(1)

    def row(denoiser: Any, sampler: Sampler | None) -> list[str]:
        cells = []
        for evaluations in BUDGETS:
            states = sample(
                Conditioned(denoiser, labels),
                sampler,
                evaluations=evaluations,
                n=len(labels),
                shape=data.shape,
                noise=NoisePool(1),
                quiet=True,
            )
            x: Tensor = final(states)
            cells.append(f"{100 * judge.agreement(x, labels):.1f} %, {energy_distance(x.flatten(1), real).value:.3f}")
        return cells

    denoiser, steps, spent = denoiser_trained(data, seconds)
    yield f"DDIM, denoiser of {steps} steps in {spent:.0f} s", row(denoiser, DDIM())
    yield "the default sampler, the same denoiser", row(denoiser, None)
    model, steps, spent = trained(
        ConsistencyDenoiser.for_data(data, conditional=True),
        data,
        ConsistencyTraining(fine=160),
        seconds,
        batch=128,
        lr=2e-3,
        ema=0.995,
    )
    yield f"consistency, {steps} steps in {spent:.0f} s", row(model, Consistency())
    mean_flow, steps, spent = trained(
        MeanFlowDenoiser.for_data(data, conditional=True),
        data,
        MeanFlowTraining(apart=0.5, std=1.5),
        seconds,
        batch=128,
        lr=2e-3,
        ema=0.995,
    )
    yield f"MeanFlow, {steps} steps in {spent:.0f} s", row(mean_flow, MeanFlow())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--points", type=float, default=60.0, help="CPU-seconds of training each model on points; 0: none"
    )
    parser.add_argument(
        "--digits", type=float, default=120.0, help="CPU-seconds of training each model on digits; 0: none"
    )
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bar = "|" if args.markdown else " "
    for what, table, seconds in (("ring of 8", points, args.points), ("digits", images, args.digits)):
        if not seconds:
            continue
        print(f"{bar} {what:44s} " + " ".join(f"{bar} {f'{b} evaluations':>16s}" for b in BUDGETS) + f" {bar}")
        if args.markdown:
            print("|---|" + "---:|" * len(BUDGETS))
        for name, cells in table(seconds):
            print(f"{bar} {name:44s} " + " ".join(f"{bar} {c:>16s}" for c in cells) + f" {bar}", flush=True)


if __name__ == "__main__":
    main()
