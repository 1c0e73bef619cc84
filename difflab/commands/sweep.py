"""`difflab sweep`."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..training.sweeps import Sweep, grid
from ..training.sweeps import sweep as begin
from ..training.sweeps.configs import Config
from . import sentence

_LOOK = 0.5  # seconds between two looks at the runs


def sweep(args: argparse.Namespace) -> int:
    """Train every combination of the values in `args.set` of every TOML file in `args.configs`, each in a folder in `args.out`;
    print a table.

    `args.set` are texts KEY=VALUE,VALUE,...; `args.workers` run at once, or as many as there are CPUs. Returns 1 if a run failed
    or was lost. An interrupt saves the runs and returns 130. Raises SystemExit with one sentence for anything that cannot be.
    """
    try:
        runs = begin(_configs(args.configs, args.set), folder=args.out, workers=args.workers)
    except (ValueError, TypeError, OSError) as error:
        raise SystemExit(sentence(error)) from error
    interrupted = _shown(runs)
    print(runs)
    if interrupted:
        print(f"Stopped; the same command goes on from {args.out}.")
        return 130
    return 0 if all(run.state == "finished" for run in runs.runs) else 1


def _shown(runs: Sweep) -> bool:
    """Wait for the runs under a bar of all their steps; whether there was an interrupt, after which they are saved."""
    from tqdm import tqdm

    total = sum(run.config["training"]["steps"] for run in runs.runs)
    with tqdm(total=total, initial=sum(run.step for run in runs.runs), unit="step") as bar:
        try:
            while not runs.done:
                runs.wait(_LOOK)
                bar.set_postfix_str(runs.line(), refresh=False)
                bar.update(sum(run.step for run in runs.runs) - bar.n)
        except KeyboardInterrupt:
            runs.stop()
            return True
    return False


def _configs(paths: Sequence[Path], changes: Sequence[str]) -> dict[str, Config] | Sequence[Path]:
    """What the files say, changed in all ways; by name where there are changes."""
    if not changes:
        return paths
    choices: dict[str, list[Any]] = {}
    for change in changes:
        key, equals, values = change.partition("=")
        if not equals or not key or not values:
            raise ValueError(f"--set needs KEY=VALUE,VALUE,... such as training.lr=1e-3,2e-3, but got {change!r}.")
        if key in choices:
            raise ValueError(f"--set {key} is given twice: give all of its values at once.")
        choices[key] = _values(values)
    grids = [(path.stem, grid(path, choices)) for path in paths]
    if len(grids) == 1:
        return dict(grids[0][1])
    return {f"{stem},{name}": tables for stem, made in grids for name, tables in made.items()}


def _values(text: str) -> list[Any]:
    """The values between the commas, as TOML has them; what is none there is a word."""
    try:
        return tomllib.loads(f"values = [{text}]")["values"]
    except tomllib.TOMLDecodeError:
        return [_value(part) for part in text.split(",")]


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
