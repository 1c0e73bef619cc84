"""The probability flow itself: coordinates without an end to step around, and the fine reference that samplers are held to."""

from .reference import flow

__all__ = ["flow"]
