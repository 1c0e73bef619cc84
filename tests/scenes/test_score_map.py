"""ScoreMap: its exact field is the oracle's, its difference that of the network, its number the Fisher divergence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import traitlets

from difflab.data import FiniteSet, GaussianMixture, digits
from difflab.denoisers import ExactDenoiser, NetworkDenoiser
from difflab.denoisers.base import Posterior
from difflab.metrics import fisher_divergence
from difflab.scenes.score_levels import Levels, between, level_times
from difflab.scenes.score_map import PREVIEW, ScoreMap
from difflab.schedules import Flow, Geometric, VPCosine, VPLinear
from difflab.training import Trainer

ROOT = Path(__file__).parents[2]
RING = GaussianMixture.ring(8)
TILTED = GaussianMixture(
    [0.3, 0.7], [[1.0, 0.2], [-0.8, -0.4]], [[[0.2, 0.05], [0.05, 0.1]], [[0.02, -0.01], [-0.01, 0.03]]]
)
COSINE = VPCosine()
SPEC = COSINE.to_dict()


class Shifted:
    """The oracle, its mean moved by a constant: a network whose difference is known everywhere."""

    def __init__(self, data: Any, schedule: Any, by: float) -> None:
        self.oracle, self.schedule, self.by = ExactDenoiser(data, schedule), schedule, by

    def __call__(self, x_t: torch.Tensor, t: Any, labels: torch.Tensor | None = None) -> Posterior:
        return Posterior(self.oracle(x_t, t, labels).mean + self.by)


@pytest.fixture
def small() -> FiniteSet:
    return FiniteSet(GaussianMixture.ring(3).preview(30, 1)[0], name="thirty points")


# -- the browser's mixture against the oracle ---------------------------------------------------------------------------


def test_the_browser_evaluates_the_oracle(tmp_path: Path) -> None:
    """log p_t, score and mean of x_0 of js/src/core/mixture.ts, float64 on both sides: digits are lost only where a covariance
    is inverted, whose condition number is below 100 here, and where terms of size |x|^2 / sigma^2 <= 4e3 cancel in log p."""
    node, esbuild = shutil.which("node"), ROOT / "js" / "node_modules" / ".bin" / "esbuild"
    assert node, "Node is needed for this test: `make test` provides it."
    bundle, script = tmp_path / "mixture.mjs", tmp_path / "print.mjs"
    command = [esbuild, ROOT / "js/src/core/mixture.ts", "--bundle", "--format=esm", f"--outfile={bundle}"]
    subprocess.run(command, check=True, capture_output=True)
    x = torch.tensor([[0.1, 0.2], [1.5, -1.0], [-0.8, -0.4], [3.0, 3.0], [0.0, 0.0]], dtype=torch.float64)
    times = [0.05, 0.35, 0.9, 1.0]
    levels = [[float(a) for a in COSINE.alpha_sigma(t)] for t in times]
    mixture = {k: np.ravel(v).tolist() for k, v in TILTED.to_dict().items()}
    script.write_text(
        f"import {{ Marginal }} from {json.dumps(bundle.as_uri())};\n"
        f"const raw = {json.dumps(mixture)};\n"
        "const mixture = Object.fromEntries(Object.entries(raw).map(([k, v]) => [k, Float64Array.from(v)]));\n"
        f"console.log(JSON.stringify({json.dumps(levels)}.map(([alpha, sigma]) => {json.dumps(x.tolist())}.map(([x, y]) => {{\n"
        "  const at = new Marginal(mixture, { alpha, sigma });\n"
        "  return [at.logDensity(x, y), ...at.score(x, y), ...at.posteriorMean(x, y), ...at.posterior(x, y)];\n"
        "}))));\n"
    )
    said = np.array(json.loads(subprocess.run([node, script], check=True, capture_output=True, text=True).stdout))
    oracle = ExactDenoiser(TILTED, COSINE)
    for row, t in zip(said, times, strict=True):
        np.testing.assert_allclose(row[:, 0], oracle.log_prob(x, t), rtol=1e-12, atol=1e-11)
        np.testing.assert_allclose(row[:, 1:3], oracle.score(x, t), rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(row[:, 3:5], oracle(x, t).mean, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(row[:, 5:], oracle.mode_probabilities(x, t), rtol=1e-10, atol=1e-13)


# -- the levels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [VPCosine(), VPLinear(), Geometric(), Flow()], ids=lambda s: s.name)
def test_levels_rise_to_one_and_are_dense_in_log_snr(schedule: Any) -> None:
    times = level_times(schedule)
    assert np.all(np.diff(times) > 0)
    assert times[-1] == 1.0
    log_snr = np.array([float(schedule.log_snr(float(t))) for t in times])
    apart = -np.diff(log_snr[log_snr >= -8.001])
    assert apart.max() < 1.0  # the noise over the data grows by less than e^(1/2) from one to the next


def test_between_is_linear_in_log_snr() -> None:
    times = level_times(COSINE)
    log_snr = [float(COSINE.log_snr(float(t))) for t in times]
    for t in (0.01, 0.35, 0.8):
        i, share = between(COSINE, times, t)
        assert times[i] <= t <= times[i + 1]
        expected = (log_snr[i] - float(COSINE.log_snr(t))) / (log_snr[i] - log_snr[i + 1])
        assert share == pytest.approx(expected, abs=1e-12)
    assert between(COSINE, times, 0.0)[1] == 0.0
    assert between(COSINE, times, 1.0) == (len(times) - 2, 1.0)


@pytest.mark.parametrize("schedule", [VPCosine(), Geometric()], ids=lambda s: s.name)
def test_the_grid_is_that_of_the_browser(schedule: Any) -> None:
    """Row by row from the top, cell centres, half-width extent * sqrt(V) where V > 1: a denoiser that answers x_t shows it."""
    levels = Levels(RING, schedule.to_dict(), resolution=24, extent=3.0, seed=0)
    i = len(levels.times) - 1
    alpha, sigma = (float(a) for a in schedule.alpha_sigma(float(levels.times[i])))
    half = 3.0 * max(1.0, np.hypot(alpha, sigma))
    x_t = levels._asked(i)[: 24 * 24].reshape(24, 24, 2)
    assert x_t[0, 0].tolist() == pytest.approx([-half * 23 / 24, half * 23 / 24])
    assert x_t[0, 1, 0] - x_t[0, 0, 0] == pytest.approx(2 * half / 24)
    assert x_t[1, 0, 1] - x_t[0, 0, 1] == pytest.approx(-2 * half / 24)


# -- what crosses to the browser ----------------------------------------------------------------------------------------


def test_the_difference_is_the_networks_minus_the_oracles() -> None:
    """float16 keeps 2^-11 of each value."""
    scene = ScoreMap(TILTED, denoiser=Shifted(TILTED, COSINE, 0.3))
    scene.settle()
    assert scene.error == ""
    assert scene.learned.shape == (len(scene.levels), 40, 40, 2)
    assert scene.learned.dtype == np.float16
    for i, t in enumerate(scene.levels):
        alpha, sigma = (float(a) for a in COSINE.alpha_sigma(float(t)))
        expected = 0.3 * np.hypot(alpha, sigma) / sigma
        np.testing.assert_allclose(scene.learned[i].astype(float), expected, rtol=2**-10)
        # the same everywhere: its mean square has no error but float32's
        np.testing.assert_allclose(scene.error_at[i], [2 * expected**2, 0.0], rtol=1e-4, atol=1e-3 * expected**2)
    assert scene.learned_for == {"schedule": SPEC}


@pytest.mark.parametrize(
    ("schedule", "t"), [(COSINE, 0.0655), (COSINE, 0.35), (COSINE, 0.9), (Geometric(), 0.5)], ids=str
)
def test_its_number_is_the_fisher_divergence(schedule: Any, t: float) -> None:
    """At a level it is `metrics.fisher_divergence` of other draws: within five of both standard errors. Between two levels it is
    interpolated, which at log-SNRs 0.8 apart is good to a few per cent."""
    denoiser = NetworkDenoiser.for_data(RING, schedule, "eps", seed=0)
    scene = ScoreMap(RING, denoiser=denoiser, t=t)
    numbers = scene.numbers()
    value, error = numbers["fisher_divergence"], numbers["fisher_divergence_error"]
    generator = torch.Generator().manual_seed(7)
    other = fisher_divergence(denoiser, ExactDenoiser(RING, schedule), t, n=8192, generator=generator)
    assert 0 < error < 0.1 * value
    bound = 5 * np.hypot(error, float(other.error)) + 0.04 * value
    assert abs(value - float(other.value)) < bound


def test_the_oracle_itself_has_no_difference() -> None:
    scene = ScoreMap(RING, denoiser=ExactDenoiser(RING, COSINE))
    scene.settle()
    # it was asked in float32, as every network is: 6e-8 of numbers of size 3, over sigma >= 0.01
    assert np.abs(scene.learned.astype(float)).max() < 1e-3
    assert scene.numbers()["fisher_divergence"] < 1e-6


def test_a_finite_sets_field_comes_from_the_oracle(small: FiniteSet) -> None:
    scene = ScoreMap(small, resolution=24)
    scene.settle()
    assert scene.oracle == "training set"
    assert scene.mixture is None
    times = scene.exact_levels.astype(float)
    assert len(times) > 20
    oracle = ExactDenoiser(small, COSINE)
    axis = scene.extent * ((np.arange(24) + 0.5) * 2 / 24 - 1)
    for i in (3, 12, 22):
        alpha, sigma = (float(a) for a in COSINE.alpha_sigma(times[i]))
        u, _, log_p = scene.exact[i, 5, 9].astype(float)
        x = torch.tensor([[axis[9], -axis[5]]])
        # the score out of the units, as js/src/core/faces.ts does it; float16 keeps 2^-11
        assert alpha * u / sigma - x[0, 0] == pytest.approx(float(oracle.score(x, times[i])[0, 0]), rel=2e-3, abs=2e-3)
        assert log_p == pytest.approx(float(oracle.log_prob(x, times[i])), rel=1e-3)


def test_images_are_shown_as_what_is_read_from_them() -> None:
    data = digits()
    denoiser = NetworkDenoiser.for_data(data, COSINE, "v", conditional=True, seed=0)
    scene = ScoreMap(data, denoiser=denoiser)
    scene.settle()
    assert scene.error == ""
    assert (scene.kind, scene.exact.shape) == ("images", (len(scene.exact_levels), 5, 64))
    assert scene.learned.shape == scene.exact.shape
    i = 10
    t = float(scene.levels[i])
    alpha, sigma = (float(a) for a in COSINE.alpha_sigma(t))
    labels = scene._levels()._labels[:5]
    x_t = torch.from_numpy(alpha * scene.x0 + sigma * scene.eps).reshape(5, 1, 8, 8)
    exact = ExactDenoiser(data, COSINE)(x_t, t, labels).mean.flatten(1)
    with torch.no_grad():
        learned = denoiser(x_t, t, labels).mean.flatten(1)
    np.testing.assert_allclose(scene.exact[i].astype(float), exact, atol=2e-3)
    np.testing.assert_allclose(scene.learned[i].astype(float) * sigma, learned - exact, atol=4e-3)


def test_an_unconditional_network_is_compared_with_the_unconditional_oracle() -> None:
    data = digits()
    scene = ScoreMap(data, denoiser=NetworkDenoiser.for_data(data, COSINE, "v", seed=0))
    scene.settle()
    assert scene.error == ""
    assert scene.conditional is False
    i = 14
    x_t = torch.from_numpy(np.float32(COSINE.alpha(float(scene.levels[i]))) * scene.x0[:1]).reshape(1, 1, 8, 8)
    x_t += float(COSINE.sigma(float(scene.levels[i]))) * torch.from_numpy(scene.eps[:1]).reshape(1, 1, 8, 8)
    exact = ExactDenoiser(data, COSINE)(x_t, float(scene.levels[i])).mean.flatten(1)
    np.testing.assert_allclose(scene.exact[i, :1].astype(float), exact, atol=2e-3)


# -- living with it -----------------------------------------------------------------------------------------------------


def test_a_first_picture_has_the_exact_field_and_needs_no_torch() -> None:
    code = (
        "import sys; from difflab import ScoreMap; s = ScoreMap(); print('torch' in sys.modules, s.mixture is not None)"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.split() == ["False", "True"]


def test_it_follows_a_training() -> None:
    trainer = Trainer(NetworkDenoiser.for_data(RING, COSINE, "eps", seed=0), RING, steps=150)
    scene = ScoreMap(RING)
    scene.follow(trainer)
    trainer.start()
    trainer.wait(60)
    last = ScoreMap(RING, denoiser=trainer.snapshot())
    expected = last.numbers()["fisher_divergence"]
    end = time.monotonic() + 20
    while scene.numbers().get("fisher_divergence") != expected:
        assert time.monotonic() < end, "the end of the training was not measured at every level"
        time.sleep(0.05)
    np.testing.assert_array_equal(scene.learned, last.learned)


def test_while_training_the_clocks_levels_come_first() -> None:
    scene = ScoreMap(TILTED, t=0.5)
    scene.measure(Shifted(TILTED, COSINE, 0.1), full=True)
    scene.measure(Shifted(TILTED, COSINE, 0.2), full=False)
    scene.settle()
    i, j = scene._levels().around(0.5)
    newer = [k for k in range(len(scene.levels)) if _shift(scene, k) == pytest.approx(0.2, rel=1e-2)]
    assert {i, j} <= set(newer)
    assert len(newer) == 4


def _shift(scene: ScoreMap, k: int) -> float:
    alpha, sigma = (float(a) for a in COSINE.alpha_sigma(float(scene.levels[k])))
    return float(scene.learned[k, 0, 0, 0]) * sigma / np.hypot(alpha, sigma)


def test_other_data_take_the_learned_field_away() -> None:
    scene = ScoreMap(RING, denoiser=Shifted(RING, COSINE, 0.1))
    scene.settle()
    scene.show(TILTED)
    scene.settle()
    assert scene.learned is None
    assert len(scene.mixture["weights"]) == 2
    scene.measure(Shifted(TILTED, COSINE, 0.1))
    scene.settle()
    assert scene.learned is not None
    scene.forget()
    scene.settle()
    assert scene.learned is None
    assert "fisher_divergence" not in scene.numbers()


def test_another_schedules_network_is_not_shown_as_this_ones() -> None:
    scene = ScoreMap(RING, denoiser=Shifted(RING, COSINE, 0.1))
    scene.settle()
    scene.schedule = VPLinear()
    scene.settle()
    assert scene.learned_for == {"schedule": SPEC}  # by which the browser sees that it is old
    assert scene.status == "the network is of another schedule"
    assert "fisher_divergence" not in scene.numbers()


def test_a_new_seed_or_resolution_asks_again() -> None:
    scene = ScoreMap(TILTED, denoiser=Shifted(TILTED, COSINE, 0.1))
    scene.settle()
    scene.resolution = 24
    scene.settle()
    assert scene.learned.shape[1:3] == (24, 24)
    denoiser = NetworkDenoiser.for_data(TILTED, COSINE, "eps", seed=0)
    scene.measure(denoiser)
    scene.settle()
    first = scene.error_at.copy()
    scene.seed = 5
    scene.settle()
    assert not np.array_equal(scene.error_at, first)


def test_its_preset_comes_back() -> None:
    scene = ScoreMap(RING, t=0.2, view="learned", face="velocity", weighted=False, heat="x", hidden=["probe"])
    again = ScoreMap.from_dict(json.loads(json.dumps(scene.to_dict())))
    assert again.to_dict() == scene.to_dict()


def test_a_page_of_it_is_small(tmp_path: Path) -> None:
    scene = ScoreMap(RING, denoiser=Shifted(RING, COSINE, 0.1))
    assert scene.save_html(tmp_path / "map.html").stat().st_size < 1_000_000


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: ScoreMap(FiniteSet(np.zeros((4, 3)))), ValueError, "points in the plane or images"),
        (lambda: ScoreMap("ring", denoiser=7), TypeError, "denoiser"),
        (lambda: ScoreMap("ring", denoiser=NetworkDenoiser), TypeError, "is its class"),
        (lambda: ScoreMap("ring", seed=-1), ValueError, "seed"),
        (lambda: ScoreMap("ring", face="edm"), traitlets.TraitError, "face"),
        (lambda: ScoreMap("ring", resolution=1000), traitlets.TraitError, "resolution"),
        (
            lambda: ScoreMap(RING, VPLinear(), Shifted(RING, COSINE, 0.1)),
            ValueError,
            "was made for VPCosine.* but the scene shows VPLinear",
        ),
    ],
)
def test_what_it_cannot_show_is_refused_in_one_sentence(make: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        make()


def test_data_without_an_oracle_is_refused() -> None:
    class Unknown(GaussianMixture.__base__):  # type: ignore[misc, name-defined]
        name, shape, range, sigma_data, second_moment = "unknown", (2,), (-1.0, 1.0), 1.0, 1.0

        def sample_labelled(self, n: int, generator: Any = None) -> Any:
            raise AssertionError

        def preview(self, n: int, seed: int = 0) -> Any:
            raise AssertionError

    with pytest.raises(ValueError, match="unknown has none: give a GaussianMixture or a FiniteSet"):
        ScoreMap(Unknown())


def test_a_finite_set_shows_its_points_before_its_field():
    """The oracle takes seconds; the browser draws alpha x_0 + sigma eps until then."""
    scene = ScoreMap("moons")
    try:
        assert scene.x0.shape == scene.eps.shape == (PREVIEW, 2)
        scene.show("ring")  # whose field the browser evaluates itself
        scene.settle()
        assert scene.x0 is None
        assert scene.eps is None
        scene.show("moons")
        scene.settle()
        assert scene.x0.shape == (PREVIEW, 2)
    finally:
        scene.close()
