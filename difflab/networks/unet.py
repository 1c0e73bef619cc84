"""The network for small images: a U-Net of two resolutions on patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .dropout import Masks, masks_of
from .embedding import Condition
from .sizes import check_inputs, check_sizes, config_of

_GROUPS = 8


class UNet(nn.Module):
    """A U-Net (Ho et al. 2020, appendix B) cut down to what a CPU can train in a minute.

    An image is first folded into patches (h/p x w/p positions of p*p channels each): on a CPU the time goes with the
    number of positions a convolution visits, and 8x8 digits lose nothing at p = 2.

    Args:
        shape: (channels, height, width), both sides divisible by `patch`.
        width: channels at the fine resolution, a multiple of 8; twice as many at the coarse one.
        blocks: residual blocks at each stage (down, middle, up).
        classes: number of classes, or None.
        patch: side of a patch, p.
        outputs: numbers for each pixel; with 2 the answer has 2 c channels for images of c, for a learned range.
        levels: how many numbers it is told of the noise; with 2 it is called with level (n, 2) or (1, 2), for a mean flow.
        dropout: share of the numbers before the second convolution of each block that become 0 in training, in [0, 1).
        vector: length of the vectors that are conditions in the place of classes, or None.

    Raises ValueError for sizes that are no whole numbers, out of reach, or that do not divide as said.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        width: int = 64,
        blocks: int = 1,
        classes: int | None = None,
        patch: int = 2,
        outputs: int = 1,
        levels: int = 1,
        dropout: float = 0.0,
        vector: int | None = None,
    ) -> None:
        super().__init__()
        options = {
            "width": width,
            "blocks": blocks,
            "classes": classes,
            "patch": patch,
            "outputs": outputs,
            "levels": levels,
            "dropout": dropout,
            "vector": vector,
        }
        check_sizes("UNet", {"shape": shape, **options})
        if len(shape) != 3 or shape[1] % patch or shape[2] % patch:
            raise ValueError(
                f"A U-Net needs images (channels, height, width) with sides divisible by its patch, {patch},"
                f" but got {tuple(shape)}."
            )
        if width % _GROUPS:
            raise ValueError(f"A U-Net's width must be divisible by {_GROUPS}, but got {width}.")
        self.config = config_of(shape, options)
        self.classes, self.vector, self.patch = classes, vector, patch
        self.levels, self.dropout = levels, dropout
        channels, wide = shape[0] * patch**2, 2 * width
        self.condition = Condition(wide, classes, levels=levels, vector=vector)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(Block(width, wide) for _ in range(blocks))
        self.shrink = nn.Conv2d(width, wide, 2, stride=2)
        self.middle = nn.ModuleList(Block(wide, wide) for _ in range(blocks))
        self.grow = nn.ConvTranspose2d(wide, width, 2, stride=2)
        self.up = nn.ModuleList(Block(width, wide) for _ in range(blocks))
        self.norm = nn.GroupNorm(_GROUPS, width)
        self.last = nn.Conv2d(width, outputs * channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """`x` (n, *shape), `level` (n,) or (1,), `labels` (n,) int64, (n, vector) or None -> (n, *shape), or `outputs`
        times its channels."""
        check_inputs(x, level, self.config["shape"], self.levels)
        condition, drop = F.silu(self.condition(level, labels)), masks_of(self, x)
        h = self.first(F.pixel_unshuffle(x, self.patch))
        for block in self.down:
            h = block(h, condition, drop)
        fine, (rows, columns) = h, h.shape[2:]
        h = self.shrink(F.pad(h, (0, columns % 2, 0, rows % 2)) if rows % 2 or columns % 2 else h)
        for block in self.middle:
            h = block(h, condition, drop)
        h = self.grow(h)[:, :, :rows, :columns] + fine
        for block in self.up:
            h = block(h, condition, drop)
        h = self.last(F.silu(self.norm(h)))
        return F.pixel_shuffle(h, self.patch)


class Block(nn.Module):
    """A residual block; the condition scales and shifts its second normalisation (Dhariwal & Nichol 2021, 3.1)."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(_GROUPS, width), nn.GroupNorm(_GROUPS, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.modulate = nn.Linear(condition, 2 * width)
        nn.init.zeros_(self.conv2.weight)  # every block starts as the identity
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, condition: Tensor, drop: Masks | None = None) -> Tensor:
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        scale, shift = self.modulate(condition)[:, :, None, None].chunk(2, dim=1)
        h = F.silu(torch.addcmul(h + shift, h, scale))
        return torch.add(x, self.conv2(h if drop is None else drop(h)))
