"""What cannot be is refused in one sentence, at once, whatever the way training is started."""

import numpy as np
import pytest
import torch

from difflab.data import GaussianMixture, digits
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer, fit, load, train

RING = GaussianMixture.ring()


def fresh():
    return NetworkDenoiser.for_data(RING, VPCosine(), width=16)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"steps": 2.5}, "steps must be"),
        ({"steps": True}, "steps must be"),
        ({"batch": 0}, "batch must be a whole number"),
        ({"batch": 2**40}, "batch must be a whole number from 1 to"),
        ({"batch": "64"}, "batch must be a whole number from 1 to .*but got '64'"),
        ({"lr": 0.0}, "lr, the learning rate, must be a positive number"),
        ({"lr": float("nan")}, "learning rate, must be"),
        ({"lr": "x"}, "learning rate, must be a positive number, but got 'x'"),
        ({"lr": True}, "learning rate, must be"),
        ({"lr": [1e-3]}, "learning rate, must be"),
        ({"lr": 10**400}, "learning rate, must be"),
        ({"decay": "square"}, "decay must be one of constant, cosine"),
        ({"decay": ["cosine"]}, "decay must be one of constant, cosine"),
        ({"ema": 1.0}, "ema, the decay of the average, must be"),
        ({"ema": "0.9"}, "ema, the decay of the average, must be"),
        ({"label_dropout": 2}, "label_dropout must be a number in"),
        ({"label_dropout": {}}, "label_dropout must be a number in"),
        ({"weight_decay": -1}, "weight_decay must be"),
        ({"weight_decay": "none"}, "weight_decay must be"),
        ({"clip_gradient": 0}, "clip_gradient must be a number above 0"),
        ({"clip_gradient": "1"}, "clip_gradient must be a number above 0"),
        ({"warmup": -1}, "warmup must be"),
        ({"save_every": 0}, "save_every must be"),
        ({"save_every": "often"}, "save_every must be"),
        ({"save_every": True}, "save_every must be"),
        ({"keep": -1}, "keep must be a whole number from 0"),
        ({"tensorboard": "yes"}, "tensorboard must be True or False"),
        ({"resume": True}, "give the folder, or the checkpoint to go on from"),
        ({"learning_rate": 1.0}, "no training setting named 'learning_rate'"),
        ({"device": "abacus"}, "no device named"),
        ({"conditional": True}, "needs a network that knows the data's classes"),
    ],
)
@pytest.mark.parametrize("start", [train, fit, Trainer])
def test_bad_arguments_are_refused_before_the_first_step(start, arguments, sentence):
    denoiser = fresh()
    before = [p.detach().clone() for p in denoiser.parameters()]
    with pytest.raises(ValueError, match=sentence) as caught:
        start(denoiser, RING, **{"steps": 5, "device": "cpu"} | arguments)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(denoiser.parameters(), before, strict=True))


def test_data_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"made for samples of shape \(2,\), but digits 8x8 has \(1, 8, 8\)"):
        train(fresh(), digits(), steps=5)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, 10**6])
def test_threads_are_checked_when_a_trainer_is_made(threads):
    with pytest.raises(ValueError, match="threads must be a whole number from 1 to 1024, but got"):
        Trainer(fresh(), RING, steps=5, threads=threads)


def test_numpy_s_whole_numbers_are_whole_numbers(tmp_path):
    """As `metrics(folder)["step"][-1] + 100` is; the checkpoint's JSON could not hold them as they are."""
    options = {"batch": np.int32(8), "warmup": np.int64(3), "save_every": np.int64(2), "threads": np.int64(1)}
    trainer = Trainer(fresh(), RING, steps=np.int64(4), folder=tmp_path, device="cpu", **options)
    trainer.start()
    assert trainer.wait() == "finished", trainer.error
    told = load(tmp_path).config["training"]
    assert (told["batch"], told["warmup"], load(tmp_path).step) == (8, 3, 4)


@pytest.mark.parametrize("start", [train, fit, Trainer])
def test_what_is_no_denoiser_or_no_generator_is_refused(start):
    with pytest.raises(TypeError, match=r"What is trained is a NetworkDenoiser, such as .*, but got Linear"):
        start(torch.nn.Linear(2, 2), RING, steps=5)
    with pytest.raises(TypeError, match=r"generator must be a torch.Generator, such as .*, but got 0"):
        start(fresh(), RING, steps=5, generator=0)


def test_a_network_that_cannot_be_called_leaves_no_run_behind(tmp_path):
    class Deaf(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))

        def forward(self, x):
            return x * self.weight

    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), network=Deaf())
    with pytest.raises(TypeError, match="Deaf is called with"):
        fit(denoiser, RING, steps=5, folder=tmp_path, device="cpu", progress=False)
    fit(fresh(), RING, steps=2, folder=tmp_path, device="cpu", progress=False)  # no run lies in the way
    assert load(tmp_path).step == 2


def test_a_trainer_says_how_it_is():
    trainer = Trainer(fresh(), RING, steps=1000, name="mine", device="cpu")
    assert repr(trainer) == "Trainer('mine', idle, step 0 of 1,000)"
