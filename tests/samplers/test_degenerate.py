"""What every sampler must stand, whoever wrote it: one step, noise alone, a grid that ends early, a denoiser that fails, half
precision, nobody at all. The registry is read when the tests are, so that no method is left out."""

import re

import pytest
import torch
from dry_run import META, dry_run

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser, NetworkDenoiser, Posterior
from difflab.networks import MLP
from difflab.samplers import RK45, SAMPLERS, DDIMInversion, OneLevel, final, grids, sample
from difflab.samplers.walks.metropolis import Metropolis
from difflab.schedules import Flow, VPCosine, ZeroTerminalSNR

EVERY = [cls() for cls in SAMPLERS.values()]
every_sampler = pytest.mark.parametrize("sampler", EVERY, ids=lambda s: type(s).__name__)
# a walk at one level is no way from noise to data: it has no last step, and log p_t is not asked of a network
every_way = pytest.mark.parametrize(
    "sampler", [s for s in EVERY if not isinstance(s, OneLevel)], ids=lambda s: type(s).__name__
)
S = VPCosine()
RING = GaussianMixture.ring()
NOISE_ALONE = [Flow(), ZeroTerminalSNR()]


def followed(sampler, times):
    """These times, falling, in the way that the method follows: upwards, or as many steps at the middle one."""
    if isinstance(sampler, OneLevel):
        return grids.constant(times[len(times) // 2] or times[0] / 2, len(times) - 1)
    return times[::-1] if isinstance(sampler, DDIMInversion) else times


def start(n=6, dtype=torch.float32):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(1)).to(dtype)


def run(sampler, times, denoiser=None, **options):
    options.setdefault("x", start())
    denoiser = ExactDenoiser(RING, S) if denoiser is None else denoiser
    generator = torch.Generator().manual_seed(0)
    return list(sample(denoiser, sampler, followed(sampler, times), generator=generator, **options))


@every_sampler
@pytest.mark.parametrize("times", [[1.0, 0.0], [1.0, 0.5, 0.0], [0.9, 0.6, 0.2], [0.7, 0.3]], ids=str)
def test_few_steps_and_grids_that_end_early(sampler, times):
    states = run(sampler, times)
    assert [s.t for s in states] == list(followed(sampler, times))
    assert states[-1].x.isfinite().all()
    assert states[-1].x.shape == (6, 2)
    assert states[-1].evaluations >= states[-1].index or isinstance(sampler, DDIMInversion)  # data need not be denoised


@every_way
def test_one_step_from_noise_gives_what_the_denoiser_says(sampler):
    """With alpha_1 = 0 nothing is known of x_0 but its mean, which is all that one evaluation can give."""
    if isinstance(sampler, DDIMInversion):
        return  # which begins at data
    x = run(sampler, [1.0, 0.0], ExactDenoiser(RING, Flow()))[-1].x
    if isinstance(sampler, RK45):  # as many steps as it needs: it follows the flow to the data
        assert float(x.std()) > 0.1
        return
    torch.testing.assert_close(x, torch.zeros(6, 2), rtol=0, atol=1e-5)


@every_sampler
@pytest.mark.parametrize("schedule", NOISE_ALONE, ids=lambda s: s.name)
def test_zero_terminal_snr(sampler, schedule):
    """Every method leaves alpha = 0 with finite numbers."""
    denoiser = ExactDenoiser(RING, schedule)
    times = [1.0, 0.75, 0.5, 0.25, 0.0]
    x = run(sampler, times, denoiser, x=start(200))[-1].x
    assert x.isfinite().all()
    assert 0.2 < float(x.std()) < 5  # of the size of data, or of noise for those who end there


class Broken(ExactDenoiser):
    """Returns nan in one row at times of 0.5 and below."""

    def __call__(self, x_t, t, labels=None):
        mean = super().__call__(x_t, t, labels).mean.clone()
        mean[2] = torch.where(torch.as_tensor(t, dtype=torch.float64).reshape(-1)[0] <= 0.5, torch.nan, 0.0) + mean[2]
        return Posterior(mean)


@every_sampler
def test_a_denoiser_that_returns_nan_stops_the_run_with_its_time(sampler):
    times = [0.4] * 5 if isinstance(sampler, OneLevel) else [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
    broken, generator = Broken(RING, S), torch.Generator().manual_seed(0)
    states = sample(broken, sampler, followed(sampler, times), x=start(), generator=generator)
    seen = []
    with pytest.raises(FloatingPointError, match=r"nan or inf at t = \d") as caught:
        seen.extend(states)
    said = float(re.search(r"at t = ([\d.e-]+)", str(caught.value))[1])
    assert all(state.x.isfinite().all() for state in seen)
    if isinstance(sampler, OneLevel | DDIMInversion):
        assert said == min(times)  # which is asked first
    else:  # the time that was asked about, within the step that failed
        assert seen[-1].t >= said >= 0.5 - 0.1 - 1e-9
        assert said <= 0.6 + 1e-9


# Two roundings for each evaluation, of what the denoiser says and of x, each by half a unit in the last place of the largest
# number. On data N(0, 1) the flow neither spreads errors nor draws them together (E[x_0 | x_t] = alpha x_t): they add up.
ROUNDINGS = 2


@every_sampler
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_what_it_is_and_near(sampler, dtype):
    normal = ExactDenoiser(GaussianMixture([1.0], [[0.0, 0.0]], 1.0), S)
    times = [0.9, 0.75, 0.6, 0.45, 0.3]
    x = start(64, dtype)
    short = run(sampler, times, normal, x=x)
    long = run(sampler, times, normal, x=x.double())
    assert {s.x.dtype for s in short} == {dtype}
    assert {s.denoised.dtype for s in short[1:] if s.denoised is not None} <= {dtype}
    error = (short[-1].x.double() - long[-1].x).abs().amax(1)
    size = max(float(s.x.abs().max()) for s in long)
    tolerance = ROUNDINGS * long[-1].evaluations * torch.finfo(dtype).eps / 2 * size
    # a rounding may turn a narrow decision to accept: then the row goes another way
    worst = error.median() if isinstance(sampler, Metropolis) else error.max()
    assert float(worst) < tolerance


@every_sampler
def test_an_empty_batch(sampler):
    states = run(sampler, [1.0, 0.6, 0.3, 0.0], x=torch.zeros(0, 2))
    assert [s.x.shape for s in states] == [(0, 2)] * 4


@every_sampler
def test_a_batch_of_one_is_the_first_row_of_a_hundred(sampler):
    """No norm, no step size, no decision is taken over a batch; what is left is rounding, float64's."""
    times = [0.95, 0.7, 0.45, 0.2, 0.1]
    x = start(100, torch.float64)
    one, many = (run(sampler, times, x=x[:n]) for n in (1, 100))
    for a, b in zip(one, many, strict=True):
        torch.testing.assert_close(a.x, b.x[:1], rtol=1e-8, atol=1e-8)


@every_sampler
def test_a_dry_run_on_another_device(sampler):
    """No number is looked at, no tensor is left behind, none changes its dtype."""
    with META:
        network = NetworkDenoiser(MLP((2,)), S, "v")
    oracle = ExactDenoiser(RING, S)
    for denoiser in (oracle,) if isinstance(sampler, Metropolis) else (oracle, network):
        grid = followed(sampler, [0.9, 0.6, 0.3])
        states = sample(denoiser, sampler, grid, x=torch.zeros(3, 2, device=META))
        with dry_run():
            assert [(s.x.device, s.x.dtype, s.x.shape) for s in states] == [(META, torch.float32, (3, 2))] * 3


@every_way
def test_from_nothing_but_a_number(sampler):
    """`sample(denoiser, sampler, evaluations=, n=)`, with no grid: the default one is one that the method can follow."""
    denoiser = ExactDenoiser(RING, S)
    given = {"x": start()} if isinstance(sampler, DDIMInversion) else {"n": 6}
    for evaluations in (1, 2, 7):
        assert final(sample(denoiser, sampler, evaluations=evaluations, **given)).isfinite().all()
