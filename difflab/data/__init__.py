"""What is diffused: densities that are known exactly, and finite sets of examples. Imports no torch by itself."""

from .base import DataSet
from .finite import FiniteSet, digits, two_moons
from .mixture import GaussianMixture

__all__ = ["DataSet", "FiniteSet", "GaussianMixture", "digits", "two_moons"]
