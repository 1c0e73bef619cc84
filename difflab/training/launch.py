"""Several processes from one call: a notebook's way to train on more than its own.

They are started by torch's launcher in a process of its own, so that the kernel is not forked, and an interrupt of the cell
reaches them in one way only. The first of them tells how it goes (launched.py); the bar is here.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from ..denoisers.network import NetworkDenoiser
from ..device import check_device_name, resolve
from .checkpoint import CHECKPOINT, load
from .faults import OneSentence
from .recipe import recipe_from, tables_in
from .settings import Settings, whole

_MOST = 1024


class LaunchFailed(OneSentence, RuntimeError):
    """A training on several processes failed; one sentence says how."""


class LaunchInterrupted(OneSentence, KeyboardInterrupt):
    """A kernel's interrupt ended a training on several processes after a whole step."""


def launch(
    recipe: str | PathLike[str] | Mapping[str, Any],
    *,
    processes: int = 2,
    folder: str | PathLike[str],
    device: str | None = None,
    progress: bool = True,
) -> NetworkDenoiser:
    """Train `recipe` on `processes` processes of this machine, and return the averaged denoiser, on the CPU.

    On GPUs each process takes one. A run that lies in `folder` is gone on with, whatever number of processes it had before. An
    interrupt ends all of them after the same step, with a checkpoint in `folder`; so does the end of this process.

    Args:
        recipe: the path of a TOML file, or its tables (see `recipe.read`).
        folder: directory of the run (see `Folder`).
        device: "cpu" or "cuda", in the place of the recipe's.
        progress: show a bar, which needs tqdm.

    Raises RecipeError, ValueError or FileNotFoundError in one sentence before anything is started; LaunchFailed in one sentence
    where a process failed; LaunchInterrupted.
    """
    whole("processes", processes, least=1, most=_MOST)
    if not isinstance(folder, str | PathLike):
        raise TypeError(f"folder must be the path of a directory, but got {folder!r}.")
    if device is not None:
        check_device_name(device)
        resolve(device)  # which this machine must have
    if not isinstance(progress, bool):
        raise ValueError(f"progress must be True or False, but got {progress!r}.")
    if isinstance(recipe, Mapping):
        tables, name = dict(recipe), "recipe"
    else:
        tables, name = tables_in(recipe), Path(recipe).name
    training = recipe_from(tables, name).training
    batch = training.get("batch", Settings.batch)
    if batch % processes:
        raise ValueError(f"{name}: training.batch must be a multiple of {processes} processes, but got {batch}.")
    changes = {} if device is None else {"device": device}
    request = {"tables": tables, "name": name, "folder": os.fspath(folder), "changes": changes}
    with tempfile.TemporaryFile() as words:
        process = _started(processes, json.dumps(request), words)
        try:
            lines = _lines(process)
            ended, error = _followed(_shown(lines, training["steps"]) if progress else lines)
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            _, error = _followed(_lines(process))
            process.wait()
            if error is None:
                raise LaunchInterrupted(_interrupted(Path(folder))) from None
            ended = None
        finally:
            if process.poll() is None and sys.exc_info()[0] is not None:  # what else may come: nobody is left behind
                process.terminate()
            process.wait()
            words.seek(0)
            said = words.read().decode(errors="replace").strip().splitlines()
    if error is not None:
        raise LaunchFailed(error)
    if ended is None:
        last = f": {said[-1]}" if said else ""
        raise LaunchFailed(f"The {processes} processes ended without a word, exit status {process.returncode}{last}")
    if ended == "stopped":
        raise LaunchInterrupted(_interrupted(Path(folder)))
    return load(Path(folder) / CHECKPOINT).denoiser


def _started(processes: int, request: str, words: Any) -> subprocess.Popen[str]:
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [sys.executable, *command, "-m", "difflab.training.launched", request],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=words,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # an interrupt of the kernel goes to its whole group
    )


def _lines(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        with suppress(ValueError):  # somebody else's
            told = json.loads(line)
            if isinstance(told, dict):
                yield told


def _followed(lines: Iterator[dict[str, Any]]) -> tuple[str | None, str | None]:
    """(how it ended, what went wrong), as far as they were told."""
    ended: str | None = None
    error: str | None = None
    for told in lines:
        ended, error = told.get("ended", ended), told.get("error", error)
    return ended, error


def _shown(lines: Iterator[dict[str, Any]], steps: int) -> Iterator[dict[str, Any]]:
    from tqdm.auto import tqdm

    with tqdm(total=steps, unit="step") as bar:
        for told in lines:
            if "step" in told:
                if bar.n == 0:  # the speed is that of this call's steps
                    bar.initial = bar.n = bar.last_print_n = told["step"]
                bar.update(told["step"] - bar.n)
                if math.isfinite(told["loss"]):
                    bar.set_postfix(loss=f"{told['loss']:.4f}")
            yield told


def _interrupted(folder: Path) -> str:
    step = load(folder / CHECKPOINT).step if (folder / CHECKPOINT).exists() else 0
    return f"Training was interrupted: {folder} holds step {step}, and the same call goes on from there."
