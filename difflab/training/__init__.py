"""Training: the loop as a generator, in the background, in plain use; checkpoints."""

from .checkpoint import Checkpoint, CheckpointError, load, save
from .curve import LossCurve
from .ema import EMA
from .faults import NotSaved, TrainingDiverged, TrainingInterrupted, TrainingOutOfMemory
from .few_step import FewStepState, train_few_step
from .fit import fit
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
    "LossCurve",
    "NotSaved",
    "PostHoc",
    "Run",
    "Settings",
    "Trainer",
    "TrainingDiverged",
    "TrainingInterrupted",
    "TrainingOutOfMemory",
    "TrainingState",
    "fit",
    "load",
    "metrics",
    "prepare",
    "save",
    "train",
    "train_few_step",
]
