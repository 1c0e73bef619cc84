"""The order of convergence that every sampler declares is measured, on data whose flow is known.

The tolerance is 0.3: at 32 to 128 steps of log-SNR -4..4 the next term of the error's expansion bends the fitted slope by a
constant over the number of steps, up to about 0.2 for the methods here, while a method one order short is off by a whole 1.
"""

import pytest

from difflab.convergence import Gaussian, Line, Plane, measure
from difflab.samplers import (
    DDIM,
    DEIS,
    SAMPLERS,
    Ancestral,
    DPMSolver,
    DPMSolverSDE,
    DPMSolverSingleStep,
    EDMStochastic,
    OneLevel,
    UniPC,
    VelocityAdams,
)
from difflab.samplers.base import Sampler

# Methods with the knobs that change their order or their formula, besides those of SAMPLERS with none given: add yours.
VARIANTS: list[Sampler] = [
    Ancestral("large"),
    DDIM(0.5),
    DDIM(1.0),
    EDMStochastic(churn=5.0),
    DPMSolver(1),
    DPMSolver(2, rule="exact"),
    DPMSolver(3),
    DPMSolverSDE(1),
    DPMSolverSDE(2, rule="exact"),
    DPMSolverSingleStep(3),
    DPMSolverSingleStep(3, rule="exact"),
    DEIS(4),
    DEIS(4, variable="rho"),
    UniPC(1),
    UniPC(2, "bh1"),
    UniPC(3),
    UniPC(3, corrector=False),
    VelocityAdams(1),
    VelocityAdams(2),
    VelocityAdams(3, width=0.5),
]

# Class name -> why its order is not one of falling steps. These are held to something else, which is said.
EXCUSED = {
    "RK45": "chooses its own steps: its error follows its tolerance, and equal steps have their order, in test_rk45.py",
    "DDIMInversion": "runs upwards, and its way back is measured as well: test_ddim_inversion.py",
    **dict.fromkeys(
        (name for name, cls in SAMPLERS.items() if issubclass(cls, OneLevel)),
        "stays at one noise level: what it leaves invariant there is tested in a file of its own",
    ),
    "PredictorCorrector": "each correction forgets errors and adds a bias of its own, test_predictor_corrector.py",
    "AnnealedLangevin": "walks at every level: it converges in the number of walks, not of levels; test_annealed_langevin.py",
}

EVERY = [cls() for name, cls in SAMPLERS.items() if name not in EXCUSED] + VARIANTS
TARGETS = [Gaussian(), Line(), Plane()]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("sampler", [m for m in EVERY if not m.random], ids=lambda m: m.label)
def test_the_measured_order_is_the_declared_one(sampler, target):
    found = measure(sampler, target)
    assert found.order == pytest.approx(sampler.order, abs=0.3), found


@pytest.mark.parametrize("sampler", [m for m in EVERY if m.random], ids=lambda m: m.label)
def test_the_measured_weak_order_is_the_declared_one(sampler):
    found = measure(sampler, Gaussian())
    assert found.weak
    assert found.order == pytest.approx(sampler.order, abs=0.3), found


def test_nobody_is_excused_who_is_not_there():
    assert set(EXCUSED) <= set(SAMPLERS)
