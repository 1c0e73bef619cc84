"""Where oracle and network are compared: on a grid and at samples, at each of a stack of noise levels.

All faces of a prediction are x_t and the mean of x_0 given x_t, weighted by functions of t, so that their differences are one
field with five factors. It is kept in units in which it is of one size at every level: times sqrt(V) / sigma with
V = alpha^2 + sigma^2, which is a difference of v where V = 1. The browser multiplies by what its face asks for, and
interpolates over log-SNR between two levels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import DataSet
from .choices import schedule_of

if TYPE_CHECKING:
    from torch import Tensor

    from ..denoisers import Denoiser
    from ..schedules import Schedule

LEVELS = 24
LAST_LOG_SNR = -8.0  # beyond it nothing but t = 1 is asked: the data are below a hundredth of the noise
SAMPLES = {"points": 1024, "images": 64}  # behind each mean square
COARSE = 5  # every so many levels are enough for a first picture
EXAMPLES = 5  # images that are shown


class Levels:
    """The question, and what the oracle says to it; its answers are remembered level by level.

    Args:
        data: a GaussianMixture or a FiniteSet.
        spec: {"name", "params"} of the schedule.
        resolution: cells along a side of the grid.
        extent: half-width of the grid in units of the data; it grows with sqrt(V) where V > 1.
        seed: of the samples.
        conditional: whether oracle and network are told the class of each sample.
    """

    def __init__(
        self,
        data: DataSet,
        spec: dict[str, Any],
        *,
        resolution: int,
        extent: float,
        seed: int,
        conditional: bool = False,
    ) -> None:
        import torch

        from ..denoisers import ExactDenoiser

        self.data, self.spec, self.resolution = data, spec, resolution
        self.schedule: Schedule = schedule_of(spec)
        self.oracle = ExactDenoiser(data, self.schedule)
        self.times = level_times(self.schedule)
        self._extent = extent
        generator = torch.Generator().manual_seed(seed)
        x0, labels = data.sample_labelled(SAMPLES["images" if data.is_image else "points"], generator)
        self._x0, self._labels = x0, labels if conditional else None
        self._eps = torch.randn(x0.shape, generator=generator)
        self._answers: dict[int, Tensor] = {}

    @property
    def computed_for(self) -> dict[str, Any]:
        """What answers belong to, as the browser compares it."""
        return {"schedule": self.spec}

    def around(self, t: float) -> tuple[int, int]:
        """The two levels that `t` lies between."""
        i = int(np.clip(np.searchsorted(self.times, t), 1, len(self.times) - 1))
        return i - 1, i

    def coarse(self, t: float) -> list[int]:
        """A few of the levels, those around `t` and both ends among them: what a first picture needs."""
        return sorted({*range(0, len(self.times), COARSE), *self.around(t), len(self.times) - 1})

    def exact_at(self, i: int) -> np.ndarray:
        """What the oracle says at level `i` where the browser cannot.

        Points: (G, G, 3), the mean of x_0 less alpha x_t / V in the units above, and log p_t. Images: (n, D), the mean.
        """
        mean, shown = self._exact(i), self._shown()
        if self.data.is_image:
            return np.asarray(mean[:shown].flatten(1).numpy())
        x_t = self._asked(i)[:shown]
        alpha, sigma = self._level(i)
        size = np.hypot(alpha, sigma)
        rest = (mean[:shown] - alpha / size**2 * x_t) * (size / sigma)
        log_p = self.oracle.log_prob(x_t, float(self.times[i])).clamp(min=-1e4)  # what float16 holds
        return np.concatenate([rest.numpy(), log_p.numpy()[:, None]], axis=1).reshape(*[self.resolution] * 2, 3)

    def compare(self, denoiser: Denoiser, i: int) -> tuple[np.ndarray, float, float]:
        """Learned minus exact at level `i`, (G, G, 2) or (n, D) float32; E |learned - exact|^2 over samples x_t, and its error.

        All in the units above.
        """
        import torch

        x_t, shown = self._asked(i), self._shown()
        alpha, sigma = self._level(i)
        device = getattr(denoiser, "device", None) or "cpu"
        given = () if self._labels is None else (self._labels.to(device),)
        with torch.no_grad():
            mean = denoiser(x_t.float().to(device), float(self.times[i]), *given).mean.cpu().double()
        apart = (mean - self._exact(i)).flatten(1) * (np.hypot(alpha, sigma) / sigma)
        squares = apart[-len(self._x0) :].square().sum(1)
        field = apart[:shown].numpy().astype(np.float32)
        if not self.data.is_image:
            field = field.reshape(self.resolution, self.resolution, 2)
        return field, float(squares.mean()), float(squares.std() / len(squares) ** 0.5)

    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """x_0 and eps of the images that are shown, (n, D) float32 each: x_t is alpha x_0 + sigma eps."""
        return self._x0[:EXAMPLES].flatten(1).numpy(), self._eps[:EXAMPLES].flatten(1).numpy()

    def _level(self, i: int) -> tuple[float, float]:
        alpha, sigma = self.schedule.alpha_sigma(float(self.times[i]))
        return float(alpha), float(sigma)

    def _shown(self) -> int:
        """How many of the asked rows are drawn: they come first."""
        return min(EXAMPLES, len(self._x0)) if self.data.is_image else self.resolution**2

    def _asked(self, i: int) -> Tensor:
        """x_t in float64: the grid's centres, row by row from the top, then the samples. Of images the samples alone."""
        import torch

        alpha, sigma = self._level(i)
        samples = (alpha * self._x0 + sigma * self._eps).float().double()  # as a network of float32 will see them
        if self.data.is_image:
            return samples
        half = self._extent * max(1.0, float(np.hypot(alpha, sigma)))
        axis = half * ((np.arange(self.resolution) + 0.5) * 2 / self.resolution - 1)
        y, x = np.meshgrid(-axis, axis, indexing="ij")
        return torch.cat([torch.from_numpy(np.stack([x.ravel(), y.ravel()], axis=1)), samples])

    def _exact(self, i: int) -> Tensor:
        """The oracle's mean of x_0 at the asked rows, float64."""
        if i not in self._answers:
            x_t, t = self._asked(i), float(self.times[i])
            alpha, sigma = self._level(i)
            if self.oracle.of == "training set" and not self.data.is_image and alpha > 1e-6:
                # by Tweedie's formula: a finite set gives its score in half the time of mean and variance
                mean = (x_t + sigma**2 * self.oracle.score(x_t, t)) / alpha
            else:
                mean = self.oracle(x_t, t, self._labels).mean
            self._answers[i] = mean
        return self._answers[i]


def level_times(schedule: Schedule) -> np.ndarray:
    """The times of the levels, rising to 1: equally spaced in log-SNR, where they are dense enough to interpolate between."""
    import torch

    from ..objectives import T_MIN

    first, last = float(schedule.log_snr(T_MIN)), float(schedule.log_snr(1.0))
    inner = torch.linspace(first, max(last, LAST_LOG_SNR), LEVELS - 1, dtype=torch.float64)
    times = schedule.t_of_log_snr(inner).numpy().astype(np.float32)  # what crosses to the browser
    return np.unique(np.append(times.clip(0, 1), np.float32(1.0))).astype(np.float64)


def between(schedule: Schedule, times: np.ndarray, t: float) -> tuple[int, float]:
    """(i, share) with t a `share` of the way from level i to level i + 1 in log-SNR; outside of the levels the nearest one."""
    i = int(np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2))
    high, here, low = (max(float(schedule.log_snr(float(at))), -60.0) for at in (times[i], t, times[i + 1]))
    return i, float(np.clip((high - here) / (high - low), 0.0, 1.0))
