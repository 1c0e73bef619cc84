"""Traits that several scenes share. None is echoed: the browser knows what it sent, and an echo would pull a slider back."""

from __future__ import annotations

from typing import Any

import traitlets

from ..checks import brief, is_number, is_whole
from .choices import DEFAULT_SCHEDULE, schedule_dict
from .schedule_table import from_the_wire, on_the_wire

LARGEST_SEED = 2**31 - 1  # as in js/src/core/seed.ts


class ScheduleTrait(traitlets.TraitType[Any, Any]):
    """{"name": ..., "params": {...}}; takes a Schedule or a name too.

    The browser evaluates the formula itself; a schedule that it has none for crosses with its table.
    """

    default_value = DEFAULT_SCHEDULE

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag(sync=True, echo_update=False, to_json=on_the_wire, from_json=from_the_wire)

    def validate(self, _obj: Any, value: Any) -> dict[str, Any]:
        try:
            return schedule_dict(value)
        except ValueError as e:
            raise traitlets.TraitError(str(e)) from None


class PinnedTrait(traitlets.TraitType[Any, Any]):
    """Up to four schedules to compare with, each as `ScheduleTrait` takes it; the same one only once."""

    default_value: list[dict[str, Any]] = []  # noqa: RUF012
    most = 4

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

        def to_json(specs: list[dict[str, Any]], widget: Any) -> list[dict[str, Any]]:
            return [on_the_wire(spec, widget) for spec in specs]

        def from_json(specs: Any, widget: Any) -> Any:
            return [from_the_wire(spec, widget) for spec in specs] if isinstance(specs, list) else specs

        self.tag(sync=True, echo_update=False, to_json=to_json, from_json=from_json)

    def validate(self, _obj: Any, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, (list, tuple)):
            raise traitlets.TraitError(f"pinned must be a list of schedules, but got {brief(value)}.")
        specs: list[dict[str, Any]] = []
        for one in value:
            try:
                spec = schedule_dict(one)
            except ValueError as e:
                raise traitlets.TraitError(str(e)) from None
            if spec not in specs:
                specs.append(spec)
        if len(specs) > self.most:
            raise traitlets.TraitError(f"At most {self.most} schedules can be pinned, but got {len(specs)}.")
        return specs


class NumberTrait(traitlets.TraitType[Any, Any]):
    """A number from `least` to `most`, never nan."""

    def __init__(self, default_value: float, least: float, most: float, **kwargs: Any) -> None:
        super().__init__(default_value, **kwargs)
        self.least, self.most = least, most
        self.tag(sync=True, echo_update=False)

    def validate(self, _obj: Any, value: Any) -> float:
        if not is_number(value) or not self.least <= value <= self.most:
            raise traitlets.TraitError(
                f"{self.name} must be a number from {self.least:g} to {self.most:g}, but got {brief(value)}."
            )
        return float(value)


class WholeTrait(traitlets.TraitType[Any, Any]):
    """A whole number from `least` to `most`."""

    def __init__(self, default_value: int | None, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(default_value, **kwargs)
        self.least, self.most = least, most
        self.tag(sync=True, echo_update=False)

    def validate(self, _obj: Any, value: Any) -> int:
        whole = int(value) if isinstance(value, float) and value.is_integer() else value  # as JSON may have it
        if not is_whole(whole, self.least) or whole > self.most:
            raise traitlets.TraitError(
                f"{self.name} must be a whole number from {self.least:,} to {self.most:,}, but got {brief(value)}."
            )
        return int(whole)


class StepsTrait(WholeTrait):
    """A whole number of steps, 1 to `most`."""

    def __init__(self, default_value: int, most: int, **kwargs: Any) -> None:
        super().__init__(default_value, 1, most, **kwargs)


class SeedTrait(WholeTrait):
    """What is random is drawn by; as large as torch, numpy and the browser's field take it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(0, 0, LARGEST_SEED, **kwargs)


def check_seed(seed: Any) -> int:
    """The seed of a scene. ValueError, in one sentence, for what `SeedTrait` would not take."""
    if not is_whole(seed, 0) or seed > LARGEST_SEED:
        raise ValueError(f"seed must be a whole number from 0 to {LARGEST_SEED:,}, but got {brief(seed)}.")
    return int(seed)


class ClockTrait(traitlets.TraitType[Any, Any]):
    """The time t in [0, 1]; 0 is data."""

    default_value = 0.35

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag(sync=True, echo_update=False)

    def validate(self, _obj: Any, value: Any) -> float:
        if not is_number(value) or not 0 <= value <= 1:
            raise traitlets.TraitError(f"t must be a number from 0 (data) to 1 (noise), but got {brief(value)}.")
        return float(value)


class HiddenTrait(traitlets.TraitType[Any, Any]):
    """Names out of the scene's `controls` that are not shown, as a list or a single name."""

    default_value: list[str] = []  # noqa: RUF012

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> list[str]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, (list, tuple, set)) or not all(isinstance(name, str) for name in names):
            raise traitlets.TraitError(f"hidden must be names of controls, but got {brief(value)}.")
        for name in names:
            if name not in obj.controls:
                raise traitlets.TraitError(
                    f"hidden: {type(obj).__name__} has no control {brief(name)}; it has {', '.join(obj.controls)}."
                )
        return sorted(names) if isinstance(names, set) else list(names)
