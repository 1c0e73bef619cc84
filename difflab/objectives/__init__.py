"""What training minimises, and the floor no network gets below."""

from .denoising import T_MIN, DenoisingLoss, denoising_loss, draw_noise, draw_times
from .floor import Estimate, Profile, floor, floor_profile, loss_profile

__all__ = [
    "T_MIN",
    "DenoisingLoss",
    "Estimate",
    "Profile",
    "denoising_loss",
    "draw_noise",
    "draw_times",
    "floor",
    "floor_profile",
    "loss_profile",
]
