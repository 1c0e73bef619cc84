"""The exact terms read from the mmse curve: against `elbo`'s own draws, against the browser, and the curve against the oracle.

Tolerances. Between Python and the browser only the order of float64 operations differs: a term is a sum of numbers of size
1e3 at most (weight times mmse at the first steps), rounded a few hundred times, u = 1.1e-16: 1e-10 is far above that.
Against `elbo.stratified` two independent estimates differ by the root of the sum of their squared errors: five of
those. Standard errors themselves are known to a third or so where a bin has few draws, hence five and not four.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from difflab import elbo
from difflab.chain import MarkovChain
from difflab.data import FiniteSet, GaussianMixture
from difflab.data.names import named
from difflab.denoisers import ExactDenoiser
from difflab.scenes import mmse_curve, optimal_terms
from difflab.schedules import VPCosine, VPLogSNRLinear, schedule_from

ROOT = Path(__file__).parents[2]
SCHEDULES = [
    ("VPCosine", {"s": 0.008}),
    ("VPLinear", {"beta_min": 1e-4, "beta_max": 0.02}),
    ("Geometric", {"sigma_min": 0.01, "sigma_max": 50.0}),  # a prior of its own, and no level at the data
    ("Flow", {}),  # ends without signal
    ("SubVP", {"beta_min": 0.1, "beta_max": 20.0}),
]
VARIANCES = ["large", "small", "ddpm_large", "ddpm_small", "optimal"]
CASES = [
    (data, name, params, steps, variance)
    for data in ("ring", "digits")
    for name, params in SCHEDULES
    for steps in (2, 50, 1000)
    for variance in VARIANCES
]
BINS = 17

SCRIPT = """
import { chainBits } from %s;
const known = %s;
const plain = (_, v) => (typeof v === "number" && !Number.isFinite(v) ? String(v) : v);
const out = %s.map(([data, name, params, steps, variance]) => {
  const { curve, about } = known[data];
  const bits = chainBits(curve, about, { name, params }, steps, variance, %s);
  return Object.fromEntries(Object.entries(bits).map(([k, v]) => [k, v && typeof v === "object" ? [...v] : v]));
});
console.log(JSON.stringify(out, plain));
"""


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def curves():
    return {name: mmse_curve.preview(named(name), 0, False) for name in ("ring", "digits")}


@pytest.fixture(scope="module")
def browser(curves, tmp_path_factory):
    """What the TypeScript module says, one entry a case."""
    node = shutil.which("node")
    assert node, "node is missing: run `make test`, which installs it"
    known = {
        name: {
            "curve": {"logSnr": c.log_snr.tolist(), "mse": c.mse.tolist(), "error": c.error.tolist()},
            "about": mmse_curve.facts_of(named(name)),
        }
        for name, c in curves.items()
    }
    folder = tmp_path_factory.mktemp("bits")
    module = json.dumps(str(ROOT / "js/src/scenes/optimal_terms.ts"))
    (folder / "ask.mjs").write_text(SCRIPT % (module, json.dumps(known), json.dumps(CASES), BINS))
    build = ROOT / "js/node_modules/esbuild/bin/esbuild"
    bundle = folder / "bundle.mjs"
    options = ["--bundle", "--format=esm", "--platform=node", "--log-level=error"]
    subprocess.run([build, folder / "ask.mjs", *options, f"--outfile={bundle}"], check=True)
    said = subprocess.run([node, bundle], capture_output=True, text=True, check=True)
    return dict(zip(map(str, CASES), json.loads(said.stdout), strict=True))


@pytest.mark.parametrize("data_name", ["ring", "digits"])
def test_the_browser_has_the_same_terms(data_name, curves, browser):
    data, curve = named(data_name), curves[data_name]
    first = (0.0, 0.0) if data.levels else None
    for case in (c for c in CASES if c[0] == data_name):
        _, name, params, steps, variance = case
        said = browser[str(case)]
        chain = MarkovChain(schedule_from(name, params), steps, quiet=True)

        def terms_of(variance, chain=chain):
            table = optimal_terms.variance_table(curve, chain, variance, data)
            return optimal_terms.chain_terms(curve, chain, table, data, BINS, first).per_dim()

        terms, least = terms_of(variance), terms_of("optimal")
        close = {"rtol": 1e-10, "atol": 1e-10, "err_msg": str(case)}
        for key, value in {"edges": terms.edges, "optimal": terms.L, "error": terms.L_error, "least": least.L}.items():
            np.testing.assert_allclose(np.array(said[key], float), value.numpy(), **close)
        np.testing.assert_allclose(said["L_T"], terms.L_T, **close)
        np.testing.assert_allclose(said["total"], terms.total, **close)
        np.testing.assert_allclose(said["totalError"], terms.total_error, **close)
        if data.levels:
            assert said["L_0"] is None  # no mean square: Python's
        else:
            np.testing.assert_allclose(said["L_0"], terms.L_0, **close)


@pytest.mark.parametrize("variance", ["large", "small", "optimal"])
def test_the_terms_are_those_that_elbo_draws(variance):
    ring, chain = GaussianMixture.ring(), MarkovChain(VPCosine(), 200, quiet=True)
    curve = mmse_curve.measured(ring, generator(0), False)
    table = optimal_terms.variance_table(curve, chain, variance, ring)
    terms = optimal_terms.chain_terms(curve, chain, table, ring, 20, None)
    oracle = ExactDenoiser(ring, chain.schedule)
    drawn = elbo.stratified(oracle, chain, ring, bins=20, per_bin=512, variance=table, generator=generator(1))
    assert torch.equal(terms.edges, drawn.edges)
    off = (terms.L - drawn.L).abs()
    assert bool((off <= 5 * torch.hypot(terms.L_error, drawn.L_error) + 1e-6).all())
    assert abs(terms.total - drawn.total) <= 5 * np.hypot(terms.total_error, drawn.total_error)
    assert terms.L_T == drawn.L_T


def test_L_0_of_discrete_data_is_that_of_elbo():
    digits, chain = named("digits"), MarkovChain(schedule_from("VPLogSNRLinear", {"log_snr_max": 2.0}), 20, quiet=True)
    oracle = ExactDenoiser(digits, chain.schedule)
    value, error = optimal_terms.first_term(oracle, chain, "large", True, generator(0))
    drawn = elbo.stratified(oracle, chain, digits, bins=1, per_bin=512, conditional=True, generator=generator(1))
    assert value > 1  # so little signal that it has something to say
    assert abs(value - drawn.L_0) <= 5 * np.hypot(error, drawn.L_0_error)


@pytest.mark.parametrize("name", ["ring", "grid", "random", "digits", "weighted", "wide"])
@pytest.mark.parametrize("conditional", [False, True])
def test_the_first_picture_is_the_oracles_curve(name, conditional):
    """numpy's posterior variance at numpy's draws against the oracle's at its own, level by level and as one sum."""
    data = {
        "weighted": FiniteSet([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]], labels=[0, 0, 1], weights=[0.5, 0.3, 0.2]),
        "wide": GaussianMixture(
            [0.25, 0.75], [[0.0, 0.0], [3.0, 1.0]], [[[1.0, 0.9], [0.9, 1.0]], [[0.1, 0], [0, 2.0]]]
        ),
    }.get(name) or named(name)
    seen, truth = mmse_curve.preview(data, 3, conditional), mmse_curve.measured(data, generator(4), conditional)
    # from few draws a standard error may be far too small: where it is 0 all draws said the same
    spread = np.hypot(seen.error, truth.error).clip(min=1e-6 * truth.mse + 1e-9)
    z = (seen.mse - truth.mse) / spread
    assert np.mean(np.abs(z) < 3) > 0.85
    weight = np.exp(seen.log_snr) / (1 + np.exp(seen.log_snr))
    assert abs(weight @ (seen.mse - truth.mse)) < 5 * np.sqrt((weight**2) @ spread**2)


def test_the_first_picture_of_a_large_set_waits_for_the_oracle():
    assert mmse_curve.preview(FiniteSet(np.zeros((20_000, 2))), 0, False) is None


def test_beyond_its_levels_the_curve_goes_on():
    """A ball of variance v has mmse D v / (1 + v SNR) everywhere; a chain may begin at SNR e^20 and end at none."""
    data = GaussianMixture(None, [[0.0, 0.0]], 0.3)
    exact = 0.6 / (1 + 0.3 * np.exp(mmse_curve.LEVELS))
    curve = mmse_curve.Curve(mmse_curve.LEVELS, exact, np.zeros_like(exact))
    schedule = VPLogSNRLinear(20.0, -20.0)
    chain = MarkovChain(schedule, 41, quiet=True)
    table = optimal_terms.variance_table(curve, chain, "optimal", data)
    terms = optimal_terms.chain_terms(curve, chain, table, data, 40, None)
    # with the best variance a Gaussian's bound is its entropy, but for KL(q(x_T) || prior) = SNR_T^2 / 4 nats a coordinate or so
    assert terms.total == pytest.approx(np.log(2 * np.pi * np.e * 0.3), abs=1e-6)
