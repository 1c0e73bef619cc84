"""`difflab train` and `difflab sample`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from ..denoisers import Conditioned, Denoiser
from ..samplers import DDIM, Ancestral, Sampler, final, grids
from ..samplers import sample as reverse
from .checkpoint import Checkpoint, load, write_atomically
from .picture import png
from .recipe import read
from .trainer import Trainer

CHECKPOINT = "checkpoint.safetensors"
SAMPLERS: dict[str, type[Sampler]] = {"ddim": DDIM, "ancestral": Ancestral}


def train(args: argparse.Namespace) -> int:
    """Train as the TOML file `args.config` says; write `args.out`/checkpoint.safetensors, and go on from one that is
    there.

    Without `args.out` it is runs/ and the file's name. An interrupt writes the checkpoint too and returns 130.
    Raises SystemExit with one sentence for anything that cannot be.
    """
    try:
        recipe = read(args.config)
        out = Path(args.out) if args.out else Path("runs") / Path(args.config).stem
        path = out / CHECKPOINT
        resume = load(path) if path.exists() else None
        trainer = Trainer(
            recipe.denoiser,
            recipe.data,
            generator=torch.Generator().manual_seed(recipe.seed),
            checkpoint=path,
            resume=resume,
            **{"threads": None} | recipe.training,
        )
    except (ValueError, OSError) as error:
        raise SystemExit(_sentence(error)) from error
    if resume is not None:
        print(f"Going on from step {resume.step} of {path}; give another --out to start afresh.")
    return _driven(trainer, path)


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
        trainer.save(path)
        print(f"Stopped at step {trainer.step}; the same command goes on from {path}.")
        return 130
    print(f"Trained to step {trainer.step}: {path}")
    return 0


def _show(bar: object, trainer: Trainer) -> None:
    bar.update(trainer.step - bar.n)  # type: ignore[attr-defined]
    bar.set_postfix(loss=f"{trainer.loss:.4f}")  # type: ignore[attr-defined]


def sample(args: argparse.Namespace) -> int:
    """Draw `args.n` samples from the checkpoint `args.checkpoint` and write them to the PNG `args.out`.

    `args.labels` is "0,1,..." (they take turns) or None for all classes; `args.sampler` "ddim" or "ancestral",
    `args.steps` its steps, `args.seed` the noise. Raises SystemExit with one sentence for anything that cannot be.
    """
    try:
        x, value_range, columns = _drawn(args)
        picture = png(x.numpy(), value_range, columns)
        write_atomically(args.out, picture)
    except (ValueError, FloatingPointError, OSError) as error:
        raise SystemExit(_sentence(error)) from error
    print(f"{len(x)} samples: {args.out}")
    return 0


def _drawn(args: argparse.Namespace) -> tuple[torch.Tensor, tuple[float, float], int]:
    if args.n < 1:
        raise ValueError(f"The number of samples must be at least 1, but got {args.n}.")
    if args.sampler not in SAMPLERS:
        raise ValueError(f"There is no sampler named {args.sampler!r}; choose one of {', '.join(SAMPLERS)}.")
    loaded = load(args.checkpoint)
    labels = _labels(args.labels, loaded.denoiser.classes)
    denoiser: Denoiser = loaded.denoiser
    if labels is not None:
        denoiser = Conditioned(denoiser, torch.tensor([labels[i % len(labels)] for i in range(args.n)]))
    states = reverse(
        denoiser,
        SAMPLERS[args.sampler](),
        grids.uniform(denoiser.schedule, args.steps),
        n=args.n,
        shape=tuple(loaded.config["data"]["shape"]),
        generator=torch.Generator().manual_seed(args.seed),
    )
    columns = len(labels) if labels is not None and len(labels) > 1 else 10
    return final(states), _range(loaded), columns


def _labels(text: str | None, classes: int | None) -> list[int] | None:
    if text is None:
        return None if classes is None else list(range(classes))
    if classes is None:
        raise ValueError("This checkpoint's network knows no classes; sample it without --labels.")
    try:
        labels = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(f"--labels must be whole numbers with commas between them, but got {text!r}.") from error
    if not all(0 <= label < classes for label in labels):
        raise ValueError(f"--labels must lie between 0 and {classes - 1}, but got {text}.")
    return labels


def _range(loaded: Checkpoint) -> tuple[float, float]:
    return loaded.denoiser.clip or (-3.0, 3.0)


def _sentence(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"There is no file {error.filename}."
    return str(error)
