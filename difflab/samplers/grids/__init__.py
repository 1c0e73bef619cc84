"""The times a sampler visits: float64 on the CPU, decreasing, ending at 0 exactly, where x is clean data, or above it.

A schedule may have a lowest level above the data (sigma_min of a variance-exploding one); its grids visit it before they end
at the data.

- laid by a formula: `uniform` in t, `log_snr`, `karras`, from a table of one's own (`tabulated`), `constant`;
- of a discrete chain: `of_chain`, and as DDPM's followers space them: `leading`, `trailing`, `linspace`;
- searched for one denoiser, in seconds: `align_your_steps` (the least bound on a KL divergence, for random steps), `gits` (the
  least local errors along the probability flow), `ld3` (ends nearest to the flow's, for one sampler).
"""

from .align_your_steps import align_your_steps
from .checks import check_constant, check_decreasing, check_times
from .compact import compact
from .constant import constant
from .gits import gits
from .karras import karras
from .ld3 import ld3
from .log_snr import log_snr
from .of_chain import of_chain
from .optimised import Optimised
from .spacings import leading, linspace, trailing
from .tabulated import tabulated
from .uniform import uniform

__all__ = [
    "Optimised",
    "align_your_steps",
    "check_constant",
    "check_decreasing",
    "check_times",
    "compact",
    "constant",
    "gits",
    "karras",
    "ld3",
    "leading",
    "linspace",
    "log_snr",
    "of_chain",
    "tabulated",
    "trailing",
    "uniform",
]
