"""The faces of one prediction, and every conversion between them.

With x_t = alpha x_0 + sigma eps, a network may predict any of

    x0,    eps,    v = alpha eps - sigma x0  (Salimans & Ho 2022),    score = -eps / sigma;

given x_t they carry the same information. All conversions go through x0.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

Prediction = Literal["eps", "x0", "v", "score"]
PREDICTIONS: tuple[str, ...] = get_args(Prediction)


def to_x0(kind: str, value: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """x_0 (n, *shape) from the prediction `value`; alpha and sigma broadcast with x_t. ValueError for an unknown kind."""
    match kind:
        case "x0":
            return value
        case "eps":
            return (x_t - sigma * value) / alpha
        case "v":
            return (alpha * x_t - sigma * value) / (alpha.square() + sigma.square())
        case "score":
            return (x_t + sigma.square() * value) / alpha
    raise ValueError(unknown(kind))


def from_x0(kind: str, x0: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The prediction of `kind` that says the same as `x0`; sigma must be above 0, but for "x0"."""
    if kind == "x0":
        return x0
    eps = (x_t - alpha * x0) / sigma
    match kind:
        case "eps":
            return eps
        case "v":
            return alpha * eps - sigma * x0
        case "score":
            return -eps / sigma
    raise ValueError(unknown(kind))


def error_gain(kind: str, alpha: Tensor, sigma: Tensor) -> Tensor:
    """|d prediction / d x_0| at fixed x_t: an error e of x_0 is an error gain * e of the prediction.

    Its square turns the posterior variance of x_0 into the irreducible squared error of any parameterisation.
    """
    match kind:
        case "x0":
            return alpha / alpha
        case "eps":
            return alpha / sigma
        case "v":
            return (alpha.square() + sigma.square()) / sigma
        case "score":
            return alpha / sigma.square()
    raise ValueError(unknown(kind))


def unknown(kind: str) -> str:
    return f"There is no prediction named {kind!r}; choose one of {', '.join(PREDICTIONS)}."
