"""What is diffused: densities that are known exactly, and finite sets of examples. Imports no torch by itself."""

from .base import DataSet
from .finite import FiniteSet, digits, two_moons
from .mixture import GaussianMixture
from .mnist_5k import mnist_5k
from .names import NAMES, named
from .sharpened import Sharpened
from .tilted import Tilt

__all__ = [
    "NAMES",
    "DataSet",
    "FiniteSet",
    "GaussianMixture",
    "Sharpened",
    "Tilt",
    "digits",
    "mnist_5k",
    "named",
    "two_moons",
]
