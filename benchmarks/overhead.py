"""What a sampler costs beside its network: microseconds for each evaluation, over one bare call of it; ours beside its peers'.

    python benchmarks/overhead.py [--rounds 15] [--markdown]

The network is the smallest that anybody samples with, three layers of 128, so that everything around it is seen. Bare is
network(x, level, None) and nothing else. Ours is the whole of `sample`: the denoiser around the network, the checks of what it
answers, the step, the look for nan, the record that is yielded. Peers are called as their pages say, with the same network for
eps and a noise level made beforehand, which is kind to them; their set_timesteps is not counted, nor are our grids.

All of one round is run in turn, and differences and ratios are taken within it. The clock is that of the process's own time on
one thread, since the machine is shared.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import azula.denoise
import azula.noise
import azula.sample
import diffusers
import torch
from torch import Tensor, nn

from difflab.denoisers import NetworkDenoiser
from difflab.networks import MLP
from difflab.samplers import SAMPLERS, BrownianPath, NoisePool, OneLevel, Sampler, grids, sample
from difflab.schedules import VPCosine

NETWORK = MLP((2,), width=128, depth=3)
LEVEL = torch.zeros(1)
DENOISER = NetworkDenoiser(NETWORK, VPCosine(), "v")  # for data of variance 1
CALLS = 200  # of the network in one measurement, or a run if that has more
NEED_MORE = {"HMC", "MALA"}  # a density, which a network has not


class Runner(NamedTuple):
    """A method at a number of evaluations."""

    name: str
    prepare: Callable[[], Any]
    run: Callable[[Any, Tensor], int]  # with what was prepared; how many evaluations there were


def ours(evaluations: int) -> Iterator[Runner]:
    def runner(name: str, sampler: Sampler, noise: NoisePool) -> Runner:
        if isinstance(sampler, OneLevel):
            grid = tuple(grids.constant(0.5, evaluations).tolist())
        else:
            grid = tuple(sampler.default_grid(DENOISER.schedule, evaluations).tolist())

        def run(_: None, x: Tensor) -> int:
            for state in sample(DENOISER, sampler, grid, x=x, noise=noise):
                last = state
            return last.evaluations

        return Runner(name, lambda: None, run)

    for name, cls in SAMPLERS.items():
        if name not in NEED_MORE:
            yield runner(f"difflab {name}", cls(), NoisePool(0))
    yield runner("difflab DDIM, eta = 1", SAMPLERS["DDIM"](eta=1.0), NoisePool(0))  # type: ignore[call-arg]
    yield runner("difflab Ancestral on a BrownianPath", SAMPLERS["Ancestral"](), BrownianPath(0))


def diffusers_runners(evaluations: int) -> Iterator[Runner]:
    known = {
        "DDIMScheduler": {},
        "DDPMScheduler": {},
        "EulerDiscreteScheduler": {},
        "EulerAncestralDiscreteScheduler": {},
        "HeunDiscreteScheduler": {},
        "DPMSolverMultistepScheduler": {},
        "DPMSolverMultistepScheduler, SDE": {"algorithm_type": "sde-dpmsolver++"},
        "DEISMultistepScheduler": {},
        "UniPCMultistepScheduler": {},
        "DPMSolverSDEScheduler (Brownian tree)": {},
    }
    for name, settings in known.items():
        if "tree" in name and importlib.util.find_spec("torchsde") is None:
            print(f"diffusers {name} left out: it needs torchsde")
            continue
        cls = getattr(diffusers, name.split(",")[0].split(" ")[0])
        twice = cls in (diffusers.HeunDiscreteScheduler, diffusers.DPMSolverSDEScheduler)

        def prepare(cls: Any = cls, settings: dict[str, Any] = settings, twice: bool = twice) -> Any:
            scheduler = cls(**settings)
            scheduler.set_timesteps(max(2, evaluations // 2 if twice else evaluations))
            return scheduler

        def run(scheduler: Any, x: Tensor) -> int:
            x = x * scheduler.init_noise_sigma
            for t in scheduler.timesteps:
                eps = NETWORK(scheduler.scale_model_input(x, t), LEVEL, None)
                x = scheduler.step(eps, t, x).prev_sample
            return len(scheduler.timesteps)

        yield Runner(f"diffusers {name}", prepare, run)


class Backbone(nn.Module):
    """The network as azula calls it."""

    def __init__(self) -> None:
        super().__init__()
        self.network = NETWORK

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        answer: Tensor = self.network(x, LEVEL, None)
        return answer


def azula_runners(evaluations: int) -> Iterator[Runner]:
    denoiser = azula.denoise.KarrasDenoiser(Backbone(), azula.noise.VPSchedule())
    calls = {"DDPMSampler": 1, "DDIMSampler": 1, "EulerSampler": 1, "HeunSampler": 2, "REABSampler": 1}
    for name, each in calls.items():
        sampler = getattr(azula.sample, name)(denoiser, steps=max(1, evaluations // each), silent=True)

        def run(_: None, x: Tensor, sampler: Any = sampler, each: int = each) -> int:
            sampler(x)
            return int(sampler.steps) * each

        yield Runner(f"azula {name}", lambda: None, run)


class Model:
    """The network as smalldiffusion's loop calls it."""

    def eval(self) -> None:
        pass

    def rand_input(self, n: int) -> Tensor:
        return torch.randn(n, 2)

    def predict_eps_cfg(self, x: Tensor, sigma: Tensor, cond: None, scale: float) -> Tensor:
        answer: Tensor = NETWORK(x, LEVEL, None)
        return answer


def smalldiffusion_runners(evaluations: int) -> Iterator[Runner]:
    peer = _smalldiffusion()
    sigmas = peer.ScheduleLogLinear(1000).sample_sigmas(evaluations)
    model, accelerator = Model(), peer.Accelerator(cpu=True)
    for name, knobs in {"samples, DDIM": {}, "samples, DDPM": {"mu": 0.5}, "samples, gam = 2": {"gam": 2.0}}.items():

        def run(_: None, x: Tensor, knobs: dict[str, float] = knobs) -> int:
            for _x in peer.samples(model, sigmas, batchsize=len(x), xt=x, accelerator=accelerator, **knobs):
                pass
            return len(sigmas) - 1

        yield Runner(f"smalldiffusion {name}", lambda: None, run)


def _smalldiffusion() -> ModuleType:
    """Its loop alone: the package as a whole imports data sets of torchvision, which sampling has no use for."""
    package = importlib.util.find_spec("smalldiffusion")
    assert package is not None
    assert package.origin is not None
    spec = importlib.util.spec_from_file_location("smalldiffusion_loop", Path(package.origin).with_name("diffusion.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def seconds_of(runner: Runner, x: Tensor) -> tuple[float, int]:
    """Seconds of as many runs as make CALLS evaluations, and how many these were."""
    spent, evaluations = 0.0, 0
    while evaluations < CALLS:
        prepared = runner.prepare()
        start = time.process_time()
        evaluations += runner.run(prepared, x)
        spent += time.process_time() - start
    return spent, evaluations


def bare(x: Tensor) -> float:
    """Seconds of one call of the network."""
    start = time.process_time()
    for _ in range(CALLS):
        NETWORK(x, LEVEL, None)
    return (time.process_time() - start) / CALLS


class Result(NamedTuple):
    """Medians over the rounds: microseconds for each evaluation above the bare network, and the ratio to it."""

    over: float
    ratio: float


def measure(evaluations: int, n: int, rounds: int) -> tuple[float, dict[str, Result]]:
    sources = (ours, diffusers_runners, azula_runners, smalldiffusion_runners)
    runners = [runner for source in sources for runner in source(evaluations)]
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    found: dict[str, list[Result]] = {runner.name: [] for runner in runners}
    forwards = []
    for turn in range(rounds + 1):
        for runner in runners:
            before = bare(x)
            spent, calls = seconds_of(runner, x)
            forward = (before + bare(x)) / 2
            if turn:  # the first one warms up
                forwards.append(forward)
                found[runner.name].append(Result(1e6 * (spent / calls - forward), spent / calls / forward))
    medians = {name: Result(*(statistics.median(c) for c in zip(*r, strict=True))) for name, r in found.items()}
    return 1e6 * statistics.median(forwards), medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    cases = [(50, 1), (10, 1), (50, 1000)]
    tables = [measure(evaluations, n, options.rounds) for evaluations, n in cases]
    heads = [f"{e} evaluations of {n:,}" for e, n in cases]
    print("bare forward: " + "; ".join(f"{h}: {forward:.0f} us" for h, (forward, _) in zip(heads, tables, strict=True)))
    if options.markdown:
        print(f"| method | {' | | '.join(heads)} | |\n|---|{'---:|' * 6}")
    for name in tables[0][1]:
        cells = [cell for _, table in tables for cell in (f"{table[name].over:.0f} us", f"{table[name].ratio:.2f}")]
        print(
            f"| {name} | {' | '.join(cells)} |"
            if options.markdown
            else f"{name:52}" + "".join(f"{c:>9}" for c in cells)
        )


if __name__ == "__main__":
    main()
