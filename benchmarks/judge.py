"""What sampled images are worth: a classifier that names them, and how far they lie from the images that were learned.

Real images are parted once, class by class: four fifths are learned, by the network and by the judge alike; a fifth is held
out and shown to neither. The judge, a support-vector machine, has never seen a sample; its accuracy on the held-out images says
how far it is to be believed.

Copying shows in distances. With d(a) the Euclidean distance from an image a to the nearest image that was learned,

    nearest-neighbour ratio = median of d over samples / median of d over held-out real images.

Images that are new and drawn from the data's own law give 1, a network that gives back what it learned gives 0. Beside it are
the same with means, with the neighbour sought among the learned images of the same class, at the lower tenth (where copies
would be found first), and with the distance of a learned image to the nearest other one below the line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from torch import Tensor

from difflab.data import FiniteSet
from difflab.denoisers import Conditioned, NetworkDenoiser
from difflab.denoisers.guidance import ClassifierFree
from difflab.metrics import energy_distance
from difflab.samplers import final, sample
from difflab.schedules import VPCosine
from difflab.training import TrainingState, train

HELD_OUT = 0.2
EVALUATIONS = 50
_BLOCK = 512  # rows of distances at a time
_TIMED = 20  # steps by which the time of one is measured


def parted(data: FiniteSet) -> tuple[FiniteSet, FiniteSet]:
    """(learned, held out): the same share of every class in both, the same images at every call."""
    parts = train_test_split(data.x, data.labels, test_size=HELD_OUT, stratify=data.labels, random_state=0)
    learned, held_out = (
        FiniteSet(x, labels, levels=data.levels, range=data.range, name=data.name)
        for x, labels in zip(parts[:2], parts[2:], strict=True)
    )
    return learned, held_out


class Judge:
    """A support-vector machine (RBF kernel) on the grey levels 0, 1, ... of the learned images.

    `held_out` is its accuracy on the real images that it was not shown.
    """

    def __init__(self, learned: FiniteSet, held_out: FiniteSet) -> None:
        assert learned.levels is not None
        self._levels = learned.levels
        self._machine = SVC(C=10, gamma="scale").fit(self._grey(torch.from_numpy(learned.x)), learned.labels)
        self.held_out = self.agreement(torch.from_numpy(held_out.x), held_out.labels)

    def agreement(self, x: Tensor, labels: Tensor | np.ndarray | None) -> float:
        """Share of the images (n, c, h, w) on [-1, 1] that it calls by their label."""
        return float(np.mean(self._machine.predict(self._grey(x)) == np.asarray(labels)))

    def _grey(self, x: Tensor) -> np.ndarray:
        return ((x.clamp(-1, 1) + 1) * ((self._levels - 1) / 2)).round().flatten(1).numpy()


def distances(x: Tensor, others: Tensor, nth: int = 1) -> Tensor:
    """(n,), from each row of x (n, ...) to the nth nearest of `others` (m, ...); rows are flattened."""
    far = others.flatten(1).double()
    rows = [torch.cdist(a.double(), far).kthvalue(nth, dim=1).values for a in x.flatten(1).split(_BLOCK)]
    return torch.cat(rows)


@dataclass(frozen=True)
class Neighbours:
    """Ratios of distances to the nearest learned image, samples over held-out real images.

    Attributes:
        median, mean: of all; `lowest`: of the lower tenths.
        same_class: of the medians, the neighbour sought in the image's own class.
        among_learned: the median over that of learned images to the nearest other learned one.
        sample: the median distance of a sample itself, in units of the grey range's half.
    """

    median: float
    mean: float
    lowest: float
    same_class: float
    among_learned: float
    sample: float

    @classmethod
    def of(cls, x: Tensor, labels: Tensor, learned: FiniteSet, held_out: FiniteSet) -> Neighbours:
        """Of samples x (n, c, h, w) of the classes `labels` (n,)."""
        known, real = torch.from_numpy(learned.x), torch.from_numpy(held_out.x)
        own, theirs, within = distances(x, known), distances(real, known), distances(known, known, nth=2)
        by_class = [
            torch.cat([distances(a[ids == c], known[learned.labels == c]) for c in range(learned.classes or 0)])
            for a, ids in ((x, labels.numpy()), (real, held_out.labels))
        ]
        return cls(
            median=float(own.median() / theirs.median()),
            mean=float(own.mean() / theirs.mean()),
            lowest=float(own.quantile(0.1) / theirs.quantile(0.1)),
            same_class=float(by_class[0].median() / by_class[1].median()),
            among_learned=float(own.median() / within.median()),
            sample=float(own.median()),
        )


def trained(
    data: FiniteSet, seconds: float, network: dict[str, Any], settings: dict[str, Any], seed: int = 0
) -> tuple[NetworkDenoiser, int, float]:
    """The averaged denoiser after `seconds` of CPU time of this process, the steps it took, and the seconds really used.

    Everything counts but the data: building the network, and a few steps of another one, by which the number of steps is chosen
    that the learning rate's schedule is to know. If they prove slower than that, the training ends early.
    """
    start = time.process_time()

    def begun(steps: int) -> Iterator[TrainingState]:
        denoiser = NetworkDenoiser.for_data(data, VPCosine(), conditional=True, seed=seed, **network)
        generator = torch.Generator().manual_seed(seed)
        return train(denoiser, data, steps=steps, generator=generator, device="cpu", **settings)

    states, took = begun(10**6), []
    for _ in range(_TIMED):
        before = time.process_time()
        next(states)
        took.append(time.process_time() - before)
    # the mean of the later half: the first steps load what torch loads when it is first asked, some draw for many
    one = float(np.mean(took[_TIMED // 2 :]))
    steps = max(1, int((seconds - (time.process_time() - start)) / one))
    states = begun(steps)
    state = next(states)
    while state.step < steps and time.process_time() - start < seconds:
        state = next(states)
    return state.ema, state.step, time.process_time() - start


def drawn(
    denoiser: NetworkDenoiser, per_class: int, weight: float | None = None, seed: int = 1
) -> tuple[Tensor, Tensor]:
    """Samples of every class, (classes * per_class, c, h, w), one class after the other, and their labels.

    By the default sampler. `weight` is classifier-free guidance's as difflab counts it: without + weight (with - without).
    """
    labels = torch.arange(denoiser.classes or 0).repeat_interleave(per_class)
    asked = Conditioned(denoiser if weight is None else ClassifierFree(denoiser, weight), labels)
    generator = torch.Generator().manual_seed(seed)
    shape = denoiser.shape
    assert shape is not None
    states = sample(asked, evaluations=EVALUATIONS, n=len(labels), shape=shape, generator=generator)
    return final(states), labels


def report(
    say: Callable[[str], None], x: Tensor, labels: Tensor, judge: Judge, parts: tuple[FiniteSet, FiniteSet]
) -> None:
    """What the judge and the distances say of samples, in a few lines."""
    near = Neighbours.of(x, labels, *parts)
    apart = energy_distance(x.flatten(1), torch.from_numpy(parts[1].x).flatten(1))
    say(f"  called right       {100 * judge.agreement(x, labels):5.1f} % of {len(x)}")
    say(f"  nearest neighbour  {near.median:5.3f}  medians, samples over held-out real images ({near.sample:.2f} away)")
    say(f"                     {near.mean:5.3f}  means")
    say(f"                     {near.same_class:5.3f}  medians, in the same class")
    say(f"                     {near.lowest:5.3f}  lower tenths")
    say(f"                     {near.among_learned:5.3f}  medians, over learned images and their nearest other")
    say(f"  energy distance    {apart.value:5.3f} +- {apart.error:.3f} to the held-out images")
