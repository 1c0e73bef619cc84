"""What an argument must be before anything is computed from it: numbers, tables, generators.

Who refuses says in one sentence what was wrong, with the value, and what to do. Here is what many refuse alike. Imports no
torch by itself, as `data` does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from torch import Generator, Tensor

LARGEST = 1e100  # of lengths: their squares are far from where float64 ends


def is_number(value: object) -> bool:
    """Whether this is one finite real number: a Python or numpy one, not a truth value, and not beyond float64."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False


def is_whole(value: object, least: int = 1) -> bool:
    """Whether this is a whole number, of Python's or numpy's, of at least `least`."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def brief(value: object) -> str:
    """What was given, on one line of a sentence."""
    return f"{' '.join(repr(value).split()):.80}"


def array_of(values: ArrayLike | Tensor, what: str) -> np.ndarray:
    """Numbers, lists of them or a tensor as a float64 array. ValueError unless all are real numbers."""
    given: Any = values
    if hasattr(given, "detach"):
        _check_values(given, what)
        given = given.detach().cpu()
        given = given.numpy() if given.is_complex() else given.double().numpy()
    try:
        array = np.asarray(given)
    except ValueError as error:  # rows of different lengths
        raise ValueError(
            f"{what} must be a table of numbers with rows of one length, but got {brief(values)}."
        ) from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what} must be real numbers, but got {brief(values)}.")
    return array.astype(np.float64)


def tensor_of(values: ArrayLike | Tensor, what: str) -> Tensor:
    """As `array_of`, a float64 tensor on the CPU; a tensor keeps its gradient."""
    import torch

    if isinstance(values, torch.Tensor) and not values.is_complex():
        _check_values(values, what)
        return values.cpu().double()
    return torch.from_numpy(array_of(values, what))


def _check_values(values: Tensor, what: str) -> None:
    if values.is_meta:
        raise ValueError(f"{what} must be numbers, but got a tensor on the meta device, which has none.")


def check_samples(x_t: Tensor, shape: tuple[int, ...] | None) -> None:
    """Raises TypeError unless `x_t` holds floating-point numbers, ValueError unless it is (n, *shape); None is any shape.

    Its values are not looked at: nan in a row stays in what comes of that row.
    """
    _check_floats(x_t, "Samples")
    if x_t.ndim == 0 or (shape is not None and tuple(x_t.shape[1:]) != tuple(shape)):
        due = "(n, ...)" if shape is None else f"(n, {', '.join(map(str, shape))})"
        raise ValueError(f"Samples must have the shape {due}, but got {tuple(x_t.shape)}.")


def check_like(value: Tensor, x: Tensor, name: str) -> None:
    """Raises TypeError unless `value` holds floating-point numbers, ValueError unless it is shaped as the samples `x`."""
    _check_floats(value, name)
    if value.shape != x.shape:
        raise ValueError(f"{name} must be shaped like the samples, {tuple(x.shape)}, but got {tuple(value.shape)}.")


def _check_floats(value: object, name: str) -> None:
    import torch

    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        kind = value.dtype if isinstance(value, torch.Tensor) else type(value).__name__
        raise TypeError(f"{name} must be a tensor of floating-point numbers, but got {kind}.")
    if value.layout is not torch.strided or value.element_size() < 2:
        got = f"{value.dtype}, {str(value.layout).removeprefix('torch.')}"
        raise TypeError(f"{name} must be a dense tensor of 16 bits a number or more, but got {got}.")


def check_generator(generator: Generator | None) -> None:
    """Raises TypeError for anything but None or a torch.Generator: a seed, say."""
    import torch

    if generator is not None and not isinstance(generator, torch.Generator):
        raise TypeError(
            "generator must be a torch.Generator, such as torch.Generator().manual_seed(0), or None,"
            f" but got {brief(generator)}."
        )


def is_seen(x: Tensor, wrong: Callable[[Tensor], Tensor]) -> bool:
    """Whether `wrong(x)` is true anywhere, as far as that can be seen at once: a look at an accelerator would wait for it,
    and in a dry run, or under vmap, there are no values to look at."""
    if x.device.type != "cpu":
        return False
    try:
        return bool(wrong(x.detach()).any())
    except RuntimeError:
        return False
