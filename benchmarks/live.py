"""What watching costs: steps per second of training with all scenes live, beside the same loop with none.

    python benchmarks/live.py [--rounds 7] [--seconds 4] [--preset ring]

Two trainers of the same network on the same data take turns in one process, since this kind of machine drifts by
10-30 %; the order changes every round. The live one is the Lab's own: every look, every message, and the learned
bound measured again and again. Messages go through the widget machinery up to the socket; the browser's own work is
in another process.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from difflab.scenes.lab import TRAINING, Lab
from difflab.training import Trainer


def speed(trainer: Trainer, seconds: float) -> float:
    """Steps per second over `seconds` of running."""
    trainer.resume()
    time.sleep(0.5)  # past the first steps after a pause
    first, start = trainer.step, time.perf_counter()
    time.sleep(seconds)
    steps, took = trainer.step - first, time.perf_counter() - start
    trainer.pause()
    return steps / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--preset", default="ring")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    lab = Lab(arguments.preset, train_steps=10**8)
    lab.settle()
    lab.train()
    lab.settle()
    live = lab.monitor.trainer
    bare_denoiser = live.snapshot().requires_grad_(True).train()
    settings = TRAINING["images" if lab.data.is_image else "points"] | {"steps": 10**8}
    bare = Trainer(bare_denoiser, lab.data, **settings, generator=torch.Generator().manual_seed(0))
    live.pause()
    bare.start()
    bare.pause()

    pairs = []
    for i in range(arguments.rounds):
        both = {}
        for name, trainer in sorted({"live": live, "bare": bare}.items(), reverse=bool(i % 2)):
            both[name] = speed(trainer, arguments.seconds)
        pairs.append(both)
        ratio = both["live"] / both["bare"]
        print(f"round {i + 1}: bare {both['bare']:.0f} steps/s, live {both['live']:.0f} steps/s, ratio {ratio:.3f}")
    ratios = sorted(p["live"] / p["bare"] for p in pairs)
    print(f"live / bare: median {statistics.median(ratios):.3f}, best {ratios[-1]:.3f}, worst {ratios[0]:.3f}")


if __name__ == "__main__":
    main()
