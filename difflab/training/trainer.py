"""Training in the background of a kernel: the loop of `train`, run by a thread that can be paused.

One thread trains and is the only one to touch the run while it goes; all others set requests and read numbers. A kernel
interrupt reaches only the main thread, so it ends `wait`, never training. torch computes with one thread here unless
told otherwise: two OpenMP threads stall to a tenth of their speed as soon as a browser or a server takes a core.
"""

from __future__ import annotations

import atexit
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any, Literal

from ..data import DataSet
from ..denoisers.network import NetworkDenoiser
from ..schedules import Schedule
from .checkpoint import save
from .ema import clone
from .faults import sentence
from .loop import TrainingState, begun, continued
from .pace import Pace
from .progress import Progress
from .readings import Readings
from .runs import enrol
from .settings import whole
from .threads import limit_torch_threads

State = Literal["idle", "running", "paused", "finished", "failed", "stopped"]
MOST_THREADS = 1024


class Trainer(Readings):
    """Runs `train(denoiser, data, steps=steps, **options)` in a daemon thread.

    Args:
        on_step: called in the training thread after every step; must be quick. If it raises, training fails with its
            message.
        threads: torch threads of the training thread, 1 or more; None leaves torch's default. Other threads are not affected.
        name: how `difflab.runs()` calls it; that of its folder, or the data's with a number, if None.
        options: of `train`, folder and resume included; checked at once.

    `denoiser` is moved and changed by the training; evaluate a `snapshot()` instead. All methods may be called from any
    thread, also from `on_step`, but for `wait`.

    Attributes:
        state: idle, running, paused, finished, failed or stopped. The last three are ends.
        step, total_steps: updates done, and the last step's number.
        loss: of the last step (of the last few where the device is not the CPU); nan before the first.
        steps_per_second: over the last two seconds of running; 0 when not running.
        error: one sentence if training failed, else "".
        pace: steps per second that it does not exceed, None for no limit; may be set at any time.
    """

    def __init__(
        self,
        denoiser: NetworkDenoiser,
        data: DataSet,
        *,
        steps: int,
        on_step: Callable[[TrainingState], object] | None = None,
        threads: int | None = 1,
        name: str | None = None,
        **options: Any,
    ) -> None:
        if name is not None and not (isinstance(name, str) and name and name.isprintable()):
            raise ValueError(f"name must be one line of text, or None, but got {name!r}.")
        if threads is not None:
            whole("threads", threads, least=1, most=MOST_THREADS)
        self._run, self._folder = begun(denoiser, data, steps=steps, **options)
        self._loop = continued(self._run, self._folder)
        self.total_steps, self.on_step, self._threads = self._run.steps, on_step, threads
        self.state: State = "idle"
        self.step, self.error = self._run.step, ""
        self._progress, self._pace = Progress(), Pace()
        self._turn = threading.Condition()  # held by whoever changes a field; never during a step
        self._pause = self._stop = self._between = False
        self._visitors = 0  # threads that want the run for themselves between two steps
        self._thread: threading.Thread | None = None
        number = enrol(self)
        self.name = name or (f"{data.name} {number}" if self.folder is None else self.folder.name)

    def __repr__(self) -> str:
        loss = "" if math.isnan(self.loss) else f", loss {self.loss:.4f}"
        error = f": {self.error}" if self.error else ""
        return f"Trainer({self.name!r}, {self.state}, step {self.step:,} of {self.total_steps:,}{loss}{error})"

    def start(self) -> None:
        """Begin, or go on after a pause. RuntimeError once training has ended."""
        with self._turn:
            self._check_open()
            self._pace.left = None
            self._go()

    resume = start

    def advance(self, n: int = 1) -> None:
        """Do `n` steps more, then pause (at the last step of all, finish). Does not wait for them; `wait` does.

        From idle and paused it goes on with the next step; of a training that runs, the step in hand is the first of them.
        Asked again before they are done, it adds to them. Raises ValueError unless `n` is a whole number of at least 1,
        RuntimeError once training has ended.
        """
        with self._turn:
            self._check_open()
            self._pace.add(n)
            self._go()

    @property
    def pace(self) -> float | None:
        return self._pace.limit

    @pace.setter
    def pace(self, steps_per_second: float | None) -> None:
        with self._turn:
            self._pace.limit = steps_per_second
            self._turn.notify_all()

    def _check_open(self) -> None:
        if self.state in ("finished", "failed", "stopped"):
            raise RuntimeError(
                f"This training has {self.state}; make a new Trainer (resume= continues from a checkpoint)."
            )

    def _go(self) -> None:
        self._pause = False
        if self.state == "paused":
            self._progress.rest()
            self.state = "running"
        if self._thread is None:
            self.state = "running"
            atexit.register(_stop_if_alive, weakref.ref(self))
            self._thread = threading.Thread(target=self._work, name="difflab-training", daemon=True)
            self._thread.start()
        self._turn.notify_all()

    def pause(self, timeout: float = 10.0) -> None:
        """Stop after the step in hand, until `resume`, and wait for that. Nothing happens unless running."""
        with self._turn:
            if self.state != "running":
                return
            self._pause, self._pace.left = True, None
            self._turn.notify_all()  # it may be waiting for its pace
            if threading.current_thread() is not self._thread:
                self._turn.wait_for(lambda: self.state != "running" or not self._pause, timeout)

    def stop(self, timeout: float | None = 10.0) -> None:
        """End after the step in hand, and wait for that. What was learned stays. Nothing happens after an end."""
        with self._turn:
            self._stop = True
            if self._thread is None:
                self.state = "stopped"
                if self._folder is not None:
                    self._folder.close()
            thread = self._thread
            self._turn.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def wait(self, timeout: float | None = None) -> State:
        """Block until training ends (not while it is paused: that would never return) or `timeout` seconds have passed.

        A kernel interrupt ends the waiting, not the training. Returns the state.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._turn:
            while self.state == "running":
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._turn.wait(left)
            return self.state

    def snapshot(self, timeout: float = 10.0) -> NetworkDenoiser:
        """A copy of the averaged denoiser as it is between two steps, to evaluate while training goes on.

        TimeoutError if the step in hand takes longer than `timeout` seconds.
        """
        with self.between_steps(timeout):
            return clone(self._run.ema.module)

    def save(self, path: str | PathLike[str], timeout: float = 10.0) -> None:
        """Write a checkpoint of the run as it is between two steps; training waits for it.

        FloatingPointError if a weight is not finite, TimeoutError as of `snapshot`.
        """
        with self.between_steps(timeout):
            save(self._run, path)

    def reschedule(self, schedule: Schedule, timeout: float = 10.0) -> None:
        """Train under another schedule from the next step on.

        The loss curve starts anew: losses under two schedules do not compare.
        """
        with self.between_steps(timeout):
            self._run.denoiser.schedule = self._run.ema.module.schedule = schedule
            self._progress.compare_anew()

    @contextmanager
    def between_steps(self, timeout: float = 10.0) -> Iterator[None]:
        """Inside, no step is under way. TimeoutError if the step in hand takes longer than `timeout` seconds."""
        with self._turn:
            own = threading.current_thread() is self._thread
            self._visitors += 1
            try:
                if not own and not self._turn.wait_for(lambda: self._between or self.state != "running", timeout):
                    raise TimeoutError(f"The step of training in hand took longer than {timeout:g} seconds; ask again.")
                yield
            finally:
                self._visitors -= 1
                self._turn.notify_all()

    def _work(self) -> None:
        end: State = "failed"
        error = ""
        try:
            if self._threads is not None:
                limit_torch_threads(self._threads)
            end = self._train()
        except BaseException as failure:  # a thread's traceback shows nowhere in a notebook
            error = sentence(failure, self.step + 1)
        try:
            self._loop.close()  # writes what its folder lacks
            if self._folder is not None:  # of a loop that never began
                self._folder.close()
        except Exception as failure:
            end, error = "failed", error or sentence(failure, self.step + 1)
        with self._turn:
            self._progress.read()
            self.step = self._run.step
            self.error, self.state = error, end
            self._turn.notify_all()

    def _train(self) -> State:
        while self._may_go_on():
            state = next(self._loop, None)
            if state is None:  # at the last step, or where another process of several stopped
                return "finished" if self._run.step >= self.total_steps else "stopped"
            with self._turn:
                self.step = state.step
                self._progress.add(state)
                if self._pace.end() and self.step < self.total_steps:
                    self._pause = True
            if self.on_step is not None:
                self.on_step(state)
        return "stopped"

    def _may_go_on(self) -> bool:
        """Wait while paused, visited or too early; False once stopped."""
        with self._turn:
            if self._pause or self._visitors or self._pace.early:
                self._progress.read()
                since = time.monotonic()
                while not self._stop and (self._pause or self._visitors or self._pace.early):
                    if self._pause and self.state == "running":
                        self.state = "paused"
                        self._pace.rest()
                    self._between = True
                    self._turn.notify_all()
                    self._turn.wait(None if self._pause or self._visitors else self._pace.early)
                self._between = False
                self._run.metrics.leave_out(time.monotonic() - since)
            self._pace.begin()
            return not self._stop


def _stop_if_alive(trainer: weakref.ref[Trainer]) -> None:
    """At the interpreter's end: a thread that is inside torch then would take the process down with an abort."""
    alive = trainer()
    if alive is not None:
        alive.stop()
