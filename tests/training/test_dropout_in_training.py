"""Dropout in a run: a function of what is shown, so that stopping, going on and sharing rows change nothing."""

import pytest
import torch

from difflab.data import digits
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import load, train

OPTIONS = {
    "UNet": {"network": "UNet", "width": 16, "dropout": 0.3},
    "DiT": {"network": "DiT", "width": 16, "depth": 2, "dropout": 0.3},
}


def run(name, **options):
    denoiser = NetworkDenoiser.for_data(digits(), VPCosine(), conditional=True, **OPTIONS[name])
    generator = torch.Generator().manual_seed(5)
    return train(denoiser, digits(), steps=8, batch=12, device="cpu", generator=generator, **options)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_run_goes_on_to_the_bit_whatever_became_of_torch_s_stream(name, tmp_path):
    torch.manual_seed(1)
    *_, whole = run(name)
    half = run(name)
    for _ in range(3):
        state = next(half)
    state.save(tmp_path / "half.safetensors")
    torch.manual_seed(2)
    *_, resumed = run(name, resume=tmp_path / "half.safetensors")
    one, other = whole.run.state(), resumed.run.state()
    assert all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_gradient_of_a_batch_is_that_of_its_parts_together(name):
    state = next(run(name))
    batch, labels = state.run.blocks.draw()
    denoiser = state.run.denoiser.double()

    def gradient(rows):
        denoiser.zero_grad()
        answer = denoiser.answer_to(batch.shown[rows].double(), batch.level[rows].double(), labels[rows])
        (answer - batch.due[rows]).square().sum().backward()
        return [p.grad.clone() for p in denoiser.parameters()]

    together = gradient(slice(None))
    parts = [gradient(slice(a, a + 4)) for a in (0, 4, 8)]
    for whole, *rest in zip(together, *parts, strict=True):
        torch.testing.assert_close(whole, sum(rest), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", OPTIONS)
def test_what_is_sampled_from_drops_nothing(name, tmp_path):
    *_, state = run(name)
    assert state.run.denoiser.training
    x, labels = torch.randn(4, 1, 8, 8), torch.arange(4)
    plain = {k: v for k, v in OPTIONS[name].items() if k != "dropout"}
    whole = NetworkDenoiser.for_data(digits(), VPCosine(), conditional=True, **plain)
    whole.load_state_dict(state.ema.state_dict())
    state.save(tmp_path / "it.safetensors")
    loaded = load(tmp_path / "it.safetensors").denoiser
    assert loaded.network.config["dropout"] == 0.3
    for denoiser in (state.ema, loaded):
        assert torch.equal(denoiser(x, 0.5, labels).mean, whole(x, 0.5, labels).mean)
    # and a checkpoint, which is in evaluation, is trained on with dropout
    next(train(loaded.requires_grad_(), digits(), steps=1, batch=4, device="cpu"))
    assert loaded.training
