"""The browser's schedules (js/src/core/schedule.ts and what it imports) against Python's: the same alpha, sigma, log-SNR and
betas, of every schedule there is: by its formula, or by the table that Python sends.

esbuild bundles the TypeScript module, node prints its tables as JSON, and every number is compared.

Where the tolerance comes from. Both sides work in float64 with unit round-off u = 1.1e-16, in different orders.
VPLinear: log alpha_bar(k) is a sum of terms of size k (k = 1000 t), each rounded a few times, so its absolute error is
at most 16 u k on either side, while |log alpha_bar(k)| >= k beta_min: relative error 32 u / beta_min between the two.
VPCosine: both end in products of sines and cosines of angles below pi/2. A rounded angle, |error| <= 2 u, moves sin by
the relative 2 u / angle at small angles (t >= 1e-4 here: angle >= 1.5e-4) and cos by 2 u / cos near the end, where
cos >= 4.5e-5 by the floor of the log-SNR: relative error below 16 u / 4.5e-5.
Geometric: one power, whose exponent t log(ratio) is at most 40: relative error 80 u.
VPScaledLinear, VPQuadratic: two such sums as VPLinear's, which cancel but for k beta_min: 64 u / beta_min.
VPSong, SubVP: a quadratic of at most 10 in an exponential, and an expm1 of it: 64 u (1 + 10). VPLogSNRLinear, Tabulated:
log-SNRs of at most 20 in absolute value, ten operations each, halved in an exponential: 64 u (1 + 20).
VPSigmoid: sinh and cosh of at most 4, each as wrong as its rounded argument, five of them: 64 u (1 + 4).
EDM: sigma^(1 / rho) and then its power rho, rho = 7: 64 u (1 + 7). Flow: one subtraction.
Tables: cubics through exact values and slopes are off by h^4 / 384 times the largest fourth derivative between them; that
is measured by third differences of the exact slopes, at the nodes, of which a half more is allowed between. It is an
absolute error of log-SNR, and at most half of it a relative one of alpha and sigma; where there is a size too, its own adds.
Betas of a cosine chain are 1 - ratio^2 of two such alphas, absolute error 2 relative errors of alpha at most 1e-13, and
alpha_bar accumulates T of them as log1p(-beta) with d/dbeta = 1 / (1 - beta) <= 1000.
"""

import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from difflab.chain import MarkovChain
from difflab.scenes.schedule_table import FORMULAS, NODES, on_the_wire, schedule_of, spec_of, table_of
from difflab.schedules import (
    SCHEDULES,
    LearnedSnapshot,
    Schedule,
    Tabulated,
    VPBetaSigmoid,
    VPQuadratic,
    ZeroTerminalSNR,
    schedule_from,
)

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
    ("VPSong", {"beta_min": 0.1, "beta_max": 20.0}, 64 * U * 11),
    ("SubVP", {}, 64 * U * 11),
    ("VPScaledLinear", {}, 64 * U / 0.00085),
    ("VPQuadratic", {"beta_min": 1e-5, "beta_max": 0.08}, 64 * U / 1e-5),
    ("VPSigmoid", {}, 64 * U * 5),
    ("VPSigmoid", {"start": -1.0, "end": 4.0, "tau": 1.1, "clip_min": 0.0}, 64 * U * 5),
    ("VPLogSNRLinear", {"log_snr_max": 13.3, "log_snr_min": -20.0}, 64 * U * 21),
    ("EDM", {}, 64 * U * 8),
    ("Flow", {}, 4 * U),
    ("Tabulated", {"values": [9.0, 4.0, 3.9, -2.0, -15.0]}, 64 * U * 21),
    ("Tabulated", {"values": [9.0, 8.9, -2.0, -15.0, -15.1]}, 64 * U * 21),  # both ends flatten
    ("Tabulated", {"values": [9.0, 1.0, -6.0], "t": [0.02, 0.7, 1.0]}, 64 * U * 21),
    ("Tabulated", {"values": [-3.0], "t": [1.0]}, 64 * U * 21),
]


@dataclass(frozen=True)
class Bow(Schedule):
    """Somebody's own: alpha = 1 - t^2, sigma = 2 sin(pi t / 2). It preserves no variance and ends on noise alone."""

    variance_preserving: ClassVar[bool] = False
    reaches_zero_snr = True

    def _alpha_sigma(self, t):
        return (1 - t) * (1 + t), 2 * (t * math.pi / 2).sin()

    def _rates(self, t):
        return -2 * t, math.pi * (t * math.pi / 2).cos()


BENDS = (-4.0, -2.0, 1.0)
TABLES = [
    VPBetaSigmoid(),
    VPBetaSigmoid(1e-5, 0.08),
    ZeroTerminalSNR(),
    ZeroTerminalSNR(VPQuadratic()),
    LearnedSnapshot(13.3, 2.9, 0.5, (18.0, 9.0, 4.0), BENDS, (-3.0, -1.0, 0.0)),
    Bow(),
]
STEPS = [1, 2, 7, 50, 1000]
LEVELS = [-4.0, 0.0, 2.5]

SCRIPT = """
import * as s from %s;
const spread = (table) => table && { ...table, data: Float64Array.from(table.data, Number) };
const out = %s.map(([name, params, table]) => {
  const schedule = { name, params, table: spread(table) };
  const at = %s.map((t) => { const l = s.alphaSigma(schedule, t); return [l.alpha, l.sigma, s.logSnr(schedule, t)]; });
  const chains = %s.map((T) => { const c = s.chainTable(schedule, T); return [c.alpha, c.sigma, c.beta].map((x) => [...x]); });
  const back = %s.map((l) => s.timeOfLogSnr(schedule, l));
  return { at, chains, back };
});
const plain = (_, v) => (typeof v === "number" && !Number.isFinite(v) ? String(v) : v);
console.log(JSON.stringify(out, plain));
"""


def sent(schedule):
    """Name, parameters and table as they cross, the latter's numbers as text: JSON knows no infinity."""
    spec = on_the_wire(spec_of(schedule))
    table = np.frombuffer(spec["table"]["data"], spec["table"]["dtype"]).reshape(spec["table"]["shape"])
    np.testing.assert_array_equal(table, table_of(schedule))
    plain = {
        "dtype": "float64",
        "shape": list(table.shape),
        "data": [str(v).replace("inf", "Infinity") for v in table.ravel()],
    }
    return [spec["name"], spec["params"], plain]


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
    cases = [c[:2] for c in CASES] + [sent(schedule) for schedule in TABLES]
    asked = [json.dumps(x) for x in (bundle.as_uri(), cases, TIMES, STEPS, LEVELS)]
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
    chain = MarkovChain(schedule_from(name, params), steps, quiet=True)
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


@pytest.mark.parametrize("case", range(len(TABLES)), ids=lambda i: f"{TABLES[i].name}-{i}")
def test_tables(browser, case):
    schedule, said = TABLES[case], browser[len(CASES) + case]
    h = 2 * np.log((1 - 1e-9) / 1e-9) / (NODES - 1)
    slopes = table_of(schedule)[1::2, 1:-1]
    # the least is what the slopes' own rounding leaves in third differences of h = 0.026
    off = (1.5 * np.abs(np.diff(slopes, 3)).max(1) / h**3 * h**4 / 384).sum() + 1e-12
    assert off < 3e-7, "the curve is no longer exact to three digits of a beta"
    t = torch.tensor(TIMES, dtype=torch.float64)
    alpha, sigma, log_snr = (floats(column) for column in zip(*said["at"], strict=True))
    np.testing.assert_allclose(alpha, schedule.alpha(t).numpy(), rtol=off)
    np.testing.assert_allclose(sigma, schedule.sigma(t).numpy(), rtol=off)
    np.testing.assert_allclose(log_snr, schedule.log_snr(t).numpy(), rtol=1e-13, atol=2 * off)
    for steps, chain in zip(STEPS, said["chains"], strict=True):
        alpha, sigma, beta = (floats(column) for column in chain)
        exact = MarkovChain(schedule, steps, quiet=True)
        np.testing.assert_allclose(alpha, exact.alpha.numpy(), rtol=off)
        np.testing.assert_allclose(sigma, exact.sigma.numpy(), rtol=off)
        np.testing.assert_array_less(np.abs(beta - exact.beta.numpy())[1:], 8 * off * sigma[1:] ** 2 + 1e-15)


@pytest.mark.parametrize("case", range(len(CASES) + len(TABLES)))
def test_the_time_of_a_level(browser, case):
    schedule = schedule_from(*CASES[case][:2]) if case < len(CASES) else TABLES[case - len(CASES)]
    # both bisect 21 nats of log t, 60 times or more; the tables' curves are themselves off by 3e-7, of a slope above 0.2
    expected = schedule.t_of_log_snr(torch.tensor(LEVELS, dtype=torch.float64))
    np.testing.assert_allclose(
        floats(browser[case]["back"]), expected.numpy(), rtol=1e-9 if case < len(CASES) else 1e-5
    )


def test_no_schedule_is_left_out():
    assert {name for name, _, _ in CASES} == set(FORMULAS)
    # what is learned crosses as it is now
    assert set(FORMULAS) | {s.name for s in TABLES} | {"Learned"} >= set(SCHEDULES)
    for schedule in TABLES:
        again = schedule_of(json.loads(json.dumps(spec_of(schedule))))
        assert again is schedule if isinstance(schedule, Bow) else again == schedule
    assert on_the_wire(spec_of(Tabulated([1.0, -1.0]))).keys() == {"name", "params"}


def test_a_schedule_nobody_can_draw_is_refused_in_a_sentence():
    class Broken(Bow):
        def _rates(self, t):
            return (t * math.nan, t)

    with pytest.raises(ValueError, match=r"cannot draw .*is no number at t = 1e-09\.$"):
        spec_of(Broken())
    with pytest.raises(ValueError, match="has not met it yet"):
        schedule_of({"name": "Bow", "params": {"table": "0" * 16}})


def test_the_browser_passes_through_ddpm_table(browser):
    """At T = 1000 the linear schedule's betas are DDPM's linspace, which neither side stores."""
    beta = floats(browser[0]["chains"][STEPS.index(1000)][2])[1:]
    expected = np.linspace(1e-4, 0.02, 1000)
    np.testing.assert_allclose(beta, expected, atol=16 * 1000 * U, rtol=0)
