"""Does the browser keep up? Frames that it cannot draw are dropped here, so that none queue up on the way.

Now and then a beat follows what was sent; the browser answers it in the frame in which it has drawn. While an answer is overdue,
because the tab is hidden or the machine is slow, the publisher holds back and only sends the newest values now and then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

EVERY = 0.5  # seconds between an answer and the next beat: an answer costs the training an interruption
OVERDUE = 1.0  # seconds after which an unanswered beat holds the publisher back
HELD = 0.5  # seconds between two writings then: nobody may answer, such as a kernel whose only thread runs a cell


class Backpressure:
    """One for all scenes of a kernel, since they share one way to the browser."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._listener: Any = None  # the widget of the view that came last
        self._waiting_since: float | None = None
        self._answered_at = self._wrote_at = -float("inf")
        self._beat = 0
        self._lock = threading.Lock()

    def listen(self, widget: Any) -> None:
        """A view of `widget` is on a page, and answers beats."""
        with self._lock:
            self._listener, self._waiting_since = widget, None

    def answered(self, beat: int) -> None:
        """The browser has drawn everything that was sent before `beat`."""
        with self._lock:
            if beat == self._beat:
                self._waiting_since, self._answered_at = None, self._now()

    def pause(self) -> float:
        """Seconds to wait before the next writing."""
        with self._lock:
            now = self._now()
            if self._waiting_since is None or now - self._waiting_since < OVERDUE:
                return 0.0
            return max(0.0, self._wrote_at + HELD - now)

    def wrote(self) -> None:
        """Something was sent: ask, if it is time to, when it has been drawn."""
        with self._lock:
            now = self._wrote_at = self._now()
            if self._listener is None or self._waiting_since is not None or now - self._answered_at < EVERY:
                return
            self._waiting_since = now
            self._beat += 1
            listener, beat = self._listener, self._beat
        listener.send({"beat": beat})
