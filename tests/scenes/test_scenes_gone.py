"""Scenes that are closed and let go: nothing holds them, not a lane, not the publisher, not a thread that watched."""

from __future__ import annotations

import gc
import time
import weakref
from typing import Any

import pytest

from difflab.scenes import MODULES, scene_class

SMALL: dict[str, dict[str, Any]] = {
    "ForwardNoising": {"n": 50},
    "ReverseTrajectories": {"n": 20},
    "LangevinBench": {"n": 20, "calls": 20},
    "WhereTheBitsGo": {"steps": 20},
    "ScheduleDesk": {"steps": 20},
    "Lab": {"steps": 20},
}
TIMES = 2


def come_and_go(name: str) -> list[weakref.ref[Any]]:
    """One that is shown and closed before what it computes is done."""
    scene = scene_class(name)(**SMALL.get(name, {}))
    scene._repr_mimebundle_()
    scene._receive(None, {"request": "ready"}, [])
    scene.t = 0.5
    all_of_it = [*scene.children_scenes().values(), scene]
    for each in all_of_it:
        each.close()
    return [weakref.ref(each) for each in all_of_it]


@pytest.mark.parametrize("name", MODULES)
def test_a_closed_scene_is_gone(name: str) -> None:
    gone = [each for _ in range(TIMES) for each in come_and_go(name)]
    last = scene_class("RunComparison")()
    last._receive(None, {"request": "ready"}, [])  # a beat goes to whoever was shown last
    last.settle()
    last.close()
    end = time.monotonic() + 10  # a thread may be asleep with what it looked at
    while any(each() is not None for each in gone):
        assert time.monotonic() < end, [each() for each in gone if each() is not None]
        gc.collect()
        time.sleep(0.05)
