"""Noise schedules: one class per formula, named after it; each knows alpha, sigma, their rates, log-SNR and its inverse."""

from .base import FIRST_T, Schedule
from .cosine import VPCosine
from .exploding import EDM, Geometric
from .flow import Flow
from .learned import Learned, LearnedSnapshot
from .level import Level
from .linear import VPLinear, VPSong
from .log_snr import VPLogSNRLinear
from .quadratic import VPQuadratic, VPScaledLinear
from .registry import SCHEDULES, schedule_from
from .sigmoid import VPBetaSigmoid, VPSigmoid
from .subvp import SubVP
from .tabulated import Tabulated
from .terminal import REACHED, NoiseNotReached, kl_to_prior, warn_unless_noise
from .zero_snr import ZeroTerminalSNR

__all__ = [
    "EDM",
    "FIRST_T",
    "REACHED",
    "SCHEDULES",
    "Flow",
    "Geometric",
    "Learned",
    "LearnedSnapshot",
    "Level",
    "NoiseNotReached",
    "Schedule",
    "SubVP",
    "Tabulated",
    "VPBetaSigmoid",
    "VPCosine",
    "VPLinear",
    "VPLogSNRLinear",
    "VPQuadratic",
    "VPScaledLinear",
    "VPSigmoid",
    "VPSong",
    "ZeroTerminalSNR",
    "kl_to_prior",
    "schedule_from",
    "warn_unless_noise",
]
