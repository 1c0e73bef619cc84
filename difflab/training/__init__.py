"""Training: the loop as a generator, in the background, in plain use, on several processes; checkpoints."""

from . import post_hoc, recipe
from .checkpoint import Checkpoint, CheckpointError, load, save
from .curve import LossCurve
from .distributed import ProcessLost
from .ema import EMA
from .faults import NotSaved, TrainingDiverged, TrainingInterrupted, TrainingOutOfMemory
from .few_step import FewStepState, train_few_step
from .fit import fit
from .launch import LaunchFailed, LaunchInterrupted, launch
from .loop import TrainingState, prepare, train
from .metrics_file import metrics
from .post_hoc import PostHoc
from .run import Run
from .settings import Settings
from .trainer import Trainer

__all__ = [
    "EMA",
    "Checkpoint",
    "CheckpointError",
    "FewStepState",
    "LaunchFailed",
    "LaunchInterrupted",
    "LossCurve",
    "NotSaved",
    "PostHoc",
    "ProcessLost",
    "Run",
    "Settings",
    "Trainer",
    "TrainingDiverged",
    "TrainingInterrupted",
    "TrainingOutOfMemory",
    "TrainingState",
    "fit",
    "launch",
    "load",
    "metrics",
    "post_hoc",
    "prepare",
    "recipe",
    "save",
    "train",
    "train_few_step",
]
