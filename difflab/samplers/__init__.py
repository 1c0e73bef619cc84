"""Samplers: one method per file, each a step from (x_t, t) to (x_s, s)."""

from . import grids
from .base import Function, Sampler, State, final, sample
from .brownian import BrownianPath
from .chains.ancestral import Ancestral
from .chains.ddim import DDIM
from .chains.ddim_inversion import DDIMInversion
from .exponential.deis import DEIS
from .exponential.dpm_solver import DPMSolver
from .exponential.dpm_solver_sde import DPMSolverSDE
from .exponential.dpm_solver_single_step import DPMSolverSingleStep
from .exponential.ipndm import IPNDM
from .exponential.unipc import UniPC
from .exponential.velocity_adams import VelocityAdams
from .flows.edm import EDMStochastic
from .flows.euler import Euler
from .flows.euler_maruyama import EulerMaruyama
from .flows.heun import Heun
from .flows.rk45 import RK45
from .leaps.consistency import Consistency
from .leaps.mean_flow import MeanFlow
from .noise import Noise, NoisePool
from .trajectory import Trajectory
from .walks import diagnostics, recursion
from .walks.annealed_langevin import AnnealedLangevin
from .walks.hmc import HMC
from .walks.langevin import Langevin
from .walks.mala import MALA
from .walks.one_level import OneLevel, stable_step
from .walks.predictor_corrector import PredictorCorrector

#: by name; those that any denoiser will do for (Consistency and MeanFlow need one with a flow map)
SAMPLERS: dict[str, type[Sampler]] = {
    c.__name__: c
    for c in (
        Ancestral,
        DDIM,
        DDIMInversion,
        AnnealedLangevin,
        Langevin,
        Euler,
        EulerMaruyama,
        Heun,
        EDMStochastic,
        RK45,
        HMC,
        MALA,
        DEIS,
        DPMSolver,
        DPMSolverSDE,
        DPMSolverSingleStep,
        IPNDM,
        UniPC,
        VelocityAdams,
        PredictorCorrector,
    )
}


def sampler_from(name: str, **knobs: object) -> Sampler:
    """The sampler of this class name with these knobs. Raises ValueError for an unknown name or knob."""
    if not isinstance(name, str) or name not in SAMPLERS:
        raise ValueError(f"There is no sampler named {name!r}; choose one of {', '.join(SAMPLERS)}.")
    cls = SAMPLERS[name]
    known = list(cls.__dataclass_fields__)  # type: ignore[attr-defined]
    for knob in knobs:
        if knob not in known:
            raise ValueError(f"{name} has no knob {knob!r}; it has {', '.join(known)}.")
    return cls(**knobs)


__all__ = [
    "DDIM",
    "DEIS",
    "HMC",
    "IPNDM",
    "MALA",
    "RK45",
    "SAMPLERS",
    "Ancestral",
    "AnnealedLangevin",
    "BrownianPath",
    "Consistency",
    "DDIMInversion",
    "DPMSolver",
    "DPMSolverSDE",
    "DPMSolverSingleStep",
    "EDMStochastic",
    "Euler",
    "EulerMaruyama",
    "Function",
    "Heun",
    "Langevin",
    "MeanFlow",
    "Noise",
    "NoisePool",
    "OneLevel",
    "PredictorCorrector",
    "Sampler",
    "State",
    "Trajectory",
    "UniPC",
    "VelocityAdams",
    "diagnostics",
    "final",
    "grids",
    "recursion",
    "sample",
    "sampler_from",
    "stable_step",
]
