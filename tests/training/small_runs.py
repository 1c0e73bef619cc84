"""Runs of a tiny network on the ring, always of the same seeds, to stop, to kill and to go on with."""

import shutil

import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import train

RING = GaussianMixture.ring()


def states(steps, **options):
    denoiser = NetworkDenoiser.for_data(RING, VPCosine(), width=16, seed=0)
    options = {
        "batch": 16,
        "clip_gradient": 0.5,
        "device": "cpu",
        "generator": torch.Generator().manual_seed(7),
    } | options
    return train(denoiser, RING, steps=steps, **options)


def killed_at(step, path, copy, **options):
    """What a process leaves in `copy` that is killed after that step of a run in `path`."""
    first = states(320, folder=path, **options)
    for _ in range(step):
        next(first)
    shutil.copytree(path, copy, ignore=shutil.ignore_patterns("lock", "writer"))
    first.close()
