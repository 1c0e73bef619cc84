"""A network as a denoiser: preconditioning around any nn.Module.

The network sees c_in x_t, which has variance 1 at every noise level, and the level itself (preconditioning.py). What it says
is one of the `predictions`. With prediction="edm" that is Karras' preconditioning whole, on sigma / alpha for any schedule:
input and target both have variance 1 at every t, and x_0 = c_skip x_t + c_out F is nowhere divided by alpha.

A module that is called in another way is wrapped in `networks.Adapted` first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import brief, is_number
from ..data import DataSet
from ..data.base import check_seed
from ..linear import combined, scaled
from ..networks import network_for, network_from
from ..networks.adapted import check_call
from ..predictions import Prediction, Rates, check_levels, convert, error_gain, target
from ..schedules import Learned, Schedule, schedule_from
from .around import AroundNetwork
from .base import Posterior, beside, check_samples, check_times, noise_level
from .given import check_answer, check_dtype, check_pair, checked_clip
from .preconditioning import Preconditioning, input_scale, network_level

_NUMBERS = (float, int)
TRAINABLE: tuple[str, ...] = ("eps", "x0", "v", "velocity", "edm")


class NetworkDenoiser(AroundNetwork):
    """A learned denoiser.

    Args:
        network: called as network(x (n, *shape), noise level (n,) or (1,), labels (n,) or None) -> (n, *shape). Its `classes`
            says how many it knows; its `vector`, that labels are vectors of this length, (n, vector), a row of nan for none.
        schedule: says what x_t is.
        prediction: what the network predicts: "eps", "x0", "v", "velocity" or "edm". A score is -eps / sigma: a network
            that says it with outputs of one size at all levels says eps.
        sigma_data: standard deviation of the data.
        clip: (lowest, highest) value of the posterior mean, or None. E[x_0 | x_t] never leaves the range of the data,
            but near t = 1 an eps-prediction divides its error by alpha, and one bad step ends a whole trajectory.
            Only the `Posterior` is clipped, never what is trained.
        learned_range: the network returns twice as many channels, (n, 2 c, ...): after the prediction a w that says where
            the variance of the reverse step lies, `Posterior.fraction` = (w + 1) / 2 (Nichol & Dhariwal 2021, eq. 15).

    Raises TypeError for what is no module or no schedule; ValueError for another prediction, sigma_data
    or clip, and for a prediction that says nothing of x_0 at t = 1 of this schedule: eps where alpha is 0 there, a velocity
    that is 0 there.
    """

    def __init__(
        self,
        network: nn.Module,
        schedule: Schedule,
        prediction: Prediction = "eps",
        *,
        sigma_data: float = 1.0,
        clip: tuple[float, float] | None = None,
        learned_range: bool = False,
    ) -> None:
        super().__init__()
        if prediction not in TRAINABLE:
            raise ValueError(f"A network can predict {', '.join(TRAINABLE)}, but got {prediction!r}.")
        if not isinstance(network, nn.Module):
            raise TypeError(f"A denoiser needs an nn.Module such as MLP((2,)), but got {brief(network)}.")
        if not isinstance(schedule, Schedule):
            raise TypeError(f"A denoiser needs a Schedule such as VPCosine(), but got {brief(schedule)}.")
        if not is_number(sigma_data) or sigma_data < 0 or (sigma_data == 0 and prediction == "edm"):
            least = "above 0" if prediction == "edm" else "of 0 or more"
            raise ValueError(f"sigma_data must be a number {least}, but got {sigma_data!r}.")
        if not isinstance(learned_range, bool):
            raise ValueError(f"learned_range must be True or False, but got {learned_range!r}.")
        check_pair(schedule, prediction)
        self.network, self.schedule, self.prediction = network, schedule, prediction
        self.sigma_data, self.clip = float(sigma_data), checked_clip(clip)
        self.learned_range = learned_range
        self._preconditioning = Preconditioning(schedule, prediction, self.sigma_data)

    @classmethod
    def for_data(
        cls,
        data: DataSet,
        schedule: Schedule,
        prediction: Prediction = "v",
        *,
        network: nn.Module | str | None = None,
        conditional: bool = False,
        learned_range: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> NetworkDenoiser:
        """A fresh denoiser that fits `data`: its network, sigma_data and range (as `clip`). `seed` fixes the first weights,
        and torch's global random stream is left as it was; `options` go to the network (`width`, ...).

        `network` names one, "DiT" say, or is one of your own, taken as it is (see `networks.Adapted`). Raises TypeError for
        options beside your own, ValueError as of `network_for`.
        """
        if isinstance(network, nn.Module) and (options or conditional):
            given = ", ".join([*options, *["conditional"] * conditional])
            raise TypeError(f"A network of your own is taken as it is: build it with {given} yourself.")
        if learned_range:
            options = {**options, "outputs": 2}
        check_seed(seed)
        if network is None or isinstance(network, str):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                network = network_for(data, network=network, conditional=conditional, **options)
        return cls(
            network, schedule, prediction, sigma_data=data.sigma_data, clip=data.range, learned_range=learned_range
        )

    def forward(self, x_t: Tensor, t: float | Tensor, labels: Tensor | None = None) -> Posterior:
        """E[x_0 | x_t] as far as it was learned; its variance is not known (None).

        `x_t` (n, *shape); `t` one time or (n,); `labels` (n,) int64 or (n, vector), or None for all together.
        At t = 0 it is x_t itself.
        """
        if isinstance(t, _NUMBERS):
            kept = self._preconditioning
            if not kept.is_of(self.schedule, self.prediction, self.sigma_data):
                kept = self._preconditioning = Preconditioning(self.schedule, self.prediction, self.sigma_data)
            if not kept.moves:
                return self._at_time(x_t, t, kept, labels)
        check_samples(x_t, self.shape)
        alpha, sigma = noise_level(self.schedule, t, x_t)
        value, fraction = self.outputs_at(x_t, alpha, sigma, self._checked(labels, len(x_t)))
        mean = self.x0_at(value, x_t, alpha, sigma, t)
        if self.clip is not None:
            mean = mean.clamp(*self.clip)
        return Posterior(torch.where(sigma == 0, x_t, mean), fraction=fraction)

    def _at_time(self, x_t: Tensor, t: float, kept: Preconditioning, labels: Tensor | None) -> Posterior:
        """`forward` at one time: the same in as few passes over x_t, and as little beside them, as it takes."""
        c_in, level, c_out, c_skip, is_data = kept.at(t)
        if not (isinstance(x_t, Tensor) and x_t.is_floating_point() and x_t.ndim):  # networks of ours see to the shape
            check_samples(x_t, self.shape)
        if labels is not None:
            labels = self._checked(labels, len(x_t))
        shown = x_t if c_in == 1 else scaled(c_in, x_t)
        value, fraction = self._asked(shown, kept.told(t, level, x_t), labels)
        if is_data:
            return Posterior(x_t, None, fraction)
        mean = combined(c_skip, x_t, c_out, value)
        return Posterior(mean if self.clip is None else mean.clamp(*self.clip), None, fraction)

    def predict_at(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, labels: Tensor | None = None) -> Tensor:
        """The network's own prediction for x_t (n, *shape), shaped like it: what the loss compares.

        alpha and sigma are shaped to multiply x_t. Labels are not checked.
        """
        return self.outputs_at(x_t, alpha, sigma, labels)[0]

    def outputs_at(
        self, x_t: Tensor, alpha: Tensor, sigma: Tensor, labels: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(prediction, fraction), both shaped as x_t (n, *shape); the fraction is None without `learned_range`.

        As `predict_at`. ValueError if x_t, the levels or the network's answer are of another shape, TypeError if x_t is of
        another dtype than the weights.
        """
        return self._asked(*self.shown_at(x_t, alpha, sigma), labels)

    def shown_at(self, x_t: Tensor, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """What the network is called with at x_t (n, *shape): (c_in x_t, log-SNR / 4 as (n,) or (1,)). As `outputs_at`."""
        check_samples(x_t, self.shape)
        check_dtype(self.network, x_t)
        check_levels(alpha, sigma, x_t)
        level = network_level(alpha, sigma).reshape(-1)
        return input_scale(alpha, sigma, self.sigma_data) * x_t, level

    def answer_to(
        self,
        shown: Tensor,
        level: Tensor,
        labels: Tensor | None = None,
        *,
        network: Callable[..., Tensor] | None = None,
    ) -> Tensor:
        """The network's own prediction for what `shown_at` gave, shaped as `shown`. Labels are not checked.

        `network` stands in for the denoiser's own: the same one, compiled.
        """
        return self._asked(shown, level, labels, network)[0]

    def _asked(
        self, x: Tensor, level: Tensor, labels: Tensor | None, network: Callable[..., Tensor] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The network's answer to what it is shown, (prediction, fraction)."""
        try:  # to find self.network a module first fails to find it elsewhere
            answer: Tensor = (self._modules["network"] if network is None else network)(x, level, labels)  # type: ignore[misc]
        except RuntimeError:
            check_dtype(self.network, x)
            raise
        except TypeError:
            check_call(self.network, "x", "noise level", "labels")
            raise
        if not self.learned_range:
            check_answer(answer, x.shape)
            return answer, None
        check_answer(answer, torch.Size([x.shape[0], 2 * x.shape[1], *x.shape[2:]]))
        value, w = answer.chunk(2, dim=1)
        return value, (w + 1) / 2

    def target_at(
        self, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor, t: float | Tensor | None = None
    ) -> Tensor:
        """What the network should have said of x_t = alpha x_0 + sigma eps, shaped as x0 (n, *shape).

        alpha and sigma, shaped to multiply x0, are those of `t`, one time or (n,): a velocity needs it.
        """
        rates = self._rates(t, x0)
        return target(self.prediction, x0, eps, alpha, sigma, rates=rates, sigma_data=self.sigma_data)

    def x0_at(
        self, value: Tensor, x_t: Tensor, alpha: Tensor, sigma: Tensor, t: float | Tensor | None = None
    ) -> Tensor:
        """The x_0 that the network's prediction `value` says, shaped as x_t (n, *shape), not clipped. As `target_at`."""
        rates = self._rates(t, x_t)
        return convert(
            value, self.prediction, "x0", x_t, alpha, sigma, rates=rates, sigma_data=self.sigma_data, check=False
        )

    def gain_at(self, alpha: Tensor, sigma: Tensor, t: float | Tensor | None = None) -> Tensor:
        """|d prediction / d x_0| at fixed x_t, shaped as alpha (`predictions.error_gain`). As `target_at`."""
        rates = self._rates(t, sigma)
        return error_gain(self.prediction, alpha, sigma, rates=rates, sigma_data=self.sigma_data, check=False)

    def _rates(self, t: float | Tensor | None, x: Tensor) -> Rates | None:
        """(alpha', sigma') shaped to multiply x, where they are needed."""
        if self.prediction != "velocity":
            return None
        if t is None:
            raise ValueError("A velocity depends on how fast the noise grows: give the time, t=.")
        check_times(t, x)
        alpha_rate, sigma_rate = self.schedule.rates(t)
        return beside(alpha_rate, x), beside(sigma_rate, x)

    def frozen(self) -> NetworkDenoiser:
        """The same network, not a copy, under its learned schedule as it is now: what chains, samplers and bounds take.

        Raises TypeError for a schedule that is not `Learned`.
        """
        if not isinstance(self.schedule, Learned):
            raise TypeError(f"Only a denoiser of a Learned schedule is frozen; {self.schedule} does not move.")
        return NetworkDenoiser(
            self.network,
            self.schedule.frozen(),
            self.prediction,
            sigma_data=self.sigma_data,
            clip=self.clip,
            learned_range=self.learned_range,
        )

    @property
    def config(self) -> dict[str, Any]:
        """Everything but the weights, as plain JSON values. "network" is None for a network of your own."""
        options = getattr(self.network, "config", None)
        # said only where it is on: older checkpoints know nothing of it, and are compared with this to be resumed
        learned_range = {"learned_range": True} if self.learned_range else {}
        return {
            "network": None if options is None else {"name": type(self.network).__name__, "options": options},
            "schedule": {"name": self.schedule.name, "params": self.schedule.params},
            "prediction": self.prediction,
            "sigma_data": self.sigma_data,
            "clip": None if self.clip is None else list(self.clip),
            **learned_range,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], network: nn.Module | None = None) -> NetworkDenoiser:
        """The denoiser that `config` describes, its weights fresh. `network` stands in where the config names none.

        Raises ValueError if something in it is unknown or missing.
        """
        try:
            named, schedule = config["network"], config["schedule"]
            if network is None:
                if named is None:
                    raise ValueError("This denoiser was built around a network of its own; give it as network=.")
                network = network_from(named["name"], named["options"])
            return cls(
                network,
                schedule_from(schedule["name"], schedule["params"]),
                config["prediction"],
                sigma_data=config["sigma_data"],
                clip=checked_clip(config["clip"]),
                learned_range=config.get("learned_range", False),
            )
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"This is not a denoiser's description: {error!r} is missing or malformed.") from error
