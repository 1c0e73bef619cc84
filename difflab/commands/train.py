"""`difflab train`."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from ..training import Trainer
from ..training.folder import CHECKPOINT
from ..training.recipe import read
from . import sentence


def train(args: argparse.Namespace) -> int:
    """Train as the TOML file `args.config` says; write `args.out`/checkpoint.safetensors, and go on from one that is
    there.

    Without `args.out` it is runs/ and the file's name; `args.device`, unless None, stands in for the file's. An
    interrupt writes the checkpoint too and returns 130. Raises SystemExit with one sentence for anything that cannot be.
    """
    try:
        recipe = read(args.config)
        folder = Path(args.out) if args.out else Path("runs") / Path(args.config).stem
        trainer = recipe.trainer(folder, **({} if args.device is None else {"device": args.device}))
    except (ValueError, OSError) as error:
        raise SystemExit(sentence(error)) from error
    if trainer.step:
        print(f"Going on from step {trainer.step} in {folder}; give another --out to start afresh.")
    return _driven(trainer, folder / CHECKPOINT)


def _driven(trainer: Trainer, path: Path) -> int:
    """Let `trainer` work in the background, so that an interrupt always finds it between two steps."""
    from tqdm import tqdm

    with tqdm(total=trainer.total_steps, initial=trainer.step, unit="step") as bar:
        trainer.start()
        try:
            while trainer.wait(0.2) == "running":
                _show(bar, trainer)
        except KeyboardInterrupt:
            trainer.stop(timeout=None)
        _show(bar, trainer)
    if trainer.state == "failed":
        raise SystemExit(trainer.error)
    if trainer.state == "stopped":
        print(f"Stopped at step {trainer.step}; the same command goes on from {path}.")
        return 130
    print(f"Trained to step {trainer.step}: {path}")
    return 0


def _show(bar: object, trainer: Trainer) -> None:
    bar.update(trainer.step - bar.n)  # type: ignore[attr-defined]
    if math.isfinite(trainer.loss):  # a run that had ended before has none
        bar.set_postfix(loss=f"{trainer.loss:.4f}")  # type: ignore[attr-defined]
