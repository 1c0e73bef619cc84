"""How several processes share a network: each has all of it and they average gradients, or each keeps a part of it.

    ddp    whole copies; gradients are averaged while the backward pass goes on (Li et al. 2020, PyTorch Distributed)
    fsdp   weights, averages and moments lie in parts on the processes, and a layer's weights are put together while it is at
           work: for a network too big for one device (Rajbhandari et al. 2020, ZeRO; Zhao et al. 2023, FSDP)

Both leave a run's tensors with the names and, taken as a whole, the shapes that they have on one process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from .distributed import World

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

    from ..objectives.objective import Objective
    from .ema import EMA

Parallel = Literal["ddp", "fsdp"]


class Shared(nn.Module):
    """A function of modules as a module, so that what wraps modules sees all weights that are trained.

    Args:
        modules: with all the weights.
        forward: called as this is.
    """

    def __init__(self, modules: Iterable[nn.Module], forward: Callable[..., Tensor]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(modules)
        self.forward = forward  # type: ignore[assignment]


def shared(
    forward: Callable[..., Tensor],
    denoiser: nn.Module,
    objective: Objective,
    averages: Iterable[EMA[Any]],
    world: World,
    device: torch.device,
    parallel: Parallel,
) -> nn.Module:
    """`forward`, the loss of this process' rows by the weights of `denoiser` and `objective`, for gradients that are the mean
    over all processes. Under "fsdp" only this process' parts of the denoiser's weights and of its `averages` stay.
    """
    learns = [objective.weighting] if isinstance(objective.weighting, nn.Module) else []
    module = Shared([denoiser, *learns], forward)
    if parallel == "ddp":
        return averaged(module, world)
    parted(module, denoiser, world, device)
    for average in averages:
        part(average.module, world, device)
        average.follow(denoiser)
    return module


def averaged(shared: Shared, world: World) -> nn.Module:
    """`shared`, called as it is, whose backward pass leaves the mean over all processes in the gradients."""
    wrap = nn.parallel.DistributedDataParallel
    known = signature(wrap.__init__).parameters
    synced = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # before torch 2.13
    options: dict[str, Any] = {synced: False}
    # the same layers take part in every step; so what takes no part in any keeps no gradient, as on one process
    return wrap(shared, process_group=world.group, static_graph=True, init_sync=False, **options)


def parted(shared: Shared, network: nn.Module, world: World, device: torch.device) -> None:
    """Replace the weights of `network` in `shared` by this process' parts of them; their gradients become the mean over all
    processes. Weights outside of `network` stay whole, and their gradients are this process' own."""
    from torch.distributed.fsdp import fully_shard

    mesh = _mesh(world, device)
    own = set(network.parameters())
    for layer in _layers(network):
        fully_shard(layer, mesh=mesh)
    fully_shard(shared, mesh=mesh, ignored_params={p for p in shared.parameters() if p not in own})


def part(module: nn.Module, world: World, device: torch.device) -> None:
    """Replace the weights of `module`, which is not trained, by this process' parts of them."""
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = _mesh(world, device)
    for owner in module.modules():
        for name, p in owner._parameters.items():
            if p is not None:
                parts = distribute_tensor(p.detach(), mesh, [Shard(0)], src_data_rank=None)
                owner._parameters[name] = nn.Parameter(parts, requires_grad=False)


def whole(tensor: Tensor) -> Tensor:
    """`tensor`, put together from the parts of all processes where it lies in parts: then all must ask for it."""
    put_together = getattr(tensor, "full_tensor", None)  # a DTensor's; its module is not imported where nobody needs it
    return tensor if put_together is None else put_together()


def here(tensor: Tensor) -> Tensor:
    """What lies in this process of `tensor`; shares its memory."""
    local = getattr(tensor, "to_local", None)
    return tensor if local is None else local()


def like(own: Tensor, value: Tensor) -> Tensor:
    """A copy of `value`, the whole of a tensor or this process' part of it, on the device of `own` and in parts as that is."""
    there = value.to(own.device, copy=True)
    mesh = getattr(own, "device_mesh", None)
    if mesh is None:
        return there
    from torch.distributed.tensor import DTensor, distribute_tensor

    if there.shape != own.shape:
        return DTensor.from_local(there, mesh, own.placements, shape=own.shape, stride=own.stride())  # type: ignore[attr-defined]
    return distribute_tensor(there, mesh, own.placements, src_data_rank=None)  # type: ignore[attr-defined]


@torch.no_grad()
def fill(module: nn.Module, state: dict[str, Tensor]) -> None:
    """As module.load_state_dict(state), whether the tensors of `module` lie in parts or not; those of `state` may be parts."""
    if not any(hasattr(p, "full_tensor") for p in module.parameters()):
        module.load_state_dict(state)
        return
    for name, own in module.state_dict().items():
        own.copy_(like(own, state[name]))


def _layers(network: nn.Module) -> list[nn.Module]:
    """What is put together by itself: the elements of lists of layers, the outermost ones."""
    found: list[nn.Module] = []
    inside: set[nn.Module] = set()
    for module in network.modules():
        if isinstance(module, nn.ModuleList) and module not in inside:
            for layer in module:
                if not isinstance(layer, nn.ModuleList | nn.ModuleDict) and any(True for _ in layer.parameters()):
                    found.append(layer)
                    inside.update(layer.modules())
    return found


def _mesh(world: World, device: torch.device) -> DeviceMesh:
    from torch.distributed.device_mesh import DeviceMesh

    assert world.group is not None
    return DeviceMesh.from_group(world.group, device.type)
