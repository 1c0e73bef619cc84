"""Sweeps: many configurations, any executor, one table."""

from .configs import grid
from .local_processes import LocalProcesses, WorkerLost
from .member import SweepRun
from .sweeping import Sweep, sweep

__all__ = ["LocalProcesses", "Sweep", "SweepRun", "WorkerLost", "grid", "sweep"]
