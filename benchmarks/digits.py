"""What a minute of training is worth, and five: the 8x8 digits, judged by a classifier that never saw a sample.

    python benchmarks/digits.py [--seconds 60] [--copies 63] [--picture docs/images/digits_60s.png]

Four fifths of the 1,797 digits are learned, with `copies` of each, a little stretched and slanted (`data.deformed`);
--copies 0 learns them as they are. The averaged network then draws 2,000 samples, 200 of each class, with their class given and
no guidance. judge.py says what is measured on them. The budget is CPU time of the process (`time.process_time`, one torch
thread), so that a busy machine changes the result little.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from judge import Judge, drawn, parted, report, trained

from difflab.commands.picture import png
from difflab.data import FiniteSet, deformed, digits
from difflab.training.atomic import write_atomically

IN_PICTURE, JUDGED = 20, 200  # samples of a class
COPIES = 63
NETWORK: dict[str, Any] = {"prediction": "v"}
SETTINGS: dict[str, Any] = {"batch": 128, "lr": 2e-3, "decay": "cosine"}


def learned_from(data: FiniteSet, copies: int) -> FiniteSet:
    """What the network is shown: `data`, and so many deformed copies."""
    return deformed(data, copies) if copies else data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU time of training")
    parser.add_argument("--copies", type=int, default=COPIES, help="deformed copies of each digit; 0 for none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, default=None, help="where to draw 20 samples of each class, a PNG")
    args = parser.parse_args()
    torch.set_num_threads(1)
    parts = parted(digits())
    judge = Judge(*parts)
    denoiser, steps, seconds = trained(
        learned_from(parts[0], args.copies), args.seconds, NETWORK, SETTINGS, seed=args.seed
    )
    size = sum(p.numel() for p in denoiser.parameters())
    print(f"network: {size:,} parameters, {steps} steps in {seconds:.1f} CPU-seconds, {args.copies} copies")
    print(f"real digits, held out: {100 * judge.held_out:.1f} % of {len(parts[1])} called right")
    print("samples, no guidance:")
    x, labels = drawn(denoiser, JUDGED)
    report(print, x, labels, judge, parts)
    if args.picture is not None:
        shown = x.unflatten(0, (-1, JUDGED))[:, :IN_PICTURE].flatten(0, 1)
        write_atomically(args.picture, png(shown.numpy(), (-1.0, 1.0), columns=IN_PICTURE))  # one row per class
        print(f"picture: {args.picture}")


if __name__ == "__main__":
    main()
