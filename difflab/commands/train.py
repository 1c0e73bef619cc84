"""`difflab train`."""

from __future__ import annotations

import argparse
import math
import os
import sys
import warnings
from pathlib import Path

from ..training import Trainer
from ..training.checkpoint import CHECKPOINT
from ..training.distributed import ProcessLost, is_first
from ..training.interrupts import Asked
from ..training.recipe import read
from . import sentence


def train(args: argparse.Namespace) -> int:
    """Train as the TOML file `args.config` says; write `args.out`/checkpoint.safetensors, and go on from one that is
    there.

    Without `args.out` it is runs/ and the file's name; `args.device`, unless None, stands in for the file's. An
    interrupt, SIGTERM or the end of the terminal writes the checkpoint too and returns 130. Raises SystemExit with one
    sentence for anything that cannot be.

    The processes that torchrun or accelerate launch start train together. The first one writes, shows and tells.
    """
    if not is_first():
        warnings.simplefilter("ignore")
    _tell_of_one()
    try:
        recipe = read(args.config)
        folder = Path(args.out) if args.out else Path("runs") / Path(args.config).stem
        trainer = recipe.trainer(folder, **({} if args.device is None else {"device": args.device}))
    except (ValueError, OSError, ImportError, MemoryError, ProcessLost) as error:
        raise _end(sentence(error)) from error
    if trainer.step >= trainer.total_steps:
        trainer.stop()
        if is_first():
            print(f"Already trained to step {trainer.step}: {folder / CHECKPOINT}; ask for more steps to go on.")
        return 0
    if trainer.step and is_first():
        print(f"Going on from step {trainer.step} in {folder}; give another --out to start afresh.")
    return _driven(trainer, folder / CHECKPOINT)


def _driven(trainer: Trainer, path: Path) -> int:
    """Let `trainer` work in the background, so that an interrupt always finds it between two steps."""
    from tqdm import tqdm

    first = is_first()
    with tqdm(total=trainer.total_steps, initial=trainer.step, unit="step", disable=not first) as bar, Asked() as asked:
        trainer.start()
        while trainer.wait(0.2) == "running":
            _show(bar, trainer)
            if asked.by is not None:
                trainer.stop(timeout=0)
        _show(bar, trainer)
    if trainer.state == "failed":
        raise _end(trainer.error)
    if trainer.state == "stopped":
        if first:
            print(f"Stopped at step {trainer.step}; the same command goes on from {path}.")
        return 130
    if first:
        print(f"Trained to step {trainer.step}: {path}")
    return 0


def _end(said: str) -> SystemExit:
    """What ends this process; of several the first one says why."""
    return SystemExit(said if is_first() else 1)


def _tell_of_one() -> None:
    """Accelerate starts one process where it was asked for several on the CPU, and says nothing of it."""
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1") and "MASTER_PORT" in os.environ
    if asked and "RANK" not in os.environ:
        print(
            "accelerate launch --cpu starts one process whatever --num_processes says; --multi_gpu starts all of them, on CPUs"
            " too.",
            file=sys.stderr,
        )


def _show(bar: object, trainer: Trainer) -> None:
    bar.update(trainer.step - bar.n)  # type: ignore[attr-defined]
    if math.isfinite(trainer.loss):  # a run that had ended before has none
        bar.set_postfix(loss=f"{trainer.loss:.4f}")  # type: ignore[attr-defined]
