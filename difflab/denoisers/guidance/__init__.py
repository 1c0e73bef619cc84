"""Guidance: denoisers that lead samples towards what is wanted, one method per file, and what they should lead to.

    sample(Conditioned(ClassifierFree(denoiser, weight=2.0), labels), n=100)

A guided denoiser is a denoiser: any sampler takes it. Its answer is no posterior mean of anything but at weights 0 and 1, and
the law that comes out is not the tilted density whose name it bears (`Sharpened` is; `SharpenedDenoiser` denoises it).
A guided call asks two networks (or one twice, or one and a classifier's gradient), while the samplers' `evaluations` count
calls of the guided denoiser: `calls` says how many networks one of them asks.
"""

from .autoguidance import Autoguidance
from .base import Guidance
from .bayes import BayesClassifier
from .classifier import ClassifierGuidance
from .classifier_free import ClassifierFree
from .interval import Interval
from .sharpened import SharpenedDenoiser

__all__ = [
    "Autoguidance",
    "BayesClassifier",
    "ClassifierFree",
    "ClassifierGuidance",
    "Guidance",
    "Interval",
    "SharpenedDenoiser",
]
