"""The browser's schedules (js/src/core/schedule.ts) against Python's: the same alpha, sigma, log-SNR and betas.

esbuild bundles the TypeScript module, node prints its tables as JSON, and every number is compared.

Where the tolerance comes from. Both sides work in float64 with unit round-off u = 1.1e-16, in different orders.
VPLinear: log alpha_bar(k) is a sum of terms of size k (k = 1000 t), each rounded a few times, so its absolute error is
at most 16 u k on either side, while |log alpha_bar(k)| >= k beta_min: relative error 32 u / beta_min between the two.
VPCosine: both end in products of sines and cosines of angles below pi/2. A rounded angle, |error| <= 2 u, moves sin by
the relative 2 u / angle at small angles (t >= 1e-4 here: angle >= 1.5e-4) and cos by 2 u / cos near the end, where
cos >= 4.5e-5 by the floor of the log-SNR: relative error below 16 u / 4.5e-5.
Geometric: one power, whose exponent t log(ratio) is at most 40: relative error 80 u.
Betas of a cosine chain are 1 - ratio^2 of two such alphas, absolute error 2 relative errors of alpha at most 1e-13, and
alpha_bar accumulates T of them as log1p(-beta) with d/dbeta = 1 / (1 - beta) <= 1000.
"""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from difflab.chain import MarkovChain
from difflab.schedules import schedule_from

ROOT = Path(__file__).parents[2]
U = np.finfo(np.float64).eps / 2
TIMES = [0.0, 1e-4, 1 / 1000, 0.0123, 0.1, 1 / 3, 0.5, 0.77, 0.999, 1.0]
COSINE = 16 * U / 4.5e-5

# name, parameters, relative tolerance of alpha, sigma, beta
CASES = [
    ("VPLinear", {"beta_min": 1e-4, "beta_max": 0.02}, 32 * U / 1e-4),
    ("VPLinear", {"beta_min": 1e-3, "beta_max": 0.3}, 32 * U / 1e-3),
    ("VPLinear", {"beta_min": 1e-5, "beta_max": 0.08}, 32 * U / 1e-5),  # held back before the first step
    ("VPCosine", {"s": 0.008}, COSINE),
    ("VPCosine", {"s": 0.3}, COSINE),
    ("Geometric", {"sigma_min": 0.01, "sigma_max": 50.0}, 80 * U),
]
STEPS = [1, 2, 7, 50, 1000]

SCRIPT = """
import * as s from %s;
const out = %s.map(([name, params]) => {
  const schedule = { name, params };
  const at = %s.map((t) => { const l = s.alphaSigma(schedule, t); return [l.alpha, l.sigma, s.logSnr(schedule, t)]; });
  const chains = %s.map((T) => { const c = s.chainTable(schedule, T); return [c.alpha, c.sigma, c.beta].map((x) => [...x]); });
  return { at, chains };
});
const plain = (_, v) => (typeof v === "number" && !Number.isFinite(v) ? String(v) : v);
console.log(JSON.stringify(out, plain));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """What the TypeScript module says, one entry a case."""
    node = shutil.which("node")
    esbuild = ROOT / "js" / "node_modules" / ".bin" / "esbuild"
    assert node, "Node is needed for this test: `make test` provides it."
    assert esbuild.exists(), "The front end's packages are missing: run `npm ci` in js/."
    folder = tmp_path_factory.mktemp("schedule")
    bundle = folder / "schedule.mjs"
    source = ROOT / "js" / "src" / "core" / "schedule.ts"
    subprocess.run(
        [esbuild, source, "--bundle", "--format=esm", f"--outfile={bundle}"], check=True, capture_output=True
    )
    asked = [json.dumps(x) for x in (bundle.as_uri(), [c[:2] for c in CASES], TIMES, STEPS)]
    script = folder / "print.mjs"
    script.write_text(SCRIPT % tuple(asked))
    said = subprocess.run([node, script], check=True, capture_output=True, text=True).stdout
    return json.loads(said)


def floats(values):
    return np.array([float(v) for v in values])


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda i: f"{CASES[i][0]}-{i}")
def test_times(browser, case):
    name, params, rtol = CASES[case]
    schedule = schedule_from(name, params)
    t = torch.tensor(TIMES, dtype=torch.float64)
    alpha, sigma, log_snr = (floats(column) for column in zip(*browser[case]["at"], strict=True))
    np.testing.assert_allclose(alpha, schedule.alpha(t).numpy(), rtol=rtol)
    np.testing.assert_allclose(sigma, schedule.sigma(t).numpy(), rtol=rtol)
    assert log_snr[0] == np.inf == schedule.log_snr(t)[0]
    # a relative error of alpha or sigma is an absolute one of log-SNR, twice
    np.testing.assert_allclose(log_snr[1:], schedule.log_snr(t)[1:].numpy(), rtol=1e-13, atol=4 * rtol)


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda i: f"{CASES[i][0]}-{i}")
def test_chain(browser, case, steps):
    name, params, rtol = CASES[case]
    chain = MarkovChain(schedule_from(name, params), steps)
    alpha, sigma, beta = (floats(column) for column in browser[case]["chains"][STEPS.index(steps)])
    if name == "VPCosine":
        atol = 1e-13
        np.testing.assert_allclose(beta[1:], chain.beta[1:].numpy(), atol=4 * atol, rtol=0)
        # log alpha_bar: the errors of the betas before it, the last ones a thousandfold where beta is clipped
        log = 2 * np.log(alpha)
        np.testing.assert_allclose(log, 2 * chain.alpha.log().numpy(), atol=atol * (steps + 1000), rtol=1e-13)
        np.testing.assert_allclose(sigma, chain.sigma.numpy(), atol=atol * steps, rtol=1e-9)
        return
    np.testing.assert_allclose(alpha, chain.alpha.numpy(), rtol=rtol)
    np.testing.assert_allclose(sigma, chain.sigma.numpy(), rtol=rtol)
    # beta is a difference of two variances of size up to sigma_k^2
    np.testing.assert_array_less(np.abs(beta - chain.beta.numpy())[1:], 8 * rtol * sigma[1:] ** 2)
    assert np.isnan(beta[0])
    assert torch.isnan(chain.beta[0])


def test_the_browser_passes_through_ddpm_table(browser):
    """At T = 1000 the linear schedule's betas are DDPM's linspace, which neither side stores."""
    beta = floats(browser[0]["chains"][STEPS.index(1000)][2])[1:]
    expected = np.linspace(1e-4, 0.02, 1000)
    np.testing.assert_allclose(beta, expected, atol=16 * 1000 * U, rtol=0)
