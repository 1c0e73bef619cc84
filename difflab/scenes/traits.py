"""Traits that several scenes share. None is echoed: the browser knows what it sent, and an echo would pull a slider back."""

from __future__ import annotations

from typing import Any

import traitlets

from .choices import DEFAULT_SCHEDULE, schedule_dict
from .schedule_table import from_the_wire, on_the_wire


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
            raise traitlets.TraitError(f"pinned must be a list of schedules, but got {value!r:.80}.")
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


class StepsTrait(traitlets.TraitType[Any, Any]):
    """A whole number of steps, 1 to `most`."""

    def __init__(self, default_value: int, most: int, **kwargs: Any) -> None:
        super().__init__(default_value, **kwargs)
        self.most = most
        self.tag(sync=True, echo_update=False)

    def validate(self, _obj: Any, value: Any) -> int:
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value // 1
        if not whole or not 1 <= value <= self.most:
            raise traitlets.TraitError(
                f"{self.name} must be a whole number from 1 to {self.most:,}, but got {value!r}."
            )
        return int(value)


class ClockTrait(traitlets.TraitType[Any, Any]):
    """The time t in [0, 1]; 0 is data."""

    default_value = 0.35

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag(sync=True, echo_update=False)

    def validate(self, _obj: Any, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise traitlets.TraitError(f"t must be a number from 0 (data) to 1 (noise), but got {value!r}.")
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
            raise traitlets.TraitError(f"hidden must be names of controls, but got {value!r}.")
        for name in names:
            if name not in obj.controls:
                raise traitlets.TraitError(
                    f"{type(obj).__name__} has no control {name!r}; it has {', '.join(obj.controls)}."
                )
        return sorted(names) if isinstance(names, set) else list(names)
