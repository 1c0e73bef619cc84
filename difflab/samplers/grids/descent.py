"""The least value of a smooth function of a few numbers, from its values alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_MOVE = 1e-3  # of a parameter, for a difference: its square is the error, float32's rounding over it the noise
_FARTHEST = 1.0  # that a step moves a parameter
_SUFFICIENT, _HALVINGS = 1e-4, 12  # Armijo's share of the expected gain; of a step that gains less
_ENOUGH = 1e-5  # gain after which there is no other step


def descend(f: Callable[[Tensor], float], theta: Tensor, iterations: int) -> Tensor:
    """Where `f` is least near `theta` (k,): BFGS (Nocedal & Wright 2006, algorithm 6.1) with central differences."""
    value, slope = f(theta), _slope(f, theta)
    inverse = torch.eye(len(theta), dtype=theta.dtype, device=theta.device)  # of the second derivatives
    for _ in range(iterations):
        step = -inverse @ slope
        if float(step @ slope) >= 0:  # rounding has spoilt it
            inverse = torch.eye(len(theta), dtype=theta.dtype, device=theta.device)
            step = -slope
        step *= min(1.0, _FARTHEST / max(float(step.abs().max()), 1e-300))
        due = _SUFFICIENT * float(step @ slope)
        for _ in range(_HALVINGS):
            tried = f(theta + step)
            if tried <= value + due:
                break
            step, due = step / 2, due / 2
        else:
            return theta
        gained, theta, value = value - tried, theta + step, tried
        if gained < _ENOUGH:
            return theta
        before, slope = slope, _slope(f, theta)
        inverse = _updated(inverse, step, slope - before)
    return theta


def _slope(f: Callable[[Tensor], float], theta: Tensor) -> Tensor:
    moves = _MOVE * torch.eye(len(theta), dtype=theta.dtype, device=theta.device)
    return torch.stack([theta.new_tensor((f(theta + move) - f(theta - move)) / (2 * _MOVE)) for move in moves])


def _updated(inverse: Tensor, step: Tensor, turned: Tensor) -> Tensor:
    """The inverse second derivatives that also know that this step turned the slope by so much (ibid., eq. 6.17)."""
    curvature = float(step @ turned)
    if curvature <= 1e-12 * float(step.norm() * turned.norm()):  # not convex here
        return inverse
    left = torch.eye(len(step), dtype=step.dtype, device=step.device) - torch.outer(step, turned) / curvature
    return left @ inverse @ left.T + torch.outer(step, step) / curvature
