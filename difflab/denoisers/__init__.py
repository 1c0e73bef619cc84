"""What predicts x_0: the exact oracles, networks, and what leads them (`guidance`)."""

from . import guidance
from .base import Denoiser, Posterior
from .conditioned import Conditioned
from .consistency import ConsistencyDenoiser
from .exact import ExactDenoiser
from .flow_map import FlowMap
from .mean_flow import MeanFlowDenoiser
from .network import NetworkDenoiser

__all__ = [
    "Conditioned",
    "ConsistencyDenoiser",
    "Denoiser",
    "ExactDenoiser",
    "FlowMap",
    "MeanFlowDenoiser",
    "NetworkDenoiser",
    "Posterior",
    "guidance",
]
