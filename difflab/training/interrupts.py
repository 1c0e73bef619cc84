"""An interrupt in the middle of a step would leave weights of which some had the update and some had not."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class HeldBack:
    """Inside, the first Ctrl-C (or a kernel's interrupt) only sets `pressed`; the second one raises KeyboardInterrupt.

    Nothing changes on other threads than the main one, which interrupts do not reach, nor where they are ignored.
    """

    def __init__(self) -> None:
        self.pressed = False
        self._ours = False

    def __enter__(self) -> HeldBack:
        # None is a handler that Python did not install and could not put back
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) not in (
            None,
            signal.SIG_IGN,
        ):
            self._before = signal.signal(signal.SIGINT, self._press)
            self._ours = True
        return self

    def _press(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, self._before)


class Asked:
    """Inside, an interrupt, a SIGTERM or the end of the terminal (SIGHUP) only sets `by`, the signal's number: launchers send
    their processes one of the first two, or both at once. From the third one on they do again what they did before. Nothing
    changes on other threads than the main one.
    """

    def __init__(self) -> None:
        self.by: int | None = None
        self._count = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Asked:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) not in (None, signal.SIG_IGN):
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.by = number
        self._count += 1
        if self._count >= 2:
            self._restore()

    def _restore(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
