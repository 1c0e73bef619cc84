"""What happens when numbers stop being finite: one sentence, and the last good state."""

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import TrainingDiverged, fit, load, save, train
from difflab.training.loop import begun, continued

RING = GaussianMixture.ring()


def fresh():
    return NetworkDenoiser.for_data(RING, VPCosine(), width=16)


def seeded(seed=7):
    return torch.Generator().manual_seed(seed)


def states_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
@pytest.mark.parametrize("at", [30, 130])
def test_a_loss_that_is_not_finite_stops_with_the_last_good_state_kept(poison, at, tmp_path):
    path, common = tmp_path / "checkpoint.safetensors", {"batch": 16, "device": "cpu"}
    kept = at // 100 * 100
    good = {s.step: s.run.state() for s in train(fresh(), RING, steps=200, generator=seeded(), **common)}
    denoiser = fresh()
    states = train(denoiser, RING, steps=200, generator=seeded(), folder=tmp_path, save_every=10, **common)
    for _ in range(at):
        state = next(states)
    with torch.no_grad():
        next(denoiser.parameters()).fill_(poison)
    with pytest.raises(TrainingDiverged, match=f"at step {at + 1}; the weights of step {kept} were kept") as caught:
        next(states)
    assert (caught.value.step, caught.value.kept) == (at + 1, kept)
    loaded = load(path)
    assert loaded.step == kept
    states_equal(loaded.tensors, state.run.state())
    if kept:
        states_equal(loaded.tensors, good[kept])
        *_, last = train(fresh(), RING, steps=200, generator=seeded(1), resume=path, **common)
        states_equal(last.run.state(), good[200])


def test_weights_that_broke_in_the_last_update_are_not_written_down(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    denoiser = fresh()
    run, folder = begun(denoiser, RING, steps=10, batch=16, device="cpu", folder=tmp_path, save_every=2)
    descend = run.descend

    def broken(loss):
        descend(loss)
        if run.step == 4:
            with torch.no_grad():
                next(denoiser.parameters()).fill_(float("nan"))

    run.descend = broken
    states = continued(run, folder)
    for _ in range(4):
        next(states)
    assert load(path).step == 2
    with pytest.raises(TrainingDiverged):
        next(states)
    assert all(p.isfinite().all() for p in denoiser.parameters())


@pytest.mark.parametrize("whose", ["weights", "average"])
@pytest.mark.parametrize("steps", [10, 120])
def test_weights_that_break_in_the_very_last_update_are_a_divergence(whose, steps, tmp_path):
    """No later loss would tell: the run must not end as if all were well."""
    path, denoiser, kept = tmp_path / "checkpoint.safetensors", fresh(), steps // 100 * 100
    options = {"batch": 16, "device": "cpu", "generator": seeded(), "folder": tmp_path, "save_every": 7}
    run, folder = begun(denoiser, RING, steps=steps, **options)
    descend = run.descend

    def broken(loss):
        descend(loss)
        if run.step == steps:
            with torch.no_grad():
                next((denoiser if whose == "weights" else run.ema.module).parameters())[0, 0] = torch.inf

    run.descend = broken
    with pytest.raises(
        TrainingDiverged, match=f"weights were not finite any more at step {steps}; the weights of step {kept}"
    ):
        list(continued(run, folder))
    assert (run.step, load(path).step) == (kept, kept)
    assert run.finite()
    states_equal(load(path).tensors, run.state())


def test_a_learning_rate_that_breaks_the_only_step_is_a_divergence():
    with pytest.raises(TrainingDiverged, match=r"at step 1; the weights of step 0 were kept"):
        fit(fresh(), RING, steps=1, batch=16, lr=1e38, warmup=0, weight_decay=1e38, device="cpu", progress=False)


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_broken_run_is_not_saved_over_a_good_one(poison, tmp_path):
    path = tmp_path / "c.safetensors"
    *_, state = train(fresh(), RING, steps=3, batch=16, device="cpu")
    state.save(path)
    good = path.read_bytes()
    with torch.no_grad():
        next(state.run.denoiser.parameters())[0, 0] = poison
    for write in (state.save, lambda path: save(state.run, path)):
        with pytest.raises(FloatingPointError, match=r"after step 3 are not finite, so c\.safetensors was not written"):
            write(path)
    assert path.read_bytes() == good


def test_a_network_that_was_never_sound_diverges_without_a_checkpoint(tmp_path):
    denoiser = fresh()
    with torch.no_grad():
        next(denoiser.parameters()).fill_(torch.nan)
    with pytest.raises(TrainingDiverged, match="at step 1; the weights of step 0"):
        list(train(denoiser, RING, steps=3, batch=16, device="cpu", folder=tmp_path))
    assert not list(tmp_path.glob("*.safetensors"))
