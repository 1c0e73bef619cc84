"""Checkpoints: one safetensors file with everything a run consists of. Nothing in it is ever executed.

Tensors as `Run.state` names them; the header carries, as JSON, `difflab` (what this file is, and its format's
number), `config` and `versions`.
"""

from __future__ import annotations

import copy
import json
import platform
import struct
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from .. import __version__
from ..denoisers.network import NetworkDenoiser
from .atomic import write_atomically
from .differing import difference
from .run import Run
from .tensor_file import serialised

CHECKPOINT = "checkpoint.safetensors"  # the newest one of a run, in its folder
FORMAT = 2  # 1 drew its batches one by one: its random streams mean something else
_MOST_AXES, _LARGEST_SIDE = 8, 65_536
_HEADER_LIMIT = 100_000_000  # bytes, as in the safetensors format itself


class CheckpointError(ValueError):
    """This file cannot be used; one sentence says why."""


@dataclass(frozen=True)
class Checkpoint:
    """What was read.

    Attributes:
        denoiser: with the averaged weights, on the CPU: the one to sample from.
        step: how many updates it had.
        config: "denoiser", "training" and "data", as in `Run.config`.
        versions: of the writer: "difflab", "torch", "numpy", "python".
        format: of the file.
        tensors: the whole state of the run, by name.
    """

    denoiser: NetworkDenoiser
    step: int
    config: dict[str, Any]
    versions: dict[str, str]
    tensors: dict[str, Tensor]
    format: int = FORMAT

    def continue_in(self, run: Run) -> None:
        """Put `run` where this one stopped. Raises CheckpointError if it trains something else, or is of an older format."""
        if self.format != FORMAT:
            raise CheckpointError(
                f"This checkpoint is of format {self.format}, whose random streams were drawn in another way: its denoiser can"
                " be sampled, and trained anew, but its run cannot be resumed."
            )
        for part in ("data", "denoiser"):
            its = json.loads(json.dumps(run.config[part]))
            if (found := difference(self.config[part], its, part)) is None:
                continue
            key, mine, other = found
            said = f"its {key} is {mine}, not {other}"
            if key == "data.fingerprint":
                said = f"it was trained on other data of the name {its['name']!r}"
            raise CheckpointError(f"This checkpoint cannot be resumed here: {said}.")
        try:
            run.restore(self.tensors)
            run.compute_as(self.config["training"].get("computed"))
        except (ValueError, KeyError, RuntimeError, TypeError) as error:
            raise CheckpointError(f"This checkpoint cannot be resumed here: {_first_line(error)}") from error


def save(run: Run, path: str | PathLike[str], state: dict[str, Tensor] | None = None) -> None:
    """Write `run` to `path` in one stroke: whoever reads finds the old file or the new one, never half of one. Where several
    processes share the run all must ask, unless the first one has its `state`; the first one writes.

    Raises FloatingPointError, and leaves the old file, if a weight is nan or inf.
    """
    if state is None and (run.world.is_first or run.in_parts):
        state = sound_state(run, path)
    if not run.world.is_first or state is None:
        return
    metadata = {
        "difflab": json.dumps({"what": "checkpoint", "format": FORMAT}),
        "config": json.dumps(run.config),
        "versions": json.dumps(_versions()),
    }
    write_atomically(path, serialised(state, metadata))


def sound_state(run: Run, path: str | PathLike[str]) -> dict[str, Tensor]:
    """The state of `run`, to be written to `path` before its next step. FloatingPointError if a weight is nan or inf."""
    if not run.finite():
        raise FloatingPointError(
            f"The weights after step {run.step} are not finite, so {Path(path).name} was not written;"
            " try a smaller learning rate."
        )
    return run.state(copied=False)


def load(path: str | PathLike[str], network: nn.Module | None = None) -> Checkpoint:
    """Read a checkpoint, or the newest one in the folder of a run. `network` stands in where the
    checkpoint is of a network that difflab did not define; it is copied.

    Raises FileNotFoundError, or CheckpointError in one sentence for a file that is no checkpoint of ours, is cut
    short, is a pickle, has another shape than its own description, or is of a newer format.
    """
    path = Path(path) / CHECKPOINT if Path(path).is_dir() else Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file {path}: give a checkpoint, or the folder= of a run.") from error
    header = _header(path.name, content)
    try:
        meta = header.get("__metadata__") or {}
        kind = _json(meta["difflab"])
        what, number = kind["what"], kind["format"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path.name} is a safetensors file, but not a difflab checkpoint.") from error
    if what != "checkpoint" or type(number) is not int or number < 1:
        raise CheckpointError(f"{path.name} is a safetensors file, but not a difflab checkpoint.")
    if number > FORMAT:
        raise CheckpointError(
            f"{path.name} was written by a newer difflab (format {number}, this one reads up to {FORMAT});"
            " upgrade to read it."
        )
    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is damaged or cut short: its tensors do not fill the file.") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # of a kind that this torch does not have
        raise CheckpointError(f"{path.name} has tensors that cannot be read: {_first_line(error)}") from error
    try:
        config, versions = _json(meta["config"]), _json(meta["versions"])
        step = _step(tensors)
        _check_config(config)
        own = config["denoiser"]["network"] is None
        if own and network is None:
            raise CheckpointError(f"{path.name} is of a network of your own; give it as network=.")
        with torch.device("meta"):  # a shape that is wrong, or absurd, is found before any memory is taken
            denoiser = NetworkDenoiser.from_config(config["denoiser"], copy.deepcopy(network) if own else None)
        if denoiser.shape not in (None, tuple(config["data"]["shape"])):
            raise ValueError(
                f"its network and its data have samples of different shapes, {denoiser.shape} the network."
            )
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        raise CheckpointError(
            f"{path.name} does not describe a denoiser that this difflab knows: {_first_line(error)}"
        ) from error
    return Checkpoint(_filled(path.name, denoiser, tensors), step, config, versions, tensors, number)


def _header(name: str, content: bytes) -> dict[str, Any]:
    # our own first byte may be 0x80 too: the lowest of the header's length, with "{" after its eight bytes
    if content[:4] == b"PK\x03\x04" or (content[:1] == b"\x80" and content[8:9] != b"{"):
        raise CheckpointError(
            f"{name} is a pickle (torch.save), which can run code when opened;"
            " difflab reads only its own safetensors files."
        )
    size = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else 0
    if len(content) < 8 or content[8:9] != b"{" or size > _HEADER_LIMIT:
        raise CheckpointError(f"{name} is not a difflab checkpoint.")
    if len(content) < 8 + size:
        raise CheckpointError(
            f"{name} is cut short: {len(content)} bytes are left of it, and even its header needs {8 + size}."
        )
    try:
        header = _json(content[8 : 8 + size])
    except ValueError as error:
        raise CheckpointError(f"{name} is not a difflab checkpoint: its header is not JSON.") from error
    return header if isinstance(header, dict) else {}


def _json(text: str | bytes) -> Any:
    """What JSON says. ValueError also where it is nested so deeply that Python gives up."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def _step(tensors: dict[str, Tensor]) -> int:
    step = tensors.get("step")
    if step is None or step.numel() != 1 or step.is_floating_point() or step.is_complex() or int(step) < 0:
        raise ValueError("step is missing, or no whole number")
    return int(step)


def _check_config(config: Any) -> None:
    """Raises ValueError unless the parts that this module and its users read are there."""
    if not isinstance(config, dict):
        raise ValueError("its config is no table")
    for part in ("denoiser", "training", "data"):
        if not isinstance(config.get(part), dict):
            raise ValueError(f"its config has no {part}")
    data = config["data"]
    shape, classes = data.get("shape"), data.get("classes")
    if not isinstance(data.get("name"), str):
        raise ValueError("its data has no name")
    if not (isinstance(shape, list) and 0 < len(shape) <= _MOST_AXES and all(_counts(side) for side in shape)):
        raise ValueError("its data has no shape")
    if classes is not None and not _counts(classes):
        raise ValueError("the number of its data's classes is none")


def _counts(number: Any) -> bool:
    return type(number) is int and 0 < number <= _LARGEST_SIDE


def _filled(name: str, denoiser: NetworkDenoiser, tensors: dict[str, Tensor]) -> NetworkDenoiser:
    """`denoiser`, made on the meta device, with the averaged weights in it."""
    weights = {k.removeprefix("ema/"): v for k, v in tensors.items() if k.startswith("ema/")}
    expected = denoiser.state_dict()
    for key in sorted(expected.keys() | weights.keys()):
        want, have = expected.get(key), weights.get(key)
        if want is None or have is None or want.shape != have.shape or want.dtype != have.dtype:
            said = "missing" if have is None else f"of shape {tuple(have.shape)} and {have.dtype}"
            due = "none" if want is None else f"{tuple(want.shape)} and {want.dtype}"
            raise CheckpointError(f"{name} does not fit its own description: {key} is {said}, where {due} is due.")
    own = denoiser.config["network"] is None
    with torch.random.fork_rng(devices=[]):  # the first weights are overwritten at once
        filled = NetworkDenoiser.from_config(denoiser.config, denoiser.network if own else None).cpu()
    filled.load_state_dict(weights)
    return filled.eval().requires_grad_(False)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _versions() -> dict[str, str]:
    return {
        "difflab": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
