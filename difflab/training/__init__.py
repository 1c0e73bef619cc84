"""Training: the loop as a generator, in the background, in plain use; checkpoints."""

from .checkpoint import Checkpoint, CheckpointError, load, save
from .curve import LossCurve
from .ema import EMA
from .few_step import FewStepState, train_few_step
from .fit import fit
from .loop import TrainingDiverged, TrainingState, prepare, train
from .run import Run
from .settings import Settings
from .trainer import Trainer

__all__ = [
    "EMA",
    "Checkpoint",
    "CheckpointError",
    "FewStepState",
    "LossCurve",
    "Run",
    "Settings",
    "Trainer",
    "TrainingDiverged",
    "TrainingState",
    "fit",
    "load",
    "prepare",
    "save",
    "train",
    "train_few_step",
]
