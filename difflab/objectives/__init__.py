"""What training minimises, and the floor no network gets below. The weightings are called as `weightings.EDM(0.5)`."""

from . import weightings
from .adaptive import AdaptiveTimes, InformationTimes, LossTimes
from .consistency import ConsistencyTraining, consistency_loss
from .denoising import DenoisingLoss, denoising_loss, kernel_loss
from .explicit import explicit_loss
from .floor import LossProfile, floor, floor_profile, loss_profile
from .hybrid import hybrid_loss
from .implicit import implicit_loss
from .mean_flow import MeanFlowTraining, mean_flow_loss
from .noised import draw_noise
from .objective import OBJECTIVES, TIMES, Objective
from .score import ScoreModel, score_of
from .sliced import sliced_loss
from .times import T_MIN, Draw, LogNormalTimes, TabulatedTimes, Times, draw_times, information_times
from .uncertainty import Uncertainty
from .variational import VariationalLoss, chain_loss, variational_loss
from .weightings import WEIGHTINGS, Weighting, weighting_from

__all__ = [
    "OBJECTIVES",
    "TIMES",
    "T_MIN",
    "WEIGHTINGS",
    "AdaptiveTimes",
    "ConsistencyTraining",
    "DenoisingLoss",
    "Draw",
    "InformationTimes",
    "LogNormalTimes",
    "LossProfile",
    "LossTimes",
    "MeanFlowTraining",
    "Objective",
    "ScoreModel",
    "TabulatedTimes",
    "Times",
    "Uncertainty",
    "VariationalLoss",
    "Weighting",
    "chain_loss",
    "consistency_loss",
    "denoising_loss",
    "draw_noise",
    "draw_times",
    "explicit_loss",
    "floor",
    "floor_profile",
    "hybrid_loss",
    "implicit_loss",
    "information_times",
    "kernel_loss",
    "loss_profile",
    "mean_flow_loss",
    "score_of",
    "sliced_loss",
    "variational_loss",
    "weighting_from",
    "weightings",
]
