"""The hook of the objective in a run: defaults as they always were, to the bit; what learns is saved with the run."""

from dataclasses import asdict

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser, NetworkDenoiser
from difflab.objectives import TIMES, WEIGHTINGS, Objective, denoising_loss, draw_times, floor
from difflab.objectives.weightings import EDM
from difflab.schedules import Learned, VPCosine, VPLinear
from difflab.training import Settings, load, prepare, save, train

RING = GaussianMixture.ring()
SMALL = {"batch": 32, "device": "cpu"}


def fresh(prediction="v", schedule=None):
    return NetworkDenoiser.for_data(RING, schedule or VPCosine(), prediction, width=16, depth=2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_default_is_l_simple():
    """The very draws of the run's two streams, through `denoising_loss` by hand, and AdamW by hand.

    Equal but for rounding: a run noises many batches at a time and takes one mean, where the loss takes two.
    """
    run = prepare(fresh(), RING, steps=3, generator=seeded(), **SMALL)
    assert (run.settings.weighting, run.settings.times) == ("uniform", "stratified")
    assert not any("objective" in name for name in run.state())
    by_hand = fresh()
    optimiser = torch.optim.AdamW(by_hand.parameters(), lr=2e-3, weight_decay=0.0, fused=True)
    seeds = torch.randint(2**62, (2,), generator=seeded(), dtype=torch.int64).tolist()
    data, noise = seeded(seeds[0]), seeded(seeds[1])
    x, _ = RING.sample_labelled(64 * 32, data)
    t = draw_times(32, noise, batches=64)
    eps = torch.randn(64 * 32, 2, generator=noise)
    for step in range(1, 4):
        rows = slice(32 * (step - 1), 32 * step)
        loss = denoising_loss(by_hand, x[rows], t=t[rows], eps=eps[rows]).mean
        own = run.loss()
        assert float(loss) == pytest.approx(float(own), rel=1e-6)
        run.descend(own)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.param_groups[0]["lr"] = 2e-3 * step / 50
        optimiser.step()
    for a, b in zip(run.parameters, by_hand.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)  # a tenth of one step of AdamW here, whose size rounding does not change


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("weighting", ["uniform", "edm", "uncertainty"])
def test_a_run_goes_on_from_its_checkpoint_to_the_bit(weighting, times, tmp_path):
    """6 steps at once, against 3 steps, a checkpoint and 3 more; adaptive laws are warm by then."""
    options = {"weighting": weighting, "times": times, "warmup": 0} | SMALL | {"batch": 400}

    def states(denoiser, **more):
        return list(train(denoiser, RING, generator=seeded(), **options, **more))

    whole = states(fresh(), steps=6)[-1].run
    states(fresh(), steps=3)[-1].save(tmp_path / "half.safetensors")
    resumed = states(fresh(), steps=6, resume=tmp_path / "half.safetensors")[-1].run
    one, two = whole.state(), resumed.state()
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name
    learns = weighting == "uncertainty" or times in ("loss", "information")
    assert any(name.startswith("objective/") for name in one) == learns
    if times == "loss":
        assert (one["objective/times/counts"] >= 10).all()  # warm: it draws by what it learned
    if weighting == "uncertainty":
        assert one["objective/weighting/layer.weight"].abs().max() > 0


def test_a_checkpoint_of_another_objective_goes_on_with_this_one(tmp_path):
    path = tmp_path / "plain.safetensors"
    *_, state = train(fresh(), RING, steps=2, generator=seeded(), **SMALL)
    state.save(path)
    assert load(path).config["training"]["weighting"] == "uniform"
    run = prepare(
        fresh(), RING, steps=4, resume=path, weighting="uncertainty", times="loss", generator=seeded(), **SMALL
    )
    assert run.step == 2
    for _ in range(2):
        run.descend(run.loss())
    other = tmp_path / "learned.safetensors"
    save(run, other)
    back = prepare(fresh(), RING, steps=6, resume=other, generator=seeded(), **SMALL)
    assert back.step == 4
    assert not any("objective" in name for name in back.state())


def test_the_uncertainty_learns_the_size_of_the_loss():
    """A network that stays as it is, so that its loss under EDM's weight for sigma_data 0.1 is a fixed function of the level,
    e^2 to e^5. u begins at 0 and comes to its log within 0.15 on average, in 500 batches of 512: the noise that steps of Adam
    at a rate of 0.05 leave.
    """
    denoiser = fresh("edm")
    denoiser.network.requires_grad_(False)
    list(denoiser.network.parameters())[-1].requires_grad_()  # something must be trained; at rate 0 by its own group
    run = prepare(
        denoiser,
        RING,
        steps=500,
        generator=seeded(),
        weighting="uncertainty",
        lr=0.05,
        warmup=0,
        **SMALL | {"batch": 512},
    )
    run.objective.weighting.base = EDM(0.1)
    for _ in range(500):
        loss = run.loss()
        loss.backward()
        run.parameters[0].grad.zero_()
        run.optimizer.step()
        run.optimizer.zero_grad()
    t = torch.linspace(0.1, 0.9, 17)
    x0 = RING.sample(17 * 500, seeded(5))
    with torch.no_grad():
        loss = denoising_loss(denoiser, x0, t=t.repeat_interleave(500), generator=seeded(6), weighting=EDM(0.1))
        size = loss.per_sample.reshape(17, 500).mean(1).log()
        u = run.objective.weighting.u(denoiser.schedule.log_snr(t))
    assert size.abs().mean() > 2
    assert (u - size).abs().mean() < 0.15


def test_a_state_is_taken_up_whatever_was_there():
    one, two = Objective("uncertainty", "information"), Objective("uncertainty", "information")
    for objective, seed in ((one, 1), (two, 2)):
        torch.nn.init.normal_(objective.weighting.layer.weight, generator=seeded(seed))
        objective.times(VPCosine()).observe(
            torch.rand(50, generator=seeded(seed)), torch.rand(50, generator=seeded(seed))
        )
    two.restore(one.state(VPCosine()), VPCosine())
    for name, value in one.state(VPCosine()).items():
        assert torch.equal(value, two.state(VPCosine())[name]), name


def test_another_schedule_begins_another_law():
    """A trainer may change the schedule as it goes: times that lie in the old one's table are not kept."""
    objective = Objective("uniform", "loss")
    one, two = VPCosine(), VPLinear()
    times = objective.times(one)
    assert objective.times(one) is times
    assert objective.times(VPCosine()) is times  # schedules are equal by value
    assert objective.times(two) is not times
    run = prepare(fresh(), RING, steps=3, times="log-normal", generator=seeded(), **SMALL)
    before = run.objective.times(run.denoiser.schedule)
    run.denoiser.schedule = run.ema.module.schedule = VPLinear()  # as Trainer.reschedule does
    assert run.loss().isfinite()
    assert run.objective.times(run.denoiser.schedule) is not before


@pytest.mark.parametrize("weighting", ["uniform", "min-snr", "p2", "sigmoid"])
@pytest.mark.parametrize("times", ["log-normal", "loss"])
def test_the_floor_is_that_of_the_run_s_own_objective(weighting, times):
    """The oracle in place of the network: the mean of the run's losses is the floor under its weighting and times."""
    schedule = VPCosine()
    oracle = ExactDenoiser(RING, schedule)

    class Oracle(torch.nn.Linear):  # its weights are there to be trained, and not asked
        def forward(self, x_t, level, labels=None):  # sigma_data is 1: what it is shown is x_t itself
            t = schedule.t_of_log_snr(4 * level)
            alpha, sigma = (a[:, None] for a in schedule.alpha_sigma(t))
            mean = oracle(x_t, t).mean
            return alpha * (x_t - alpha * mean) / sigma - sigma * mean

    denoiser = NetworkDenoiser(Oracle(2, 2), schedule, "v")
    run = prepare(
        denoiser, RING, steps=1, generator=seeded(), weighting=weighting, times=times, batch=512, device="cpu"
    )
    with torch.no_grad():
        for _ in range(20):
            run.loss()
        losses = torch.stack([run.loss() for _ in range(100)]).double()
        least = run.objective.floor(oracle, "v", generator=seeded(1))
        plain = floor(oracle, "v", generator=seeded(1))
    error = (losses.var() / 100 + least.error**2).sqrt()
    assert abs(losses.mean() - least.value) < 4 * error
    if weighting in ("min-snr", "p2"):  # it would be noticed if the weighting were forgotten
        assert abs(losses.mean() - plain.value) > 8 * error


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"weighting": "snrr"}, "weighting must be one of uniform, snr, .* but got 'snrr'"),
        ({"times": "random"}, "times must be one of stratified, uniform, .* but got 'random'"),
        ({"weighting": None}, "but got None"),
        ({"times": 3}, "but got 3"),
        ({"weighting": ["snr"]}, r"but got \['snr'\]"),
    ],
)
def test_an_unknown_name_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        Settings(**settings)


def test_settings_know_every_name():
    for weighting in WEIGHTINGS:
        assert asdict(Settings(weighting=weighting))["weighting"] == weighting
    for times in TIMES:
        assert Settings(times=times).times == times


def test_a_schedule_that_is_learned_is_not_trained_by_this_loss():
    with pytest.raises(ValueError, match=r"learned through the bound .* give its frozen\(\)"):
        prepare(fresh(schedule=Learned()), RING, steps=1, **SMALL)
    prepare(fresh(schedule=Learned().frozen()), RING, steps=1, **SMALL)


def test_a_learned_range_is_not_left_untaught():
    with pytest.raises(ValueError, match=r"taught by objectives\.hybrid_loss"):
        prepare(NetworkDenoiser.for_data(RING, VPCosine(), width=8, learned_range=True), RING, steps=1, **SMALL)
