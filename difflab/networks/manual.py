"""The MLP's passes, forward and backward, written by hand.

A step of a small network spends as long on autograd's books as on arithmetic: a node for every product, a tensor for every
transpose, memory taken and given back, and the code for all that fetched anew each time, since the products push it out of
the cache. Here a step is 28 kernels, and what lies between the layers is kept. They are the kernels that autograd calls:
gradients are its own, to rounding.
"""

from __future__ import annotations

from typing import TypeGuard, cast

import torch
from torch import Tensor, nn

from .mlp import MLP

_silu, _silu_backward = torch.ops.aten.silu.out, torch.ops.aten.silu_backward.grad_input


class ManualMLP:
    """An MLP's answer, and from its slope the gradients of its weights, without autograd.

    It follows the weights of `mlp`, whatever is loaded into them. Raises ValueError for a network that it does not fit.
    """

    def __init__(self, mlp: MLP) -> None:
        if not self.fits(mlp):
            raise ValueError("Only an MLP as it comes, in float32 on the CPU, is differentiated by hand.")
        self.mlp, self._hidden = mlp, cast(list[nn.Linear], list(mlp.hidden))
        self._between: _Between | None = None
        self._asked: tuple[Tensor, Tensor | None] | None = None

    @staticmethod
    def fits(network: nn.Module) -> TypeGuard[MLP]:
        """Whether this can stand in for `network`: an MLP that is told one level and a class at most, and gives one answer; all
        of its weights are trained, and nothing is hooked in."""
        return (
            type(network) is MLP
            and network.levels == network.outputs == 1
            and network.vector is None
            and all(type(p) is nn.Parameter and p.requires_grad for p in network.parameters())
            and all(p.is_cpu and p.dtype is torch.float32 for p in network.parameters())
            and not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in network.modules())
        )

    @torch.no_grad()
    def __call__(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """`x` (n, *shape), `level` (n,), `labels` (n,) int64 or None -> (n, *shape)."""
        mlp, kept = self.mlp, self._between
        if kept is None or len(kept.code) != len(x):
            kept = self._between = _Between(mlp, len(x))
        rows, condition = x.flatten(1), mlp.condition
        self._asked = rows, labels
        angles = level[:, None] * condition.rates
        torch.cat([angles.sin(), angles.cos()], dim=1, out=kept.code)
        h = torch.addmm(condition.level.bias, kept.code, condition.level.weight.t(), out=kept.before[0])
        if condition.label is not None:
            h += condition.label.weight[-1] if labels is None else condition.label.weight[labels]
        h = _silu(h.addmm_(rows, mlp.first.weight.t()), out=kept.after[0])
        for layer, before, after in zip(self._hidden, kept.before[1:], kept.after[1:], strict=True):
            h = _silu(torch.addmm(layer.bias, h, layer.weight.t(), out=before), out=after)
        return torch.addmm(mlp.last.bias, h, mlp.last.weight.t()).view_as(x)

    @torch.no_grad()
    def backward(self, slope: Tensor) -> None:
        """Set the gradients of the weights for a loss with this `slope` by the last answer, shaped as that.

        RuntimeError where there is no answer: each has one backward pass.
        """
        mlp, kept = self.mlp, self._between
        if self._asked is None or kept is None:
            raise RuntimeError("There is no answer to go back from: each has one backward pass.")
        (rows, labels), self._asked = self._asked, None
        slope = slope.reshape(len(rows), -1)
        layers = [mlp.last, *reversed(self._hidden)]
        for layer, before, after in zip(layers, kept.before[::-1], kept.after[::-1], strict=True):
            layer.weight.grad, layer.bias.grad = slope.t() @ after, slope.sum(0)
            slope = torch.mm(slope, layer.weight, out=after)  # which was needed for the last time
            slope = _silu_backward(slope, before, grad_input=slope)
        told = mlp.condition.level
        told.weight.grad, told.bias.grad, mlp.first.weight.grad = slope.t() @ kept.code, slope.sum(0), slope.t() @ rows
        if (label := mlp.condition.label) is not None:
            label.weight.grad = torch.zeros_like(label.weight)
            if labels is None:
                label.weight.grad[-1] = told.bias.grad
            else:
                label.weight.grad.index_add_(0, labels, slope)


class _Between:
    """What lies between the layers: before and after every SiLU, (rows, width), and the code of the level."""

    def __init__(self, mlp: MLP, rows: int) -> None:
        shape = 1 + len(mlp.hidden), rows, mlp.first.out_features
        self.before, self.after = torch.empty(shape).unbind(), torch.empty(shape).unbind()
        self.code = torch.empty(rows, mlp.condition.level.in_features)
