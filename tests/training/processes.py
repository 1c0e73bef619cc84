"""Two processes that find each other as those of `torchrun` do, started from one that has imported torch already."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_PATIENCE = 60  # seconds


def together(function: Callable[..., object], out: Path, *args: Any, size: int = 2) -> list[int | None]:
    """Call function(out, *args) in `size` processes at once; their exit codes, None for one that had to be killed.

    What a process raises goes to out/raised-<rank>, as "Type: message".
    """
    _CONTEXT.set_forkserver_preload(["torch", "difflab.training", "difflab.networks", "torch.distributed.fsdp"])
    out.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [_CONTEXT.Process(target=_enter, args=(rank, size, port, function, out, args)) for rank in range(size)]
    for process in started:
        process.start()
    for process in started:
        process.join(_PATIENCE)
    codes = [process.exitcode for process in started]
    for process in started:
        process.kill()
    return codes


def raised(out: Path, rank: int) -> str:
    """What the process of this rank raised."""
    return (out / f"raised-{rank}").read_text()


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _enter(rank: int, size: int, port: int, function: Callable[..., object], out: Path, args: tuple[Any, ...]) -> None:
    import torch

    torch.set_num_threads(1)
    if size > 1:
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in told.items()})
    try:
        function(out, *args)
    except BaseException as error:
        (out / f"raised-{rank}").write_text(f"{type(error).__name__}: {error}")
        if os.environ.get("SHOW"):
            traceback.print_exc()
        sys.exit(1)
