"""The average of any length, made afterwards, beside the one followed all the way: on weights in closed form, in real trainings,
from a run and from its folder, and beside ema-pytorch's.

How far apart they may be is known: the weights between two steps are constant, so an average is the integral of its profile
times them, and with d the difference of two profiles, both of integral 1, and any constant c

    |average made - average followed| = |int d (weights - c)| <= |d| |weights - c|,   |d| = miss |profile|      (Cauchy-Schwarz).
"""

import math

import pytest
import torch
from ema_pytorch import PostHocEMA
from ema_pytorch.post_hoc_ema import solve_weights
from torch import nn

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import post_hoc, prepare, train
from difflab.training.checkpoint import CheckpointError, load
from difflab.training.power_averages import PowerAverages, PowerEMA
from difflab.training.power_profiles import gamma_of, nearest
from difflab.training.snapshots import SnapshotError

RING = GaussianMixture.ring()
STEPS = 1200


def fresh():
    return NetworkDenoiser.for_data(RING, VPCosine(), width=8)


def options(**changes):
    return {"batch": 16, "lr": 1e-2, "device": "cpu", "generator": torch.Generator().manual_seed(3)} | changes


def profile_size(gamma, t):
    return (gamma + 1) / math.sqrt((2 * gamma + 1) * t)


def flat(module):
    return torch.cat([p.detach().double().flatten() for p in module.parameters()])


@pytest.fixture(scope="module")
def followed():
    """(the run, weights after each step (STEPS, m), denoisers of averages that were followed, by length)."""
    lengths = dict.fromkeys((0.04, 0.07, 0.15, 0.2))
    path = []
    for state in train(fresh(), RING, steps=STEPS, **options(averages=(0.05, 0.1))):
        path.append(flat(state.run.denoiser))
        for length, average in lengths.items():
            lengths[length] = average or PowerEMA(state.run.denoiser, length)
            lengths[length].update(state.step)
    return state.run, torch.stack(path), {length: average.module for length, average in lengths.items()}


@pytest.mark.parametrize("power", [0, 1, 2])
def test_weights_that_move_in_closed_form(power):
    """theta(k) = k^power: the average followed is a sum over the profile's shares; the one made, within Cauchy-Schwarz' bound."""
    last = 5000
    run = prepare(fresh().double(), RING, steps=last, **options(averages=(0.05, 0.1)))
    for run.step in range(1, last + 1):
        with torch.no_grad():
            torch._foreach_zero_(run.parameters)
            torch._foreach_add_(run.parameters, float(run.step) ** power)
        run.averages.update(run.step)
    k = torch.arange(1, last + 1, dtype=torch.float64)
    theta = k**power
    away = (theta - theta.mean()).square().sum().sqrt().item()
    made = post_hoc.PostHoc(run)
    for length in (0.04, 0.05, 0.07, 0.15, 0.2):
        gamma = gamma_of(length)
        shares = (k / last) ** (gamma + 1) - ((k - 1) / last) ** (gamma + 1)
        due = (shares * theta).sum().item()
        bound = made.miss(length) * profile_size(gamma, last) * away
        found = flat(made.average(length))
        assert (found - due).abs().max() <= bound + 1e-11 * last**power  # 5,000 roundings of 1e-16, and those of shares
        assert bound <= 0.03 * last**power


def test_a_training_s_average_is_the_one_followed(followed):
    run, path, averages = followed
    made = post_hoc.PostHoc(run)
    final = flat(run.denoiser)
    for length, average in averages.items():
        found, due = flat(made.average(length)), flat(average)
        away = (path - path.mean(0)).square().sum(0).sqrt()
        bound = made.miss(length) * profile_size(gamma_of(length), STEPS) * away
        rounding = 3e-6 * path.abs().max()  # of float32: 6e-8 an update, forgotten after 50 to 300 of them
        assert ((found - due).abs() <= bound + rounding).all()
        assert (found - due).norm() < 0.03 * (due - final).norm()  # small beside what averaging does at all
    worst = (flat(made.average(0.07)) - flat(averages[0.15])).norm()
    assert worst > 0.1 * (flat(averages[0.15]) - final).norm()  # another length would have been seen


def test_an_earlier_step_can_be_asked_for(followed):
    run, path, _ = followed
    model = fresh()
    tracked = PowerEMA(model, 0.08)
    for step in range(1, 961):
        with torch.no_grad():
            for p, value in zip(
                model.parameters(), path[step - 1].split([p.numel() for p in model.parameters()]), strict=True
            ):
                p.copy_(value.view_as(p))
        tracked.update(step)
    made = post_hoc.PostHoc(run)
    found = flat(made.average(0.08, step=960))
    assert (found - flat(tracked.module)).norm() < 0.01 * (flat(tracked.module) - path[959]).norm()
    assert flat(made.average(0.05, step=960)).sub(flat(made.average(0.05))).norm() > 0


def test_the_folder_says_the_same_as_the_run(tmp_path):
    *_, state = train(fresh(), RING, steps=STEPS, folder=tmp_path, **options(averages=(0.05, 0.1)))
    one, other = post_hoc.average(state.run, 0.12), post_hoc.average(tmp_path, 0.12)
    assert torch.equal(flat(one), flat(other))
    older = tmp_path / "checkpoint-000001000.safetensors"  # its own newest averages, and the copies up to there
    assert post_hoc.PostHoc(older).steps == [*range(64, 1000, 64), 1000]
    assert not torch.equal(flat(post_hoc.average(older, 0.12)), flat(one))
    assert not other.training
    assert not any(p.requires_grad for p in other.parameters())
    assert other.config == state.run.denoiser.config
    files = sorted(p.name for p in (tmp_path / "averages").iterdir())
    assert files == [f"{step:09d}.safetensors" for step in range(64, STEPS + 1, 64)]
    assert load(tmp_path / "checkpoint.safetensors").config["training"]["averages"] == [0.05, 0.1]


def test_an_interrupted_run_ends_with_the_same_averages_to_the_bit(tmp_path):
    for name, stops in (("unbroken", (STEPS,)), ("broken", (333, 1040, STEPS))):
        for stop in stops:
            list(train(fresh(), RING, steps=stop, folder=tmp_path / name, resume=True, **options(averages=(0.05, 0.1))))
    unbroken, broken = (
        {p.name: p.read_bytes() for p in (tmp_path / name / "averages").iterdir()} for name in ("unbroken", "broken")
    )
    assert unbroken == broken
    one, other = (load(tmp_path / name / "checkpoint.safetensors").tensors for name in ("unbroken", "broken"))
    kept = [name for name in one if name.startswith("averages/")]
    assert len(kept) == 2 * len(list(fresh().parameters()))
    assert all(torch.equal(one[name], other[name]) for name in kept)


def test_copies_that_lie_after_the_checkpoint_are_forgotten(tmp_path):
    list(train(fresh(), RING, steps=200, folder=tmp_path, **options(averages=(0.05,))))
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()
    list(train(fresh(), RING, steps=400, folder=tmp_path, resume=True, **options(averages=(0.05,))))
    (tmp_path / "checkpoint.safetensors").write_bytes(kept)  # as if it had been killed after its copies
    run = next(train(fresh(), RING, steps=400, folder=tmp_path, resume=True, **options(averages=(0.05,)))).run
    assert run.averages.snapshots.steps == [32, 64, 96, 128, 160, 192]


def test_what_was_not_followed_from_the_start_cannot_be_taken_up(tmp_path):
    list(train(fresh(), RING, steps=5, folder=tmp_path, **options(averages=(0.05, 0.1))))
    with pytest.raises(
        CheckpointError, match=r"length 0.2 was not followed from its first step on: averages may be 0.05 and 0.1"
    ):
        train(fresh(), RING, steps=9, folder=tmp_path, resume=True, **options(averages=(0.05, 0.2)))
    *_, state = train(fresh(), RING, steps=9, folder=tmp_path, resume=True, **options(averages=(0.1,)))  # fewer can be
    assert list(state.run.averages.averages) == [0.1]
    with pytest.raises(ValueError, match=r"length 0.05 was not followed from its first step on: averages may be 0.1"):
        train(fresh(), RING, steps=12, folder=tmp_path, resume=True, **options(averages=(0.05, 0.1)))


def test_what_cannot_be_made_is_refused_in_one_sentence(followed, tmp_path):
    run = followed[0]
    made = post_hoc.PostHoc(run)
    with pytest.raises(
        ValueError, match=r"length 0.01 at step 1200 cannot be made of those of 0.05 and 0.1 at 19 steps: \d\d%"
    ):
        made.average(0.01)
    with pytest.raises(ValueError, match=r"length 0.05 at step 1000 cannot be made"):  # no copy lies there, nor near it
        post_hoc.average(prepared_without_copies(run), 0.05, step=1000)
    with pytest.raises(ValueError, match="step must be a whole number from 1 to 1200, but got 1201"):
        made.average(0.1, step=1201)
    with pytest.raises(ValueError, match="sigma_rel, the length of an average, must be"):
        made.average(0.5)
    with pytest.raises(TypeError, match="made of a run, or of its folder or checkpoint, but got 3"):
        post_hoc.average(3, 0.1)
    with pytest.raises(FileNotFoundError):
        post_hoc.average(tmp_path, 0.1)
    list(train(fresh(), RING, steps=2, folder=tmp_path, **options()))
    with pytest.raises(ValueError, match=r"followed no averages: train with averages=\(0.05, 0.1\)"):
        post_hoc.average(tmp_path, 0.1)


def prepared_without_copies(run):
    other = prepare(fresh(), RING, steps=STEPS, **options(averages=(0.05, 0.1)))
    other.restore(run.state())
    return other


def test_a_damaged_copy_is_told_and_can_be_done_without(tmp_path):
    list(train(fresh(), RING, steps=640, folder=tmp_path, **options(averages=(0.05, 0.1))))
    before, miss = flat(post_hoc.average(tmp_path, 0.12)), post_hoc.PostHoc(tmp_path).miss(0.12)
    path = tmp_path / "averages" / "000000320.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SnapshotError, match=r"000000320.safetensors is damaged"):
        post_hoc.average(tmp_path, 0.12)
    path.unlink()
    assert miss < post_hoc.PostHoc(tmp_path).miss(0.12) < 3 * miss
    assert (flat(post_hoc.average(tmp_path, 0.12)) - before).norm() < 1e-2 * before.norm()


def test_beside_ema_pytorch(tmp_path):
    """Its averages are ours: after n calls its decay is that of step n + 1, so it is called from our second step on, with the
    weights of the first and the second being the same. Its shares are ours but for the condition that they sum to 1, which a
    Lagrange multiplier adds: x + (1 - sum x) A^-1 1 / (1' A^-1 1)."""
    model = nn.Linear(3, 2).double()
    theirs = PostHocEMA(
        model,
        sigma_rels=(0.05, 0.1),
        update_every=1,
        checkpoint_every_num_steps="manual",
        checkpoint_folder=str(tmp_path),
    )
    ours = PowerAverages(model, (0.05, 0.1))
    g = torch.Generator().manual_seed(0)
    for step in range(1, 301):
        if step != 2:
            with torch.no_grad():
                for p in model.parameters():
                    p.copy_(torch.randn(p.shape, generator=g, dtype=torch.float64))
        ours.update(step)
        if step > 1:
            theirs.update()
    for mine, its in zip(ours.averages.values(), theirs.ema_models, strict=True):
        assert torch.allclose(flat(mine.module), flat(its.ema_model), rtol=0, atol=1e-12)

    t = torch.tensor([100.0, 100.0, 200.0, 200.0, 300.0, 300.0], dtype=torch.float64)
    gammas = torch.tensor([gamma_of(0.05), gamma_of(0.1)] * 3, dtype=torch.float64)
    one = torch.tensor([300.0], dtype=torch.float64), torch.tensor([gamma_of(0.07)], dtype=torch.float64)
    shares = solve_weights(t, gammas, *one).squeeze()
    # A^-1 1, too, through its solver: the mean of all steps, gamma = 0, has the inner product 1 / 300 with all of them
    level = solve_weights(t, gammas, one[0], torch.zeros(1, dtype=torch.float64)).squeeze()
    expected = shares + (1 - shares.sum()) * level / level.sum()
    found, _ = nearest(t.numpy(), gammas.numpy(), 300.0, gamma_of(0.07))
    assert torch.from_numpy(found).sub(expected).abs().max() < 1e-9
    assert (expected - shares).abs().max() > 1e-9
