"""The settings of other libraries that `quality.py` stands beside: each takes a denoiser and noise down to samples.

Everything is said in y = x / alpha and sigma, the noise level beside data that keep their size: a library's own coordinates are
left and entered at its border. diffusers' schedulers compute in float32 in places; their samples are float64 here.
"""

from __future__ import annotations

import importlib.util
import math
import sys
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from azula import noise as azula_noise
from azula import sample as azula_sample
from torch import Tensor

SIGMA_MIN, SIGMA_MAX = 0.002, 80.0
diffusers.utils.logging.set_verbosity_error()  # it tells of options that do not go together, once a run

#: (y (n, *shape), sigma) -> E[x_0 | y], shaped as y
Denoise = Callable[[Tensor, float], Tensor]


class Counted:
    """A denoiser that counts its calls."""

    def __init__(self, denoise: Denoise) -> None:
        self.denoise, self.calls = denoise, 0

    def __call__(self, y: Tensor, sigma: float) -> Tensor:
        self.calls += 1
        return self.denoise(y, sigma)


@dataclass(frozen=True)
class Setting:
    """One way to sample.

    Attributes:
        run: (denoise, z standard normal, steps) -> samples.
        start: the y that it starts from, over z; sigma there.
        steps: how many steps spend at most so many evaluations.
    """

    name: str
    run: Callable[[Denoise, Tensor, int], Tensor]
    start: tuple[float, float]
    steps: Callable[[int], int] = lambda evaluations: evaluations


def _diffusers(scheduler: Any, denoise: Denoise, z: Tensor, steps: int) -> Tensor:
    kind = type(scheduler).__name__
    scheduler.set_timesteps(steps)
    exploding = kind.startswith(("Euler", "Heun", "LMS", "KDPM2", "EDM"))
    x = z * float(scheduler.sigmas.max() if exploding else 1)
    for i, t in enumerate(scheduler.timesteps):
        if hasattr(scheduler, "sigmas") and kind != "DDIMScheduler":
            sigma = float(scheduler.sigmas[i])
            alpha = 1.0 if exploding else 1 / math.hypot(1, sigma)
        else:
            alpha_bar = float(scheduler.alphas_cumprod[int(t)])
            alpha, sigma = math.sqrt(alpha_bar), math.sqrt((1 - alpha_bar) / alpha_bar)
        scheduler.scale_model_input(x, t) if exploding else None  # some count their steps here
        y = x / alpha
        x0 = denoise(y, sigma)
        if kind.startswith("EDM"):  # asked for Karras's F
            skip, out = 1 / (1 + sigma**2), sigma / math.hypot(1, sigma)
            answer = (x0 - skip * y) / out
        else:
            answer = (y - x0) / sigma
        x = scheduler.step(answer, t, x).prev_sample.to(z.dtype)
    return x


def _of_diffusers() -> list[Setting]:
    betas = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
    grids = {
        "Karras": {"use_karras_sigmas": True},
        "exponential": {"use_exponential_sigmas": True},
        "beta": {"use_beta_sigmas": True},
        "uniform": {},
    }
    few = {name: grids[name] for name in ("Karras", "exponential", "uniform")}
    found: list[tuple[str, type, dict[str, Any], int]] = []
    for name, grid in grids.items():
        found += [(f"Euler, {name}", diffusers.EulerDiscreteScheduler, grid, 1)]
        found += [(f"Heun, {name}", diffusers.HeunDiscreteScheduler, grid, 2)]
        for order in (2, 3):
            options = {"solver_order": order, **grid}
            found += [(f"DPM-Solver++ {order}M, {name}", diffusers.DPMSolverMultistepScheduler, options, 1)]
            found += [(f"UniPC {order}, {name}", diffusers.UniPCMultistepScheduler, options, 1)]
    bh1 = {"solver_type": "bh1", "final_sigmas_type": "sigma_min"}  # at sigma = 0 it is nan
    for name, grid in few.items():
        found += [(f"LMS, {name}", diffusers.LMSDiscreteScheduler, grid, 1)]
        for order in (2, 3):
            options = {"solver_order": order, **grid}
            found += [
                (f"DEIS {order}, {name}", diffusers.DEISMultistepScheduler, options, 1),
                (f"DPM-Solver++ {order}S, {name}", diffusers.DPMSolverSinglestepScheduler, options, 1),
                (f"UniPC {order} bh1, {name}", diffusers.UniPCMultistepScheduler, bh1 | options, 1),
            ]
    for order in (2, 3):
        lu = {"use_lu_lambdas": True, "solver_order": order}
        found += [(f"DPM-Solver++ {order}M, Lu", diffusers.DPMSolverMultistepScheduler, lu, 1)]
    heun = {"solver_type": "heun", "use_karras_sigmas": True}
    found += [("DPM-Solver++ 2M heun, Karras", diffusers.DPMSolverMultistepScheduler, heun, 1)]
    found += [("DDIM, trailing", diffusers.DDIMScheduler, {"timestep_spacing": "trailing", "clip_sample": False}, 1)]

    def one(name: str, cls: type, options: dict[str, Any], cost: int) -> Setting:
        def made() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return cls(**betas, **options)

        def run(denoise: Denoise, z: Tensor, steps: int) -> Tensor:
            return _diffusers(made(), denoise, z, steps)

        probe = made()
        probe.set_timesteps(10)
        if hasattr(probe, "sigmas"):
            sigma = float(probe.sigmas.max())
        else:
            last = float(probe.alphas_cumprod[-1])
            sigma = math.sqrt((1 - last) / last)
        exploding = cls.__name__.startswith(("Euler", "Heun", "LMS"))
        start = (sigma, sigma) if exploding else (math.hypot(1, sigma), sigma)
        steps = (lambda n: (n + 1) // 2) if cost == 2 else (lambda n: n)
        return Setting(f"diffusers {name}", run, start, steps)

    return [one(*each) for each in found]


def _of_edm() -> list[Setting]:
    """diffusers' EDM forms."""
    base = {"sigma_min": SIGMA_MIN, "sigma_max": SIGMA_MAX, "sigma_data": 1.0}
    found = []
    for grid in ("karras", "exponential"):
        kinds: list[tuple[str, type, dict[str, Any]]] = [("Euler", diffusers.EDMEulerScheduler, {})]
        for order in (1, 2, 3):
            kinds.append((f"DPM-Solver++ {order}M", diffusers.EDMDPMSolverMultistepScheduler, {"solver_order": order}))
        for name, cls, options in kinds:

            def run(
                denoise: Denoise, z: Tensor, steps: int, cls: Any = cls, options: Any = options, grid: str = grid
            ) -> Tensor:
                return _diffusers(cls(**base, sigma_schedule=grid, **options), denoise, z, steps)

            found.append(Setting(f"diffusers EDM {name}, {grid}", run, (SIGMA_MAX, SIGMA_MAX)))
    return found


class _AzulaDenoiser:
    def __init__(self, denoise: Denoise, schedule: Any) -> None:
        self.denoise, self.schedule = denoise, schedule

    def __call__(self, x: Tensor, t: Tensor) -> Any:
        alpha, sigma = (float(a) for a in self.schedule(t))
        return types.SimpleNamespace(mean=self.denoise(x / alpha, sigma / alpha))


def _of_azula() -> list[Setting]:
    least = math.sqrt(
        (1 + SIGMA_MIN**2) / (1 + SIGMA_MAX**2)
    )  # alpha at sigma / alpha = 80 where alpha^2 + sigma^2 = 1
    schedules = {
        "VE": azula_noise.VESchedule(SIGMA_MIN, SIGMA_MAX),
        "VE from 10": azula_noise.VESchedule(SIGMA_MIN, 10.0),
        "VP": azula_noise.VPSchedule(least, SIGMA_MIN),
        "cosine": azula_noise.CosineSchedule(least, SIGMA_MIN),
        "rectified": azula_noise.RectifiedSchedule(1 / SIGMA_MAX, SIGMA_MIN),
    }
    kinds: list[tuple[str, str, dict[str, Any], int]] = [
        ("Euler", "EulerSampler", {}, 1),
        ("Heun", "HeunSampler", {}, 2),
    ]
    for order in (2, 3):
        kinds += [(f"{k} {order}", f"{k}Sampler", {"order": order}, 1) for k in ("zAB", "vAB", "zEAB", "xEAB", "REAB")]
    found = []
    for name, schedule in schedules.items():
        alpha, sigma = (float(a) for a in schedule(torch.tensor(1.0, dtype=torch.float64)))
        for kind, cls, options, cost in kinds:
            if name[:2] != "VE" and kind in ("zAB 2", "zAB 3", "zEAB 2", "Heun", "Euler"):
                continue

            def run(
                denoise: Denoise,
                z: Tensor,
                steps: int,
                cls: str = cls,
                options: Any = options,
                schedule: Any = schedule,
                sigma: float = sigma,
            ) -> Tensor:
                made = getattr(azula_sample, cls)(
                    _AzulaDenoiser(denoise, schedule), steps=steps, silent=True, dtype=torch.float64, **options
                )
                return made(z * sigma)

            steps = (lambda n: n // 2) if cost == 2 else (lambda n: n)
            found.append(Setting(f"azula {kind}, {name}", run, (sigma / alpha, sigma / alpha), steps))
    return found


def _smalldiffusion() -> Any:
    """Its module of samplers alone: the package as a whole imports torchvision."""
    spec = importlib.util.find_spec("smalldiffusion")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError('smalldiffusion is not installed: pip install -e ".[benchmarks]"')
    path = Path(spec.submodule_search_locations[0]) / "diffusion.py"
    alone = importlib.util.spec_from_file_location("smalldiffusion_diffusion", path)
    assert alone is not None
    assert alone.loader is not None
    module = importlib.util.module_from_spec(alone)
    sys.modules[alone.name] = module
    alone.loader.exec_module(module)
    return module


def _of_smalldiffusion() -> list[Setting]:
    small = _smalldiffusion()
    found = []
    for gam, name in ((1.0, "DDIM"), (2.0, "accelerated")):
        for smax in (SIGMA_MAX, 10.0):
            schedule = small.ScheduleLogLinear(1000, SIGMA_MIN, smax)

            def run(denoise: Denoise, z: Tensor, steps: int, gam: float = gam, schedule: Any = schedule) -> Tensor:
                def eps(x: Tensor, sigma: Tensor, cond: Any, scale: Any) -> Tensor:
                    return (x - denoise(x, float(sigma))) / float(sigma)

                model = types.SimpleNamespace(
                    eval=lambda: None, predict_eps_cfg=eps, rand_input=lambda n: torch.zeros(1, dtype=z.dtype)
                )
                sigmas = schedule.sample_sigmas(steps).double()
                return list(small.samples(model, sigmas, gam=gam, mu=0.0, xt=z * sigmas[0], accelerator=model))[-1]

            top = float(schedule.sigmas[-1])
            found.append(Setting(f"smalldiffusion {name}, log-linear from {smax:g}", run, (top, top)))
    return found


def settings() -> list[Setting]:
    return [*_of_diffusers(), *_of_edm(), *_of_azula(), *_of_smalldiffusion()]
