"""Where two descriptions, as JSON has them, differ: what a user is told, and not both of them in whole."""

from __future__ import annotations

import math
from typing import Any

from ..checks import brief

_ABSENT = "missing"


def difference(one: Any, other: Any, key: str) -> tuple[str, str, str] | None:
    """The first key, with dots, under which `one` and `other` differ, and what each says there in brief; None if they agree.

    Tables are compared in the order of `other`, so that a name comes before what it explains. Numbers agree up to the last bits,
    in which another machine may have computed them.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        for inner in (*other, *(name for name in one if name not in other)):
            found = difference(one.get(inner, _ABSENT), other.get(inner, _ABSENT), f"{key}.{inner}")
            if found is not None:
                return found
        return None
    if _same(one, other):
        return None
    said = [_ABSENT if value is _ABSENT else brief(value) for value in (one, other)]
    return key, said[0], said[1]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
