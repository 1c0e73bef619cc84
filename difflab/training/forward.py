"""The network's answer in a training step: as it is, compiled, or in bfloat16.

The denoiser keeps its own network, with the names that a checkpoint has; what is compiled stands beside it, and nobody but the
training's loss calls it. Averages and sampling take the network as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..denoisers.network import NetworkDenoiser
from .blocks import Blocks
from .distributed import World
from .ema import clone
from .precision import Computed, autocast, resolved
from .settings import Settings


class Forward:
    """Called as `NetworkDenoiser.answer_to`; the answer is float32 in any precision.

    Args:
        compiled: have torch compile the network, at the first call. Raises ValueError, in one sentence, where torch finds
            nothing to compile with.
    """

    def __init__(
        self, denoiser: NetworkDenoiser, device: torch.device, *, computed: Computed = "float32", compiled: bool = False
    ) -> None:
        self._denoiser, self._device, self.computed = denoiser, device, computed
        self._compiled = compile_for(denoiser.network, device) if compiled else None
        self._graphs = self._compiled is not None and device.type == "cuda"

    @property
    def plain(self) -> bool:
        """Whether this is nothing but `NetworkDenoiser.answer_to`."""
        return self._compiled is None and self.computed == "float32"

    def __call__(self, shown: Tensor, level: Tensor, labels: Tensor | None = None) -> Tensor:
        if self._graphs:  # what a graph returned in the last step may be overwritten in this one
            torch.compiler.cudagraph_mark_step_begin()
        if self.computed == "float32":
            return self._denoiser.answer_to(shown, level, labels, network=self._compiled)
        with autocast(self.computed, self._device):
            answer = self._denoiser.answer_to(shown, level, labels, network=self._compiled)
        return answer.float()


def forward_for(
    denoiser: NetworkDenoiser,
    blocks: Blocks,
    settings: Settings,
    device: torch.device,
    world: World,
    before: object = None,
) -> Forward:
    """What `settings` ask for. `before` is what an interrupted run computed in; without it "auto" tries a batch, which is drawn
    again afterwards. Raises ValueError as `precision.resolved` and `Forward`."""
    tried = _trial(denoiser, blocks, device) if settings.precision == "auto" and world.size == 1 else None
    computed = resolved(settings.precision, device, tried, before)
    if settings.precision == "auto" and world.size > 1:  # measurements differ: the first process decides for all
        shorter = torch.tensor(float(computed == "bfloat16"), device=device)
        world.as_first(shorter)
        computed = "bfloat16" if float(shorter) else "float32"
    return Forward(denoiser, device, computed=computed, compiled=settings.compile)


def _trial(denoiser: NetworkDenoiser, blocks: Blocks, device: torch.device) -> Callable[[Computed], None]:
    """The network's work of one step in the precision that it is given, on a copy; no stream moves."""
    kept: list[tuple[NetworkDenoiser, Tensor, Tensor, Tensor | None]] = []

    def step(computed: Computed) -> None:
        if not kept:
            before = blocks.state()
            batch, labels = blocks.draw()
            blocks.restore(before)
            kept.append((clone(denoiser).train().requires_grad_(True), batch.shown, batch.level, labels))
        copied, shown, level, labels = kept[0]
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            Forward(copied, device, computed=computed)(shown, level, labels).square().mean().backward()
        copied.zero_grad()

    return step


def compile_for(network: nn.Module, device: torch.device) -> Callable[..., Tensor] | None:
    """`network`, compiled at its first call, with the same parameters; None in a dry run. ValueError as `Forward`."""
    if device.type == "meta":
        return None
    try:
        if device.type == "cpu":
            from torch._inductor.cpp_builder import get_cpp_compiler

            get_cpp_compiler()
        elif device.type == "cuda":
            from torch.utils._triton import has_triton

            if not has_triton():
                raise RuntimeError("torch finds no Triton")
        return torch.compile(network, dynamic=False)
    except ImportError:  # another torch, whose parts lie elsewhere: then the first call tells
        return torch.compile(network, dynamic=False)
    except (RuntimeError, OSError) as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ValueError(f"compile cannot be True here: {why}; install a compiler, or set compile to False.") from error
