"""An executor whose workers are processes of this machine that know nothing of each other: one is killed, one job is lost.

A `ProcessPoolExecutor` breaks as a whole when one of its workers dies. Here a few threads have a process each, hand it a job
through its standard input and wait for the answer; where it dies, the next job gets another one. The processes are in sessions
of their own, so that an interrupt of this one, from a terminal or a notebook, does not reach them; when this one is gone their
standard input ends, and they are interrupted (worker.py). They do not run the script of this process, which therefore needs no
`if __name__ == "__main__"`; functions defined there cannot be sent.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

from ..settings import whole

_MOST = 1024
_WORKER = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer);"
    "from difflab.training.sweeps.worker import serve; serve()"
)


class WorkerLost(RuntimeError):
    """The process of a job ended without an answer; one sentence says how."""


class LocalProcesses(Executor):
    """Runs up to `workers` jobs at once, each in a process of its own; by default one for each CPU that this process may use.

    torch has one thread in each unless OMP_NUM_THREADS, or the job, says otherwise. A job's future raises `WorkerLost` where its
    process ended without an answer. ValueError for a number of workers that cannot be.
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None:
            whole("workers", workers, least=1, most=_MOST)
        self.workers = usable_cpus() if workers is None else workers
        self._jobs: queue.SimpleQueue[tuple[Future[Any], bytes] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock, self._closed = threading.Lock(), False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The future of fn(*args, **kwargs). RuntimeError after a shutdown, and pickle's error for what cannot be sent."""
        job = pickle.dumps((fn, args, kwargs))
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._jobs.put((future, job))
            if len(self._threads) < self.workers:
                # a daemon: at the end of this process nobody waits for the jobs, which then end by themselves
                thread = threading.Thread(target=self._work, name="difflab-worker", daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more jobs; those that were taken are done, but for the ones that no process has begun, if `cancel_futures`."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                while not self._jobs.empty():
                    if (job := self._jobs.get()) is not None:
                        job[0].cancel()
            for _ in self._threads:
                self._jobs.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        worker: _Worker | None = None
        while (job := self._jobs.get()) is not None:
            future, sent = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                worker = worker or _Worker()
                well, value = worker.answer(sent)
            except Exception as error:  # no process could be started, or it was lost
                well, value, worker = False, error, None
            if well:
                future.set_result(value)
            else:
                future.set_exception(value)
        if worker is not None:
            worker.close()


class _Worker:
    """A process, for one job after the other."""

    def __init__(self) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._before = 0  # what was said in earlier jobs, in bytes
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={"OMP_NUM_THREADS": "1"} | os.environ,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._send(pickle.dumps(sys.path))

    def answer(self, job: bytes) -> tuple[bool, Any]:
        """(True, what the job returned) or (False, what it raised). WorkerLost, and the process is gone, without either."""
        assert self._process.stdout is not None
        self._before = os.fstat(self._said.fileno()).st_size
        self._send(job)
        try:
            return pickle.load(self._process.stdout)
        except Exception as error:  # nothing, or the half of an answer
            raise WorkerLost(self.close()) from error

    def close(self) -> str:
        """Let it end, wait for that, and say how it ended."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        with self._process:
            code = self._process.wait()
        with self._said:
            self._said.seek(self._before)
            lines = self._said.read().decode(errors="replace").strip().splitlines()
        if code >= 0:
            return f"the worker ended with exit code {code}" + (f": {lines[-1]}" if lines else "")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"the worker was ended by {name}" + (", as where memory runs out" if name == "SIGKILL" else "")

    def _send(self, job: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it is gone: there will be no answer
            self._process.stdin.write(job)
            self._process.stdin.flush()


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
