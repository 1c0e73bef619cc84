"""The sharpened density under noise, and that guided sampling does not sample it, which is a known fact.

(Du et al. 2023, section 3; Chidambaram et al. 2024; Bradley & Nakkiran 2024.) In one dimension everything can be had without
Monte Carlo: the probability flow keeps the order of its starting points, so that equally spaced quantiles of the start end on
equally spaced quantiles of what is sampled.
"""

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy.special import ndtri

from difflab.data import GaussianMixture, Sharpened
from difflab.denoisers import Conditioned, ExactDenoiser
from difflab.denoisers.guidance import ClassifierFree, SharpenedDenoiser
from difflab.samplers import DDIM, final, sample
from difflab.schedules import EDM, VPCosine

LINE = GaussianMixture([0.5, 0.3, 0.2], [[-1.0], [0.0], [1.2]], [0.2, 0.5, 0.1])
PLANE = GaussianMixture([0.4, 0.6], [[0.0, 0.0], [0.8, 0.5]], [[0.3, 0.2], [0.25, 0.4]])


@pytest.mark.parametrize("weight", [0.4, 3.0])
@pytest.mark.parametrize("t", [0.02, 0.3, 0.8])
def test_against_scipys_quadrature(weight, t):
    law, level = Sharpened(LINE, 1, weight), VPCosine().level(t)
    denoiser = SharpenedDenoiser(law, VPCosine())
    x = torch.linspace(-2, 2, 7, dtype=torch.float64)[:, None]
    found, score, log_p = denoiser(x, t), denoiser.score(x, t), denoiser.log_prob(x, t)
    for i, x_t in enumerate(x[:, 0].tolist()):
        # where the noise leaves x_0: quad needs to be told, and 40 standard deviations are all there is
        ends = [max(-8.0, (x_t - 40 * level.sigma) / level.alpha), min(8.0, (x_t + 40 * level.sigma) / level.alpha)]

        def joint(x0, k, x_t=x_t):
            noise = np.exp(-((x_t - level.alpha * x0) ** 2) / (2 * level.sigma**2)) / (level.sigma * np.sqrt(2 * np.pi))
            return x0**k * np.exp(law.log_density(np.array([[x0]]))[0]) * noise

        z, first, second = (
            integrate.quad(joint, *ends, args=(k,), epsabs=1e-14, epsrel=1e-11, limit=500, points=[x_t / level.alpha])[
                0
            ]
            for k in range(3)
        )
        # 1e-8 is what scipy reaches on peaks as narrow as these
        assert found.mean[i, 0].item() == pytest.approx(first / z, abs=1e-8)
        assert found.var[i, 0].item() == pytest.approx(second / z - (first / z) ** 2, abs=1e-8)
        assert log_p[i].item() == pytest.approx(np.log(z), abs=1e-8)
        assert score[i, 0].item() == pytest.approx((level.alpha * first / z - x_t) / level.sigma**2, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("t", [0.05, 0.5])
@pytest.mark.parametrize("data", [LINE, PLANE], ids=["1-D", "2-D"])
def test_the_score_is_that_of_the_log_density(data, t):
    """Central differences of log_prob, whose error is h^2 / 6 times a third derivative of at most 2e3 here: 2e-5."""
    denoiser, dim = SharpenedDenoiser(Sharpened(data, 1, 2.5), VPCosine()), data.dim
    x = data.sample(5, torch.Generator().manual_seed(0)).double()
    score, h = denoiser.score(x, t), 1e-4
    for d in range(dim):
        step = h * torch.eye(dim, dtype=torch.float64)[d]
        slope = (denoiser.log_prob(x + step, t) - denoiser.log_prob(x - step, t)) / (2 * h)
        torch.testing.assert_close(score[:, d], slope, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("data", [LINE, PLANE], ids=["1-D", "2-D"])
def test_weights_0_and_1_are_the_oracles(data):
    oracle = ExactDenoiser(data, EDM())
    x = 2 * data.sample(20, torch.Generator().manual_seed(0)).double()
    t, y = torch.linspace(0.05, 0.9, 20, dtype=torch.float64), torch.ones(20, dtype=torch.int64)
    for weight, labels in ((0.0, None), (1.0, y)):
        found, exact = SharpenedDenoiser(Sharpened(data, 1, weight), EDM())(x, t), oracle(x, t, labels)
        # the window's ends leave 1e-17 and the trapezoids 1e-9 and less (halving the nodes changes as much)
        torch.testing.assert_close(found.mean, exact.mean, rtol=0, atol=1e-8)
        torch.testing.assert_close(found.var, exact.var, rtol=1e-7, atol=1e-9)


def test_twice_the_nodes_say_the_same():
    law = Sharpened(PLANE, 0, 4.0)
    x = PLANE.sample(5, torch.Generator().manual_seed(1)).double()
    few, many = (SharpenedDenoiser(law, VPCosine(), nodes=n)(x, 0.4).mean for n in (72, 144))
    torch.testing.assert_close(few, many, rtol=0, atol=1e-9)


def test_at_t_0_it_is_x_and_rows_do_not_see_each_other():
    denoiser = SharpenedDenoiser(Sharpened(LINE, 1, 2.0), VPCosine())
    x, t = torch.linspace(-1, 1, 4, dtype=torch.float64)[:, None], torch.tensor([0.0, 0.1, 0.5, 1.0]).double()
    found = denoiser(x, t)
    assert found.mean[0].equal(x[0])
    assert found.var[0].item() == 0
    for i in range(1, 4):
        torch.testing.assert_close(denoiser(x[[i]], float(t[i])).mean[0], found.mean[i], rtol=1e-12, atol=1e-13)
    assert denoiser(x[:0], 0.3).mean.shape == (0, 1)


WEIGHT, QUANTILES = 3.0, 200
START = torch.from_numpy(ndtri((np.arange(QUANTILES) + 0.5) / QUANTILES))[:, None]


def sampled_mean_and_std(denoiser, steps):
    """Of what the probability flow makes of the prior's quantiles; uniform in t, DDIM."""
    x = final(sample(denoiser, DDIM(), torch.linspace(1, 0, steps + 1), x=START, quiet=True))
    return x.mean().item(), x.std(correction=0).item()


def test_guided_sampling_does_not_sample_the_sharpened_density():
    """At w = 3 the guided flow ends elsewhere than the density of its name, by many times the error of saying so.

    The error: DDIM is of first order, so that 160 steps are off by about what 80 and 160 differ by; the quantiles' mean and
    std miss the outermost halves of their intervals, at most 1 / QUANTILES of the range of half the mass, taken as 0.02.
    """
    law = Sharpened(LINE, 1, WEIGHT)
    mean, cov = law.moments()
    exact = np.array([mean[0], cov[0, 0] ** 0.5])
    oracle, labels = ExactDenoiser(LINE, VPCosine()), torch.ones(QUANTILES, dtype=torch.int64)
    guided = Conditioned(ClassifierFree(oracle, WEIGHT), labels)
    coarse, fine = (np.array(sampled_mean_and_std(guided, steps)) for steps in (80, 160))
    error = np.abs(fine - coarse) + 0.02
    gap = np.abs(fine - exact)
    assert (gap > 5 * error).any(), (exact, fine, error)
    # and the denoiser of the sharpened density does sample it, by the same sampler from the same start
    coarse, fine = (np.array(sampled_mean_and_std(SharpenedDenoiser(law, VPCosine()), steps)) for steps in (20, 40))
    assert (np.abs(fine - exact) < np.abs(fine - coarse) + 0.02).all(), (exact, coarse, fine)


def test_at_weight_1_guided_sampling_samples_the_class():
    oracle, labels = ExactDenoiser(LINE, VPCosine()), torch.ones(QUANTILES, dtype=torch.int64)
    guided = Conditioned(ClassifierFree(oracle, 1.0), labels)
    coarse, fine = (np.array(sampled_mean_and_std(guided, steps)) for steps in (80, 160))
    exact = np.array([0.0, 0.5**0.5])
    assert (np.abs(fine - exact) < np.abs(fine - coarse) + 0.02).all()


def test_the_guided_score_is_the_sharpened_one_at_the_data_only():
    """At small t both are the score of p p(y | .)^w; where there is noise they differ."""
    law = Sharpened(LINE, 1, WEIGHT)
    oracle, exact = ExactDenoiser(LINE, VPCosine()), SharpenedDenoiser(law, VPCosine())
    x, y = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None], torch.ones(9, dtype=torch.int64)

    def gap(t):
        guided = (1 - WEIGHT) * oracle.score(x, t) + WEIGHT * oracle.score(x, t, y)
        return (guided - exact.score(x, t)).abs().max().item()

    # the gap is of the size of sigma^2 at first: where sigma halves it falls to a quarter
    sigmas = [VPCosine().level(t).sigma for t in (0.02, 0.01)]
    assert gap(0.02) / gap(0.01) == pytest.approx((sigmas[0] / sigmas[1]) ** 2, rel=0.1)
    assert gap(0.5) > 0.3


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: SharpenedDenoiser(LINE, VPCosine()), TypeError, "is of a Sharpened density"),
        (lambda: SharpenedDenoiser(Sharpened(LINE, 0, 2.0), "cosine"), TypeError, "needs a Schedule"),
        (lambda: SharpenedDenoiser(Sharpened(GaussianMixture.random(dim=3), 0, 2.0), EDM()), ValueError, "not in 3"),
        (lambda: SharpenedDenoiser(Sharpened(LINE, 0, 2.0), EDM(), nodes=2), ValueError, "8 or more .* but got 2"),
        (
            lambda: SharpenedDenoiser(Sharpened(LINE, 0, 2.0), EDM(), nodes=10**6),
            ValueError,
            "at most 1,000, but got 1000",
        ),
        (lambda: SharpenedDenoiser(Sharpened(LINE, 0, 2.0), EDM())(torch.zeros(2, 3), 0.5), ValueError, "shape"),
    ],
)
def test_refused_in_one_sentence(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


def test_nan_in_a_row_stays_in_its_answer():
    exact = SharpenedDenoiser(Sharpened(LINE, 0, 2.0), VPCosine())
    x = torch.tensor([[0.3], [torch.nan], [-0.4]], dtype=torch.float64)
    found = exact(x, 0.4).mean
    assert found.isnan().flatten().tolist() == [False, True, False]
    torch.testing.assert_close(found[::2], exact(x[::2], 0.4).mean, rtol=1e-12, atol=0)


def test_below_weight_one_it_looks_where_the_data_are_and_not_only_the_class():
    """At weight 0 it is the data, whichever class is named: here one of width 0.001, ten widths of the rest away."""
    mixture = GaussianMixture([0.99, 0.01], [[0.0], [10.0]], [1.0, 1e-6])
    x = torch.tensor([[-0.5], [0.0], [0.4]], dtype=torch.float64)
    found = SharpenedDenoiser(Sharpened(mixture, 1, 0.0), VPCosine())(x, 0.3)
    due = ExactDenoiser(mixture, VPCosine())(x, 0.3)
    torch.testing.assert_close(found.mean, due.mean, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.var, due.var, rtol=1e-9, atol=1e-9)
