"""The transformer for images: patches that attend to each other, and a condition that scales, shifts and gates every layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F

from .dropout import Masks, masks_of
from .embedding import Condition
from .sizes import check_inputs, check_sizes, config_of

_LONGEST = 10_000  # wavelength of the slowest position code over 2 pi, in patches (Vaswani et al. 2017, 3.5)


class DiT(nn.Module):
    """A diffusion transformer with adaLN-Zero blocks (Peebles & Xie 2023, 3.2), small enough for two cores.

    An image is cut into patches, h/p x w/p tokens of p*p*c numbers each, which know their place by fixed sines and cosines of
    row and column. What the time goes with is the number of tokens: 49 of a 28x28 image at p = 4, 16 of an 8x8 one at p = 2.

    Args:
        shape: (channels, height, width), both sides divisible by `patch`.
        width: numbers by which a token is known, divisible by 4 and by `heads`.
        depth: number of blocks.
        heads: of attention in each.
        patch: side of a patch, p.
        classes: number of classes, or None.
        outputs: numbers for each pixel; with 2 the answer has 2 c channels for images of c, for a learned range.
        levels: how many numbers it is told of the noise; with 2 it is called with level (n, 2) or (1, 2), for a mean flow.
        dropout: share of the numbers that attention and the dense layers bring which become 0 in training, in [0, 1).
        vector: length of the vectors that are conditions in the place of classes, or None.

    Raises ValueError for sizes that are no whole numbers, out of reach, or that do not divide as said.
    """

    positions: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 96,
        depth: int = 4,
        heads: int = 4,
        patch: int = 2,
        classes: int | None = None,
        outputs: int = 1,
        levels: int = 1,
        dropout: float = 0.0,
        vector: int | None = None,
    ) -> None:
        super().__init__()
        options = {
            "width": width,
            "depth": depth,
            "heads": heads,
            "patch": patch,
            "classes": classes,
            "outputs": outputs,
            "levels": levels,
            "dropout": dropout,
            "vector": vector,
        }
        check_sizes("DiT", {"shape": shape, **options})
        if len(shape) != 3 or shape[1] % patch or shape[2] % patch:
            raise ValueError(
                f"A DiT needs images (channels, height, width) with sides divisible by its patch, {patch},"
                f" but got {tuple(shape)}."
            )
        if width % 4 or width % heads:
            raise ValueError(f"A DiT's width must be divisible by 4 and by its {heads} heads, but got {width}.")
        self.config = config_of(shape, options)
        self.classes, self.vector, self.patch = classes, vector, patch
        self.levels, self.dropout = levels, dropout
        self._grid = shape[1] // patch, shape[2] // patch
        numbers = shape[0] * patch**2
        self.condition = Condition(width, classes, levels=levels, vector=vector)
        self.first = nn.Linear(numbers, width)
        self.register_buffer("positions", _positions(*self._grid, width), persistent=False)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.modulate = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, outputs * numbers)
        for layer in (self.modulate, self.last):
            _zero(layer)

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """`x` (n, *shape), `level` (n,) or (1,), `labels` (n,) int64, (n, vector) or None -> (n, *shape), or `outputs`
        times its channels."""
        check_inputs(x, level, self.config["shape"], self.levels)
        condition = F.silu(self.condition(level, labels))[:, None]
        smooth, drop = _is_differentiated(x), masks_of(self, x)
        tokens = F.pixel_unshuffle(x, self.patch).flatten(2).mT
        h = self.first(tokens) + self.positions
        for block in self.blocks:
            h = block(h, condition, smooth, drop)
        shift, scale = self.modulate(condition).chunk(2, dim=2)
        y: Tensor = self.last(_normed(h, shift, scale))
        return F.pixel_shuffle(y.mT.unflatten(2, self._grid), self.patch)


class Block(nn.Module):
    """Attention and two dense layers, each on normalised tokens that the condition shifts and scales, each added through a
    gate that it sets (adaLN-Zero, ibid., figure 3). All three start at 0, and the block as the identity."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for layer in (self.qkv, self.mix, self.widen, self.narrow):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.modulate = nn.Linear(width, 6 * width)
        _zero(self.modulate)

    def forward(self, x: Tensor, condition: Tensor, smooth: bool = False, drop: Masks | None = None) -> Tensor:
        """`x` (n, tokens, width), `condition` (n or 1, 1, width) -> (n, tokens, width)."""
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulate(condition).chunk(6, dim=2)
        q, k, v = self.qkv(_normed(x, shift1, scale1)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = _attention(q, k, v) if smooth else F.scaled_dot_product_attention(q, k, v)
        h = self.mix(seen.transpose(1, 2).flatten(2))
        x = torch.addcmul(x, gate1, h if drop is None else drop(h))
        h = self.narrow(F.gelu(self.widen(_normed(x, shift2, scale2)), approximate="tanh"))
        return torch.addcmul(x, gate2, h if drop is None else drop(h))


def _normed(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    h = F.layer_norm(x, x.shape[-1:], eps=1e-6)
    return torch.addcmul(h + shift, h, scale)


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As torch's own, in steps that have derivatives of every kind and order: its kernels have first ones only."""
    return ((q / math.sqrt(q.shape[-1])) @ k.mT).softmax(-1) @ v


def _is_differentiated(x: Tensor) -> bool:
    """Whether somebody asks for derivatives by the input: score matching, a divergence, a mean flow."""
    return x.requires_grad or forward_ad.unpack_dual(x).tangent is not None


def _positions(rows: int, columns: int, width: int) -> Tensor:
    """The place of each patch, (rows * columns, width): a quarter of the width each sin and cos of row and of column."""
    count = width // 4
    rates = _LONGEST ** -(torch.arange(count, dtype=torch.float64, device="cpu") / count)
    row, column = (torch.arange(n, dtype=torch.float64, device="cpu")[:, None] * rates for n in (rows, columns))
    by_row, by_column = (torch.cat([a.sin(), a.cos()], dim=1) for a in (row, column))
    whole = torch.cat([by_row.repeat_interleave(columns, 0), by_column.repeat(rows, 1)], dim=1)
    return whole.float().to(torch.get_default_device())


def _zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
