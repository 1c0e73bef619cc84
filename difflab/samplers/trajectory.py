"""What is kept of a run: frames, their times, what they cost, and the noise that was drawn.

    states = sample(denoiser, Heun(), evaluations=50, n=2000)
    trajectory = Trajectory.of(states, keep=20, noise=True)
    trajectory.save("ring.safetensors")

`sample` yields states and forgets them; whoever wants to look back keeps them here. The first and the last state are always
kept. In the file times are tensors too, so that every digit comes back; nothing in it is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..checks import brief, is_seen, is_whole
from .base import State

FORMAT = 1
_WHAT = {"what": "trajectory", "format": FORMAT}
_NEEDED = {"times", "states", "steps", "evaluations"}
_LARGEST = torch.finfo(torch.float16).max


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Kept frames of a run, first to last.

    Attributes:
        times: (frames,) float64, falling from noise (1) to data (0), or the same for a walk at one level.
        states: (frames, n, *shape), x at each of them.
        steps: (frames,) int64, how many steps had been taken.
        evaluations: (frames,) int64, how many calls of the denoiser.
        denoised: shaped as states, the E[x_0 | x_t] that led to each frame, nan where none was asked for (at the start); None
            if it was not kept.
        noise: by number of steps taken, the standard normal draws of the step that led there, (n, *shape) or
            (draws, n, *shape); of every step that drew, also between the frames. Empty if it was not kept.

    Raises TypeError or ValueError, in one sentence, for parts that do not fit together.
    """

    times: Tensor
    states: Tensor
    steps: Tensor
    evaluations: Tensor
    denoised: Tensor | None = None
    noise: dict[int, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("times", "states", "steps", "evaluations", *(["denoised"] if self.denoised is not None else [])):
            value = getattr(self, name)
            if not isinstance(value, Tensor):
                raise TypeError(f"A trajectory's {name} must be a tensor, but got {brief(value)}.")
            whole = name in ("steps", "evaluations")
            if value.dtype != torch.int64 if whole else not value.is_floating_point():
                due = "int64" if whole else "floating-point numbers"
                raise TypeError(f"A trajectory's {name} must be {due}, but got {value.dtype}.")
        frames = len(self.states) if self.states.ndim else 0
        if self.states.ndim < 2 or not frames:
            raise ValueError(
                f"A trajectory's states must be (frames, n, *shape), 1 frame or more, but got {tuple(self.states.shape)}."
            )
        for name in ("times", "steps", "evaluations"):
            value = getattr(self, name)
            if value.shape != (frames,):
                raise ValueError(f"A trajectory of {frames} frames has as many {name}, but got {tuple(value.shape)}.")
        if self.denoised is not None and self.denoised.shape != self.states.shape:
            raise ValueError(
                f"A trajectory's denoised must be shaped as its states, {tuple(self.states.shape)}, but got"
                f" {tuple(self.denoised.shape)}."
            )
        row = self.states.shape[1:]
        if is_seen(self.times, lambda t: ~((t >= 0) & (t <= 1))):
            raise ValueError(f"A trajectory's times lie in [0, 1], but got {brief(self.times.tolist())}.")
        if not isinstance(self.noise, dict):
            raise TypeError(f"A trajectory's noise is a dict of draws by step, but got {brief(self.noise)}.")
        for step, z in self.noise.items():
            if not is_whole(step, 0) or not isinstance(z, Tensor) or not z.is_floating_point():
                raise TypeError(
                    "A trajectory's noise is tensors of floating-point numbers by the number of a step, but got"
                    f" {brief({step: z})}."
                )
            if z.shape != row and z.shape[1:] != row:
                raise ValueError(
                    f"The noise of step {step} must be shaped as x, {tuple(row)}, but got {tuple(z.shape)}."
                )

    @classmethod
    def of(
        cls,
        states: Iterable[State],
        *,
        every: int | None = None,
        keep: int | None = None,
        noise: bool = False,
        denoised: bool = False,
    ) -> Trajectory:
        """Walks `states`, what `sample` yields, to their end.

        Args:
            every: keep one state in so many, and the last; or
            keep: this number of them, evenly spread over the grid, the first and the last among them (all of them if there
                are no more). By default all are kept.
            noise: keep the draws of every step, `State.z`.
            denoised: keep E[x_0 | x_t] beside each frame.

        Raises ValueError for numbers that keep nothing, for no states at all or for those of several runs, TypeError for what
        are no states.
        """
        _check_thinning(every, keep)
        for name, value in (("noise", noise), ("denoised", denoised)):
            if not isinstance(value, bool):
                raise TypeError(f"{name}, whether it is kept, must be True or False, but got {brief(value)}.")
        if isinstance(states, Tensor) or not isinstance(states, Iterable):
            raise TypeError(f"A trajectory is made of the states of a run, but got {brief(states)}.")
        kept: list[State] = []
        draws: dict[int, Tensor] = {}
        wanted: set[int] = set()
        last: State | None = None
        for i, state in enumerate(states):
            if not isinstance(state, State):
                raise TypeError(f"A trajectory is made of the states of a run, but got {brief(state)}.")
            if last is not None and (state.index <= last.index or state.x.shape != last.x.shape):
                raise ValueError("These states are of several runs: make a trajectory of each.")
            if last is None:
                wanted = set(_thinned(len(state.grid), every, keep))
            last = state
            if i in wanted:
                kept.append(state)
            if noise and state.z is not None:
                draws[state.index] = state.z
        if last is None:
            raise ValueError("A trajectory is made of the states of a run, but there are none.")
        if kept[-1] is not last:  # a run that was cut short
            kept.append(last)
        return cls(
            torch.tensor([state.t for state in kept], dtype=torch.float64, device="cpu"),
            torch.stack([state.x for state in kept]),
            torch.tensor([state.index for state in kept], device="cpu"),
            torch.tensor([state.evaluations for state in kept], device="cpu"),
            torch.stack([_denoised(state) for state in kept]) if denoised else None,
            draws,
        )

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.states)

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.states.shape[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return tuple(self.states.shape[2:])

    @property
    def final(self) -> Tensor:
        """The samples at the end, (n, *shape)."""
        return self.states[-1]

    def thinned(self, *, every: int | None = None, keep: int | None = None) -> Trajectory:
        """Fewer of the frames, as in `of`; the noise of all steps stays."""
        _check_thinning(every, keep)
        rows = torch.tensor(_thinned(len(self), every, keep), device="cpu")
        return Trajectory(
            self.times[rows],
            self.states[rows.to(self.states.device)],
            self.steps[rows],
            self.evaluations[rows],
            None if self.denoised is None else self.denoised[rows.to(self.denoised.device)],
            self.noise,
        )

    def display(self) -> Trajectory:
        """For a screen: float16 on the CPU, a half or a quarter of the size, to 3 digits, clamped to +-65504; no noise."""
        denoised = None if self.denoised is None else _short(self.denoised)
        return replace(self, states=_short(self.states), denoised=denoised, noise={})

    def save(self, path: str | PathLike[str]) -> None:
        """Write a safetensors file: tensors "times", "states", ..., "noise.12" for the draws of the twelfth step."""
        parts = {"times": self.times, "states": self.states, "steps": self.steps, "evaluations": self.evaluations}
        if self.denoised is not None:
            parts["denoised"] = self.denoised
        parts |= {f"noise.{step}": z for step, z in self.noise.items()}
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in parts.items()}
        try:
            safetensors.torch.save_file(tensors, _path(path), {"difflab": json.dumps(_WHAT)})
        except SafetensorError as error:
            raise OSError(f"{_path(path).name} cannot be written: there is no such folder, or no room.") from error

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Trajectory:
        """What `save` wrote, on the CPU. Raises ValueError, in one sentence, for any other file; OSError if it is none."""
        path = _path(path)
        name = path.name
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {name} to read a trajectory from.")
        try:
            with safe_open(path, framework="pt") as file:
                said = _json((file.metadata() or {}).get("difflab", ""))
                if not isinstance(said, dict) or said.get("what") != _WHAT["what"]:
                    raise ValueError(f"{name} is a safetensors file, but no trajectory of difflab's.")
                if said.get("format") != FORMAT:
                    raise ValueError(
                        f"{name} is of format {brief(said.get('format'))}, but this difflab reads {FORMAT}."
                    )
                parts = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dict)
        except SafetensorError as error:
            raise ValueError(f"{name} is no safetensors file, or is damaged or cut short.") from error
        draws = {k: k.removeprefix("noise.") for k in parts if k.startswith("noise.")}
        if not _NEEDED <= parts.keys() - draws.keys() <= {*_NEEDED, "denoised"} or not all(
            number.isdecimal() for number in draws.values()
        ):
            raise ValueError(f"{name} is no trajectory that can be read: it holds {brief(sorted(parts))}.")
        noise = {int(number): parts.pop(k) for k, number in draws.items()}
        try:
            return cls(**parts, noise=dict(sorted(noise.items())))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} is no trajectory that can be read: {error}") from error

    def __repr__(self) -> str:
        dtype = str(self.states.dtype).removeprefix("torch.")
        also = [f"{self.steps[-1]} steps", f"{self.evaluations[-1]} evaluations"]
        also += ["denoised"] if self.denoised is not None else []
        also += [f"noise of {len(self.noise)} steps"] if self.noise else []
        return (
            f"Trajectory({len(self)} frames of {self.n} samples of shape {self.shape}, {dtype}, t = {self.times[0]:.4g} to"
            f" {self.times[-1]:.4g}; {', '.join(also)})"
        )


def _path(path: str | PathLike[str]) -> Path:
    if not isinstance(path, str | PathLike):
        raise TypeError(f"A trajectory is kept in a file of a name or path, but got {brief(path)}.")
    return Path(path)


def _thinned(frames: int, every: int | None, keep: int | None) -> list[int]:
    """Which of so many frames are kept: the first and the last always."""
    if keep is not None:
        return sorted(set(np.linspace(0, frames - 1, min(frames, keep)).round().astype(int).tolist()))
    return sorted({*range(0, frames, every or 1), frames - 1})


def _check_thinning(every: int | None, keep: int | None) -> None:
    if every is not None and keep is not None:
        raise ValueError("Give either every, one frame in so many, or keep, how many of them.")
    if every is not None and not is_whole(every):
        raise ValueError(f"every must be a whole number of at least 1, but got {brief(every)}.")
    if keep is not None and not is_whole(keep, 2):
        raise ValueError(
            f"keep must be a whole number of at least 2, the first and the last frame, but got {brief(keep)}."
        )


def _denoised(state: State) -> Tensor:
    return torch.full_like(state.x, torch.nan) if state.denoised is None else state.denoised


def _short(x: Tensor) -> Tensor:
    return x.detach().clamp(-_LARGEST, _LARGEST).to("cpu", torch.float16)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
