"""Exact ends: what the maps must be, by formulas of their own."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import norm

from difflab.convergence import Gaussian, Line, Plane
from difflab.data import GaussianMixture
from difflab.schedules import Flow, Geometric, VPCosine

SCHEDULES = [VPCosine(), Flow(), Geometric()]
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
MEAN, COV = np.array([1.0, -0.5, 2.0]), np.array([[1.0, 0.3, 0.0], [0.3, 0.4, -0.1], [0.0, -0.1, 0.2]])
SOLID = Gaussian(GaussianMixture(None, [MEAN.tolist()], [COV.tolist()]))


@each_schedule
@pytest.mark.parametrize(("t", "s"), [(1.0, 0.4), (0.5, 0.0), (0.2, 1.0)])
def test_a_gaussian_is_stretched_by_the_roots_of_its_covariances(schedule, t, s):
    (alpha_t, sigma_t), (alpha_s, sigma_s) = (map(float, schedule.alpha_sigma(a)) for a in (t, s))
    there, here = (a**2 * COV + b**2 * np.eye(3) for a, b in ((alpha_t, sigma_t), (alpha_s, sigma_s)))
    x = SOLID.start(15, schedule, t)
    matrix = np.real(sqrtm(here)) @ np.linalg.inv(np.real(sqrtm(there)))
    due = alpha_s * MEAN + (x.numpy() - alpha_t * MEAN) @ matrix.T
    np.testing.assert_allclose(SOLID.end(x, schedule, t, s), due, atol=1e-12 * np.abs(due).max())


@each_schedule
def test_quantiles_are_kept(schedule):
    line, (t, s) = Line(), (0.9, 0.2)
    x = line.start(200, schedule, t)
    end = line.end(x, schedule, t, s)

    def below(x, t):
        level, data = schedule.level(t), line.data
        std = np.sqrt(level.alpha**2 * data.covariances[:, 0, 0] + level.sigma**2)
        return norm.cdf((x.numpy() - level.alpha * data.means[:, 0]) / std) @ data.weights

    np.testing.assert_allclose(below(end, s), below(x, t), atol=2e-15)
    # what is carried on in two parts, or there and back, is the same: the map loses about 1e-13
    middle = line.end(x, schedule, t, 0.5)
    np.testing.assert_allclose(line.end(middle, schedule, 0.5, s), end, atol=1e-13 * float(x.abs().max()))
    np.testing.assert_allclose(line.end(end, schedule, s, t), x, atol=1e-12 * float(x.abs().max()))


def test_quantiles_far_out_keep_their_digits_in_both_tails():
    """20 standard deviations out a probability is 1e-89, and 1 less it is 1: each side is solved in its own tail."""
    one = GaussianMixture(None, [[0.5]], 0.3)
    x = torch.tensor([[-20.0], [-8.0], [0.0], [8.0], [20.0]], dtype=torch.float64)
    ends = [target.end(x, VPCosine(), 0.6, 0.2) for target in (Line(one), Gaussian(one))]
    torch.testing.assert_close(*ends, rtol=1e-13, atol=1e-13)


@each_schedule
def test_the_marginal_at_the_end_is_the_datas(schedule):
    """The flow carries p_t to p_s: x at t = 1, exactly normal by quantiles, ends at the data's own quantiles."""
    target = Gaussian()
    mean, var = target.law(schedule, 1.0)
    probability = np.linspace(0.01, 0.99, 25)
    x = torch.from_numpy(norm.ppf(probability, mean, var**0.5))[:, None]
    due = norm.ppf(probability, 0.5, 0.3**0.5)
    np.testing.assert_allclose(target.end(x, schedule, 1.0, 0.0)[:, 0], due, rtol=1e-12)


def test_starts_are_points_of_the_marginal_always_the_same():
    for target in (Gaussian(), Line(), Plane(), SOLID):
        x = target.start(4000, VPCosine(), 0.5)
        assert torch.equal(x, target.start(4000, VPCosine(), 0.5))
        alpha, sigma = map(float, VPCosine().alpha_sigma(0.5))
        data = target.data
        mean = data.weights @ data.means
        second = data.weights @ (np.diagonal(data.covariances, axis1=1, axis2=2) + data.means**2)
        std = np.sqrt(alpha**2 * (second - mean**2) + sigma**2)
        # four standard errors of 4,000 draws
        np.testing.assert_allclose(x.mean(0), alpha * mean, atol=4 * float(std.max()) / 4000**0.5)
        np.testing.assert_allclose(x.std(0), std, rtol=4 / 8000**0.5)


def test_pairs_are_remembered_by_their_levels():
    target = Plane(steps=20)
    first = target.pairs(5, VPCosine(), 0.8, 0.2)
    assert target.pairs(5, VPCosine(), 0.8, 0.2)[1] is first[1]
    assert target.pairs(5, VPCosine(), 0.8, 0.3)[1] is not first[1]
    assert target.pairs(5, Flow(), 0.8, 0.2)[1] is not first[1]
    torch.testing.assert_close(first[1], target.end(first[0], VPCosine(), 0.8, 0.2), rtol=0, atol=0)


def test_refuses_what_it_is_not_for():
    with pytest.raises(ValueError, match="one component, but this mixture has 2"):
        Gaussian(Line().data)
    with pytest.raises(ValueError, match="3 dimensions; take Plane"):
        Line(SOLID.data)
    with pytest.raises(ValueError, match=r"whole number of steps, .* but got 0"):
        Plane(steps=0)
    with pytest.raises(ValueError, match="one-dimensional Gaussian data, but this has 3"):
        SOLID.law(VPCosine(), 0.5)
    for kind in (Gaussian, Line, Plane):
        with pytest.raises(TypeError, match=r"target is of a GaussianMixture, .* but got 'moons'"):
            kind("moons")
    for target in (Gaussian(), Line(), Plane()):
        with pytest.raises(TypeError, match="on a Schedule such as VPCosine"):
            target.start(3, None, 0.5)
        with pytest.raises(TypeError, match="on a Schedule such as VPCosine"):
            target.pairs(3, None, 0.5, 0.1)
        with pytest.raises(ValueError, match=r"whole number of points, 1 or more .* but got 0"):
            target.start(0, VPCosine(), 0.5)
        with pytest.raises(ValueError, match="begins at a time above 0"):
            target.start(3, VPCosine(), 0.0)
        with pytest.raises(ValueError, match="begins at a time above 0"):
            target.end(target.start(3, VPCosine(), 0.5), VPCosine(), 0.0, 0.0)
        with pytest.raises(ValueError, match="ends at a time from 0"):
            target.end(target.start(3, VPCosine(), 0.5), VPCosine(), 0.5, 1.5)
        with pytest.raises(ValueError, match="Samples must have the shape"):
            target.end(torch.zeros(3, 7), VPCosine(), 0.5, 0.1)
