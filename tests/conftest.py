"""What all tests share: one thread for torch, and properties checked without a stopwatch."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported

from hypothesis import settings

settings.register_profile("difflab", deadline=None)  # a shared machine is slow now and then
settings.load_profile("difflab")
