"""The figure of a walk holds the numbers of its diagnostics, measured ones blue and dotted, exact ones green and solid."""

import numpy as np
import pytest

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.plots import DATA, EXACT, langevin_diagnostics
from difflab.samplers import DDIM, MALA, Langevin, NoisePool, grids, sample
from difflab.samplers.walks.diagnostics import autocorrelation, effective_sample_size, mode_mass_over_time
from difflab.samplers.walks.recursion import measured_variance, predicted_variance
from difflab.schedules import VPCosine


def walk(data, sampler, steps=20):
    oracle = ExactDenoiser(data, VPCosine())
    return oracle, list(sample(oracle, sampler, grids.constant(0.4, steps), n=50, noise=NoisePool(0)))


def by_name(figure):
    return {trace.name.split(":")[0]: trace for trace in figure.data}


def test_a_mixtures_modes_stand_beside_their_weights():
    oracle, states = walk(GaussianMixture([0.2, 0.8], [[-1.0, 0.0], [1.0, 0.0]], 0.1), MALA())
    found = by_name(langevin_diagnostics(states, oracle))
    assert set(found) == {"mode 0", "weight 0", "mode 1", "weight 1", "rho 0", "rho 1", "acceptance"}
    mass = mode_mass_over_time(states, oracle).mass
    for j, weight in enumerate((0.2, 0.8)):
        np.testing.assert_array_equal(found[f"mode {j}"].y, mass[:, j])
        np.testing.assert_allclose(found[f"weight {j}"].y, weight)
        assert (found[f"mode {j}"].line.color, found[f"weight {j}"].line.color) == (DATA, EXACT)
        np.testing.assert_array_equal(found[f"rho {j}"].y, autocorrelation(states)[:10, j])
        assert found[f"rho {j}"].name == f"rho {j}: {float(effective_sample_size(states)[j]):.0f} effective samples"
    np.testing.assert_allclose(found["acceptance"].y, [float(s.memory.probability.mean()) for s in states[1:]])


def test_a_gaussians_variance_stands_beside_its_recursion():
    sampler = Langevin(0.1)
    oracle, states = walk(GaussianMixture([1.0], [[0.0, 0.0]], [[0.5, 0.1]]), sampler)
    found = by_name(langevin_diagnostics(states, oracle, sampler))
    assert set(found) == {"variance 0", "predicted 0", "variance 1", "predicted 1", "rho 0", "rho 1"}
    measured, error = measured_variance(states, oracle)
    predicted = predicted_variance(sampler, oracle, [0.4] * 21, measured[0])
    for j in (0, 1):
        np.testing.assert_array_equal(found[f"variance {j}"].y, measured[:, j])
        np.testing.assert_array_equal(found[f"variance {j}"].error_y.array, error[:, j])
        np.testing.assert_array_equal(found[f"predicted {j}"].y, predicted[:, j])
        assert found[f"predicted {j}"].line.dash is None
        assert found[f"variance {j}"].line.dash == "dot"
    assert {"rho 0", "rho 1"} == set(by_name(langevin_diagnostics(states, oracle)))  # of which sampler, nobody said


def test_refuses_what_is_no_walk():
    oracle, states = walk(GaussianMixture.ring(), Langevin())
    with pytest.raises(ValueError, match="4 steps or more"):
        langevin_diagnostics(states[:3], oracle)
    with pytest.raises(TypeError, match="the states that sample yields"):
        langevin_diagnostics([1, 2], oracle)
    with pytest.raises(TypeError, match="the states that sample yields, but got None"):
        langevin_diagnostics(None, oracle)
    with pytest.raises(TypeError, match=r"sampler is the one that walked, .* but got 'Langevin'"):
        langevin_diagnostics(states, oracle, "Langevin")
    with pytest.raises(TypeError, match="There is no recursion"):
        langevin_diagnostics(*reversed(walk(GaussianMixture([1.0], [[0.0]], 1.0), Langevin())), DDIM())
