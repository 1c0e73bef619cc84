"""Peak memory of a training, beside the bare loop: the same network, forward, backward, fused optimiser.

    python benchmarks/memory.py [--steps 12] [--markdown] [NAME ...]

Each side is a process of its own, and what is measured is the most that the system ever gave it (resident set), Python and torch
included; beside it, what that is above the imports. The training averages its weights, keeps the copy of the run that a
divergence falls back to, takes it anew every two steps, and writes two checkpoints: all that happens in a long run happens here.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

import difflab.training.loop
from difflab.data import DataSet, FiniteSet, GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import train


@dataclass(frozen=True)
class Case:
    """A network and its data: points of the ring, or images of noise, `shape` (1, rows, columns)."""

    batch: int
    shape: tuple[int, ...] | None = None
    options: dict[str, Any] | None = None

    def data(self) -> DataSet:
        if self.shape is None:
            return GaussianMixture.ring()
        return FiniteSet(torch.rand(5000, *self.shape).numpy(), name="noise")

    def denoiser(self, data: DataSet) -> NetworkDenoiser:
        return NetworkDenoiser.for_data(data, VPCosine(), **(self.options or {}))


CASES = {
    "MLP 3x128, batch 512": Case(512),
    "MLP 3x128, batch 2048": Case(2048),
    "U-Net, 8x8, batch 128": Case(128, (1, 8, 8)),
    "U-Net, 28x28, batch 128": Case(128, (1, 28, 28)),
    "U-Net of 5 M weights, 28x28, batch 128": Case(128, (1, 28, 28), {"width": 192}),
}


def bare(case: Case, steps: int) -> None:
    data = case.data()
    denoiser = case.denoiser(data)
    network, optimizer = denoiser.network, torch.optim.AdamW(denoiser.parameters(), lr=1e-3, fused=True)
    x, goal = torch.randn(2, case.batch, *data.shape)
    level = torch.randn(case.batch)
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(network(x, level, None), goal).backward()
        optimizer.step()


def loop(case: Case, steps: int) -> None:
    data = case.data()
    difflab.training.loop.KEEP_EVERY = difflab.training.loop.CHECK_EVERY = 2
    with tempfile.TemporaryDirectory() as folder:
        options = {"folder": folder, "save_every": steps // 2, "conditional": False}
        for _ in train(case.denoiser(data), data, steps=steps, batch=case.batch, device="cpu", **options):
            pass


SIDES = {"bare": bare, "loop": loop}


def peak() -> float:
    """The most memory that this process ever had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(side: str, name: str, steps: int) -> tuple[float, float, int]:
    """(peak MiB, that above the imports, weights) of a process that does nothing else."""
    command = [sys.executable, __file__, "--side", side, "--steps", str(steps), name]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(json.loads(said.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {'; '.join(CASES)}")
    args = parser.parse_args()
    if args.side:
        torch.set_num_threads(1)
        case, start = CASES[args.names[0]], peak()
        SIDES[args.side](case, args.steps)
        weights = sum(p.numel() for p in case.denoiser(case.data()).parameters())
        print(json.dumps([peak(), peak() - start, weights]))
        return
    columns = ["", "weights", "bare, MiB", "loop, MiB", "ratio", "above the imports, bare", "loop", "ratio"]
    print(line(columns, args.markdown))
    if args.markdown:
        print("|---|" + "---:|" * (len(columns) - 1))
    for name in args.names or CASES:
        (least, own, weights), (most, ours, _) = (measured(side, name, args.steps) for side in SIDES)
        numbers = [f"{weights:,}", f"{least:.0f}", f"{most:.0f}", f"{most / least:.2f}"]
        print(line([name, *numbers, f"{own:.0f}", f"{ours:.0f}", f"{ours / own:.2f}"], args.markdown))


def line(cells: list[str], markdown: bool) -> str:
    if markdown:
        return f"| {' | '.join(cells)} |"
    return f"{cells[0]:40}" + "".join(f"{cell:>12}" for cell in cells[1:])


if __name__ == "__main__":
    main()
