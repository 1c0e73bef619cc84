"""What a minute of training is worth: 60 CPU-seconds on the 8x8 digits, judged by a classifier that never saw a sample.

    python benchmarks/digits.py [--seconds 60] [--picture docs/images/digits_60s.png]

A support-vector machine is trained on half of the real digits and tested on the other half; then it names 200
samples, 20 of each class, drawn from the averaged network with their class given and no guidance. The budget is CPU
time of the process (`time.process_time`, one torch thread), so that a busy machine changes the result little.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from torch import Tensor

from difflab.commands.picture import png
from difflab.data import digits
from difflab.denoisers import Conditioned, NetworkDenoiser
from difflab.samplers import DDIM, final, grids, sample
from difflab.schedules import VPCosine
from difflab.training import train
from difflab.training.checkpoint import write_atomically

PER_CLASS, SAMPLER_STEPS = 20, 50
NETWORK: dict[str, Any] = {"prediction": "v"}
SETTINGS: dict[str, Any] = {"batch": 128, "lr": 2e-3}


class Judge:
    """A support-vector machine on the 17 grey levels; `held_out` is its accuracy on the digits it was not shown."""

    def __init__(self) -> None:
        data = digits()
        assert data.labels is not None
        x = grey_levels(torch.from_numpy(data.x))
        seen, unseen, seen_labels, unseen_labels = train_test_split(
            x, data.labels, test_size=0.5, stratify=data.labels, random_state=0
        )
        self._machine = SVC(gamma=0.001, C=10).fit(seen, seen_labels)
        self.held_out = float(self._machine.score(unseen, unseen_labels))

    def agreement(self, x: Tensor, labels: Tensor) -> float:
        """Share of the images (n, 1, 8, 8) that it calls by their label."""
        return float(np.mean(self._machine.predict(grey_levels(x)) == labels.numpy()))


def grey_levels(x: Tensor) -> np.ndarray:
    """Images on [-1, 1] as whole numbers 0..16, flat (n, 64)."""
    return ((x.clamp(-1, 1) + 1) * 8).round().flatten(1).numpy()


def trained(seconds: float, seed: int = 0, **changes: Any) -> tuple[NetworkDenoiser, int, float]:
    """The averaged denoiser after `seconds` of CPU time, the steps that took, and the seconds really used."""
    network = NETWORK | {k: v for k, v in changes.items() if k in ("prediction", "width", "blocks")}
    settings = SETTINGS | {k: v for k, v in changes.items() if k not in network}
    data = digits()
    start = time.process_time()
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), conditional=True, seed=seed, **network)
    generator = torch.Generator().manual_seed(seed)
    states = train(denoiser, data, steps=10**9, generator=generator, device="cpu", **settings)
    state = next(states)
    while time.process_time() - start < seconds:
        state = next(states)
    return state.ema, state.step, time.process_time() - start


def drawn(denoiser: NetworkDenoiser, per_class: int = PER_CLASS, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Samples of every class, (10 * per_class, 1, 8, 8), one class after the other, and their labels."""
    labels = torch.arange(10).repeat_interleave(per_class)
    generator = torch.Generator().manual_seed(seed)
    grid = grids.uniform(denoiser.schedule, SAMPLER_STEPS)
    states = sample(Conditioned(denoiser, labels), DDIM(), grid, n=len(labels), shape=(1, 8, 8), generator=generator)
    return final(states), labels


def nearest(x: Tensor, itself: bool = False) -> float:
    """Median distance of images to the nearest real digit (not counting `itself`): near 0 is learned by heart."""
    distances = torch.cdist(x.flatten(1), torch.from_numpy(digits().x).flatten(1))
    return float(distances.kthvalue(2 if itself else 1, dim=1).values.median())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU time of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, default=Path("docs/images/digits_60s.png"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    judge = Judge()
    denoiser, steps, seconds = trained(args.seconds, args.seed)
    x, labels = drawn(denoiser)
    write_atomically(args.picture, png(x.numpy(), (-1.0, 1.0), columns=PER_CLASS))  # one row per class
    size = sum(p.numel() for p in denoiser.parameters())
    print(f"network            {size:,} parameters, {steps} steps in {seconds:.1f} CPU-seconds")
    print(f"real, held out     {100 * judge.held_out:5.1f} % called right")
    print(f"samples            {100 * judge.agreement(x, labels):5.1f} % of {len(x)} called right, no guidance")
    many, their_labels = drawn(denoiser, per_class=200, seed=2)
    print(f"                   {100 * judge.agreement(many, their_labels):5.1f} % of {len(many)}")
    own, real = nearest(many), nearest(torch.from_numpy(digits().x), itself=True)
    print(f"nearest real digit {own:5.2f} away in the median; real digits are {real:.2f} from their nearest other")
    print(f"picture            {args.picture}")


if __name__ == "__main__":
    main()
