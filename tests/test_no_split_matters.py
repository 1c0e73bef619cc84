"""No public result depends on the size of the batch it was asked for in, on its order, or on how the batch was split.

Denoisers, predictions, schedules, training losses and distances of sets have such tests beside their own (`-k "split or rows or
batch"`); here is everything else that takes rows, over schedules, shapes, dtypes and batch sizes, and everything that cuts its
rows into blocks of its own.
"""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from difflab import bound, decoders, elbo, variances
from difflab.chain import MarkovChain
from difflab.data import FiniteSet, GaussianMixture, digits
from difflab.denoisers import Conditioned, ExactDenoiser, NetworkDenoiser, Posterior
from difflab.denoisers import exact as exact_module
from difflab.likelihood import Adaptive, Exact, Fixed, Hutchinson, log_likelihood
from difflab.metrics import mode_gap, sliced_wasserstein
from difflab.metrics import modes as modes_module
from difflab.mmse import continuous_bound
from difflab.objectives import (
    WEIGHTINGS,
    InformationTimes,
    LossTimes,
    Uncertainty,
    explicit_loss,
    floor_profile,
    implicit_loss,
    kernel_loss,
    loss_profile,
    sliced_loss,
    weighting_from,
)
from difflab.objectives.sliced import draw_directions
from difflab.objectives.weightings import factor
from difflab.predictions import PREDICTIONS, error_gain, from_x0, target
from difflab.samplers import (
    DDIM,
    HMC,
    MALA,
    Ancestral,
    AnnealedLangevin,
    Langevin,
    OneLevel,
    PredictorCorrector,
    final,
    grids,
    sample,
)
from difflab.schedules import EDM, Flow, Geometric, SubVP, VPCosine, VPLinear, VPSigmoid, ZeroTerminalSNR

WALKS = [AnnealedLangevin(2), Langevin(), MALA(warm_up=2), HMC(leapfrog=2), PredictorCorrector()]
SCHEDULES = [VPLinear(), VPCosine(), Geometric(0.02, 20.0), EDM(), Flow(), SubVP(), VPSigmoid(), ZeroTerminalSNR()]
MIXTURE, RING = GaussianMixture.random(4, 3, seed=1), GaussianMixture.ring()
SIX = FiniteSet(
    torch.randn(50, 6, generator=torch.Generator().manual_seed(2)).numpy()
)  # above 4: the nearest one by one
DATA = [MIXTURE, RING, SIX, digits()]


@st.composite
def batches(draw):
    """(schedule, x, t, generator, order, parts): rows of any data, times in (0, 1), and a split of them in any order."""
    schedule, data = draw(st.sampled_from(SCHEDULES)), draw(st.sampled_from(DATA))
    dtype, n = draw(st.sampled_from([torch.float32, torch.float64])), draw(st.integers(1, 8))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    t = 0.03 + 0.94 * torch.rand(n, dtype=dtype, generator=generator)
    order = torch.tensor(draw(st.permutations(range(n))))
    cuts = sorted(draw(st.sets(st.integers(1, n)))) if n > 1 else []
    parts = [part for part in torch.tensor_split(order, cuts) if len(part)]
    alpha, sigma = (a.reshape(-1, *[1] * len(data.shape)) for a in schedule.alpha_sigma(t))
    x0 = data.sample(n, generator).to(dtype)
    eps = torch.randn(x0.shape, dtype=dtype, generator=generator)
    return schedule, data, x0, eps, alpha * x0 + sigma * eps, t, order, parts


def equal(found, whole, loose=1.0):
    assert found.dtype == whole.dtype
    rounding = loose * (1e-11 if whole.dtype == torch.float64 else 2e-5)
    torch.testing.assert_close(found, whole, rtol=rounding, atol=rounding * max(1.0, float(whole.detach().abs().max())))


def same(ask, order, parts, loose=1.0):
    """`ask(rows)` of all rows, and of the parts, put together: but for the rounding of sums in another order."""
    equal(torch.cat([ask(rows) for rows in parts]), ask(torch.arange(len(order)))[order], loose)


@settings(deadline=None, max_examples=60)
@given(
    batches(), st.sampled_from(["score", "log_prob", "mode_probabilities", "posterior_covariance", "score's", "mean's"])
)
def test_whatever_an_oracle_is_asked(batch, question):
    """Answers in float32 are computed in float64 from rows of float32: only their last digit may move."""
    schedule, data, _, _, x, t, order, parts = batch
    oracle = ExactDenoiser(data, schedule)
    if question.endswith("'s"):
        same(lambda rows: oracle.divergence(x[rows], t[rows], of=question[:-2]), order, parts)
    else:
        same(lambda rows: getattr(oracle, question)(x[rows], t[rows]), order, parts)


@settings(deadline=None, max_examples=20)
@given(batches(), st.integers(1, 400))
def test_the_blocks_of_an_oracle(batch, chunk):
    schedule, data, _, _, x, t, _, _ = batch
    oracle = ExactDenoiser(data, schedule)
    asks = [oracle.score, oracle.log_prob, oracle.mode_probabilities, oracle.posterior_covariance, oracle.divergence]
    for ask in [*asks, lambda x, t: oracle(x, t).mean, lambda x, t: oracle(x, t).var]:
        whole = ask(x, t)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exact_module, "_CHUNK", chunk)
            equal(ask(x, t), whole)


@settings(deadline=None, max_examples=20)
@given(batches())
def test_denoisers_that_bring_their_labels(batch):
    schedule, data, _, _, x, t, order, parts = batch
    oracle, labels = ExactDenoiser(data, schedule), torch.arange(len(x)) % (data.classes or 1)
    if data.classes:
        same(lambda rows: Conditioned(oracle, labels[rows])(x[rows], t[rows]).mean, order, parts)


@settings(deadline=None, max_examples=40)
@given(batches(), st.integers(2, 1000), st.sampled_from([*variances.FIXED, "table", "learned"]), st.booleans())
def test_the_chain_and_the_terms_of_its_bound(batch, steps, variance, discrete):
    schedule, data, x0, eps, _, _, order, parts = batch
    chain, oracle = MarkovChain(schedule, steps, quiet=True), ExactDenoiser(data, schedule)
    k = 1 + torch.arange(len(x0)) * (steps - 1) // max(1, len(x0) - 1)  # the first step and the last among them
    for i in (0, 1):
        for law in (chain.marginal, chain.step):
            same(lambda rows, law=law, i=i: law(x0[rows], k[rows])[i].expand_as(x0[rows]), order, parts)
        same(lambda rows, i=i: chain.posterior(eps[rows], x0[rows], k[rows])[i].expand_as(x0[rows]), order, parts)
    same(lambda rows: variances.learned(chain, k[rows], eps[rows].sigmoid()), order, parts)
    decoder = decoders.decoder_of(digits()) if discrete else None
    denoiser = Fractions(oracle) if variance == "learned" else oracle
    table = variances.log_vars(chain, "small") if variance == "table" else variance

    def terms(rows, oracle=None):
        given = {"decoder": decoder, "variance": table, "oracle": oracle}
        x = ((x0[rows].clamp(-1, 1) * 8).round() / 8) if discrete else x0[rows]  # on the 17 levels of digits
        return bound.term(denoiser, chain, x, k[rows], eps[rows], **given)

    same(terms, order, parts)
    same(lambda rows: terms(rows, oracle), order, parts)


@settings(deadline=None, max_examples=40)
@given(batches(), st.sampled_from(PREDICTIONS), st.sampled_from([*WEIGHTINGS, "uncertainty"]))
def test_targets_gains_and_weights(batch, kind, name):
    schedule, _, x0, eps, x, t, order, parts = batch
    weighting = Uncertainty() if name == "uncertainty" else weighting_from(name, 0.5)
    level = (-1, *[1] * (x0.ndim - 1))

    def at(rows):
        alpha, sigma = schedule.alpha_sigma(t[rows])
        return (alpha, sigma), {"rates": schedule.rates(t[rows]), "sigma_data": 0.5}

    def beside(rows):
        levels, options = at(rows)
        options["rates"] = tuple(r.reshape(level) for r in options["rates"])
        return [a.reshape(level) for a in levels], options

    def said(rows, ask, *given):
        levels, options = beside(rows)
        return ask(kind, *(row[rows] for row in given), *levels, **options)

    def weight(rows):
        levels, options = at(rows)
        gain = error_gain(kind, *levels, **options)
        w = factor(weighting, schedule, gain, t[rows], sigma_data=0.5)
        return weighting.loss(eps[rows].square().flatten(1).mean(1), w, schedule.log_snr(t[rows]))

    same(lambda rows: said(rows, target, x0, eps), order, parts)
    same(lambda rows: said(rows, from_x0, x0, x), order, parts, loose=10)
    same(weight, order, parts)


@settings(deadline=None, max_examples=40)
@given(batches(), st.integers(1, 3), st.booleans())
def test_score_matching(batch, projections, reduced):
    schedule, data, x0, eps, x, t, order, parts = batch
    assume(data is not DATA[-1])  # 64 traces of an oracle
    oracle, model = ExactDenoiser(data, schedule), bent(schedule)
    v = draw_directions(x, projections, torch.Generator().manual_seed(0))
    same(lambda rows: explicit_loss(model, oracle, x[rows], t[rows]), order, parts)
    same(lambda rows: implicit_loss(model, x[rows], t[rows]).detach(), order, parts)
    options = {"variance_reduced": reduced}
    same(lambda rows: sliced_loss(model, x[rows], t[rows], v=v[:, rows], **options).detach(), order, parts)
    same(lambda rows: kernel_loss(model, schedule, x0[rows], t[rows], eps=eps[rows]), order, parts)


@settings(deadline=None, max_examples=12)
@given(st.sampled_from(SCHEDULES), st.integers(2, 7), st.integers(1, 6), st.sampled_from([Fixed(4), Adaptive(1e-2)]))
def test_likelihoods(schedule, n, cut, steps):
    """Of adaptive steps too: each row has its own. Probes are row i's own, so a batch's first rows are as alone."""
    oracle, x = ExactDenoiser(MIXTURE, schedule), MIXTURE.sample(n, torch.Generator().manual_seed(n)).double()
    order = torch.arange(n)
    parts = [part for part in (order[:cut], order[cut:]) if len(part)]

    def ask(rows, divergence):
        found = log_likelihood(
            oracle, x[rows], divergence=divergence, steps=steps, generator=torch.Generator().manual_seed(3)
        )
        return torch.stack([found.log_prob, found.error, found.evaluations.double()], 1)

    same(lambda rows: ask(rows, Exact()), order, parts, loose=1e3)  # rounding, through a few dozen steps
    first = parts[0]
    equal(ask(order, Hutchinson(2))[first], ask(first, Hutchinson(2)), 1e3)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(SCHEDULES),
    st.sampled_from([MIXTURE, SIX]),
    st.sampled_from([Ancestral(), Ancestral("large"), DDIM(), DDIM(0.7), *WALKS]),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_samples(schedule, data, sampler, n, more):
    """Row i of a run of n is row i of a run of n + more from the same seed."""
    oracle = ExactDenoiser(data, schedule)
    grid = grids.constant(0.3, 4) if isinstance(sampler, OneLevel) else grids.uniform(schedule, 5)
    few, many = (
        final(sample(oracle, sampler, grid, n=count, generator=torch.Generator().manual_seed(n)))
        for count in (n, n + more)
    )
    torch.testing.assert_close(many[:n], few, rtol=2e-5, atol=2e-5)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 200), st.integers(2, 8), st.sampled_from(["large", "small", "optimal"]), st.booleans())
def test_estimates_of_the_bound(max_batch, half, variance, conditional):
    """Whatever the rows at a time: the gap, the curve, every step by itself, and the bound in continuous time."""
    chain, oracle = MarkovChain(VPCosine(), 12), ExactDenoiser(RING, VPCosine())
    network = NetworkDenoiser.for_data(RING, VPCosine(), "v", width=8, depth=1, conditional=conditional)

    def numbers(rows):
        options = {"conditional": conditional, "max_batch": rows}

        def seeded(**others):
            return {"generator": torch.Generator().manual_seed(half), **options, **others}

        estimates = [
            elbo.terms(oracle, chain, RING, samples_per_step=2 * half, **seeded(variance=variance)),
            elbo.interpolated(oracle, chain, RING, levels=8, samples_per_level=half, **seeded(variance=variance)),
            continuous_bound(network, RING, bins=3, n=half, oracle=oracle, **seeded()),
        ]
        if variance != "optimal":
            estimates.append(elbo.gap(network, oracle, chain, RING, per_bin=2 * half, **seeded(variance=variance)))
        return torch.cat([torch.cat([e.L, e.L_error, torch.tensor([e.L_0, e.total])]) for e in estimates])

    equal(numbers(max_batch), numbers(4096), 1e6)  # networks are asked in float32


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 60), st.integers(2, 40), st.sampled_from(["eps", "v", "edm"]))
def test_the_floor_and_the_loss_by_level(rows, n, kind):
    oracle = ExactDenoiser(RING, VPCosine())
    network = NetworkDenoiser.for_data(RING, VPCosine(), kind, width=8, depth=1)
    times = torch.tensor([0.1, 0.6])

    def numbers():
        profiles = [
            floor_profile(oracle, kind, times, n=n, generator=torch.Generator().manual_seed(0)),
            loss_profile(network, RING, times, n=n, generator=torch.Generator().manual_seed(0)),
            loss_profile(network, RING, times, n=n, generator=torch.Generator().manual_seed(0), oracle=oracle),
        ]
        return torch.stack([torch.stack([p.value, p.error]) for p in profiles])

    whole = numbers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(loss_profile.__globals__, "_ROWS", rows)
        equal(numbers(), whole, 1e6)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([LossTimes, InformationTimes]), st.integers(1, 40), st.integers(1, 39), st.integers(0, 99))
def test_what_adaptive_times_learn(law, n, cut, seed):
    """Told of a batch in two parts, one after the other, they know what they know of the whole."""
    generator = torch.Generator().manual_seed(seed)
    t, values = 0.01 + 0.98 * torch.rand(n, generator=generator), torch.rand(n, generator=generator)
    whole, parts = law(bins=4, history=3), law(bins=4, history=3)
    whole.observe(t, values)
    for part in (slice(0, cut), slice(cut, None)):
        if len(t[part]):
            parts.observe(t[part], values[part])
    assert torch.equal(whole.warm, parts.warm)
    equal(parts.mass, whole.mass)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 200), st.integers(0, 99))
def test_distances_of_sets(n, m, block, seed):
    """Sliced Wasserstein knows no order; the modes' gap neither, nor how its rows were gone through."""
    generator = torch.Generator().manual_seed(seed)
    x, y = RING.sample(n, generator), RING.sample(m, generator)
    mixed = x[torch.randperm(n, generator=generator)]
    one, two = (sliced_wasserstein(a, y, generator=torch.Generator().manual_seed(1)) for a in (x, mixed))
    assert one == pytest.approx(two, rel=1e-12)
    whole = mode_gap(x, RING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modes_module, "_BLOCK", block)
        assert mode_gap(mixed, RING) == pytest.approx(whole, abs=1e-15)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([MIXTURE, RING]), st.integers(1, 9), st.integers(1, 8), st.integers(0, 99))
def test_densities_and_probabilities_of_levels(data, n, cut, seed):
    x = data.sample(n, torch.Generator().manual_seed(seed)).double()
    order = torch.arange(n)
    parts = [part for part in (order[:cut], order[cut:]) if len(part)]
    same(lambda rows: torch.from_numpy(data.log_density(x[rows].numpy())), order, parts)
    decoder = decoders.DiscretisedGaussian(-1.0, 1.0, 17)
    levels = (x.clamp(-1, 1) * 8).round() / 8
    same(lambda rows: decoder.nll(levels[rows], x[rows], x[rows] - 3), order, parts)


class Fractions:
    """The oracle's mean, with a learned fraction that x itself decides."""

    def __init__(self, oracle):
        self.oracle, self.schedule = oracle, oracle.schedule

    def __call__(self, x_t, t, labels=None):
        return Posterior(self.oracle(x_t, t).mean, fraction=x_t.sigmoid())


def bent(schedule):
    """A score model that is no oracle's, its coordinates mixed by a rotation of their places."""

    def score(x, t):
        level = schedule.alpha_sigma(t)[1].reshape(-1, *[1] * (x.ndim - 1))
        return -x + 0.3 * (x.roll(1, dims=-1) * level).sin()

    return score
