"""The network for points: a few dense layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .embedding import Condition
from .sizes import check_inputs, check_sizes, config_of


class MLP(nn.Module):
    """Dense layers with SiLU; the noise level and the class are added before the first of them.

    Raises ValueError for sizes that are no whole numbers or out of reach.

    Args:
        shape: of one sample without the batch; it is flattened inside.
        width: of each hidden layer.
        depth: number of hidden layers.
        classes: number of classes, or None.
        outputs: numbers for each coordinate; with 2 the answer is (n, 2 c, ...) for x (n, c, ...), for a learned range.
        levels: how many numbers it is told of the noise; with 2 it is called with level (n, 2) or (1, 2), for a mean flow.
        vector: length of the vectors that are conditions in the place of classes, or None.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 128,
        depth: int = 3,
        classes: int | None = None,
        outputs: int = 1,
        levels: int = 1,
        vector: int | None = None,
    ) -> None:
        super().__init__()
        options = {
            "width": width,
            "depth": depth,
            "classes": classes,
            "outputs": outputs,
            "levels": levels,
            "vector": vector,
        }
        check_sizes("MLP", {"shape": shape, **options})
        self.config = config_of(shape, options)
        self.classes, self.vector, self.outputs, self.levels = classes, vector, outputs, levels
        dim = int(torch.Size(shape).numel())
        self.condition = Condition(width, classes, levels=levels, vector=vector)
        self.first = nn.Linear(dim, width, bias=False)  # the condition brings the bias
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))
        self.last = nn.Linear(width, outputs * dim)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """`x` (n, *shape), `level` (n,) or (1,), `labels` (n,) int64, (n, vector) or None -> (n, *shape), or `outputs`
        times its channels."""
        check_inputs(x, level, self.config["shape"], self.levels)
        h = F.silu(self.first(x.flatten(1)) + self.condition(level, labels))
        for layer in self.hidden:
            h = F.silu(layer(h))
        y: Tensor = self.last(h)
        return y.view(len(x), self.outputs * x.shape[1], *x.shape[2:])
