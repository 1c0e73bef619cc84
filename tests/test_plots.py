"""Figures hold the numbers they are given, in the colours that have one meaning each."""

import builtins

import numpy as np
import pytest
import torch

from difflab.chain import MarkovChain
from difflab.convergence import Gaussian, Line, measure
from difflab.data import GaussianMixture, digits
from difflab.denoisers import ExactDenoiser
from difflab.elbo import optimal, stratified
from difflab.mmse import profile
from difflab.mmse import rate_distortion as coding
from difflab.plots import convergence, elbo_terms, log_snr_curves, mmse_curves, rate_distortion, schedule_curves
from difflab.samplers import DDIM, Ancestral, Heun
from difflab.schedules import EDM, Flow, Geometric, SubVP, VPCosine, VPLinear

RING = GaussianMixture.ring()


def traces(figure):
    return {trace.name.split(":")[0]: trace for trace in figure.data}


@pytest.mark.parametrize("schedule", [VPLinear(), VPCosine(), Geometric()], ids=lambda s: s.name)
def test_schedule_curves_are_the_chains_tables(schedule):
    chain = MarkovChain(schedule, 40)
    found = traces(schedule_curves(schedule, 40))
    assert set(found) == {"alpha", "sigma", "log-SNR", "beta"}
    for name, table, first in (
        ("alpha", chain.alpha, 0),
        ("sigma", chain.sigma, 0),
        ("log-SNR", chain.log_snr, 1),
        ("beta", chain.beta, 1),
    ):
        np.testing.assert_array_equal(found[name].x, chain.times[first:])
        np.testing.assert_array_equal(found[name].y, table[first:])
        assert np.isfinite(np.array(found[name].y, dtype=float)).all()


def test_elbo_terms_are_densities_over_t_whose_areas_are_the_terms():
    chain = MarkovChain(VPCosine(), 100)
    every = optimal(chain, RING, samples_per_step=4)
    binned = stratified(ExactDenoiser(RING, VPCosine()), chain, RING, bins=10, per_bin=4)
    figure = elbo_terms(binned, every)
    found = traces(figure)
    for name, terms in (("optimal (exact)", every), ("learned", binned)):
        width = terms.edges.diff().numpy()
        np.testing.assert_allclose(np.array(found[name].y) * width, terms.L.numpy() / 2)  # nats/dim in 2 dimensions
        np.testing.assert_allclose(np.array(found[name].error_y.array) * width, terms.L_error.numpy() / 2)
        np.testing.assert_allclose(found[name].x, (terms.edges[1:] + terms.edges[:-1]) / 2)
    assert f"{every.per_dim().total:.3f}" in figure.data[0].name
    assert "nats/dim" in figure.layout.yaxis.title.text


def test_colours_and_dashes_have_one_meaning():
    terms = optimal(MarkovChain(VPCosine(), 10), RING, samples_per_step=2)
    found = traces(elbo_terms(terms, terms))
    assert (found["optimal (exact)"].line.color, found["optimal (exact)"].line.dash) == ("#009E73", "solid")
    assert (found["learned"].line.color, found["learned"].line.dash) == ("#D55E00", "dash")
    curves = traces(schedule_curves(VPCosine(), 10))
    assert (curves["alpha"].line.color, curves["sigma"].line.color) == ("#0072B2", "#7F7F7F")


def test_one_of_the_two_is_enough_and_none_is_refused():
    terms = optimal(MarkovChain(VPCosine(), 10), RING, samples_per_step=2)
    assert list(traces(elbo_terms(None, terms))) == ["optimal (exact)"]
    assert list(traces(elbo_terms(terms, None))) == ["learned"]
    with pytest.raises(ValueError, match="nothing to draw"):
        elbo_terms(None, None)


def test_bits_and_nats_are_not_drawn_on_one_axis():
    chain = MarkovChain(VPCosine(), 4)
    bits = optimal(chain, digits(), samples_per_step=2, generator=torch.Generator().manual_seed(0))
    assert "bits/dim" in elbo_terms(None, bits).layout.yaxis.title.text
    with pytest.raises(ValueError, match="cannot be drawn on one axis"):
        elbo_terms(bits, optimal(chain, RING, samples_per_step=2))


def test_says_so_without_plotly(monkeypatch):
    real = builtins.__import__

    def without_plotly(name, *rest):
        if name.startswith("plotly"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_plotly)
    with pytest.raises(ModuleNotFoundError, match="needs plotly: pip install plotly"):
        schedule_curves(VPCosine(), 4)


def test_log_snr_curves_are_the_schedules_even_where_the_ends_are_infinite():
    schedules = [VPLinear(), Flow(), Geometric(), EDM(), SubVP()]
    figure = log_snr_curves(schedules, points=9)
    assert [trace.name for trace in figure.data] == [s.name for s in schedules]
    looks = {(trace.line.color, trace.line.dash) for trace in figure.data}
    assert len(looks) == len(schedules)
    for trace, schedule in zip(figure.data, schedules, strict=True):
        np.testing.assert_allclose(trace.x, np.arange(1, 10) / 10, rtol=1e-15)
        np.testing.assert_array_equal(trace.y, schedule.log_snr(torch.tensor(trace.x, dtype=torch.float64)))
        assert np.isfinite(np.array(trace.y)).all()
    with pytest.raises(ValueError, match="nothing to draw"):
        log_snr_curves([])


def test_the_area_under_the_mmse_curve_is_what_progressive_coding_pays():
    levels = torch.linspace(-8, 6, 57, dtype=torch.float64)
    curve = profile(ExactDenoiser(RING, VPCosine()), RING, levels, 64, torch.Generator().manual_seed(0))
    drawn = traces(mmse_curves(None, curve))["optimal (exact)"]
    coded = coding(curve)
    area = np.trapezoid(np.array(drawn.y), np.array(drawn.x))
    # the same up to what comes before the first level, and the rule of integration: the curve is smooth over each bin
    assert area == pytest.approx(float(coded.rate[-1] - coded.rate[0]), rel=0.01)
    paid = traces(rate_distortion(None, coded))["optimal (exact)"]
    np.testing.assert_array_equal(paid.x, coded.rate)
    np.testing.assert_array_equal(paid.y, coded.rmse)
    for draw in (mmse_curves, rate_distortion):
        with pytest.raises(ValueError, match="nothing to draw"):
            draw(None, None)


def test_convergence_draws_errors_over_evaluations_with_the_measured_order():
    found = [measure(sampler, Gaussian(), steps=(8, 16, 32)) for sampler in (DDIM(), Heun(), Ancestral())]
    figure = convergence(found)
    assert len(figure.data) == 3
    for trace, one in zip(figure.data, found, strict=True):
        assert trace.name == f"{one.label}: order {one.order:.2f}"
        assert tuple(trace.x) == one.evaluations
        assert tuple(trace.y) == one.errors
        assert trace.line.dash == ("dash" if one.weak else "solid")
    assert figure.data[1].x[0] == 2 * figure.data[0].x[0]  # Heun's two evaluations a step
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")
    assert "Gaussian" in figure.layout.title.text
    with pytest.raises(ValueError, match="nothing to draw"):
        convergence([])
    for wrong in (found[0], [1], None):
        with pytest.raises(TypeError, match=r"a list of what convergence\.measure returns, but got"):
            convergence(wrong)
    with pytest.raises(ValueError, match="different targets"):
        convergence([found[0], measure(DDIM(), Line(), steps=(8, 16))])
