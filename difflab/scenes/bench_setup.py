"""What LangevinBench sets out from, without torch: the modes and their distance, the ladder of levels, the first points."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import traitlets

from ..checks import brief
from ..data import DataSet, GaussianMixture

#: name of a method: how it is called on screen
METHODS = {
    "langevin": "Langevin",
    "mala": "MALA",
    "hmc": "HMC",
    "annealed": "annealed",
    "pc": "predictor-corrector",
}
MOST_METHODS = 4  # side by side


class MethodsTrait(traitlets.TraitType[Any, Any]):
    """One to four different names out of METHODS; they keep the order of that list."""

    def __init__(self, default_value: list[str], **kwargs: Any) -> None:
        super().__init__(default_value, **kwargs)
        self.tag(sync=True, echo_update=False)

    def validate(self, _obj: Any, value: Any) -> list[str]:
        names = [value] if isinstance(value, str) else value
        good = isinstance(names, list | tuple) and all(isinstance(name, str) and name in METHODS for name in names)
        if not good or not 1 <= len(names) <= MOST_METHODS or len(set(names)) < len(names):
            raise traitlets.TraitError(
                f"methods are one to {MOST_METHODS} different names out of {', '.join(METHODS)}, but got {brief(value)}."
            )
        return [name for name in METHODS if name in names]


def two_modes() -> GaussianMixture:
    """Weights 0.2 and 0.8, variance 0.25, 8 apart along the diagonal: as in Song & Ermon 2019, fig. 3, and farther apart."""
    side = 8**0.5
    return GaussianMixture([0.2, 0.8], [[-side, -side], [side, side]], 0.25, "two modes")


def check_mixture(data: DataSet) -> GaussianMixture:
    """The data, if it is a mixture in the plane; else ValueError."""
    if not isinstance(data, GaussianMixture) or data.shape != (2,):
        raise ValueError(
            f"This scene walks on a GaussianMixture of points in the plane, whose modes are known, but {data.name} is none."
        )
    return data


def mode_distance(mixture: GaussianMixture) -> float:
    """The smallest distance between two of its means; 0 for one mode."""
    return min((float(np.linalg.norm(a - b)) for a, b in combinations(mixture.means, 2)), default=0.0)


def reshaped(mixture: GaussianMixture, distance: float, weight: float) -> GaussianMixture:
    """The same modes, means moved along their lines from the mean of all until the nearest two are `distance` apart, the first
    mode of weight `weight`; the others share the rest as before. One mode, or two at one place, stay where they are."""
    natural, weights = mode_distance(mixture), mixture.weights
    centre = weights @ mixture.means
    scale = distance / natural if natural > 0 else 1.0
    if len(weights) > 1:
        rest = weights[1:] * ((1 - weight) / weights[1:].sum())
        weights = np.concatenate([[weight], rest])
    return GaussianMixture(weights, centre + scale * (mixture.means - centre), mixture.covariances, mixture.name)


def natural(mixture: GaussianMixture) -> dict[str, float]:
    """The knobs that the mixture itself suggests, by trait.

    The ladder leads from 2.5 times the largest distance of two modes, and not less than five of their widths, from where all of
    them are one, down to a fifth of the narrowest width, which leaves it nearly as it is.
    """
    far = max((float(np.linalg.norm(a - b)) for a, b in combinations(mixture.means, 2)), default=0.0)
    variances = np.linalg.eigvalsh(mixture.covariances)
    narrow, wide = float(np.sqrt(variances.min())), float(np.sqrt(variances.max()))
    return {
        "distance": mode_distance(mixture),
        "weight": float(mixture.weights[0]),
        "sigma_min": narrow / 5,
        "sigma_max": max(2.5 * far, 5 * wide),
    }


def start_points(
    mixture: GaussianMixture, start: str, n: int, sigma_min: float, sigma_max: float, seed: int
) -> np.ndarray:
    """Where all methods set out from, float32 (n, 2): "prior" is N(0, sigma_max^2 I), "one mode" the first mode at the lowest
    level. Row i is the same whatever n is, and the normal numbers behind it whatever the knobs are."""
    z = np.random.default_rng([seed, 1]).standard_normal((n, 2))
    if start == "prior":
        return (sigma_max * z).astype(np.float32)
    root = np.linalg.cholesky(mixture.covariances[0] + sigma_min**2 * np.eye(2))
    points: np.ndarray = mixture.means[0] + z @ root.T
    return points.astype(np.float32)


def view_extent(mixture: GaussianMixture) -> float:
    """Half-width, in units of x, of a square around 0 that shows all modes."""
    return max(abs(v) for v in mixture.range)
