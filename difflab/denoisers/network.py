"""A network as a denoiser: preconditioning around any nn.Module.

The network sees c_in x_t with c_in = 1 / sqrt(alpha^2 sigma_data^2 + sigma^2), which has variance 1 at every noise
level (Karras et al. 2022, section 5), and the noise level log-SNR / 4, clamped to where float32 still tells levels
apart.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from ..data import DataSet
from ..networks import network_for, network_from
from ..predictions import Prediction, to_x0
from ..schedules import Schedule, schedule_from
from .base import Posterior, check_labels, check_samples, noise_level

TRAINABLE: tuple[str, ...] = ("eps", "x0", "v")
_FLATTEST = 20.0  # log-SNR beyond which levels look alike


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


class NetworkDenoiser(nn.Module):
    """A learned denoiser.

    Args:
        network: called as network(x (n, *shape), noise level (n,) or (1,), labels (n,) or None) -> (n, *shape).
        schedule: says what x_t is.
        prediction: what the network predicts: "eps", "x0" or "v".
        sigma_data: standard deviation of the data.
        clip: (lowest, highest) value of the posterior mean, or None. E[x_0 | x_t] never leaves the range of the data,
            but near t = 1 an eps-prediction divides its error by alpha, and one bad step ends a whole trajectory.
            Only the `Posterior` is clipped, never what is trained.

    Raises ValueError for another prediction, sigma_data or clip.
    """

    def __init__(
        self,
        network: nn.Module,
        schedule: Schedule,
        prediction: Prediction = "eps",
        *,
        sigma_data: float = 1.0,
        clip: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        if prediction not in TRAINABLE:
            raise ValueError(f"A network can predict {', '.join(TRAINABLE)}, but got {prediction!r}.")
        if not _is_number(sigma_data) or sigma_data < 0:
            raise ValueError(f"sigma_data must be a number of 0 or more, but got {sigma_data!r}.")
        if clip is not None and not (all(_is_number(end) for end in clip) and clip[0] <= clip[1]):
            raise ValueError(f"clip must be the lowest and the highest value, or None, but got {clip!r}.")
        self.network, self.schedule, self.prediction = network, schedule, prediction
        self.sigma_data, self.clip = (
            float(sigma_data),
            None if clip is None else (float(clip[0]), float(clip[1])),
        )

    @classmethod
    def for_data(
        cls,
        data: DataSet,
        schedule: Schedule,
        prediction: Prediction = "v",
        *,
        conditional: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> NetworkDenoiser:
        """A fresh denoiser that fits `data`: its network, sigma_data and range. `seed` fixes the first weights, and
        torch's global random stream is left as it was; `options` go to the network (`width`, ...)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = network_for(data, conditional=conditional, **options)
        return cls(network, schedule, prediction, sigma_data=data.sigma_data, clip=data.range)

    @property
    def classes(self) -> int | None:
        """Number of classes the network knows, or None."""
        return getattr(self.network, "classes", None)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of one sample, where the network knows it."""
        shape = getattr(self.network, "config", {}).get("shape")
        return None if shape is None else tuple(shape)

    @property
    def device(self) -> torch.device:
        return next((p.device for p in self.network.parameters()), torch.device("cpu"))

    def forward(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """E[x_0 | x_t] as far as it was learned; its variance is not known (None).

        `x_t` (n, *shape); `t` one time or (n,); `labels` (n,) int64, or None for all classes together.
        At t = 0 it is x_t itself.
        """
        check_samples(x_t, self.shape)
        alpha, sigma = noise_level(self.schedule, t, x_t)
        value = self.predict_at(x_t, alpha, sigma, self._checked(labels, len(x_t)))
        mean = to_x0(self.prediction, value, x_t, alpha, sigma)
        if self.clip is not None:
            mean = mean.clamp(*self.clip)
        return Posterior(torch.where(sigma == 0, x_t, mean))

    def predict_at(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """The network's own prediction for x_t (n, *shape), shaped like it: what the loss compares.

        alpha and sigma are shaped to multiply x_t. Labels are not checked.
        """
        c_in = torch.rsqrt(alpha.square() * self.sigma_data**2 + sigma.square())
        level = (alpha.log() - sigma.log()).clamp(-_FLATTEST / 2, _FLATTEST / 2) / 2
        return self.network(c_in * x_t, level.reshape(-1), labels)  # type: ignore[no-any-return]

    def _checked(self, labels: Tensor | None, n: int) -> Tensor | None:
        if labels is None:
            return None
        check_labels(labels, self.classes, n)
        return labels.to(self.device)

    @property
    def config(self) -> dict[str, Any]:
        """Everything but the weights, as plain JSON values. "network" is None for a network of your own."""
        options = getattr(self.network, "config", None)
        return {
            "network": None if options is None else {"name": type(self.network).__name__, "options": options},
            "schedule": {"name": self.schedule.name, "params": self.schedule.params},
            "prediction": self.prediction,
            "sigma_data": self.sigma_data,
            "clip": None if self.clip is None else list(self.clip),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], network: nn.Module | None = None) -> NetworkDenoiser:
        """The denoiser that `config` describes, its weights fresh. `network` stands in where the config names none.

        Raises ValueError if something in it is unknown or missing.
        """
        try:
            named, schedule, clip = config["network"], config["schedule"], config["clip"]
            if clip is not None and (not isinstance(clip, list) or len(clip) != 2):
                raise ValueError(f"clip must be the lowest and the highest value, or None, but got {clip!r}.")
            if network is None:
                if named is None:
                    raise ValueError("This denoiser was built around a network of its own; give it as network=.")
                network = network_from(named["name"], named["options"])
            return cls(
                network,
                schedule_from(schedule["name"], schedule["params"]),
                config["prediction"],
                sigma_data=config["sigma_data"],
                clip=None if clip is None else (clip[0], clip[1]),
            )
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"This is not a denoiser's description: {error!r} is missing or malformed.") from error
