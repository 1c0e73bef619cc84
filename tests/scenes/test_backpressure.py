"""A browser that does not keep up gets fewer frames, always the newest, and at last the last; one that does, all."""

from __future__ import annotations

import threading
import time

from difflab.scenes.backpressure import EVERY, HELD, OVERDUE, Backpressure
from difflab.scenes.publisher import Publisher


class View:
    """Stands for a widget with a view: remembers beats and writings, and answers if it is quick."""

    def __init__(self, flow: Backpressure, answers: bool) -> None:
        self.flow, self.answers = flow, answers
        self.beats: list[int] = []
        self.written: list[int] = []

    def send(self, message: dict[str, int]) -> None:
        self.beats.append(message["beat"])
        if self.answers:
            threading.Timer(0.001, self.flow.answered, [message["beat"]]).start()

    def hold_sync(self):
        return threading.Lock()

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "value":
            self.written.append(value)


def stream(publisher: Publisher, view: View, seconds: float) -> int:
    """Publish a counter faster than the publisher writes; how far it came."""
    end, i = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        i += 1
        publisher.put(view, value=i)
        time.sleep(0.002)
    return i


def test_a_view_that_answers_is_never_held():
    publisher = Publisher(hz=100)
    view = View(publisher.backpressure, answers=True)
    publisher.backpressure.listen(view)
    last = stream(publisher, view, OVERDUE + 1.0)
    assert publisher.settle(5)
    assert view.written[-1] == last
    assert len(view.written) > 20 * (1.0 / HELD)  # far more than a view that is held gets in a second
    assert view.beats


def test_a_view_that_does_not_answer_gets_the_newest_now_and_then():
    publisher = Publisher(hz=100)
    view = View(publisher.backpressure, answers=False)
    publisher.backpressure.listen(view)
    stream(publisher, view, OVERDUE + 0.2)
    before = len(view.written)
    seconds = 4 * HELD
    stream(publisher, view, seconds)
    # one writing at each HELD, the first one perhaps at once
    assert len(view.written) - before <= seconds / HELD + 1
    assert len(view.beats) == 1  # nothing more is asked before the answer


def test_the_last_value_arrives_at_once_for_those_who_wait():
    publisher = Publisher(hz=100)
    view = View(publisher.backpressure, answers=False)
    publisher.backpressure.listen(view)
    stream(publisher, view, OVERDUE + 0.2)
    publisher.put(view, value=-1)
    start = time.monotonic()
    assert publisher.settle(5)
    assert view.written[-1] == -1
    assert time.monotonic() - start < 0.8 * HELD + 0.2


def test_a_late_answer_and_a_new_view_end_the_holding():
    now = [0.0]
    flow = Backpressure(lambda: now[0])
    view = View(flow, answers=False)
    flow.listen(view)
    flow.wrote()
    now[0] = OVERDUE + 0.1
    flow.wrote()
    assert flow.pause() == HELD
    flow.answered(view.beats[-1] - 1)  # an older one
    assert flow.pause() == HELD
    flow.answered(view.beats[-1])
    assert flow.pause() == 0
    now[0] += EVERY / 2
    flow.wrote()
    assert len(view.beats) == 1
    now[0] += EVERY
    flow.wrote()
    assert len(view.beats) == 2
    now[0] += OVERDUE + 0.1
    flow.wrote()
    assert flow.pause() == HELD
    flow.listen(View(flow, answers=False))
    assert flow.pause() == 0


def test_without_a_view_nothing_is_held():
    now = [0.0]
    flow = Backpressure(lambda: now[0])
    for _ in range(10):
        flow.wrote()
        now[0] += 1.0
        assert flow.pause() == 0
