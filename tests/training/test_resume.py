"""What a run may go on from, and what it may not."""

import json

import numpy as np
import pytest
import torch

from difflab.data import FiniteSet, GaussianMixture, digits, two_moons
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine, VPLinear
from difflab.training import CheckpointError, load, prepare, train
from difflab.training.fingerprint import fingerprint

RING = GaussianMixture.ring()


def fresh(data=RING, schedule=None, **options):
    return NetworkDenoiser.for_data(data, schedule or VPCosine(), **{"width": 16} | options)


@pytest.mark.parametrize(
    ("denoiser", "data", "sentence"),
    [
        (fresh(width=32), RING, "here: its denoiser.network.options.width is 16, not 32"),
        (fresh(schedule=VPLinear()), RING, "here: its denoiser.schedule.name is 'VPCosine', not 'VPLinear'"),
        (fresh(prediction="eps"), RING, "here: its denoiser.prediction is 'v', not 'eps'"),
        (fresh(), GaussianMixture.grid(), f"here: its data.name is '{RING.name}', not '{GaussianMixture.grid().name}'"),
        (fresh(digits()), digits(), "here: its data.name is '.*', not 'digits 8x8'"),
    ],
)
def test_resuming_something_else_is_refused_before_a_weight_is_touched(trained, denoiser, data, sentence):
    before = [p.detach().clone() for p in denoiser.parameters()]
    with pytest.raises(CheckpointError, match=rf"{sentence}\.$") as caught:
        prepare(denoiser, data, steps=5, resume=trained[1], device="cpu")
    assert "\n" not in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(denoiser.parameters(), before, strict=True))


def test_a_run_whose_moments_do_not_match_is_refused(trained, rewritten):
    def change(tensors):
        tensors["exp_avg/network.first.weight"] = torch.zeros(3, 3)

    with pytest.raises(CheckpointError, match=r"exp_avg/network.first.weight is of shape \(3, 3\)"):
        prepare(fresh(), RING, steps=5, resume=rewritten(trained[1], change), device="cpu")


def broken_stream(tensors):
    tensors["streams/data"] = torch.zeros_like(tensors["streams/data"])


@pytest.mark.parametrize("change", [lambda tensors: tensors.pop("streams/data"), broken_stream])
def test_a_run_without_sound_streams_is_refused(trained, rewritten, change):
    with pytest.raises(CheckpointError, match="cannot be resumed here") as caught:
        prepare(fresh(), RING, steps=5, resume=rewritten(trained[1], change), device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (GaussianMixture.ring(std=0.2), GaussianMixture.ring(std=1.0)),
        (GaussianMixture.random(seed=0), GaussianMixture.random(seed=1)),
        (two_moons(), two_moons(noise=0.2)),
        (FiniteSet([[0.0], [1.0]], name="two"), FiniteSet([[0.0], [2.0]], name="two")),
        (FiniteSet([[0.0], [1.0]], [0, 1], name="two"), FiniteSet([[0.0], [1.0]], [1, 0], name="two")),
    ],
    ids=lambda data: data.name,
)
def test_other_data_of_the_same_name_is_refused(one, other, tmp_path):
    path = tmp_path / "one.safetensors"
    *_, state = train(fresh(one), one, steps=2, batch=8, device="cpu")
    state.save(path)
    with pytest.raises(CheckpointError, match=f"was trained on other data of the name '{one.name}'") as caught:
        prepare(fresh(other), other, steps=5, resume=path, device="cpu")
    assert "\n" not in str(caught.value)
    assert prepare(fresh(one), one, steps=5, resume=path, device="cpu").step == 2
    assert load(path).config == json.loads(json.dumps(state.run.config))


def test_a_fingerprint_is_of_the_values_up_to_their_last_bits():
    again = GaussianMixture(RING.weights, RING.means * (1 + 1e-15), RING.covariances)
    assert fingerprint(again) == fingerprint(RING) == fingerprint(GaussianMixture.ring())
    moved = GaussianMixture(RING.weights, RING.means + np.array([0, 1e-4]), RING.covariances)
    assert fingerprint(moved) != fingerprint(RING)
    x = digits().x.copy()
    assert fingerprint(FiniteSet(x, digits().labels)) == fingerprint(digits())
    x[1234, 0, 3, 3] += 1 / 8
    assert fingerprint(FiniteSet(x, digits().labels)) != fingerprint(digits())
    assert fingerprint(FiniteSet(digits().x)) != fingerprint(digits())
    assert fingerprint(FiniteSet(np.zeros((3, 2)))) != fingerprint(FiniteSet(np.zeros((2, 3))))
