"""What all tests share: one thread for torch, a fixed global seed, and properties checked without a stopwatch."""

import os
import signal

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported

import pytest
import torch
from hypothesis import settings

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as of a shell's job in the background: our children would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

# a shared machine is slow now and then; a gate asks everyone the same questions, `--hypothesis-profile=explore` new ones
settings.register_profile("difflab", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("difflab")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """First weights come from torch's global stream: a test must not depend on which ones ran before it."""
    torch.manual_seed(0)
