"""Learned and exact start from the same noise, frames follow the grid, and errors end in the scene."""

import threading

import numpy as np
import pytest
import torch

from difflab.data import GaussianMixture, digits
from difflab.denoisers import ExactDenoiser, Posterior
from difflab.metrics import energy_distance
from difflab.scenes.choices import SAMPLERS
from difflab.scenes.reverse_trajectories import FRAMES, ReverseTrajectories, quality
from difflab.schedules import Geometric, VPCosine


def test_the_same_denoiser_twice_gives_the_same_trajectories_from_the_same_noise() -> None:
    ring, schedule = GaussianMixture.ring(), VPCosine()
    scene = ReverseTrajectories(ring, schedule, ExactDenoiser(ring, schedule), n=64, steps=20, seed=2)
    scene.sample()
    numbers = scene.numbers()
    assert scene.error == ""
    np.testing.assert_array_equal(scene.learned, scene.exact)
    assert scene.learned.shape == (21, 64, 2)
    assert scene.times[0] == 1.0
    assert scene.times[-1] == 0.0
    assert (np.diff(scene.times) < 0).all()
    assert numbers["evaluations"] == 20.0


def test_long_runs_keep_a_bounded_number_of_frames_with_both_ends() -> None:
    scene = ReverseTrajectories("ring", steps=200, n=8)
    scene.sample()
    scene.settle()
    assert scene.exact.shape == (FRAMES, 8, 2)
    assert (scene.times[0], scene.times[-1]) == (1.0, 0.0)
    assert scene.learned is None


def test_the_quality_is_the_energy_distance_to_fresh_data() -> None:
    ring = GaussianMixture.ring()
    scene = ReverseTrajectories(ring, n=1000, steps=100)
    scene.sample()
    numbers = scene.numbers()
    truth = ring.sample(1000, torch.Generator().manual_seed(1))
    again, error = energy_distance(torch.from_numpy(scene.exact[-1].astype(np.float32)), truth)
    assert numbers["energy_distance_exact"] == pytest.approx(again)
    assert numbers["energy_distance_exact_error"] == pytest.approx(error)
    # the oracle's samples are the data's: the distance is 0 but for sampling, and for 100 steps
    assert abs(again) < 5 * error


def test_a_denoiser_that_returns_nan_stops_with_its_time_in_the_scene() -> None:
    class Broken:
        schedule = VPCosine()

        def __call__(self, x_t, t, labels=None):
            return Posterior(x_t * torch.nan if t < 0.5 else x_t)

    scene = ReverseTrajectories("ring", VPCosine(), Broken(), n=8, steps=10)
    scene.sample()
    scene.settle()
    assert "0.4" in scene.error
    assert scene.exact is None
    scene.denoiser = None
    scene.sample()
    scene.settle()
    assert scene.error == ""
    assert scene.exact is not None


def test_digits_are_sampled_class_by_class() -> None:
    scene = ReverseTrajectories("digits", n=20, steps=5, sampler="DDIM")
    scene.sample()
    scene.settle()
    data = digits()
    # the oracle of a finite set ends on the training digits themselves
    distance = np.linalg.norm(scene.exact[-1][:, None].astype(float) - data.x.reshape(-1, 64)[None], axis=2)
    assert (data.labels[distance.argmin(1)] == np.tile(np.arange(10), 2)).all()


def test_data_that_change_while_sampling_do_not_get_the_old_frames() -> None:
    ring, schedule = GaussianMixture.ring(), VPCosine()
    oracle = ExactDenoiser(ring, schedule)
    began, go_on = threading.Event(), threading.Event()

    class Slow:
        def __init__(self) -> None:
            self.schedule = schedule

        def __call__(self, x_t, t, labels=None):
            began.set()
            go_on.wait(20)
            return oracle(x_t, t)

    scene = ReverseTrajectories(ring, schedule, Slow(), n=8, steps=5)
    scene.sample()
    assert began.wait(20)
    scene.show(GaussianMixture.grid())
    scene.steps = 9
    go_on.set()
    scene.settle()
    assert scene.error == ""
    assert scene.exact is None
    assert scene.quality is None
    assert scene.mixture == GaussianMixture.grid().to_dict()


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_every_sampler_of_the_select_runs_and_only_one_leaves_the_last_noise(name: str) -> None:
    """One Gaussian point of width 0.01: what the annealed chain leaves at its lowest level is that level's own sigma."""
    data = GaussianMixture([1], [[0.5, -0.5]], 1e-4)
    schedule = Geometric(0.1, 5.0)
    scene = ReverseTrajectories(data, schedule, sampler=name, steps=40, n=4000)
    scene.sample()
    scene.settle()
    assert scene.error == ""
    x = scene.exact[-1].astype(np.float64)
    # float16 of numbers near 0.5 is good to 2.4e-4; the standard error of a spread of 0.1 from 8,000 numbers is 0.8 %
    left = x.std(0).mean()
    assert left > 0.08 if name == "AnnealedLangevinNoisy" else left < 0.02


def test_samples_of_every_class_are_judged_within_their_class() -> None:
    """Real digits, ten of each class in turn, are at distance 0 but for sampling: the mean of 30 draws within 4 errors."""
    data = digits()
    rng = np.random.default_rng(0)
    places = [np.flatnonzero(data.labels == c) for c in range(10)]
    found = []
    for seed in range(30):
        rows = np.stack([rng.choice(place, 10) for place in places], axis=1).ravel()
        found.append(quality(data, {"exact": data.x[rows].reshape(100, -1)}, seed, balanced=True)["exact"])
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    wrong = data.x[np.roll(rows, 1)].reshape(100, -1)  # every digit under its neighbour's label
    assert quality(data, {"exact": wrong}, 0, balanced=True)["exact"] > 10 * np.std(found)
