"""Several processes that train one network together.

Every one of them draws the whole batch from the same streams, works on its own rows of it, and makes the same update. So
nothing that a run keeps knows how many processes there were, and a checkpoint can be continued by any number of them.

`torchrun` and `accelerate launch` start the processes and say in the environment which is which. A process alone is a world
of one, in which all of this costs nothing.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

if TYPE_CHECKING:
    from torch._C._distributed_c10d import Store
    from torch.distributed import ProcessGroup

T = TypeVar("T")
_TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # in the environment of each of several processes
_FAILED = "difflab failed"
_HEARING = 2.0  # seconds within which a process that failed has said why
_ECHOES = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe")


class ProcessLost(RuntimeError):
    """Another process of this training failed, and one sentence says how."""


class World:
    """The processes that train together.

    Attributes:
        rank: this one's number, 0 for the first: the one that writes and shows.
        size: how many there are.
        broken: one of them failed, and they do not listen to each other any more.
        ending: this process wants all to end.
        group: their connection; None for a process alone.
    """

    def __init__(self, rank: int = 0, size: int = 1, group: ProcessGroup | None = None, *, local_rank: int = 0) -> None:
        self.rank, self.size, self.group, self._local_rank = rank, size, group, local_rank
        self.broken = self.ending = False
        self._asked: Tensor | None = None  # how many processes wanted to end, so far
        self._board: Store | None = None  # where a process that fails leaves word of it
        if group is not None:
            with suppress(AttributeError, RuntimeError):  # a torch that has none: failures have no words then
                self._board = group.get_group_store()

    @classmethod
    def found(cls) -> World:
        """The processes that `torchrun`, `accelerate launch` or a process group made before say there are; each run has a
        connection of its own. All must ask for it, in the same order.

        Raises ValueError, in one sentence, for an environment that makes no sense, ProcessLost where the others are not found.
        """
        if not dist.is_available():
            return cls()
        if not dist.is_initialized():
            size = _number("WORLD_SIZE") if "RANK" in os.environ and "WORLD_SIZE" in os.environ else 1
            if size == 1:
                return cls()
            _meet(_number("RANK"), size)
        if dist.get_world_size() == 1:
            return cls()
        local_rank = _number("LOCAL_RANK") if "LOCAL_RANK" in os.environ else dist.get_rank()
        return cls(dist.get_rank(), dist.get_world_size(), dist.new_group(backend=_backend()), local_rank=local_rank)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def device(self, asked: torch.device) -> torch.device:
        """This process' own device of the kind that is `asked` for. ValueError, in one sentence, where it has none."""
        if self.size == 1 or asked.type in ("cpu", "meta"):
            return asked
        if asked.type != "cuda":
            raise ValueError(f"Several processes train together on cpu or cuda, but device is {str(asked)!r}.")
        if asked.index is not None:
            raise ValueError(f"device must be 'cuda' where each process has a GPU of its own, but got {str(asked)!r}.")
        if self._local_rank >= (there := torch.cuda.device_count()):
            raise ValueError(
                f"device 'cuda' must have a GPU for each process, but process {self._local_rank} finds {there}."
            )
        torch.cuda.set_device(self._local_rank)  # what nccl takes for this process' own
        return torch.device("cuda", self._local_rank)

    def rows(self, batch: int) -> slice:
        """This process' part of a batch. ValueError, in one sentence, where it cannot be divided evenly."""
        if batch % self.size:
            raise ValueError(
                f"batch must be a multiple of {self.size}, the number of processes that train together, but got {batch}."
            )
        share = batch // self.size
        return slice(self.rank * share, (self.rank + 1) * share) if self.size > 1 else slice(None)

    def gathered(self, rows: Tensor) -> Tensor:
        """`rows` (n, ...) of all processes, (size * n, ...), in the order of the batch."""
        if self._alone:
            return rows
        parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(self.size)]
        dist.all_gather(parts, rows.contiguous(), group=self.group)
        return torch.cat(parts)

    def mean(self, loss: Tensor) -> Tensor:
        """`loss`, a scalar, with the mean over all processes for its value, and its own gradients. Tells who wants to end."""
        if self._alone:
            return loss
        own = loss.detach()
        told = torch.stack([own, torch.full_like(own, float(self.ending))])
        dist.all_reduce(told, group=self.group)
        self._asked = told[1] if self._asked is None else self._asked + told[1]
        return told[0] / self.size + (loss - own)

    def all_end(self) -> bool:
        """Whether a process wanted to end at one of the calls of `mean` so far: all know it at the same one. Waits for the
        device."""
        return self._asked is not None and float(self._asked) > 0

    def sum(self, numbers: Tensor) -> Tensor:
        """The sum of `numbers` over all processes, in their place."""
        if not self._alone:
            dist.all_reduce(numbers, group=self.group)
        return numbers

    def as_first(self, *tensors: Tensor) -> None:
        """Give all processes the values that these tensors have in the first."""
        if not self._alone:
            for tensor in tensors:
                dist.broadcast(tensor, src=0, group=self.group)

    def first(self, do: Callable[[], T]) -> T | None:
        """What `do` gives in the first process, None in the others. What it raises there, all raise, the others as
        ProcessLost."""
        if self._alone:
            return do() if self.is_first else None
        if self.is_first:
            try:
                done = do()
            except Exception as error:
                self._said(_sentence(error))
                raise
            self._said("")
            return done
        if said := self._said(""):
            raise ProcessLost(said)
        return None

    def check_same(self, text: str, what: str) -> None:
        """ValueError, in one sentence, unless `text`, which is `what`, is the same in all processes."""
        if self._alone:
            return
        digest = torch.frombuffer(bytearray(hashlib.sha256(text.encode()).digest()[:8]), dtype=torch.int64)
        if len(self.gathered(digest).unique()) > 1:
            raise ValueError(
                f"The {self.size} processes that train together must have the same {what}, but they differ."
            )

    def ended_by(self, error: BaseException) -> BaseException:
        """What this process is to raise for `error`: where that is but the echo of another one's, a ProcessLost that says
        what happened there. From here on this process does not listen to the others, and none of them waits for it."""
        if self._alone:
            return error
        told: BaseException = error
        if isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _ECHOES):
            said = self._heard()
            told = ProcessLost(said or f"Another of the {self.size} processes that train together ended.")
        elif self._board is not None:
            with suppress(RuntimeError):  # the board is gone with the process that kept it
                self._board.set(_FAILED, _sentence(error))
        group, self.group, self.broken = self.group, None, True
        with suppress(RuntimeError, ValueError):
            dist.destroy_process_group(group)
        # it closes when nobody holds it any more, such as the pass through the network that did not end
        traceback.clear_frames(error.__traceback__)
        del group
        gc.collect()
        return told

    @property
    def _alone(self) -> bool:
        return self.size == 1 or self.broken

    def _said(self, text: str) -> str:
        """What the first process says."""
        spoken = text.encode()
        length = torch.tensor([len(spoken)])
        self.as_first(length)
        letters = torch.frombuffer(bytearray(spoken), dtype=torch.uint8) if self.is_first and spoken else None
        if letters is None:
            letters = torch.empty(int(length), dtype=torch.uint8)
        if len(letters):
            self.as_first(letters)
        return bytes(letters.tolist()).decode()

    def _heard(self) -> str:
        """What a process that failed said of it, or ""."""
        deadline = time.monotonic() + _HEARING
        with suppress(RuntimeError):
            while self._board is not None and time.monotonic() < deadline:
                if self._board.check([_FAILED]):
                    return bytes(self._board.get(_FAILED)).decode()
                time.sleep(0.05)
        return ""


def is_first() -> bool:
    """Whether this process is alone, or the first of those that were started together: known before they have met."""
    return os.environ.get("RANK", "0") == "0" or "WORLD_SIZE" not in os.environ


def _meet(rank: int, size: int) -> None:
    missing = [name for name in _TOLD if name not in os.environ]
    if missing:
        raise ValueError(
            f"WORLD_SIZE is {size}, but {missing[0]} is not set: start the processes with torchrun or accelerate launch."
        )
    if not 0 <= rank < size:
        raise ValueError(f"RANK must be a whole number from 0 to {size - 1}, as WORLD_SIZE is {size}, but got {rank}.")
    try:
        dist.init_process_group(_backend())
    except RuntimeError as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise ProcessLost(f"The {size} processes that train together did not find each other at {where}.") from error
    atexit.register(_leave)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _backend() -> str:
    """gloo for what lies on the CPU, nccl for what lies on GPUs."""
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"


def _number(name: str) -> int:
    try:
        return int(os.environ[name])
    except ValueError:
        raise ValueError(
            f"{name}, which the launcher sets, must be a whole number, but is {os.environ[name]!r}."
        ) from None


def _sentence(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
