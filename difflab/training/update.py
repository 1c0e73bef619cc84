"""The optimiser's step of a small network on the CPU, in one call.

`torch.optim.AdamW.step` gathers its parameters, gradients and moments anew in every step, and for a network of a few tensors
that takes longer than the arithmetic. Here they are gathered once, and the same function of torch is called with them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw


class Update:
    """Called for `optimizer.step()`. What it does is the same to the bit, and so is the optimiser's state, which may be replaced
    between calls."""

    def __init__(self, optimizer: torch.optim.AdamW) -> None:
        self.optimizer = optimizer
        self._group = group = optimizer.param_groups[0]
        self._parameters: list[Tensor] = list(group["params"])
        usual = group["fused"] and not (group["amsgrad"] or group["maximize"] or group["capturable"])
        here = all(type(p) is nn.Parameter and p.is_cpu for p in self._parameters)
        self._fits = bool(usual and here and self._parameters and len(optimizer.param_groups) == 1)
        self._gathered: dict[str, list[Tensor]] = {}
        self._gathered_from: object = None

    @torch.no_grad()
    def __call__(self) -> None:
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        fits = self._fits and len(gradients) == len(self._parameters)
        if not fits or not self._gathered or self._gathered_from is not self._newest():
            self.optimizer.step()  # which makes the state where there is none
            if fits:
                self._gather()
            return
        group, found = self._group, self._gathered
        adamw(
            self._parameters,
            gradients,
            found["exp_avg"],
            found["exp_avg_sq"],
            [],
            found["step"],
            fused=True,
            amsgrad=False,
            maximize=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
        )

    def _newest(self) -> object:
        """A part of the optimiser's state, which is another one after the state was replaced."""
        return self.optimizer.state.get(self._parameters[-1])

    def _gather(self) -> None:
        state = self.optimizer.state
        self._gathered = {k: [state[p][k] for p in self._parameters] for k in ("exp_avg", "exp_avg_sq", "step")}
        self._gathered_from = self._newest()
