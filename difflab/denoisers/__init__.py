"""What predicts x_0: the exact oracles, and networks."""

from .base import Denoiser, Posterior
from .conditioned import Conditioned
from .exact import ExactDenoiser
from .network import NetworkDenoiser

__all__ = ["Conditioned", "Denoiser", "ExactDenoiser", "NetworkDenoiser", "Posterior"]
