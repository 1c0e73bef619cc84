"""What an exponential tilt makes of a Gaussian mixture: p(x) exp(b.x - x.Qx / 2) / Z is a mixture again, exactly.

With g = b - Q m, the tilt's gradient at the mean of a component, and C' = (C^-1 + Q)^-1,

    m' = m + C' g,    log w' = log w + b.m - m.Qm / 2 - log det(I + L^T Q L) / 2 + g.C'g / 2 + const,    C = L L^T,

so that each component is shifted, and narrowed (or, where Q is negative, widened), and counts as much as its mass under the
tilt. A classifier log p(y | x) that is quadratic in x tilts like that; so does any power of it, and `observed` is the case
b = A^T R^-1 y, Q = A^T R^-1 A. It is what guidance of any weight *should* sample where it can be known in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..checks import LARGEST, array_of, brief, is_number


@dataclass(frozen=True, eq=False)
class Tilt:
    """log tilt(x) = linear.x - x.quadratic x / 2, in nats, for x with its coordinates in one row.

    Args:
        linear: b, (D,).
        quadratic: Q, (D, D) symmetric, (D,) diagonal or one number; 0 tilts by an exponential alone. Positive draws
            samples together, negative pushes them apart.

    Raises ValueError if shapes disagree, a number is nan or inf, or Q is not symmetric.
    """

    linear: np.ndarray
    quadratic: np.ndarray

    def __init__(self, linear: ArrayLike, quadratic: ArrayLike = 0.0) -> None:
        b, q = array_of(linear, "The linear part of a tilt"), array_of(quadratic, "The quadratic part of a tilt")
        if b.ndim != 1 or not len(b):
            raise ValueError(
                f"The linear part of a tilt must be one number for each coordinate, (D,), but got the shape {b.shape}."
            )
        dim = len(b)
        if q.shape not in ((), (dim,), (dim, dim)):
            raise ValueError(
                f"The quadratic part of a tilt must be one number, ({dim},) or ({dim}, {dim}), but got the shape {q.shape}."
            )
        q = q.copy() if q.ndim == 2 else q * np.eye(dim)
        if not (np.all(np.abs(b) <= LARGEST) and np.all(np.abs(q) <= LARGEST)):
            raise ValueError("A tilt's numbers must be finite; these have nan or inf.")
        if not np.allclose(q, q.T):
            raise ValueError("The quadratic part of a tilt must be symmetric: give (Q + Q^T) / 2.")
        object.__setattr__(self, "linear", b)
        object.__setattr__(self, "quadratic", (q + q.T) / 2)

    def __mul__(self, weight: float) -> Tilt:
        """The tilt to the power `weight`."""
        if not is_number(weight):
            raise ValueError(f"A tilt is taken to the power of a number, but got {weight!r}.")
        return Tilt(self.linear * weight, self.quadratic * weight)

    __rmul__ = __mul__

    def log_value(self, x: np.ndarray) -> np.ndarray:
        """b.x - x.Qx / 2 of x (n, D), (n,). ValueError for another shape."""
        x = array_of(x, "What a tilt is asked about")
        if x.ndim != 2 or x.shape[1] != len(self.linear):
            raise ValueError(f"What a tilt is asked about must be (n, {len(self.linear)}), but got {x.shape}.")
        return np.asarray(x @ self.linear - np.einsum("ni,ij,nj->n", x, self.quadratic, x) / 2)

    def of_gaussian(self, mean: np.ndarray, covariance: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """(log E[tilt(x)], m', C') of the component N(mean (D,), covariance (D, D)).

        ValueError where the tilt grows faster than the component falls: then it has no mass that is finite; and for what is no
        component.
        """
        mean, covariance = array_of(mean, "A mean"), array_of(covariance, "A covariance")
        dim = len(self.linear)
        if mean.shape != (dim,) or covariance.shape != (dim, dim):
            raise ValueError(
                f"A component has a mean ({dim},) and a covariance ({dim}, {dim}), but got {mean.shape} and {covariance.shape}."
            )
        try:
            root = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            raise ValueError(f"A covariance must be positive definite, but got {brief(covariance)}.") from None
        inner = np.eye(len(mean)) + root.T @ self.quadratic @ root
        try:
            half = np.linalg.cholesky(inner)
        except np.linalg.LinAlgError:
            raise ValueError(
                "This tilt grows faster than a component falls off, so that nothing finite is left: its quadratic part must"
                " stay above minus the inverse of every covariance."
            ) from None
        factor = np.linalg.solve(half, root.T)  # C' = factor^T factor
        slope = self.linear - self.quadratic @ mean
        shift = factor @ slope
        log_mass = self.log_value(mean[None])[0] - np.log(np.diagonal(half)).sum() + shift @ shift / 2
        return float(log_mass), mean + factor.T @ shift, factor.T @ factor
