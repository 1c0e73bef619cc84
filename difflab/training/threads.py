"""How many threads torch uses inside one thread of Python, without changing it for the others."""

from __future__ import annotations

import threading

import torch


def limit_torch_threads(count: int) -> None:
    """Let torch use `count` threads for what the calling thread computes; all other threads keep their number.

    With OpenMP the number belongs to the thread that sets it, but `torch.set_num_threads` also leaves it as the
    default of threads that have not used torch yet. A short-lived thread puts that default back.
    """
    before = torch.get_num_threads()
    if before == count:
        return
    torch.set_num_threads(count)
    restore = threading.Thread(target=torch.set_num_threads, args=(before,))
    restore.start()
    restore.join()
