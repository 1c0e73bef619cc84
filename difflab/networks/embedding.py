"""How a network is told the noise level and the condition: a class, or a vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..checks import brief

_SLOWEST, _FASTEST = 0.25, 8.0  # radians per unit of noise level: log-SNR / 4, which runs over about [-5, 5]


class Condition(nn.Module):
    """Noise level and condition in one vector: a sinusoidal code of the level and a learned code of the condition, added.

    Args:
        width: of the vector.
        classes: number of classes, or None. Row `classes` of the table is "no class": what a network with classes sees
            when it is asked without labels (Ho & Salimans 2022 train it by dropping labels).
        waves: number of frequencies of the sinusoidal code.
        levels: how many numbers it is told; each has its own code.
        vector: length of the vectors that are conditions in the place of classes, or None. What is said without one is
            learned too, for a call without and for each row of nan.
    """

    rates: Tensor

    def __init__(
        self, width: int, classes: int | None = None, waves: int = 16, levels: int = 1, vector: int | None = None
    ) -> None:
        super().__init__()
        rates = torch.logspace(0, 1, waves, base=_FASTEST / _SLOWEST, dtype=torch.float32) * _SLOWEST
        self.register_buffer("rates", rates, persistent=False)
        self.level = nn.Linear(2 * waves * levels, width)
        self.label = None if classes is None else nn.Embedding(classes + 1, width)
        self.classes = classes
        if self.label is not None:
            nn.init.normal_(self.label.weight, std=0.5)
        self.vector = None if vector is None else nn.Linear(vector, width, bias=False)  # the level brings a bias
        self.nothing = None if vector is None else nn.Parameter(0.5 * torch.randn(width))

    def forward(self, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """`level` (n,) or (1,), or (n, levels) or (1, levels), `labels` (n,) int64, or (n, vector), or None -> (n, width), or
        (1, width) if neither names a row.

        Raises TypeError for conditions that are no tensor, ValueError for a tensor of another shape or kind.
        """
        angles = (level[..., None] * self.rates).flatten(1)
        code: Tensor = self.level(torch.cat([angles.sin(), angles.cos()], dim=1))
        if self.vector is not None and self.nothing is not None:
            if labels is None:  # all weights take part even so, as processes that share gradients expect
                labels = self.nothing.new_full((1, self.vector.in_features), torch.nan)
            return code + self._of_vectors(labels, self.vector, self.nothing)
        if self.label is None:
            return code
        if labels is None:
            return code + self.label.weight[-1]
        if not isinstance(labels, Tensor):
            raise TypeError(f"The labels of a network are a tensor of whole numbers, but got {brief(labels)}.")
        if labels.ndim != 1 or labels.dtype not in (torch.int64, torch.int32):
            raise ValueError(
                "The labels of a network are whole numbers, (n,), one for each sample, but got"
                f" {tuple(labels.shape)} of {labels.dtype}."
            )
        return torch.add(code, self.label(labels))

    def _of_vectors(self, vectors: Tensor, linear: nn.Linear, nothing: Tensor) -> Tensor:
        if not isinstance(vectors, Tensor):
            raise TypeError(f"The vectors of a network are a tensor of numbers, but got {brief(vectors)}.")
        if vectors.ndim != 2 or vectors.shape[1] != linear.in_features:
            raise ValueError(
                f"The vectors of a network have the shape (n, {linear.in_features}), but got {tuple(vectors.shape)}."
            )
        vectors = vectors.to(nothing.dtype)
        none = vectors.isnan().any(1, keepdim=True)
        return torch.where(none, nothing, linear(vectors.masked_fill(none, 0)))  # 0 times nan would be nan in gradients
