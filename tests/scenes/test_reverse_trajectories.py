"""Learned and exact start from the same noise, frames follow the grid, and errors end in the scene."""

import threading

import numpy as np
import pytest
import torch
import traitlets

from difflab.data import GaussianMixture, digits
from difflab.denoisers import ExactDenoiser, Posterior
from difflab.metrics import energy_distance
from difflab.scenes.choices import SAMPLERS
from difflab.scenes.fate import DECIDED, decided_shares, half_time, mode_posterior
from difflab.scenes.reverse_trajectories import FRAMES, ReverseTrajectories
from difflab.scenes.runs import KNOBS
from difflab.scenes.sampling import BYTES, FEWEST, distance_to, mode_chance
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
    assert scene.learned is None
    assert scene.quality is None
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
    assert scene.times[0] == 1.0
    assert scene.results[0]["run"]["sampler"] == name


def test_samples_of_every_class_are_judged_within_their_class() -> None:
    """Real digits, ten of each class in turn, are at distance 0 but for sampling: the mean of 30 draws within 4 errors."""
    data = digits()
    rng = np.random.default_rng(0)
    places = [np.flatnonzero(data.labels == c) for c in range(10)]
    found = []
    for seed in range(30):
        rows = np.stack([rng.choice(place, 10) for place in places], axis=1).ravel()
        found.append(distance_to(data, data.x[rows].reshape(100, -1), seed, balanced=True).value)
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    wrong = data.x[np.roll(rows, 1)].reshape(100, -1)  # every digit under its neighbour's label
    assert distance_to(data, wrong, 0, balanced=True).value > 10 * np.std(found)


RUN = {"sampler": "DDIM", "steps": 10, "of": "exact"}


def runs_of(*samplers: str, steps: int = 10) -> list[dict]:
    return [{"sampler": name, "steps": steps, "of": "exact"} for name in samplers]


def settled(scene: ReverseTrajectories) -> ReverseTrajectories:
    scene.sample()
    scene.settle()
    assert scene.error == ""
    return scene


def test_every_column_starts_from_the_same_noise_and_the_seed_is_all_of_it() -> None:
    names = ("Ancestral", "DDIM", "Heun", "DPMSolverSDE")
    scene = settled(ReverseTrajectories(runs=runs_of(*names), n=32, seed=5))
    starts = [scene.frames_of(i)[1][0] for i in (1, 2, 3, 4)]
    for start in starts[1:]:
        np.testing.assert_array_equal(start, starts[0])
    assert settled(ReverseTrajectories(runs=runs_of("DDIM"), n=32, seed=6)).exact[0].tolist() != starts[0].tolist()
    # row i does not depend on how many there are
    few = settled(ReverseTrajectories(runs=runs_of("Ancestral"), n=8, seed=5))
    np.testing.assert_array_equal(few.exact[0], starts[0][:8])


def test_random_samplers_share_the_noise_of_their_steps() -> None:
    """DDIM with eta = 1 is ancestral sampling with the small variance (Song et al. 2021, section 4.1), draw by draw."""
    runs = [*runs_of("Ancestral"), RUN | {"knobs": {"eta": 1.0}}]
    scene = settled(ReverseTrajectories(runs=runs, n=64))
    # float16 frames of size 3 are good to 2^-11 * 2 = 1e-3
    np.testing.assert_allclose(scene.frames_1.astype(float), scene.frames_2.astype(float), atol=4e-3)
    assert settled(ReverseTrajectories(runs=[RUN], n=64)).exact[-1].tolist() != scene.frames_2[-1].tolist()


def test_steps_or_evaluations_are_made_equal() -> None:
    names = ("DDIM", "Heun", "PredictorCorrector", "AnnealedLangevin")
    by_steps = settled(ReverseTrajectories(runs=runs_of(*names, steps=12), n=8))
    assert [r["steps"] for r in by_steps.results] == [12, 12, 12, 12]
    # Heun's last step takes one evaluation; a corrector one each but at the end; the walk 5 a level, and the denoising
    assert [r["evaluations"] for r in by_steps.results] == [12, 23, 23, 61]
    equal = settled(ReverseTrajectories(runs=runs_of(*names, steps=41), budget="evaluations", n=8))
    spent = [r["evaluations"] for r in equal.results]
    assert spent[0] == 41
    assert all(36 < s <= 41 for s in spent), spent
    assert equal.numbers()["2.evaluations"] == spent[1]


@pytest.mark.parametrize("grid", ["uniform", "log_snr", "karras"])
def test_the_times_can_be_laid_otherwise(grid: str) -> None:
    scene = settled(ReverseTrajectories(runs=runs_of("DDIM", "Heun", steps=8), grid=grid, n=4))
    assert len(scene.times) == 9
    np.testing.assert_array_equal(scene.times_1, scene.times_2)
    even = np.allclose(np.diff(scene.times), -1 / 8)
    assert even == (grid == "uniform")


def test_fate_by_bayes_rule_of_two_modes() -> None:
    """Two equal modes at x = -1 and 1 of variance v: p(1 | x_t) = 1 / (1 + exp(-2 alpha x / (v alpha^2 + sigma^2)))."""
    v, schedule = 0.01, VPCosine()
    pair = GaussianMixture(None, [[-1, 0], [1, 0]], v)
    x = np.random.default_rng(0).normal(size=(500, 2))
    for t in (0.1, 0.5, 0.9):
        alpha, sigma = (float(a) for a in schedule.alpha_sigma(t))
        formula = 1 / (1 + np.exp(-2 * alpha * x[:, 0] / (v * alpha**2 + sigma**2)))
        np.testing.assert_allclose(mode_posterior(pair, x, alpha, sigma)[:, 1], formula, atol=1e-12)
        oracle = ExactDenoiser(pair, schedule).mode_probabilities(torch.from_numpy(x), t).numpy()
        np.testing.assert_allclose(mode_posterior(pair, x, alpha, sigma), oracle, atol=1e-9)
    alpha, sigma = (float(a) for a in schedule.alpha_sigma(0.5))
    border = (v * alpha**2 + sigma**2) * np.log(19) / (2 * alpha)  # where the posterior is 0.95
    frames = np.array([[[border + 1e-6, 0], [border - 1e-6, 0]], [[1, 0], [1, 0]]])
    np.testing.assert_array_equal(decided_shares(pair, schedule, np.array([0.5, 0]), frames), [0.5, 1])


def test_the_half_time_is_the_last_crossing_on_the_way_to_data() -> None:
    times = np.array([1, 0.75, 0.5, 0.25, 0])
    assert half_time(times, np.array([0, 0, 0.25, 0.75, 1])) == pytest.approx(0.375)
    assert half_time(times, np.array([0, 0.6, 0.4, 0.6, 1])) == pytest.approx(0.375)
    assert half_time(times, np.array([0.5, 1, 1, 1, 1])) == 1
    assert half_time(times, np.array([0, 0, 0, 0, 0.4])) is None


def test_a_fair_walk_decides_as_the_forward_process_forgets() -> None:
    """The ancestral chain of the oracle has the joint law of (x_t, x_0), in the limit of small steps: so has noised data."""
    ring, schedule = GaussianMixture.ring(), VPCosine()
    scene = settled(ReverseTrajectories(ring, schedule, steps=250, n=4000))
    x0, modes = ring.sample_labelled(20_000, torch.Generator().manual_seed(3))
    for t in (0.15, 0.2):
        alpha, sigma = (float(a) for a in schedule.alpha_sigma(t))
        x = alpha * x0 + sigma * torch.randn(x0.shape, generator=torch.Generator().manual_seed(4))
        p = mode_posterior(ring, x.double().numpy(), alpha, sigma)
        truth = (p[np.arange(len(p)), modes.numpy()] > DECIDED).mean()
        shares = decided_shares(ring, schedule, scene.times_1, scene.frames_1)
        seen = np.interp(t, scene.times_1[::-1], shares[::-1])
        # 4 standard errors of 4,000 Bernoulli draws are 0.032; the 61 frames' interpolation and 250 steps: less than 0.01
        assert abs(seen - truth) < 0.042
    assert 0.1 < scene.numbers()["1.decided_half_t"] < 0.25


def test_the_gap_of_the_modes_stands_beside_chance() -> None:
    ring = GaussianMixture.ring(4)
    mean, std = mode_chance(ring, 400, 0)
    # E|share - 1/4| of 400 draws is sqrt(2 / pi) sqrt(3/16 / 400); four of them, halved: 0.0345, and a few strays (e^-8 each)
    assert mean == pytest.approx(0.0345, abs=4 * std / np.sqrt(20) + 1e-3)
    scene = settled(ReverseTrajectories(ring, runs=runs_of("DDIM", steps=50), n=400))
    numbers = scene.numbers()
    assert numbers["1.mode_gap"] < numbers["1.mode_gap_floor"] + 5 * numbers["1.mode_gap_floor_std"]
    lost = settled(ReverseTrajectories(ring, runs=runs_of("DDIM", steps=1), n=400))
    assert lost.numbers()["1.mode_gap"] > 0.5  # one step ends between the modes


def test_frames_of_many_columns_stay_small() -> None:
    scene = settled(ReverseTrajectories(runs=runs_of("Ancestral", "DDIM", "Default", "UniPC", steps=60)))
    total = sum(scene.frames_of(i)[1].nbytes for i in (1, 2, 3, 4))
    assert 0.9 * BYTES < total <= BYTES
    assert scene.frames_1.dtype == np.float16
    assert len(scene.times_1) >= FEWEST
    assert (scene.times_1[0], scene.times_1[-1]) == (1.0, 0.0)


def test_a_new_seed_draws_anew_what_was_drawn_but_nothing_before() -> None:
    scene = ReverseTrajectories(runs=[RUN], n=8)
    scene.seed = 3
    scene.settle()
    assert scene.exact is None
    settled(scene)
    before = scene.exact.copy()
    scene.seed = 4
    scene.settle()
    assert scene.exact.tolist() != before.tolist()
    scene.show(GaussianMixture.grid(), seed=9)
    scene.settle()
    assert scene.exact is None
    assert scene.seed == 9


def test_one_sampler_for_all_columns_or_each_its_own() -> None:
    scene = ReverseTrajectories(runs=[RUN | {"knobs": {"eta": 0.5}}, RUN | {"steps": 7}])
    assert (scene.sampler, scene.steps) == ("DDIM", 10)
    scene.steps = 33
    assert [r["steps"] for r in scene.runs] == [33, 33]
    assert scene.runs[0]["knobs"] == {"eta": 0.5}
    scene.sampler = "Heun"
    assert scene.runs == [{"sampler": "Heun", "steps": 33, "of": "exact"}] * 2
    again = ReverseTrajectories.from_dict(scene.to_dict())
    assert again.runs == scene.runs
    assert ReverseTrajectories(sampler="UniPC", steps=9).runs[1] == {"sampler": "UniPC", "steps": 9, "of": "learned"}


@pytest.mark.parametrize("name", list(KNOBS))
def test_every_knob_is_one_of_its_sampler(name: str) -> None:
    """Their ends and choices are taken by the engine, and change what it is called or does."""
    from difflab.scenes.sampling import sampler_of

    usual = sampler_of({"sampler": name})
    for knob in KNOBS[name]:
        values = knob.get("choices") or [knob["min"], knob["max"]]
        for value in values:
            run = ReverseTrajectories(runs=[RUN | {"sampler": name, "knobs": {knob["name"]: value}}]).runs[0]
            assert getattr(sampler_of(run), knob["name"]) == value
        assert getattr(usual, knob["name"]) == knob["default"]


BAD = [
    ({"runs": []}, "list of 1 to 4 runs"),
    ({"runs": [RUN] * 5}, "list of 1 to 4 runs"),
    ({"runs": ["DDIM"]}, "A run is"),
    ({"runs": [{"sampler": "DDIM"}]}, "A run is"),
    ({"runs": [RUN | {"sampler": "Magic"}]}, "no sampler named 'Magic'"),
    ({"runs": [RUN | {"steps": 0}]}, "from 1 to 10,000, but got 0"),
    ({"runs": [RUN | {"steps": True}]}, "from 1 to 10,000, but got True"),
    ({"runs": [RUN | {"steps": float("nan")}]}, "from 1 to 10,000, but got nan"),
    ({"runs": [RUN | {"of": "both"}]}, "but got 'both'"),
    ({"runs": [RUN | {"knobs": {"churn": 3}}]}, "DDIM has no such knobs"),
    ({"runs": [RUN | {"knobs": {"eta": 2}}]}, "eta must be a number from 0 to 1, but got 2"),
    ({"runs": [RUN | {"sampler": "Heun", "knobs": {"eta": 1}}]}, "it has none"),
    ({"runs": [RUN | {"sampler": "Ancestral", "knobs": {"variance": "huge"}}]}, "one of small, large, optimal"),
    ({"sampler": "Magic"}, "no sampler named 'Magic'"),
    ({"runs": [RUN], "steps": 5}, "Give either runs, or a sampler"),
    ({"n": -1}, "n must be a whole number from 1 to 100,000, but got -1"),
    ({"grid": "odd"}, "grid"),
    ({"budget": "money"}, "budget"),
    ({"colour": "red"}, "colour"),
    ({"column": 5}, "column"),
    ({"picked": [-1]}, "picked"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD)
def test_what_is_no_run_is_refused_in_one_sentence(arguments: dict, words: str) -> None:
    with pytest.raises((ValueError, traitlets.TraitError)) as refused:
        ReverseTrajectories(**arguments)
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_learned_column_alone_says_what_is_missing() -> None:
    scene = ReverseTrajectories(runs=[RUN | {"of": "learned"}], n=4)
    scene.sample()
    scene.settle()
    assert "no learned denoiser" in scene.error
    scene.runs = [RUN]
    settled(scene)


def test_columns_of_one_noise_to_the_browser_and_back() -> None:
    """What the browser writes is taken, and what it writes wrongly is refused in the scene."""
    scene = ReverseTrajectories(n=4)
    scene.set_state({"runs": [RUN, RUN | {"steps": 3}], "column": 2, "colour": "mode", "picked": [1, 2]})
    assert (scene.column, scene.steps, scene.picked) == (2, 10, [1, 2])
    scene.set_state({"runs": [RUN | {"steps": -3}]})
    scene.settle()
    assert "from 1 to 10,000, but got -3" in scene.error
    assert scene.runs[1]["steps"] == 3
