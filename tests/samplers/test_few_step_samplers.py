"""Leaps along exact flow maps: however few, they leave nothing to be desired."""

import math
from itertools import pairwise

import pytest
import torch
from exact_maps import MEAN, VAR, exact_consistency, exact_mean_flow, flow

from difflab.convergence import ExactFlowMap, Gaussian
from difflab.data import GaussianMixture
from difflab.denoisers import Conditioned, ExactDenoiser, MeanFlowDenoiser, Posterior
from difflab.denoisers.flow_map import flow_map_of
from difflab.networks import MLP
from difflab.samplers import Consistency, MeanFlow, NoisePool, State, final, sample
from difflab.schedules import EDM, Flow, VPCosine

GRIDS = [[1.0, 0.0], [1.0, 0.4, 0.0], [0.9, 0.7, 0.2, 0.0], [1.0, 0.5], [0.8, 0.3, 0.1]]
RING = GaussianMixture.ring()


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_mean_flow_with_the_exact_average_velocity_is_the_flow(grid):
    model, _ = exact_mean_flow()
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    found = final(sample(model, MeanFlow(), grid, x=x))
    torch.testing.assert_close(found, flow(Flow(), x, grid[0], grid[-1]), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("schedule", [VPCosine(), EDM(), Flow()], ids=lambda s: s.name)
@pytest.mark.parametrize("grid", GRIDS[1:], ids=str)
def test_an_oracle_with_its_flow_followed_is_the_closed_form(schedule, grid):
    """The reference is exact to 1e-7 of the noise it begins with, in 120 Runge-Kutta steps a leap."""
    target = Gaussian()
    exact = ExactFlowMap(target.denoiser(schedule), steps=120)
    x = target.start(30, schedule, grid[0])
    found = final(sample(exact, MeanFlow(), grid, x=x))
    tolerance = 1e-6 * schedule.level(grid[0]).sigma
    torch.testing.assert_close(found, target.end(x, schedule, grid[0], grid[-1]), rtol=0, atol=max(1e-6, tolerance))


def test_the_exact_average_velocity():
    model, oracle = exact_mean_flow()
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    exact = ExactFlowMap(oracle, steps=100)
    for t, s in ((0.9, 0.3), (1.0, 0.0)):
        expected = model.average_velocity(x, t, s)
        torch.testing.assert_close(exact.average_velocity(x, t, s), expected.detach(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_consistency_with_the_exact_function_has_the_exact_law_at_every_step(grid):
    """Each step is linear in x and z: with x_t ~ p_t its mean and variance are those of p_s, for any steps."""
    model, _ = exact_consistency()
    schedule, pool = EDM(), NoisePool(3)
    n = 50
    for i, (t, s) in enumerate(pairwise(grid)):
        sigma_t, sigma_s = schedule.level(t).sigma, schedule.level(s).sigma
        x = torch.linspace(-3, 3, n, dtype=torch.float64)[:, None] * math.hypot(math.sqrt(VAR), sigma_t)
        with torch.no_grad():
            after = Consistency().step(model, State(x, t, tuple(grid), pool, index=i), s)
        z = torch.zeros(n, dtype=torch.float64) if after.z is None else after.z[:, 0]
        design = torch.stack([x[:, 0] - MEAN, torch.ones(n, dtype=torch.float64), z], dim=1)
        slope, offset, std = torch.linalg.lstsq(design, after.x, driver="gelsd").solution[:, 0].tolist()
        fitted = design @ torch.tensor([slope, offset, std], dtype=torch.float64)
        torch.testing.assert_close(fitted, after.x[:, 0], rtol=0, atol=1e-9 * max(1.0, sigma_s))
        assert offset == pytest.approx(MEAN, abs=1e-7)
        assert slope**2 * (VAR + sigma_t**2) + std**2 == pytest.approx(VAR + sigma_s**2, rel=1e-7)
        assert after.evaluations == 1


def test_the_first_leap_of_both_is_the_flow_on_a_mixture():
    """From the same start, without noise, both end where the fine reference does."""
    exact = ExactFlowMap(ExactDenoiser(RING, VPCosine()), steps=100)
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    leap = [final(sample(exact, sampler, [1.0, 0.0], x=x, quiet=True)) for sampler in (Consistency(), MeanFlow())]
    assert torch.equal(*leap)
    halfway = final(sample(exact, MeanFlow(), [1.0, 0.6, 0.0], x=x, quiet=True))
    torch.testing.assert_close(halfway, leap[0], rtol=0, atol=1e-3)


def test_evaluations_and_default_grids():
    model, _ = exact_mean_flow()
    for sampler in (Consistency(), MeanFlow()):
        for evaluations in (1, 2, 4):
            *_, last = sample(model, sampler, evaluations=evaluations, n=3, shape=(1,))
            assert last.evaluations == evaluations
            assert last.t == 0
            assert last.x.shape == (3, 1)
    # EDM has a lowest level, which a leap does not stop at
    assert Consistency().default_grid(EDM(), 2).tolist() == [1.0, 0.5, 0.0]


def test_conditioned_models_leap_with_their_labels():
    oracle = ExactDenoiser(RING, VPCosine())
    labels = torch.arange(16) % 8
    exact = Conditioned(ExactFlowMap(oracle, steps=40), labels)
    x = torch.randn(16, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = final(sample(exact, Consistency(), [1.0, 0.5, 0.0], x=x, noise=NoisePool(0), quiet=True))
    # a component is 0.07 wide: five standard deviations
    away = (found - torch.from_numpy(RING.means)[labels]).norm(dim=1)
    assert away.max() < 5 * float(RING.covariances[0, 0, 0]) ** 0.5


def test_an_empty_batch_and_float16():
    model = MeanFlowDenoiser(MLP((2,), width=8, levels=2))
    for sampler in (Consistency(), MeanFlow()):
        assert final(sample(model, sampler, evaluations=2, n=0)).shape == (0, 2)
        for dtype in (torch.float16, torch.bfloat16):
            found = final(sample(model.to(dtype), sampler, evaluations=2, x=torch.ones(3, 2, dtype=dtype)))
            assert found.dtype == dtype
        model = model.float()


class Nan:
    """A map that fails."""

    schedule, shape = Flow(), (2,)

    def __call__(self, x_t, t, labels=None):
        return Posterior(x_t)

    def flow_map(self, x_t, t, s, labels=None):
        return x_t * math.nan


class Whole(Nan):
    def flow_map(self, x_t, t, s, labels=None):
        return x_t.long()


@pytest.mark.parametrize(
    ("run", "error", "sentence"),
    [
        (
            lambda: flow_map_of(ExactDenoiser(RING, Flow())),
            TypeError,
            "a ExactDenoiser has no flow_map",
        ),
        (lambda: list(sample(ExactDenoiser(RING, Flow()), MeanFlow(), evaluations=1, n=2)), TypeError, "no flow_map"),
        (
            lambda: list(sample(exact_consistency()[0], MeanFlow(), evaluations=2, n=2, shape=(1,))),
            ValueError,
            "take the sampler Consistency",
        ),
        (lambda: list(sample(Nan(), MeanFlow(), [0.9, 0.4, 0.0], n=2)), FloatingPointError, r"t = 0.9"),
        (lambda: list(sample(Nan(), Consistency(), [0.9, 0.4, 0.0], n=2)), FloatingPointError, r"t = 0.9"),
        (lambda: ExactFlowMap(ExactDenoiser(RING, Flow()), steps=0), ValueError, "whole number of steps"),
        (lambda: ExactFlowMap("oracle"), TypeError, "has a schedule"),
        (
            lambda: list(sample(Whole(), MeanFlow(), [0.9, 0.0], n=2)),
            TypeError,
            "but this one returned torch.int64 on cpu",
        ),
        (
            lambda: ExactFlowMap(ExactDenoiser(RING, Flow())).average_velocity(torch.zeros(1, 2), "late", 0.3),
            ValueError,
            "begins at a time above 0 .* but got t = 'late'",
        ),
        (
            lambda: ExactFlowMap(ExactDenoiser(RING, Flow())).average_velocity(torch.zeros(1, 2), 0.3, 0.3),
            ValueError,
            "from t down to s",
        ),
    ],
)
def test_refused_in_one_sentence(run, error, sentence):
    with pytest.raises(error, match=sentence):
        run()
