"""`difflab sample`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from ..denoisers import Conditioned, Denoiser
from ..device import resolve
from ..samplers import SAMPLERS, DDIMInversion, OneLevel, Sampler, final, sampler_from
from ..samplers import sample as reverse
from ..training import Checkpoint, load, post_hoc
from ..training.atomic import write_atomically
from ..training.faults import reason
from . import sentence
from .picture import png

_MOST = 1_000_000  # samples in one picture


def sample(args: argparse.Namespace) -> int:
    """Draw `args.n` samples from the checkpoint `args.checkpoint` and write them to the PNG `args.out`.

    `args.labels` is "0,1,..." (they take turns) or None for all classes; `args.sampler` a name in `samplers.SAMPLERS`,
    in capitals or not, or None for the default, `args.evaluations` what it may spend, `args.seed` the noise, `args.device`
    where, `args.length` that of the average of the weights, or None for the one with a decay. Raises SystemExit with
    one sentence for anything that cannot be.
    """
    try:
        _check_out(args.out)
        x, value_range, columns = _drawn(args)
        picture = png(x.numpy(), value_range, columns)
    except (ValueError, FloatingPointError, OSError) as error:
        raise SystemExit(sentence(error)) from error
    try:
        write_atomically(args.out, picture)
    except OSError as error:
        raise SystemExit(f"{args.out} cannot be written ({reason(error)}): give another --out.") from error
    print(f"{len(x)} samples: {args.out}")
    return 0


def _check_out(path: Path) -> None:
    """ValueError, in one sentence, where no file can be written: before samples are drawn, which may take long."""
    if path.is_dir():
        raise ValueError(f"--out must be the path of a PNG file, but {path} is a folder.")
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise ValueError(f"{path} cannot be written, since {there} is no folder that can: give another --out.")


def _drawn(args: argparse.Namespace) -> tuple[torch.Tensor, tuple[float, float], int]:
    if not 1 <= args.n <= _MOST:
        raise ValueError(f"The number of samples must be at least 1 and at most {_MOST:,}, but got {args.n}.")
    if not 0 <= args.seed < 2**63:
        raise ValueError(f"The seed must be a whole number from 0 to 2^63 - 1, but got {args.seed}.")
    sampler = None if args.sampler is None else _sampler(args.sampler)
    device = resolve(args.device)
    loaded = load(args.checkpoint)
    labels = _labels(args.labels, loaded.denoiser.classes)
    averaged = loaded.denoiser if args.length is None else post_hoc.average(args.checkpoint, args.length)
    denoiser: Denoiser = averaged.to(device)
    if labels is not None:
        denoiser = Conditioned(denoiser, torch.tensor([labels[i % len(labels)] for i in range(args.n)]))
    states = reverse(
        denoiser,
        sampler,
        evaluations=args.evaluations,
        n=args.n,
        shape=tuple(loaded.config["data"]["shape"]),
        generator=torch.Generator().manual_seed(args.seed),
    )
    columns = len(labels) if labels is not None and len(labels) > 1 else 10
    return final(states).cpu(), _range(loaded), columns


def _sampler(name: str) -> Sampler:
    """By its name in any capitals. ValueError unless it runs from noise to data."""
    names = {
        known.lower(): known
        for known, kind in SAMPLERS.items()
        if not issubclass(kind, OneLevel | DDIMInversion)  # which start elsewhere, or end
    }
    if name.lower() not in names:
        raise ValueError(f"No sampler named {name!r} draws from noise; choose one of {', '.join(names.values())}.")
    return sampler_from(names[name.lower()])


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
