"""A number that was measured, and how well."""

from __future__ import annotations

from typing import NamedTuple


class Estimate(NamedTuple):
    """A value and its standard error, in the same unit; the error of what is exact is 0."""

    value: float
    error: float

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        """Both numbers by the same format: f"{estimate:.3f}" is "0.123 ± 0.004"."""
        return f"{self.value:{spec}} ± {self.error:{spec}}" if spec else str(self)
