"""Batches noised many at a time are those noised one by one, also where the schedule changes between two of them."""

import pytest
import torch

from difflab.data import GaussianMixture, digits
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine, VPLinear
from difflab.training import prepare

CASES = {"ring": (GaussianMixture.ring(), 64), "digits": (digits(), 16)}  # data, batches in a block


def blocks(data, schedule, **settings):
    denoiser = NetworkDenoiser.for_data(data, schedule, width=16)
    options = {"steps": 1, "batch": 128, "device": "cpu", "generator": torch.Generator().manual_seed(5), **settings}
    run = prepare(denoiser, data, **options)
    return run.denoiser, run.blocks


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("drawn", [0, 1, 15, 16, 64, 65])
def test_another_schedule_noises_the_same_examples_with_the_same_noise(name, drawn):
    data, size = CASES[name]
    (denoiser, changing), (_, steady) = blocks(data, VPCosine()), blocks(data, VPLinear())
    assert changing.size == size
    for _ in range(drawn):
        changing.draw()
        steady.draw()
    denoiser.schedule = VPLinear()
    for _ in range(size + 2):
        one, other = changing.draw()[0], steady.draw()[0]
        for column in ("t", "shown", "level", "due"):
            assert torch.equal(getattr(one, column), getattr(other, column)), column


def test_times_that_learn_are_told_of_each_batch_before_the_next():
    assert blocks(GaussianMixture.ring(), VPCosine(), times="loss")[1].size == 1
