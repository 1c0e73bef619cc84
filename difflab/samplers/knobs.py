"""What a knob of a sampler may be, refused in one sentence otherwise."""

from __future__ import annotations

from ..checks import brief, is_whole


def check_points(name: str, points: int, most: int) -> None:
    """ValueError unless a method has 1 to `most` points."""
    if not is_whole(points) or points > most:
        raise ValueError(f"{name} has 1 to {most} points, but got points={brief(points)}.")


def check_choice(knob: str, value: str, *choices: str) -> None:
    """ValueError unless a knob has one of its values."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{knob} must be {' or '.join(map(repr, choices))}, but got {brief(value)}.")


def check_flag(knob: str, value: object) -> None:
    """ValueError unless a knob is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{knob} must be True or False, but got {brief(value)}.")
