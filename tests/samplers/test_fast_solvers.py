"""What the fast solvers are to one another, on every schedule, from any state, and at the ends of what can be asked."""

import math
from itertools import pairwise

import pytest
import torch
from dry_run import META, No64, dry_run

from difflab.convergence import Line, in_log_snr
from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import (
    DDIM,
    DEIS,
    IPNDM,
    Ancestral,
    BrownianPath,
    DPMSolver,
    DPMSolverSDE,
    DPMSolverSingleStep,
    NoisePool,
    State,
    UniPC,
    final,
    grids,
    sample,
)
from difflab.schedules import EDM, Flow, Geometric, VPCosine, VPLinear

DATA = GaussianMixture.ring()
METHODS = [
    *[DPMSolver(p) for p in (1, 2, 3)],
    DPMSolver(2, rule="exact"),
    DPMSolver(3, "low", "low"),
    *[DPMSolverSingleStep(stages, rule) for stages in (2, 3) for rule in ("midpoint", "exact")],
    *[DEIS(p) for p in (1, 2, 3, 4)],
    DEIS(4, "low", "low"),
    DEIS(3, variable="rho"),
    *[IPNDM(p) for p in (2, 4)],
    *[UniPC(p, variant) for p in (1, 2, 3) for variant in ("bh1", "bh2")],
    UniPC(3, corrector=False, start="low", finish="low"),
    *[DPMSolverSDE(p) for p in (1, 2)],
    DPMSolverSDE(2, "exact"),
]
each_method = pytest.mark.parametrize("sampler", METHODS, ids=lambda s: s.label)


def oracle(schedule):
    return ExactDenoiser(DATA, schedule)


def starts(n=20, seed=0, dtype=torch.float64):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def ends(sampler, schedule, times, **options):
    options = {"x": starts(), "noise": NoisePool(4)} | options
    return final(sample(oracle(schedule), sampler, times, quiet=True, **options))


#: rounding of float64 over 20 steps whose terms are up to some tens
SAME = {"rtol": 1e-12, "atol": 1e-12}


@pytest.mark.parametrize("schedule", [VPCosine(), Flow(), VPLinear(), Geometric(0.01, 20)], ids=lambda s: s.name)
def test_with_one_point_all_are_ddim(schedule):
    times = grids.uniform(schedule, 20)
    due = ends(DDIM(), schedule, times)
    for sampler in (DPMSolver(1), DEIS(1), DEIS(1, variable="rho"), IPNDM(1), UniPC(1, corrector=False)):
        torch.testing.assert_close(ends(sampler, schedule, times), due, **SAME)


@pytest.mark.parametrize("schedule", [VPCosine(), Flow(), Geometric(0.01, 20)], ids=lambda s: s.name)
def test_with_one_point_the_sde_is_ancestral_sampling(schedule):
    times = grids.uniform(schedule, 20)
    due = ends(Ancestral("small"), schedule, times)
    torch.testing.assert_close(ends(DPMSolverSDE(1), schedule, times), due, **SAME)
    torch.testing.assert_close(ends(DDIM(eta=1.0), schedule, times), due, **SAME)


def test_unipc_without_its_corrector_is_dpm_solver():
    times = grids.log_snr(VPCosine(), 12)
    for points, start in [(2, "low"), (3, "low")]:
        unip, dpm = UniPC(points, corrector=False, start=start), DPMSolver(points, start)
        torch.testing.assert_close(ends(unip, VPCosine(), times), ends(dpm, VPCosine(), times), **SAME)


@each_method
def test_the_schedule_is_a_matter_of_units(sampler):
    """At the same levels sigma / alpha, x / alpha is the same on all schedules: VE, VP and flow."""
    levels = torch.tensor([20.0, 9.0, 5.0, 2.5, 1.0, 0.6, 0.2, 0.05], dtype=torch.float64)
    found = []
    for schedule in (Geometric(0.01, 50.0), EDM(), VPCosine(), Flow()):
        times = schedule.t_of_log_snr(-2 * levels.log()).tolist()
        alpha_t, alpha_s = schedule.level(times[0]).alpha, schedule.level(times[-1]).alpha
        found.append(ends(sampler, schedule, times, x=starts() * 20 * alpha_t) / alpha_s)
    for other in found[1:]:
        # 1e-12 of the largest y, about 60
        torch.testing.assert_close(other, found[0], rtol=0, atol=6e-11)


@each_method
def test_a_run_goes_on_from_its_state_alone(sampler):
    """The sampler holds nothing: steps of another run in between change nothing."""
    times, denoiser = tuple(grids.log_snr(VPCosine(), 8).tolist()), oracle(VPCosine())
    states = list(sample(denoiser, sampler, times, x=starts(), noise=NoisePool(4), quiet=True))
    list(sample(denoiser, sampler, times[2:], x=starts(seed=9), noise=NoisePool(5), quiet=True))
    for before, after in pairwise(states):
        assert torch.equal(sampler.step(denoiser, before, after.t).x, after.x)


@each_method
def test_any_step_starts_from_no_memory(sampler):
    """A run from the middle of a grid is a run of what is left of it."""
    times, denoiser = tuple(grids.log_snr(VPCosine(), 8).tolist()), oracle(VPCosine())
    state = State(starts(), times[3], times, NoisePool(4), index=3)
    for s in times[4:]:
        state = sampler.step(denoiser, state, s)
    if not sampler.random:  # the noise of step k is named by k
        due = final(sample(denoiser, sampler, times[3:], x=starts()))
        torch.testing.assert_close(state.x, due, **SAME)
    assert state.x.isfinite().all()


@each_method
def test_no_row_knows_of_the_others(sampler):
    times = grids.log_snr(VPCosine(), 6)
    whole = ends(sampler, VPCosine(), times)
    part = ends(sampler, VPCosine(), times, x=starts()[:3])
    torch.testing.assert_close(whole[:3], part, **SAME)
    assert ends(sampler, VPCosine(), times, x=starts()[:0]).shape == (0, 2)


@each_method
@pytest.mark.parametrize(
    "times", [[1.0, 0.0], [1.0, 0.5, 0.0], [0.6, 0.3], [1.0, 0.4, 0.1], [1.0, 0.9, 0.5, 0.2, 0.0]], ids=str
)
def test_few_steps_zero_terminal_snr_and_grids_above_zero(sampler, times):
    """Flow is noise alone at t = 1: the first step is DDIM's (or the ancestral one), and nothing is nan."""
    states = list(sample(oracle(Flow()), sampler, times, x=starts(), noise=NoisePool(4)))
    assert all(state.x.isfinite().all() for state in states)
    assert [state.t for state in states] == times
    first = Ancestral() if sampler.random else DDIM()
    if times[0] == 1.0:
        due = list(sample(oracle(Flow()), first, times, x=starts(), noise=NoisePool(4)))[1]
        torch.testing.assert_close(states[1].x, due.x, **SAME)
        assert states[1].evaluations == 1
        if len(times) > 2 and not sampler.random:  # of which nothing is remembered: the noise level was infinite
            anew = list(sample(oracle(Flow()), sampler, times[1:], x=states[1].x))
            torch.testing.assert_close(states[2].x, anew[1].x, **SAME)
    if times[-1] == 0:  # the last step gives x_0
        assert states[-1].evaluations - states[-2].evaluations in (0, 1)
        before = states[-2]
        if states[-1].evaluations > before.evaluations:
            assert torch.equal(states[-1].x, oracle(Flow())(before.x, before.t).mean)


@each_method
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_samples_stay_in_their_dtype(sampler, dtype):
    times = grids.log_snr(VPCosine(), 6)
    x = starts(400, dtype=dtype)
    end = ends(sampler, VPCosine(), times, x=x)
    assert end.dtype == dtype
    due = ends(sampler, VPCosine(), times, x=x.double())
    # a point that rounding moves across a boundary between two modes ends elsewhere: so of most
    assert float((end.double() - due).abs().median()) < 40 * torch.finfo(dtype).eps


ONE_OF_EACH = [DPMSolver(3), DPMSolverSingleStep(3), DEIS(4), IPNDM(4), UniPC(3), DPMSolverSDE(2)]


@pytest.mark.parametrize("sampler", ONE_OF_EACH, ids=lambda s: s.label)
def test_nothing_leaves_the_device(sampler, monkeypatch):
    monkeypatch.setattr("difflab.device.WITHOUT_FLOAT64", {"meta"})
    states = sample(
        oracle(VPCosine()), sampler, grids.log_snr(VPCosine(), 6), x=torch.zeros(3, 2, device=META), quiet=True
    )
    with dry_run(), No64():
        assert {(state.x.device, state.x.dtype) for state in states} == {(META, torch.float32)}


@each_method
def test_the_default_grid_keeps_within_the_evaluations(sampler):
    for schedule in (VPCosine(), EDM(), Flow()):
        for evaluations in (1, 2, 3, 4, 5, 7, 20):
            states = list(sample(oracle(schedule), sampler, evaluations=evaluations, x=starts(2), noise=NoisePool(0)))
            assert states[-1].t == 0
            assert states[-1].evaluations <= evaluations
            assert states[-1].evaluations > evaluations - 3


def test_the_weak_order_of_two_points_is_two_where_x0_is_not_linear_too():
    """On a mixture the law is known by its samples alone: E x^2 at 16, 32 and 64 steps on the same Brownian paths, so that their
    differences have a small error (it is looked at). They fall by 4; by 2 with one point."""
    schedule, target, n = VPCosine(), Line(), 30_000
    t, s = schedule.t_of_log_snr(torch.tensor([-4.0, 4.0], dtype=torch.float64)).tolist()
    x, denoiser, path = target.start(n, schedule, t), target.denoiser(schedule), BrownianPath(1)
    for sampler in (DPMSolverSDE(1), DPMSolverSDE(2), DPMSolverSDE(2, "exact")):
        squares = [
            final(sample(denoiser, sampler, in_log_snr(schedule, t, s, steps), x=x, noise=path)).square()
            for steps in (16, 32, 64)
        ]
        gaps = [a - b for a, b in pairwise(squares)]
        means, errors = ([float(v) for v in torch.stack([f(g) for g in gaps])] for f in (torch.mean, torch.std))
        means, errors = [abs(m) for m in means], [e / math.sqrt(n) for e in errors]
        assert means[1] > 4 * errors[1], (sampler.label, means, errors)
        spread = math.hypot(*(e / m for e, m in zip(errors, means, strict=True))) / math.log(2)
        assert math.log2(means[0] / means[1]) == pytest.approx(sampler.order, abs=0.2 + 3 * spread)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DPMSolver(0), "DPMSolver has 1 to 3 points, but got points=0"),
        (lambda: DPMSolver(4), "DPMSolver has 1 to 3 points, but got points=4"),
        (lambda: DPMSolver(2.0), "DPMSolver has 1 to 3 points, but got points=2.0"),
        (lambda: DPMSolver(True), "DPMSolver has 1 to 3 points, but got points=True"),
        (lambda: DPMSolver(rule="heun"), "rule must be 'midpoint' or 'exact', but got 'heun'"),
        (lambda: DPMSolver(start="slow"), "start must be 'full' or 'low', but got 'slow'"),
        (lambda: DEIS(finish=None), "finish must be 'full' or 'low', but got None"),
        (lambda: DEIS(5), "DEIS has 1 to 4 points, but got points=5"),
        (lambda: DEIS(variable="t"), "variable must be 'log_rho' or 'rho', but got 't'"),
        (lambda: DPMSolverSingleStep(1), "2 or 3 stages, but got stages=1; one stage is DDIM"),
        (lambda: DPMSolverSingleStep(4), "2 or 3 stages, but got stages=4"),
        (lambda: DPMSolverSingleStep(2, "heun"), "rule must be 'midpoint' or 'exact'"),
        (lambda: DPMSolverSDE(3), "DPMSolverSDE has 1 to 2 points, but got points=3"),
        (lambda: DPMSolverSDE(rule=""), "rule must be 'midpoint' or 'exact', but got ''"),
        (lambda: IPNDM(5), "IPNDM has 1 to 4 points, but got points=5"),
        (lambda: UniPC(4), "UniPC has 1 to 3 points, but got points=4"),
        (lambda: UniPC(variant="bh3"), "variant must be 'bh1' or 'bh2', but got 'bh3'"),
        (lambda: UniPC(corrector="no"), "corrector must be True or False, but got 'no'"),
        (lambda: UniPC(start=1), "start must be 'full' or 'low', but got 1"),
        (lambda: UniPC(finish=1), "finish must be 'full' or 'low', but got 1"),
        (lambda: UniPC(finish=torch.ones(3)), "finish must be 'full' or 'low', but got tensor"),
    ],
)
def test_refuses_what_is_no_knob_in_one_sentence(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_labels_say_what_changes_the_result():
    assert len({sampler.label for sampler in METHODS}) == len(METHODS)
    assert DPMSolver(3, "low", "low").label == "DPM-Solver++ (3M), low-order start and finish"
    assert DPMSolver(2, "low").label == DPMSolver(2).label  # which is the same method
