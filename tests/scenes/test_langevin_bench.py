"""LangevinBench holds the engine's walks, its numbers closed forms, and what it says of an explosion the truth.

Standard errors come from 1,000 independent rows or more; a measured number is held to 4.5 of them, which of a few dozen
numbers fails once in ten thousand seeds, and the seeds are fixed.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
import traitlets

from difflab import LangevinBench
from difflab.data import GaussianMixture, digits
from difflab.denoisers import ExactDenoiser
from difflab.samplers import MALA, AnnealedLangevin, Langevin, NoisePool, PredictorCorrector, grids, sample
from difflab.samplers.walks.diagnostics import acceptance
from difflab.scenes.bench_measures import measured
from difflab.scenes.bench_setup import natural, reshaped, start_points, two_modes
from difflab.scenes.bench_walks import positions
from difflab.scenes.langevin_bench import FRAMES
from difflab.schedules import FIRST_T, Geometric

SIGMAS = 4.5
LARGEST = 3_000_000  # bytes of a saved page
V = 0.25 + 0.1**2  # of a mode at the lowest level


def sampled(**traits: Any) -> LangevinBench:
    bench = LangevinBench(**traits)
    bench.sample()
    bench.settle()
    assert bench.error == ""
    return bench


def last(bench: LangevinBench, method: str) -> np.ndarray:
    return bench.frames[bench.methods.index(method), -1].astype(np.float64)


@pytest.fixture(scope="module")
def found() -> LangevinBench:
    return sampled()


# -- the first paint ------------------------------------------------------------------------------------------------


def test_modes_and_start_are_there_without_torch():
    code = (
        "import sys; from difflab import LangevinBench; b = LangevinBench();"
        "assert b.start_points.shape == (1000, 2) and len(b.mixture['weights']) == 2;"
        "assert 'torch' not in sys.modules; print(b.start_points.std())"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert abs(float(said) - 20) < SIGMAS * 20 / math.sqrt(2 * 2000)


def test_the_ladder_is_what_the_modes_suggest():
    assert natural(two_modes()) == pytest.approx({"distance": 8, "weight": 0.2, "sigma_min": 0.1, "sigma_max": 20})
    one = GaussianMixture(None, [[1.0, 2.0]], [[[0.04, 0.0], [0.0, 9.0]]])
    assert natural(one) == pytest.approx({"distance": 0, "weight": 1, "sigma_min": 0.04, "sigma_max": 15})


def test_distance_and_weight_reshape_any_mixture():
    base = GaussianMixture([0.5, 0.3, 0.2], [[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], 0.1)
    shaped = reshaped(base, 6.0, 0.2)
    np.testing.assert_allclose(shaped.weights, [0.2, 0.48, 0.32])
    np.testing.assert_allclose(shaped.means - shaped.means[0], [[0, 0], [6, 0], [0, 8]], atol=1e-12)
    np.testing.assert_allclose(base.weights @ shaped.means, base.weights @ base.means)  # they move about their mean
    np.testing.assert_array_equal(shaped.covariances, base.covariances)
    same = GaussianMixture(None, [[1.0, 1.0], [1.0, 1.0]], 0.1)
    np.testing.assert_array_equal(reshaped(same, 5.0, 0.5).means, same.means)


def test_a_point_of_the_start_depends_on_nothing_but_its_number():
    few, many = (start_points(two_modes(), "prior", n, 0.1, 20.0, 3) for n in (10, 1000))
    np.testing.assert_array_equal(few, many[:10])
    np.testing.assert_allclose(start_points(two_modes(), "prior", 10, 0.1, 40.0, 3), 2 * few, rtol=1e-6)
    mode = start_points(two_modes(), "one mode", 4000, 0.1, 20.0, 3).astype(float)
    np.testing.assert_allclose(mode.mean(0), [-(8**0.5)] * 2, atol=SIGMAS * math.sqrt(V / 4000))
    np.testing.assert_allclose(np.cov(mode.T), V * np.eye(2), atol=SIGMAS * V * math.sqrt(2 / 4000))


# -- what it finds --------------------------------------------------------------------------------------------------


def test_annealing_finds_the_weights_where_plain_walks_cannot(found):
    numbers = found.numbers()
    assert numbers["mass_exact"] == pytest.approx(0.2)
    for method in ("annealed", "pc"):
        assert abs(numbers[f"mass_{method}"] - 0.2) < SIGMAS * numbers[f"mass_error_{method}"]
    for method in ("langevin", "mala"):  # half of the start lies on either side
        assert abs(numbers[f"mass_{method}"] - 0.5) < SIGMAS * numbers[f"mass_error_{method}"]
        assert numbers[f"mass_gap_{method}"] == pytest.approx(numbers[f"mass_{method}"] - 0.2, abs=1e-6)
    # of counts, the standard error is the binomial one: modes as far apart as these leave no doubt
    for method in found.methods:
        mass = numbers[f"mass_{method}"]
        assert numbers[f"mass_error_{method}"] == pytest.approx(math.sqrt(mass * (1 - mass) / 999), rel=0.01)
        assert numbers[f"calls_{method}"] == 1000
        assert numbers[f"exploded_{method}"] == 0
    assert all(isinstance(value, float) for value in numbers.values())


def test_only_the_unadjusted_walk_is_too_wide(found):
    numbers = found.numbers()
    assert numbers["variance_predicted_langevin"] == pytest.approx(1 / (1 - 0.3 / 2), rel=1e-6)
    assert numbers["variance_predicted_mala"] == 1
    for method in found.methods:
        off = numbers[f"variance_{method}"] - numbers[f"variance_predicted_{method}"]
        assert abs(off) < SIGMAS * numbers[f"variance_error_{method}"], method
    assert numbers["variance_langevin"] - 1 > 3 * numbers["variance_error_langevin"]  # 0.176, about five of them


def test_frames_are_the_states_of_the_engine():
    """Few points and calls, so that every call has its frame: between the annealed walk's levels, too."""
    bench = sampled(n=20, calls=30, levels=3, seed=5)
    schedule, x = Geometric(0.1, 20.0), torch.from_numpy(bench.start_points)
    oracle, a = ExactDenoiser(two_modes(), schedule), 0.3 * V
    keep = bench.positions.astype(int)
    np.testing.assert_array_equal(keep, positions(30, FRAMES))

    def states(sampler: Any, grid: Any) -> list[Any]:
        return list(sample(oracle, sampler, grid, x=x, noise=NoisePool(5), quiet=True))

    runs = {
        "langevin": states(Langevin(a), grids.constant(FIRST_T, 30)),
        "mala": states(MALA(a, warm_up=0), grids.constant(FIRST_T, 29)),
        "pc": states(PredictorCorrector(), grids.uniform(schedule, 16)[:-1]),
    }
    for method, run in runs.items():
        for calls, frame in zip(keep, bench.frames[bench.methods.index(method)], strict=True):
            state = [state for state in run if state.evaluations <= calls][-1]
            np.testing.assert_array_equal(frame, state.x.to(torch.float16).numpy())
    spent = acceptance(runs["mala"])
    numbers = bench.numbers()
    assert numbers["acceptance_mala"] == pytest.approx(spent.value)
    assert numbers["acceptance_error_mala"] == pytest.approx(spent.error)

    # the annealed walk update by update, in float64: y + r (E[x_0 | y] - y) + sqrt(2 r) sigma z with r = a / sigma^2
    y, pool, at = x.double(), NoisePool(5), 0
    frames = bench.frames[bench.methods.index("annealed")]
    for level, sigma in enumerate((20.0, math.sqrt(20 * 0.1), 0.1)):
        for j in range(10):
            if at in keep:
                np.testing.assert_allclose(frames[list(keep).index(at)], y.numpy(), rtol=2e-3, atol=2e-3)
            t = max(FIRST_T, math.log(sigma / 0.1) / math.log(200))
            z = pool.step(torch.zeros(20, 2), level, j).double()
            y = y + 0.3 * (oracle(y, t).mean - y) + math.sqrt(0.6) * sigma * z
            at += 1
    np.testing.assert_allclose(frames[-1], y.numpy(), rtol=2e-3, atol=2e-3)
    whole = states(AnnealedLangevin(10, 0.3 * 0.01, denoise=False), grids.uniform(schedule, 3))
    np.testing.assert_array_equal(frames[-1], whole[-1].x.to(torch.float16).numpy())


def test_the_variance_follows_its_recursion_at_every_call():
    """From the law of one mode: u_c = s + (1 - s) (1 - r)^(2 c), s = 1 / (1 - r / 2), of Langevin with any r."""
    bench = sampled(n=4000, start="one mode", methods=["langevin"], step=0.8, calls=40)
    settled, calls = 1 / (1 - 0.4), bench.positions.astype(int)
    begun = float(bench.variance[0, 0])  # that of 4,000 points, not of the law
    due = settled + (begun - settled) * (1 - 0.8) ** (2 * calls)
    np.testing.assert_allclose(bench.variance_predicted[0], due, rtol=1e-5)
    assert np.all(np.abs(bench.variance[0] - due) < SIGMAS * bench.variance_error[0])
    # chi^2 of two coordinates: the error of a mean of squares is u sqrt(2 / 2n)
    np.testing.assert_allclose(bench.variance_error[0], bench.variance[0] * math.sqrt(1 / 4000), rtol=0.15)


def test_the_ladders_own_recursions():
    """Of the annealed walk and of predictor-corrector, level by level, as they follow from their steps on a Gaussian."""
    one = GaussianMixture(None, [[1.0, -2.0]], 0.25)
    knobs = {"levels": 4, "calls": 40, "step": 0.5, "snr": 0.3, "sigma_min": 0.1, "sigma_max": 20.0}
    bench = sampled(data=one, n=2000, start="one mode", methods=["annealed", "pc"], **knobs)
    keep, start = bench.positions.astype(int), bench.variance[:, 0]
    u, due = None, []
    for sigma in np.geomspace(20, 0.1, 4):
        total = 0.25 + sigma**2
        u = start[0] * total if u is None else u
        for _ in range(10):
            due.append(u / total)
            u = (1 - 0.5 * sigma**2 / total) ** 2 * u + 2 * 0.5 * sigma**2
    due.append(u / total)
    np.testing.assert_allclose(bench.variance_predicted[0], np.array(due)[keep], rtol=1e-4)

    u, due = start[1] * (0.25 + 400.0), [start[1]]
    for high, low in pairwise(np.geomspace(20, 0.1, 21)):
        share, total = (low / high) ** 2, 0.25 + low**2
        u = (share + (1 - share) * 0.25 / (0.25 + high**2)) ** 2 * u + low**2 * (1 - share)
        a = 2 * (0.3 * low) ** 2
        u = (1 - a / total) ** 2 * u + 2 * a
        due += [due[-1], u / total]  # two calls a step
    np.testing.assert_allclose(bench.variance_predicted[1], np.array(due)[keep], rtol=1e-4)
    for i in (0, 1):
        assert np.all(np.abs(bench.variance[i] - bench.variance_predicted[i]) < SIGMAS * bench.variance_error[i])


def test_exact_points_have_the_exact_numbers_at_every_level():
    """E[r_k] = w_k and a width of 1, whether the modes are apart or one: by 20,000 draws from p at the level."""
    mixture = GaussianMixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.5]], [[[0.5, 0.2], [0.2, 0.3]], [[0.1, 0], [0, 0.8]]])
    oracle, g = ExactDenoiser(mixture, Geometric(0.01, 30.0)), torch.Generator().manual_seed(0)
    x0 = mixture.sample(20_000, g)
    for t in (0.3, 0.6, 0.8, 1.0):
        frame = measured(oracle, x0 + oracle.schedule.level(t).sigma * torch.randn(x0.shape, generator=g), t)
        assert np.all(np.abs(frame.mass - mixture.weights) < SIGMAS * frame.mass_error)
        assert abs(frame.variance - 1) < SIGMAS * frame.variance_error


def test_the_last_denoising_step_is_one_call_to_the_oracle():
    without = sampled(n=200, calls=100, levels=4)
    oracle = ExactDenoiser(two_modes(), Geometric(0.1, 20.0))
    denoised = sampled(n=200, calls=101, levels=4, denoise=True)
    for method in without.methods:
        x = torch.from_numpy(last(without, method))
        # the last frame is rounded to float16, three digits
        np.testing.assert_allclose(last(denoised, method), oracle(x, FIRST_T).mean.numpy(), atol=6e-3)
        numbers = denoised.numbers()
        assert numbers[f"calls_{method}"] == 101
        # exact points, denoised, have C V^-1 C; over that the width is what it was
        assert numbers[f"variance_{method}"] == pytest.approx(without.numbers()[f"variance_{method}"], abs=0.01)


def test_a_ladder_of_one_level_is_a_walk_in_one_mode():
    bench = sampled(start="one mode", levels=1, methods=["langevin", "annealed"], calls=200, n=500)
    assert bench.numbers()["mass_annealed"] == pytest.approx(1, abs=1e-6)
    assert sampled(start="one mode", methods=["annealed"], n=500).numbers()["mass_annealed"] < 0.3


def test_a_knob_of_one_method_leaves_the_others_as_they_were():
    one = sampled(n=50, calls=60, methods=["langevin", "hmc", "annealed", "pc"])
    other = sampled(n=50, calls=60, methods=["langevin", "annealed"], leapfrog=3, snr=0.4)
    for method in ("langevin", "annealed"):
        np.testing.assert_array_equal(last(one, method), last(other, method))
    longer = sampled(n=50, calls=120, methods=["langevin"])
    at = list(longer.positions.astype(int))
    common = [c for c in one.positions.astype(int) if c in at]
    assert len(common) > 10
    for calls in common:
        i, j = list(one.positions).index(calls), at.index(calls)
        np.testing.assert_array_equal(one.frames[0, i], longer.frames[0, j])


# -- too large, too small -------------------------------------------------------------------------------------------


def test_too_large_a_step_explodes_in_one_sentence_and_without_a_nan():
    bench = sampled(step=2.5, n=200, calls=300)
    numbers = bench.numbers()
    assert [numbers[f"exploded_{m}"] for m in bench.methods] == [1, 0, 1, 0]
    assert {"mass_langevin", "variance_annealed"}.isdisjoint(numbers)
    assert {"mass_mala", "variance_pc"} <= set(numbers)
    for outcome in (bench.outcomes[0], bench.outcomes[2]):
        assert "stable below r = 2, and here r = 2.5" in outcome["exploded"]
        assert outcome["calls"] < 100
    for name in ("frames", "mass", "mass_error", "variance", "variance_error", "variance_predicted", "level", "spread"):
        assert np.isfinite(getattr(bench, name)).all(), name
    json.dumps(bench.outcomes, allow_nan=False)
    # the Metropolis test turns the steps away instead
    assert numbers["acceptance_mala"] < 0.2
    steady = sampled(step=1.9, n=200, calls=300).numbers()
    assert [steady[f"exploded_{m}"] for m in bench.methods] == [0] * 4
    assert steady["variance_predicted_langevin"] == pytest.approx(20, rel=1e-4)


def test_half_the_annealed_step_is_stable_below_four():
    assert sampled(step=3.0, annealed_step="v1", n=50, calls=200, methods=["annealed"]).outcomes[0]["exploded"] == ""
    outcome = sampled(step=4.5, annealed_step="v1", n=50, calls=200, methods=["annealed"]).outcomes[0]
    assert "stable below r = 4" in outcome["exploded"]


def test_too_small_a_step_goes_nowhere():
    bench = sampled(step=1e-3, start="one mode", methods=["langevin", "mala"], n=300, calls=300)
    for i in (0, 1):
        assert bench.mass[i, -1, 0] == pytest.approx(1, abs=1e-6)
    assert bench.numbers()["acceptance_mala"] > 0.99


def test_the_advised_ladder_is_what_advice_says():
    from difflab.advice import advise

    bench = LangevinBench(seed=3)
    bench.advise()
    bench.settle()
    advice = advise(two_modes(), sigma_min=0.1, overlap=0.99, generator=torch.Generator().manual_seed(3))
    assert (bench.sigma_max, bench.levels) == (advice.sigma_max, advice.levels)


# -- changes, presets, pages ----------------------------------------------------------------------------------------


def test_other_data_take_what_was_found_away(found):
    bench = sampled(n=50, calls=60)
    ring = GaussianMixture.ring()
    bench.show(ring, seed=4)
    bench.settle()
    assert bench.frames is None
    assert bench.computed_for is None
    assert bench.seed == 4
    assert bench.mixture == ring.to_dict()
    assert {k: getattr(bench, k) for k in natural(ring)} == pytest.approx(natural(ring))
    bench.sample()
    assert bench.numbers()["mass_exact"] == pytest.approx(1 / 8)
    before = bench.frames
    with pytest.raises(ValueError, match=r"^This scene walks on a GaussianMixture .* but digits.* is none\.$"):
        bench.show(digits())
    bench.settle()
    assert bench.data is ring
    assert bench.frames is before


@pytest.mark.parametrize(
    ("knob", "value", "goes"),
    [
        ("distance", 4.0, True),
        ("seed", 9, True),
        ("start", "one mode", True),
        ("step", 0.1, False),
        ("levels", 5, False),
    ],
)
def test_a_knob_that_moves_the_start_takes_the_frames_away(knob, value, goes):
    bench = sampled(n=50, calls=60)
    start = bench.start_points
    setattr(bench, knob, value)
    bench.settle()
    assert (bench.frames is None) == goes
    assert np.array_equal(bench.start_points, start) == (not goes or knob == "distance")
    if not goes:
        assert bench.computed_for[knob] != value  # which is how the browser knows that they are old
    if knob == "distance":
        assert np.diff(np.array(bench.mixture["means"]), axis=0).ravel() == pytest.approx([8**0.5] * 2)


def test_a_preset_is_plain_json_and_comes_back():
    bench = LangevinBench(step=0.1, methods=["hmc", "pc"], distance=5.0, denoise=True, hidden=["snr"], seed=8)
    preset = json.loads(json.dumps(bench.to_dict()))
    again = LangevinBench.from_dict(preset)
    again.settle()
    assert again.to_dict() == bench.to_dict()
    np.testing.assert_array_equal(again.start_points, bench.start_points)
    assert again.mixture == bench.mixture


def test_a_saved_page_is_small(found, tmp_path):
    assert found.save_html(tmp_path / "bench.html").stat().st_size < LARGEST


def test_what_was_asked_meanwhile_counts():
    bench = LangevinBench(n=100, calls=400)
    for step in (0.1, 0.2, 0.4):
        bench.step = step
        bench.sample()
    bench.settle()
    assert bench.computed_for["step"] == 0.4
    assert bench.status == ""
    assert bench.live is None


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("step", 0.0), ("step", math.nan), ("step", "large"), ("calls", 1), ("calls", 10.5), ("levels", 0),
        ("weight", 0.0), ("distance", -1.0), ("snr", 1.0), ("n", 1), ("n", True), ("leapfrog", 0), ("sigma_min", 0.0),
        ("methods", []), ("methods", ["langevin", "gibbs"]), ("methods", ["mala", "mala"]), ("methods", 3),
        ("methods", ["langevin", "mala", "hmc", "annealed", "pc"]), ("start", "anywhere"), ("denoise", "yes"),
        ("annealed_step", "v3"), ("chart", "loss"),
    ],
)  # fmt: skip
def test_refuses_a_knob_out_of_range(knob, value):
    with pytest.raises(traitlets.TraitError):
        LangevinBench(**{knob: value})


@pytest.mark.parametrize(
    ("traits", "words"),
    [
        ({"sigma_min": 5.0, "sigma_max": 2.0}, "A ladder leads down: sigma_max, 2, must be above sigma_min, 5."),
        ({"levels": 50, "calls": 40}, "A ladder of 50 levels needs 50 score calls or more, but there are 40."),
        (
            {"methods": ["hmc"], "calls": 10},
            "HMC with 10 leapfrog steps needs 11 score calls or more, but there are 10.",
        ),
        ({"levels": 2, "calls": 2, "denoise": True}, "MALA needs 3 score calls or more, but there are 2."),
    ],
)
def test_says_in_the_panel_what_cannot_be_walked(traits, words):
    bench = LangevinBench(**traits)
    bench.sample()
    bench.settle()
    assert bench.error == words
    assert bench.frames is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"data": "moons"}, "This scene walks on a GaussianMixture"),
        ({"data": GaussianMixture.random(3, dim=3)}, "of points in the plane"),
        ({"seed": -1}, "seed must be a whole number from 0 to 2,147,483,647, but got -1"),
        ({"seed": True}, "seed must be a whole number from 0 to 2,147,483,647, but got True"),
        ({"data": "mars"}, "There is no data named 'mars'"),
    ],
)
def test_refuses_what_it_cannot_walk_on(arguments, words):
    with pytest.raises(ValueError, match=words):
        LangevinBench(**arguments)
