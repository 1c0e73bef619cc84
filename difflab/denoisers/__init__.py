"""What predicts x_0: the exact oracles, and networks."""

from .base import Denoiser, Posterior
from .conditioned import Conditioned
from .consistency import ConsistencyDenoiser
from .exact import ExactDenoiser
from .mean_flow import MeanFlowDenoiser
from .network import NetworkDenoiser

__all__ = [
    "Conditioned",
    "ConsistencyDenoiser",
    "Denoiser",
    "ExactDenoiser",
    "MeanFlowDenoiser",
    "NetworkDenoiser",
    "Posterior",
]
