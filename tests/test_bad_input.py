"""What cannot be is refused where it comes in, with one sentence that says what was wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import Linear, Module
from traitlets import TraitError

from difflab.advice import advise, langevin_step, largest_distance, level_ratio, walked_variance
from difflab.chain import MarkovChain, ddpm_betas
from difflab.data import FiniteSet, GaussianMixture, named, two_moons
from difflab.denoisers import Conditioned, ExactDenoiser, NetworkDenoiser, Posterior
from difflab.elbo import stratified
from difflab.metrics import energy_distance, fisher_divergence, mode_mass, noise_floor, sliced_wasserstein
from difflab.networks import MLP, Adapted, UNet
from difflab.predictions import convert, error_gain, target
from difflab.samplers import DDIM, final, grids, sample
from difflab.scenes.forward_noising import ForwardNoising
from difflab.scenes.lab import Lab
from difflab.scenes.reverse_trajectories import ReverseTrajectories
from difflab.schedules import Flow, Geometric, Tabulated, VPCosine, VPLinear, VPLogSNRLinear, kl_to_prior

RING, COSINE = GaussianMixture.ring(), VPCosine()
ORACLE, CHAIN = ExactDenoiser(RING, COSINE), MarkovChain(COSINE, 10)
GRID = grids.uniform(COSINE, 5)
NETWORK = NetworkDenoiser.for_data(RING, COSINE, "eps")
X, LATE = torch.zeros(3, 2), VPLogSNRLinear(log_snr_max=5.0)
HALF, COLUMNS = torch.full((3, 1), 0.5), torch.full((2,), 0.5)
FLOWING = NetworkDenoiser(MLP((2,)), Flow(), "velocity")


class Tuple(Module):
    def forward(self, x, level, labels):
        return (x, level)


class Foreign:
    """Somebody's denoiser, that answers what it is told to."""

    schedule, shape = COSINE, (2,)

    def __init__(self, answer: Callable[[torch.Tensor], object]) -> None:
        self.answer = answer

    def __call__(self, x_t, t, labels=None):
        return self.answer(x_t)


TENSOR, NARROW = Foreign(lambda x: x), Foreign(lambda x: Posterior(x[:, :1]))
NOT_A_NUMBER = Foreign(lambda x: Posterior(x * torch.nan))


def end_of(answer: Callable[[torch.Tensor], object]) -> torch.Tensor:
    return final(sample(Foreign(answer), DDIM(), GRID, x=X))


REFUSED: list[tuple[str, Callable[[], object], type[Exception], str]] = [
    ("schedule: text", lambda: VPLinear(beta_min="a"), ValueError, "beta_min must be a number, but got 'a'"),
    ("schedule: nan", lambda: Geometric(float("nan")), ValueError, "0 < sigma_min < sigma_max"),
    ("number: beyond float64", lambda: kl_to_prior(10**400, 1.0), ValueError, "A KL divergence needs numbers"),
    ("t: text", lambda: COSINE.alpha_sigma("late"), TypeError, "t must be a number or a tensor"),
    ("t: beyond", lambda: COSINE.alpha_sigma(1.2), ValueError, "time runs from 0"),
    ("chain: T = 0", lambda: MarkovChain(COSINE, 0), ValueError, "T >= 1, but got 0"),
    ("chain: no T", lambda: MarkovChain(COSINE, None), ValueError, "T >= 1, but got None"),
    ("chain: a name", lambda: MarkovChain("VPCosine", 10), TypeError, "needs a Schedule such as"),
    ("chain: k = 11", lambda: CHAIN.marginal(torch.zeros(3, 2), 11), IndexError, "steps 0 to 10"),
    ("chain: before data", lambda: CHAIN.step(torch.zeros(3, 2), 0), IndexError, "steps 1 to 10"),
    ("chain: posterior of data", lambda: CHAIN.posterior(*[torch.zeros(3, 2)] * 2, 0), IndexError, "steps 1 to 10"),
    ("chain: k float", lambda: CHAIN.marginal(torch.zeros(3, 2), 1.0), ValueError, "one index or 3 of them"),
    ("chain: two k", lambda: CHAIN.marginal(torch.zeros(3, 2), torch.tensor([1, 2])), ValueError, "or 3 of them"),
    (
        "chain: k beyond",
        lambda: CHAIN.step(X, torch.tensor([1, 2, 11])),
        IndexError,
        "runs from 1 to 11, but .* 1 to 10",
    ),
    (
        "chain: k of data",
        lambda: CHAIN.step(X, torch.tensor([1, 2, 0])),
        IndexError,
        "runs from 0 to 2, but .* 1 to 10",
    ),
    ("chain: k true", lambda: CHAIN.step(X, True), ValueError, "one index or 3 of them, .*, but got True"),
    ("chain: numpy", lambda: CHAIN.marginal(np.zeros((3, 2)), 1), TypeError, "floating-point numbers, but got ndarray"),
    ("chain: whole x", lambda: CHAIN.marginal(X.long(), 1), TypeError, "floating-point numbers, but got torch.int64"),
    ("chain: one x0 for all", lambda: CHAIN.posterior(X, X[:1], 1), ValueError, r"x0 must be shaped .* \(1, 2\)"),
    (
        "chain: betas",
        lambda: MarkovChain.from_betas("linear"),
        ValueError,
        "betas must be real numbers, but got 'linear'",
    ),
    (
        "chain: clock",
        lambda: MarkovChain.from_betas([0.1], VPCosine),
        TypeError,
        "clock of a chain is a Schedule such as",
    ),
    (
        "chain: late clock",
        lambda: MarkovChain.from_betas([1e-3, 0.2], LATE),
        ValueError,
        "no such noise levels; leave it",
    ),
    ("chain: sub", lambda: CHAIN.sub("all"), ValueError, "steps of a sub-chain must be real numbers, but got 'all'"),
    ("betas: text", lambda: ddpm_betas(10, "a"), ValueError, "must be numbers, but got 'a'"),
    ("set: levels", lambda: FiniteSet([[0.0, 1.0]], levels=1), ValueError, "levels must be a whole number"),
    ("set: off levels", lambda: FiniteSet([[0.3, 1.0]], levels=3, range=(0, 1)), ValueError, "3 equally spaced"),
    ("set: range", lambda: FiniteSet([[0.0, 5.0]], range=(1, -1)), ValueError, "outside the range"),
    ("set: complex", lambda: FiniteSet([[1j, 0]]), ValueError, "real numbers"),
    ("set: labels", lambda: FiniteSet([[0.0], [1.0]], [0.5, 1]), ValueError, "whole numbers"),
    ("set: text", lambda: FiniteSet([["a"]]), ValueError, r"must be real numbers, but got \[\['a'\]\]"),
    ("set: ragged", lambda: FiniteSet([[1.0], [1.0, 2.0]]), ValueError, "rows of one length"),
    ("set: too large", lambda: FiniteSet([[1e300]]), ValueError, "finite in float32"),
    ("set: hashes", lambda: FiniteSet([[0.0], [1.0]], [0, 10**12]), ValueError, "from 0 to at most 65535"),
    ("set: classes by name", lambda: FiniteSet([[0.0], [1.0]], ["a", "b"]), ValueError, "labels must be real numbers"),
    ("set: one end", lambda: FiniteSet([[0.0], [1.0]], range=(0,)), ValueError, "range must be two finite numbers"),
    ("set: no end", lambda: FiniteSet([[0.0]], range=(-np.inf, 1)), ValueError, "range must be two finite numbers"),
    ("set: flat levels", lambda: FiniteSet([[1.0], [1.0]], levels=2), ValueError, "need a range from the lowest"),
    ("set: weights", lambda: FiniteSet([[0.0], [1.0]], weights="ab"), ValueError, "weights must be real numbers"),
    ("mixture: text", lambda: GaussianMixture(None, [["a", "b"]], 1), ValueError, "means must be real numbers"),
    ("mixture: complex", lambda: GaussianMixture(None, [[1j, 0]], 1), ValueError, "means must be real numbers"),
    (
        "mixture: no width",
        lambda: GaussianMixture(None, [[0, 0]], None),
        ValueError,
        "covariances must be real numbers",
    ),
    ("mixture: too large", lambda: GaussianMixture(None, [[1e200, 0]], 1), ValueError, r"finite, at most 1e\+100"),
    ("mixture: nan in x", lambda: RING.log_density(np.full((3, 2), np.nan)), ValueError, "asked for at finite points"),
    ("mixture: x is text", lambda: RING.log_density("a"), ValueError, "Points must be real numbers, but got 'a'"),
    ("mixture: entropy", lambda: RING.entropy(samples="a"), ValueError, "two samples or more, but got 'a'"),
    ("mixture: entropy's seed", lambda: RING.entropy(seed=-1), ValueError, "seed must be a whole number"),
    ("observed: text", lambda: RING.observed([[1, 0]], ["a"], 1), ValueError, "What was observed must be real numbers"),
    ("observed: ragged", lambda: RING.observed([[1, 0], [0]], [1], 1), ValueError, "matrix must be a table"),
    ("ring: std", lambda: GaussianMixture.ring(std=-1), ValueError, "std must be a length above 0, but got -1"),
    ("ring: radius", lambda: GaussianMixture.ring(radius=0), ValueError, "radius must be a length above 0, but got 0"),
    ("grid: spacing", lambda: GaussianMixture.grid(spacing="a"), ValueError, "spacing must be a length above 0"),
    ("random: seed", lambda: GaussianMixture.random(seed="a"), ValueError, "seed must be a whole number"),
    ("moons: noise", lambda: two_moons(noise=-1.0), ValueError, "standard deviation of 0 or more, but got -1.0"),
    (
        "named: option",
        lambda: named("ring", size=1),
        ValueError,
        "ring has no option 'size'; it has components, radius",
    ),
    ("data: seed for generator", lambda: RING.sample(3, 0), TypeError, "must be a torch.Generator, such as"),
    ("data: no preview", lambda: RING.preview(-1), ValueError, "0 or more, but got -1"),
    ("data: preview's seed", lambda: two_moons().preview(3, "a"), ValueError, "seed must be a whole number"),
    ("moons: none", lambda: two_moons(0), ValueError, "at least 2 points"),
    ("ring: 2.5", lambda: GaussianMixture.ring(2.5), ValueError, "whole numbers of at least 1"),
    ("data: -1 samples", lambda: RING.sample(-1), ValueError, "0 or more, but got -1"),
    ("data: 2.5 samples", lambda: RING.sample(2.5), ValueError, "whole number, 0 or more"),
    ("oracle: of a name", lambda: ExactDenoiser(RING, "VPCosine"), TypeError, "needs a Schedule such as"),
    ("oracle: numpy", lambda: ORACLE(np.zeros((3, 2)), 0.5), TypeError, "tensor of floating-point numbers"),
    ("oracle: whole numbers", lambda: ORACLE(torch.zeros(3, 2, dtype=int), 0.5), TypeError, "floating-point"),
    ("oracle: shape", lambda: ORACLE(torch.zeros(3, 5), 0.5), ValueError, r"shape \(n, 2\), but got \(3, 5\)"),
    ("network: shape", lambda: NETWORK(torch.zeros(3, 5), 0.5), ValueError, r"shape \(n, 2\), but got \(3, 5\)"),
    ("network: times", lambda: NETWORK(torch.zeros(3, 2), torch.tensor([0.1, 0.2])), ValueError, "3 of them"),
    (
        "oracle: list of labels",
        lambda: ORACLE(X, 0.5, [0, 1, 2]),
        TypeError,
        "labels must be a tensor of 3 whole numbers",
    ),
    (
        "convert: numpy",
        lambda: convert(X.numpy(), "eps", "x0", X, HALF, HALF),
        TypeError,
        "prediction must be a tensor",
    ),
    ("convert: one for all", lambda: convert(X[:1], "eps", "x0", X, HALF, HALF), ValueError, "shaped like the samples"),
    (
        "convert: a number",
        lambda: convert(X, "eps", "x0", X, 0.5, HALF),
        TypeError,
        "alpha must be a tensor, .* got 0.5",
    ),
    ("convert: columns", lambda: convert(X, "eps", "x0", X, COLUMNS, HALF), ValueError, r"\(3, 1\), but got \(2,\)"),
    (
        "convert: sizes",
        lambda: convert(X, "eps", "edm", X, HALF, HALF, sigma_data="a"),
        ValueError,
        "above 0, but got 'a'",
    ),
    ("convert: rates", lambda: convert(X, "eps", "velocity", X, HALF, HALF, rates=3), ValueError, "rates, but got 3"),
    ("target: eps", lambda: target("v", X, X[:1], HALF, HALF), ValueError, r"eps must be shaped .* got \(1, 2\)"),
    ("gain: a number", lambda: error_gain("v", 0.5, 0.5), TypeError, "alpha must be a tensor, as Schedule.alpha_sigma"),
    ("network: none", lambda: NetworkDenoiser(None, COSINE), TypeError, "needs an nn.Module such as"),
    ("network: a class", lambda: NetworkDenoiser(MLP((2,)), VPCosine), TypeError, "needs a Schedule such as VPCosine"),
    ("network: clip", lambda: NetworkDenoiser(MLP((2,)), COSINE, clip=3), ValueError, "or None, but got 3"),
    (
        "network: three ends",
        lambda: NetworkDenoiser(MLP((2,)), COSINE, clip=(0, 1, 2)),
        ValueError,
        "lowest and the high",
    ),
    ("network: data", lambda: NetworkDenoiser.for_data("ring", COSINE), TypeError, "must be a DataSet such as"),
    (
        "network: seed",
        lambda: NetworkDenoiser.for_data(RING, COSINE, seed="a"),
        ValueError,
        "seed must be a whole number",
    ),
    (
        "network: called",
        lambda: NetworkDenoiser(Linear(2, 2), COSINE)(X, 0.5),
        TypeError,
        "wrap it in networks.Adapted",
    ),
    ("network: answers", lambda: NetworkDenoiser(Tuple(), COSINE)(X, 0.5), TypeError, "return a tensor, .* a tuple"),
    ("network: levels", lambda: NETWORK.predict_at(X, COLUMNS, COLUMNS), ValueError, "shaped to multiply the samples"),
    ("network: no time", lambda: FLOWING.target_at(X, X, HALF, HALF), ValueError, "give the time, t="),
    ("network: labels", lambda: Conditioned(ORACLE, [0, 1, 2]), TypeError, "labels must be a tensor of whole numbers"),
    ("network: of nothing", lambda: Conditioned(None, X.long()), TypeError, "give a NetworkDenoiser, an ExactDenoiser"),
    ("MLP: width", lambda: MLP((2,), width=2.5), ValueError, "MLP's width must be whole numbers from 1"),
    ("MLP: shape", lambda: MLP(2), ValueError, "MLP's shape must be a list of 1 to 8 whole numbers, but got 2"),
    ("MLP: x", lambda: MLP((2,))(torch.zeros(3, 5), X[:, 0]), ValueError, r"shape \(n, 2\), but got \(3, 5\)"),
    ("MLP: level", lambda: MLP((2,))(X, 0.5), TypeError, "level of a network is a tensor"),
    ("MLP: levels", lambda: MLP((2,))(X, X[:2, 0]), ValueError, r"one for each sample, \(3,\), but got \(2,\)"),
    ("U-Net: patch", lambda: UNet((1, 8, 8), patch=0), ValueError, "UNet's patch must be whole numbers from 1"),
    ("adapted: a class", lambda: Adapted(MLP), TypeError, "needs a module that can be called, but got a type, <class"),
    (
        "adapted: classes",
        lambda: Adapted(MLP((2,)), labels="y", classes=2.5),
        ValueError,
        "at least 1, but got 'y' and 2.5",
    ),
    ("adapted: called", lambda: Adapted(Linear(2, 2), "c_noise")(X, X[:, 0]), TypeError, r"called with \(x, c_noise\)"),
    ("table: no steps", lambda: COSINE.table(-1), ValueError, "whole number of steps, 1 or more, but got -1"),
    ("table: text", lambda: Geometric().table("a"), ValueError, "whole number of steps, 1 or more, but got 'a'"),
    ("KL: moment", lambda: COSINE.terminal_kl("a"), ValueError, "number of 0 or more, but got 'a'"),
    ("KL: no noise", lambda: kl_to_prior(1.0, 0.0), ValueError, "sigma and prior_std above 0, but got .*sigma=0.0"),
    (
        "tabulated: betas",
        lambda: Tabulated.from_betas("linear"),
        ValueError,
        "betas must be real numbers, but got 'linear'",
    ),
    ("sliced: a seed", lambda: sliced_wasserstein(X, X, generator=0), TypeError, "must be a torch.Generator, such as"),
    ("energy: too large", lambda: energy_distance(X, X.double() + 1e108), ValueError, "beyond 1e\\+100"),
    ("modes: numpy", lambda: mode_mass(X.numpy(), RING), TypeError, "must be tensors of real numbers, but got ndarray"),
    ("modes: complex", lambda: mode_mass(X * 1j, RING), TypeError, "of real numbers, but got torch.complex64"),
    (
        "modes: no mixture",
        lambda: mode_mass(X, two_moons()),
        TypeError,
        "are those of a GaussianMixture, but got FiniteSet",
    ),
    ("modes: within", lambda: mode_mass(X, RING, "a"), ValueError, "above 0, but got 'a'"),
    ("floor: metric", lambda: noise_floor("mmd", RING, 4), TypeError, "function of two sets, .* but got 'mmd'"),
    ("floor: data", lambda: noise_floor(energy_distance, X, 4), TypeError, "must be a DataSet such as"),
    ("floor: n", lambda: noise_floor(energy_distance, RING, 0), ValueError, "whole number n of samples, 1 or more"),
    (
        "floor: nan",
        lambda: noise_floor(lambda x, y: np.nan, RING, 4),
        ValueError,
        "finite number, but this one gave nan",
    ),
    ("fisher: no oracle", lambda: fisher_divergence(NETWORK, NETWORK, 0.5), TypeError, "must be an ExactDenoiser"),
    (
        "fisher: no times",
        lambda: fisher_divergence(NETWORK, ORACLE, []),
        ValueError,
        r"times in \(0, 1\], but got \[\]",
    ),
    ("advice: sigma_min", lambda: advise(RING, sigma_min="a"), ValueError, "between 0 and the largest .* got 'a'"),
    ("advice: overlap", lambda: level_ratio(3, None), ValueError, "at most at 0.99, but got None"),
    ("advice: ratio", lambda: langevin_step("a", 5), ValueError, "1 or more, but got 'a'"),
    ("advice: levels", lambda: walked_variance([2.0, np.nan], 0.1, 1), ValueError, "decrease strictly .* nan"),
    (
        "advice: too large",
        lambda: largest_distance(X.double() + 1e200),
        ValueError,
        r"at most 1e\+100; these have nan or",
    ),
    ("grid: of a name", lambda: grids.uniform("VPCosine", 3), TypeError, "needs a Schedule such as"),
    ("sample: a class", lambda: sample(ORACLE, DDIM, GRID, n=2), TypeError, "an object such as DDIM()"),
    ("sample: a module", lambda: sample(torch.nn.Linear(2, 2), DDIM(), GRID, n=2), TypeError, "has a schedule"),
    ("sample: a number", lambda: sample(ORACLE, DDIM(), GRID, n=2, generator=0), TypeError, "torch.Generator"),
    ("sample: x", lambda: sample(ORACLE, DDIM(), GRID, x=torch.zeros(2, 5)), ValueError, "but got \\(2, 5\\)"),
    ("sample: device", lambda: sample(ORACLE, DDIM(), GRID, n=2, device="gpu"), ValueError, "no device named 'gpu'"),
    ("sample: tensor", lambda: final(sample(TENSOR, DDIM(), GRID, n=5)), TypeError, "must return a Posterior"),
    ("sample: narrow", lambda: final(sample(NARROW, DDIM(), GRID, n=5)), ValueError, r"\(5, 2\), but this one's is"),
    ("bound: tensor", lambda: stratified(TENSOR, CHAIN, RING), TypeError, "must return a Posterior"),
    ("bound: narrow", lambda: stratified(NARROW, CHAIN, RING), ValueError, "must be shaped like x_t"),
    ("bound: nan", lambda: stratified(NOT_A_NUMBER, CHAIN, RING), FloatingPointError, "nan or inf"),
    ("scene: n = 0", lambda: ForwardNoising("ring", n=0), ValueError, "from 1 to 2,000,000, but got 0"),
    ("scene: seed", lambda: ForwardNoising("ring", seed=1.5), ValueError, "seed must be a whole number"),
    ("scene: n < 0", lambda: ReverseTrajectories("ring", n=-1), TraitError, "from 1 to 100,000, but got -1"),
    ("lab: no steps", lambda: Lab(train_steps=0), ValueError, "train_steps must be a whole number"),
    ("lab: unknown data", lambda: Lab("rings"), ValueError, "no data named 'rings'"),
    ("denoiser: its class", lambda: sample(Foreign, DDIM(), GRID, n=1), TypeError, "Foreign is its class: make one"),
    ("mean: whole", lambda: end_of(lambda x: Posterior(x.long())), TypeError, "numbers, but this one's is torch.int64"),
    ("mean: complex", lambda: end_of(lambda x: Posterior(x + 1j)), TypeError, "but this one's is torch.complex64"),
    ("mean: numpy's", lambda: end_of(lambda x: Posterior(x.numpy())), TypeError, "but this one's is ndarray"),
    (
        "mean: elsewhere",
        lambda: end_of(lambda x: Posterior(x.to("meta"))),
        ValueError,
        "where x_t is, cpu, but this one",
    ),
    (
        "var: one of all",
        lambda: end_of(lambda x: Posterior(x, x[:1])),
        ValueError,
        r"var must be shaped like x_t, \(3, 2\)",
    ),
    ("var: a number", lambda: end_of(lambda x: Posterior(x, 0.1)), TypeError, "var must be a tensor .* is float"),
    ("fraction: column", lambda: end_of(lambda x: Posterior(x, None, x[:, :1])), ValueError, "fraction must be shaped"),
]


@pytest.mark.parametrize(("call", "error", "sentence"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_it_is_refused_in_one_sentence(call: Callable[[], object], error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
