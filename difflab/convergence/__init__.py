"""Orders of convergence, measured on data whose probability flow is known.

from difflab.convergence import Line, measure
from difflab.samplers import DDIM

measure(DDIM(), Line()).order   # 1.0
"""

from ..flow import flow
from .flow_map import ExactFlowMap
from .law import Law, law_of
from .order import Measured, in_log_snr, measure
from .targets import Gaussian, Line, Plane, Target

__all__ = [
    "ExactFlowMap",
    "Gaussian",
    "Law",
    "Line",
    "Measured",
    "Plane",
    "Target",
    "flow",
    "in_log_snr",
    "law_of",
    "measure",
]
