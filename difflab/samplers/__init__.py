"""Samplers: one method per file, each a step from (x_t, t) to (x_s, s)."""

from . import diagnostics, grids, recursion
from .ancestral import Ancestral
from .annealed_langevin import AnnealedLangevin
from .base import Function, Sampler, State, final, sample
from .brownian import BrownianPath
from .consistency import Consistency
from .ddim import DDIM
from .ddim_inversion import DDIMInversion
from .deis import DEIS
from .dpm_solver import DPMSolver
from .dpm_solver_sde import DPMSolverSDE
from .dpm_solver_single_step import DPMSolverSingleStep
from .edm import EDMStochastic
from .euler import Euler
from .euler_maruyama import EulerMaruyama
from .heun import Heun
from .hmc import HMC
from .ipndm import IPNDM
from .langevin import Langevin
from .mala import MALA
from .mean_flow import MeanFlow
from .noise import Noise, NoisePool
from .one_level import OneLevel, stable_step
from .predictor_corrector import PredictorCorrector
from .rk45 import RK45
from .trajectory import Trajectory
from .unipc import UniPC
from .velocity_adams import VelocityAdams

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
    if name not in SAMPLERS:
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
