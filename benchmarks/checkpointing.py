"""What checkpoints and metrics cost: the share of a training's time that goes into them at their default intervals.

    python benchmarks/checkpointing.py [--saves 7] [--markdown] [NAME ...]

A difference of 2 % is not resolved between two trainings here, so that the parts are timed by themselves: a step, the writing of
a checkpoint (flushed to the disk, the one before it kept under its step's name) and a row of metrics; all by the clock on the
wall, medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from memory import CASES, Case, line

from difflab.training.folder import Folder
from difflab.training.loop import NOTE_EVERY, begun, continued


@contextmanager
def timed(owner: object, name: str) -> Iterator[list[float]]:
    """The seconds of every call of the method `name`."""
    taken: list[float] = []
    method: Callable[..., object] = getattr(owner, name)

    def around(*args: object, **options: object) -> object:
        start = time.perf_counter()
        try:
            return method(*args, **options)
        finally:
            taken.append(time.perf_counter() - start)

    setattr(owner, name, around)
    yield taken
    delattr(owner, name)


def measured(case: Case, saves: int, folder: Path) -> tuple[float, float, float, int]:
    """(seconds of a step, of a checkpoint, of a row of metrics; bytes of a checkpoint)."""
    data = case.data()
    every = 10
    run, place = begun(
        case.denoiser(data),
        data,
        steps=10**6,
        batch=case.batch,
        device="cpu",
        conditional=False,
        folder=folder,
        save_every=every,
    )
    assert isinstance(place, Folder)
    steps = []
    with timed(place, "save") as saved, timed(place, "note") as noted:
        states = continued(run, place)
        while len(saved) < saves or len(noted) < 2:
            before, start = len(saved) + len(noted), time.perf_counter()
            next(states)
            if len(saved) + len(noted) == before:
                steps.append(time.perf_counter() - start)
        states.close()
        size = place.checkpoint.stat().st_size
        return statistics.median(steps), statistics.median(saved), statistics.median(noted), size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saves", type=int, default=7)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {'; '.join(CASES)}")
    args = parser.parse_args()
    torch.set_num_threads(1)
    every = Folder("").save_every
    print(line(["", "step, ms", "checkpoint, ms", "MB", "row, ms", "share of the time"], args.markdown))
    if args.markdown:
        print("|---|" + "---:|" * 5)
    for name in args.names or CASES:
        with tempfile.TemporaryDirectory() as folder:
            step, save, note, size = measured(CASES[name], args.saves, Path(folder) / "run")
        share = (save / every + note / NOTE_EVERY) / step
        numbers = [
            f"{1000 * step:.2f}",
            f"{1000 * save:.1f}",
            f"{size / 1e6:.1f}",
            f"{1000 * note:.3f}",
            f"{share:.2%}",
        ]
        print(line([name, *numbers], args.markdown))


if __name__ == "__main__":
    main()
