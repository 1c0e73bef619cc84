"""In what a network computes: float32, or bfloat16 where the hardware has it and it is faster, which is measured.

A CPU without the instructions takes tens of times as long for a product of matrices in bfloat16 as in float32, and even one that
has them is slower with networks that spend their time elsewhere. So nothing is assumed: "auto" times the network's own step in
both. Only the network is under autocast: weights, what it is shown, target and loss stay float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Literal, get_args

import torch

from ..checks import brief

Computed = Literal["float32", "bfloat16"]
Precision = Literal["float32", "bfloat16", "auto"]
PRECISIONS = get_args(Precision)
_SIDE = 256  # of the matrices that are multiplied: large enough to be arithmetic, small enough for milliseconds
_EMULATED = 3.0  # times float32: no hardware that computes in bfloat16 is that slow at large products
_WORTH = 0.95  # share of float32's time from which on bfloat16 is chosen


def resolved(
    asked: Precision, device: torch.device, step: Callable[[Computed], object] | None = None, before: object = None
) -> Computed:
    """What a training that `asked` for a precision computes in.

    `step` does the network's work of one training step in the precision it is given, and changes nothing; "auto" without it is
    decided by a product of matrices. `before` is what an interrupted run computed in: "auto" stays with it where it can, so that
    the run goes on to the bit.

    Raises ValueError, in one sentence with what was measured, for "bfloat16" on hardware that has none.
    """
    if asked == "float32":
        return "float32"
    if device.type == "meta":  # a dry run: nothing can be measured
        return "bfloat16" if asked == "bfloat16" else "float32"
    told, ratio = in_hardware(device), slowdown(device)
    native = told is not False and ratio < _EMULATED
    if asked == "bfloat16":
        if not native:
            found = (
                "takes no bfloat16"
                if ratio == float("inf")
                else f"multiplied matrices {ratio:.3g} times as slowly in bfloat16"
            )
            raise ValueError(
                f"precision cannot be 'bfloat16' here: this {device.type} has no arithmetic for it, and {found};"
                " choose 'float32', or 'auto' for the faster of both."
            )
        return "bfloat16"
    if not native:
        return "float32"
    if before in get_args(Computed):
        return "bfloat16" if before == "bfloat16" else "float32"
    if step is not None:
        ratio = _ratio(lambda: step("float32"), lambda: step("bfloat16"), device)
    return "bfloat16" if ratio < _WORTH else "float32"


def autocast(computed: Computed, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a network computes so; torch has none for a dry run (meta)."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, enabled=computed == "bfloat16")


def in_hardware(device: torch.device) -> bool | None:
    """Whether `device` says that it has arithmetic in bfloat16; None where nobody says."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return _cpu_has_it()
    return None


@lru_cache
def slowdown(device: torch.device) -> float:
    """The time of a product of matrices in bfloat16 over that in float32, measured once (a few ms; tens without the
    instructions); inf where it cannot be done at all."""
    try:
        one = torch.ones(_SIDE, _SIDE, device=device)
        other = one.bfloat16()
        return _ratio(lambda: one @ one, lambda: other @ other, device)
    except (RuntimeError, TypeError):  # MPS of an old system
        return float("inf")


def _cpu_has_it() -> bool | None:
    """From torch's own list of the CPU's instructions; older torch says it of some only."""
    tell = getattr(torch.cpu, "get_capabilities", None)
    if tell is not None:
        has = tell()
        names = ("avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16", "sve_bf16")
        if any(has.get(name) for name in names):
            return True
        return False if "x86" in str(has.get("architecture")) else None
    asked = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return True if any(ask() for ask in asked if ask is not None) else None


def _ratio(first: Callable[[], object], second: Callable[[], object], device: torch.device) -> float:
    """The time of `second` over that of `first`: the best of three of each, taken in turns after one that is not counted."""
    best = [float("inf"), float("inf")]
    for round_ in range(4):
        for i, work in enumerate((first, second)):
            _wait(device)
            start = time.perf_counter()
            work()
            _wait(device)
            if round_:
                best[i] = min(best[i], time.perf_counter() - start)
    return best[1] / best[0]


def _wait(device: torch.device) -> None:
    if device.type in ("cuda", "mps", "xpu"):
        getattr(torch, device.type).synchronize()


def check_precision(asked: object) -> None:
    """ValueError, in one sentence, unless `asked` is a precision."""
    if asked not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, but got {brief(asked)}.")
