"""Everything a training run consists of, so that it can be continued as if it had never stopped."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ..data import DataSet
from ..denoisers.network import NetworkDenoiser
from ..networks.manual import ManualMLP
from ..objectives.noised import Noised
from ..objectives.objective import Objective
from .batches import batches
from .blocks import Blocks, streams
from .distributed import World
from .ema import EMA, clone
from .fingerprint import fingerprint
from .forward import Forward, forward_for
from .metrics_table import Metrics, Row
from .optimiser import adamw, set_rate
from .power_averages import PowerAverages
from .settings import Settings
from .sharing import fill, here, like, shared, whole
from .state import AVERAGES, OBJECTIVE, check_fits, part
from .update import Update
from .watch import Watch


class Run:
    """A denoiser being trained on data: weights, their averages, the optimiser's moments, the step, the random
    streams, and what the objective itself has learned.

    Two streams: one draws data (on the CPU), one draws times and noise (on the device).

    Attributes:
        whole: False while an update is under way: some weights have had it, and some have not.
        watch: judges the losses.
        metrics: what was noted of it so far.
        world: the processes that share the run; it lies in parts on them under `parallel` = "fsdp".
    """

    def __init__(
        self,
        denoiser: NetworkDenoiser,
        data: DataSet,
        settings: Settings,
        *,
        steps: int,
        conditional: bool,
        device: torch.device,
        generator: Generator | None = None,
        world: World | None = None,
    ) -> None:
        if isinstance(denoiser.schedule, torch.nn.Module):
            raise ValueError(
                f"{denoiser.schedule.name} is learned through the bound (objectives.variational_loss), and this training"
                " would bend it to make the loss small: give its frozen()."
            )
        if denoiser.learned_range:
            raise ValueError(
                "A learned range is taught by objectives.hybrid_loss, in a loop of your own; this training would leave it as"
                " it was drawn: build the denoiser without learned_range."
            )
        self.world = World() if world is None else world
        rows = self.world.rows(settings.batch)
        if settings.compile and self.world.size > 1 and settings.parallel == "fsdp":
            raise ValueError("compile must be False where several processes train with parallel 'fsdp', but got True.")
        if denoiser.device != device:
            denoiser.to(device)
        denoiser.train()
        self.denoiser, self.data, self.settings, self.steps = denoiser, data, settings, steps
        self.conditional, self.device, self.step = conditional, device, 0
        self.forward = Forward(denoiser, device)  # until it is known what the settings can have
        if self.world.size > 1:
            shapes = {name: list(value.shape) for name, value in denoiser.state_dict().items()}
            self.world.check_same(json.dumps([self.config, shapes]), "denoiser, data and settings")
            self.world.as_first(*denoiser.state_dict().values())
        stream, noise = streams(generator, device, self.world)
        self.objective = Objective(settings.weighting, settings.times, sigma_data=denoiser.sigma_data, device=device)
        self.blocks = Blocks(
            batches(data, device, stream, conditional),
            self.objective,
            denoiser,
            settings.batch,
            noise,
            settings.rows_without_label().to(device) if conditional and settings.label_dropout > 0 else None,
            rows,
        )
        self.ema = EMA(denoiser, settings.ema)
        self.averages = PowerAverages(denoiser, settings.averages)
        self.averages.snapshots.keeps = self.world.is_first
        self.forward = forward_for(denoiser, self.blocks, settings, device, self.world)
        self._together: nn.Module | None = None
        if self.world.size > 1:  # from here on weights may lie in parts
            self.objective.gathered = self.world.gathered
            emas: list[EMA[Any]] = [self.ema, *self.averages.averages.values()]
            self._together = shared(
                self._own_loss, denoiser, self.objective, emas, self.world, device, settings.parallel
            )
        self.parameters = [p for p in denoiser.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [{"params": self.parameters}]
        if beside := [p for _, p in self.objective.named_parameters()]:
            groups.append({"params": beside, "weight_decay": 0.0})
        self._trained = [p for group in groups for p in group["params"]]
        self.optimizer = adamw(groups, settings.lr, settings.weight_decay, device)
        self._update = Update(self.optimizer)
        self.watch, self.metrics, self.whole = Watch(), Metrics(), True
        self._norm = torch.tensor(math.nan)  # of the last gradient, where it is clipped
        self._undrawn = 0  # 1 with a batch in hand that no update has seen yet
        self._answer = self._due = self._slope = torch.empty(0)
        self._manual = self._by_hand()

    @property
    def in_parts(self) -> bool:
        """Whether each process keeps but a part of the weights, the averages and the moments."""
        return self.world.size > 1 and self.settings.parallel == "fsdp"

    def loss(self) -> Tensor:
        """The loss of a fresh batch, to `descend` by."""
        batch, labels = self.blocks.draw()
        self._undrawn = 1
        if self._manual is not None:
            self._answer, self._due = self._manual(batch.shown, batch.level, labels), batch.due
            loss, self._slope = batch.loss_and_slope(self._answer)
            return loss
        if self._together is None:
            return self._own_loss(batch, labels)
        return self.world.mean(self._together(batch, labels))

    def _own_loss(self, batch: Noised, labels: Tensor | None) -> Tensor:
        answer = self.forward(batch.shown, batch.level, labels)
        self._answer, self._due = answer.detach(), batch.due
        return self.objective.loss_of(batch, answer, self.denoiser)

    def wrong(self, loss: Tensor, *, closely: bool) -> str:
        """What is wrong with the `loss` in hand or those before it, or ""; waits for the device. `closely` also looks at
        what the network answered."""
        return self.watch.wrong(loss) or (self.watch.exploded(self._answer, self._due, self.world) if closely else "")

    def descend(self, loss: Tensor) -> None:
        """One step of the optimiser and of the average, against the gradient of `loss`."""
        if self._manual is not None:
            self._manual.backward(self._slope)
        else:
            self._drop_gradients()  # an interrupt may have left some
            loss.backward()  # type: ignore[no-untyped-call]
            if self.in_parts:
                for _, parameter in self.objective.named_parameters():
                    if parameter.grad is not None:
                        parameter.grad = self.world.sum(parameter.grad) / self.world.size
        if self.settings.clip_gradient is not None:
            self._norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_gradient)
        self.whole = False
        self.step += 1
        set_rate(self.optimizer, self.settings.learning_rate(self.step, self.steps))
        self._update()
        self._drop_gradients()  # now and not before the next backward pass: the forward pass before it needs the memory
        self.ema.update(self.step)
        self.averages.update(self.step)
        self.watch.add(loss.detach())
        self._undrawn, self.whole = 0, True

    def _drop_gradients(self) -> None:
        for parameter in self._trained:
            parameter.grad = None

    def note(self) -> Row | None:
        """A new row of `metrics`; waits for the device. None in a dry run (meta). Where the run lies in parts, all
        processes must ask."""
        loss = self.watch.mean()
        if loss is None:
            return None
        return self.metrics.add(
            self.step, loss, self.settings.learning_rate(self.step, self.steps), float(whole(self._norm))
        )

    def finite(self) -> bool:
        """Whether no weight, and none of the averages, is nan or inf. In a dry run (meta) nobody knows: True."""
        if self.device.type == "meta":
            return True
        averages = (*self.ema.module.parameters(), *self.averages.parameters())
        sound = all(bool(here(p).isfinite().all()) for p in (*self.parameters, *averages))
        return not float(self.world.sum(torch.tensor(float(not sound)))) if self.in_parts else sound

    def average(self) -> NetworkDenoiser:
        """The averaged denoiser, live; a copy where it lies in parts: then all processes must ask for it."""
        return clone(self.ema.module) if self.in_parts else self.ema.module

    def ended_by(self, error: BaseException) -> BaseException:
        """What to raise for `error`, after which this process does not listen to others any more (see `World.ended_by`)."""
        self._together = None  # it holds the connection
        return self.world.ended_by(error)

    @property
    def lost(self) -> bool:
        """Whether parts of it lie in processes that do not answer any more."""
        return self.in_parts and self.world.broken

    def state(
        self, *, parts: bool = False, copied: bool = True, into: dict[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """A copy of all that changes, by name, on the CPU: weights/, ema/, exp_avg/, exp_avg_sq/, streams/, losses and step;
        averages/ where any are followed, objective/ where the objective learns. It is that after the last update: a batch in
        hand is still to come.

        With `parts`, of a run in parts only what lies here, for this run alone to `restore`; else all processes must ask. An
        earlier state given as `into` lends its memory and is one no more. If not `copied`, what lies on the CPU is that which
        the next step changes.
        """
        taken, lent, found = here if parts else whole, into or {}, {}
        for name, tensor in self._named().items():
            value = taken(tensor.detach())
            fits = name in lent and lent[name].shape == value.shape
            found[name] = lent[name].copy_(value) if fits else value.to("cpu", copy=copied).contiguous()
        found |= {f"streams/{k}": v for k, v in self.blocks.state(undrawn=self._undrawn).items()}
        return found | {"losses": self.watch.state(), "step": torch.tensor(self.step)}

    def _named(self) -> dict[str, Tensor]:
        """The tensors of `state` that lie on the device."""
        named = {f"weights/{k}": v for k, v in self.denoiser.state_dict().items()}
        named |= {f"ema/{k}": v for k, v in self.ema.module.state_dict().items()}
        named |= {f"{AVERAGES}{k}": v for k, v in self.averages.state().items()}
        named |= {f"{OBJECTIVE}{k}": v for k, v in self.objective.state(self.denoiser.schedule).items()}
        for name, parameter in self._named_parameters():
            for moment in ("exp_avg", "exp_avg_sq"):
                value = self.optimizer.state.get(parameter, {}).get(moment)
                named[f"{moment}/{name}"] = torch.zeros_like(parameter) if value is None else value
        return named

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up a `state` of a run with the same network. Raises ValueError if the tensors do not match.

        What another objective had learned is not taken up: this one begins anew.
        """
        own = self._named()
        check_fits(own, state)
        self.averages.check(part(state, AVERAGES), int(state["step"]))
        fill(self.denoiser, part(state, "weights/"))
        fill(self.ema.module, part(state, "ema/"))
        self.step = int(state["step"])
        self.averages.restore(part(state, AVERAGES), self.step)
        objective = {k: v for k, v in state.items() if OBJECTIVE in k}
        same = {k: v.shape for k, v in own.items() if OBJECTIVE in k} == {k: v.shape for k, v in objective.items()}
        if same:
            self.objective.restore(part(state, OBJECTIVE), self.denoiser.schedule)
        for name, parameter in self._named_parameters():
            if name.startswith(OBJECTIVE) and not same:
                continue
            self.optimizer.state[parameter] = {
                "step": torch.tensor(
                    float(self.step), device=self.device if self.optimizer.defaults["fused"] else "cpu"
                ),
                **{m: like(parameter, state[f"{m}/{name}"]) for m in ("exp_avg", "exp_avg_sq")},
            }
        self.blocks.restore(part(state, "streams/"))
        self.watch.restore(state["losses"])
        self._undrawn, self.whole = 0, True

    def compute_as(self, before: object) -> None:
        """Compute in the precision of `before` an interruption, where the settings leave it to the run."""
        if self.settings.precision == "auto":
            self.forward = forward_for(self.denoiser, self.blocks, self.settings, self.device, self.world, before)
            self._manual = self._by_hand()

    def _by_hand(self) -> ManualMLP | None:
        """The network's passes written by hand, where nothing else is asked of them."""
        network, learns = self.denoiser.network, self.objective.learns(self.denoiser.schedule)
        if self.world.size > 1 or not self.forward.plain or learns or not ManualMLP.fits(network):
            return None
        return ManualMLP(network)

    def _named_parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        own = [(name, p) for name, p in self.denoiser.named_parameters() if p.requires_grad]
        return own + [(OBJECTIVE + name, p) for name, p in self.objective.named_parameters()]

    @cached_property
    def _fingerprint(self) -> str | None:
        return fingerprint(self.data)

    @property
    def config(self) -> dict[str, Any]:
        """Everything but tensors, as plain JSON values."""
        return {
            "denoiser": self.denoiser.config,
            "training": asdict(self.settings)
            | {"steps": self.steps, "conditional": self.conditional, "computed": self.forward.computed},
            "data": {
                "name": self.data.name,
                "shape": list(self.data.shape),
                "classes": self.data.classes,
                **({} if self.data.vector is None else {"vector": self.data.vector}),
                "fingerprint": self._fingerprint,
            },
        }
