"""The threads behind the scenes.

Callbacks of widgets may run on any thread and must return at once; a widget must be written by one thread only; and training
must never wait for a socket. So there are two kinds of daemon threads: a `Lane` computes, latest request first, and the one
`Publisher` writes traits, at most 20 times a second. What is superseded before it was sent is never sent; the last value
always is.
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from .backpressure import Backpressure

HZ = 20.0
_PATIENCE = 10.0  # seconds that the end of Python waits for a job that does not ask whether it is superseded
_OURS = "difflab scenes: "  # how our threads are called


class Publisher:
    """Writes traits of widgets from one thread; for each trait only the newest value is kept until it is sent."""

    def __init__(self, hz: float = HZ) -> None:
        self._pause = 1 / hz
        self._pending: dict[Any, dict[str, Any]] = {}
        self._writing: dict[Any, dict[str, Any]] = {}
        self._busy = False
        self._urgent = 0  # how many wait for everything to be written
        self.backpressure = Backpressure()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"{_OURS}publisher", daemon=True)
        self._thread.start()

    def put(self, widget: Any, **traits: Any) -> None:
        """Ask for `traits` of `widget` to be set soon. Never blocks on the wire."""
        with self._changed:
            self._pending.setdefault(widget, {}).update(traits)
            self._changed.notify_all()

    def overtaken(self, widget: Any, name: str) -> None:
        """Somebody else has set this trait: what waits for it, or is about to be written, is older."""
        if threading.current_thread() is self._thread:
            return
        with self._changed:
            for waiting in (self._pending, self._writing):
                waiting.get(widget, {}).pop(name, None)

    def settle(self, timeout: float) -> bool:
        """Wait until everything asked for so far is written; False if that took longer than `timeout` seconds."""
        with self._changed:
            self._urgent += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: self.idle, timeout)
            finally:
                self._urgent -= 1

    @property
    def idle(self) -> bool:
        return not self._pending and not self._busy

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._pending))
                self._changed.wait_for(lambda: self._urgent > 0, self.backpressure.pause())
                self._writing, self._pending, self._busy = self._pending, {}, True
            for widget in list(self._writing):
                _write(widget, self._taken(widget))
            self._writing = {}
            del widget  # while waiting this thread keeps nothing alive
            with suppress(Exception):  # the socket's
                self.backpressure.wrote()
            time.sleep(self._pause)

    def _taken(self, widget: Any) -> Iterator[tuple[str, Any]]:
        """What is written of a widget, one by one, without what was overtaken meanwhile."""
        while True:
            with self._changed:
                traits = self._writing[widget]
                if not traits:
                    return
                name = next(iter(traits))
                value = traits.pop(name)
            yield name, value


def _write(widget: Any, traits: Iterable[tuple[str, Any]]) -> None:
    """Set what can be set. Never raises: an observer's error must not take the other traits, or all scenes, with it."""
    problem = ""
    try:
        with widget.hold_sync():
            for name, value in traits:
                try:
                    setattr(widget, name, value)
                except Exception as e:
                    problem = f"{type(e).__name__}: {e}"
    except Exception as e:  # the socket's
        problem = f"{type(e).__name__}: {e}"
    if problem:
        with suppress(Exception):
            widget.error = problem


class Lane:
    """One thread that computes what was asked for, the newest request of each key only."""

    def __init__(self, name: str) -> None:
        self._jobs: dict[Hashable, Callable[[], None]] = {}
        self._current: Hashable = None
        self._leaving = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name=f"{_OURS}{name}", daemon=True).start()

    def put(self, key: Hashable, job: Callable[[], None]) -> None:
        """Run `job` soon, unless another job of the same `key` comes first. A job that raises must show it itself."""
        with self._changed:
            self._jobs.pop(key, None)
            self._jobs[key] = job
            self._changed.notify_all()

    def superseded(self, key: Hashable) -> bool:
        """True if a newer request of `key` waits, or Python ends: a long job may ask, and give up."""
        return self._leaving or key in self._jobs

    def settle(self, timeout: float) -> bool:
        """Wait until every job is done; False if that took longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.idle, timeout)

    def leave(self) -> None:
        """Drop what waits and let the job at hand end: a thread that is cut off inside torch would abort the process."""
        with self._changed:
            self._leaving = True
            self._jobs.clear()
            self._changed.wait_for(lambda: self._current is None, _PATIENCE)

    @property
    def idle(self) -> bool:
        return not self._jobs and self._current is None

    def _run(self) -> None:
        while True:
            with self._changed:
                self._current = None
                self._changed.notify_all()
                self._changed.wait_for(lambda: bool(self._jobs))
                self._current = next(iter(self._jobs))
                job = self._jobs.pop(self._current)
            _one_torch_thread()
            job()
            del job  # while waiting this thread keeps nothing alive


def _one_torch_thread() -> None:
    """Two OpenMP threads stall to a tenth of their speed as soon as the server or the browser takes a core."""
    if "torch" in sys.modules:
        from ..training.threads import limit_torch_threads

        limit_torch_threads(1)


@cache
def publisher() -> Publisher:
    """The one publisher of this kernel."""
    return Publisher()


@cache
def lane(name: str) -> Lane:
    """A lane of this kernel: "exact" for the oracle's numbers, "learned" for the network's, "sample" for sampling."""
    made = Lane(name)
    atexit.register(made.leave)
    return made


def settle(timeout: float = 60.0) -> bool:
    """Wait until all lanes and the publisher have nothing left to do; False after `timeout` seconds.

    RuntimeError on one of their own threads (an observer, say), which would wait for itself.
    """
    if threading.current_thread().name.startswith(_OURS):
        raise RuntimeError("A scene's callback cannot wait for the scene: ask for its numbers from a cell.")
    end = time.monotonic() + timeout
    workers: list[Lane | Publisher] = [lane("exact"), lane("learned"), lane("sample"), publisher()]
    while not all(worker.idle for worker in workers):  # one that ends may have given another one work
        if not all(worker.settle(max(0.0, end - time.monotonic())) for worker in workers):
            return False
    return True
