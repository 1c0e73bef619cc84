"""The other side of `LocalProcesses`: a process that does one job after the other until whoever sends them is gone."""

from __future__ import annotations

import _thread
import os
import pickle
import queue
import signal
import sys
import threading
from typing import Any

_Job = tuple[Any, tuple[Any, ...], dict[str, Any]]


def serve() -> None:
    """Read jobs from the standard input until it ends; write (True, result) or (False, exception) to the standard output.

    The input also ends when the sender dies, in whatever way; a job in hand is interrupted then.
    """
    # a sender that ignores interrupts, as a kernel does between two cells, would leave a worker that cannot be interrupted
    signal.signal(signal.SIGINT, signal.default_int_handler)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a job prints is no answer
    jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
    in_hand = threading.Event()
    threading.Thread(target=_receive, args=(jobs, in_hand), daemon=True).start()
    while (job := jobs.get()) is not None:
        function, arguments, options = job
        in_hand.set()
        try:
            told = _pickled(True, function(*arguments, **options))
        except BaseException as error:
            told = _pickled(False, error)
        in_hand.clear()
        answers.write(told)
        answers.flush()


def _receive(jobs: queue.SimpleQueue[_Job | None], in_hand: threading.Event) -> None:
    while True:
        try:
            jobs.put(pickle.load(sys.stdin.buffer))
        except EOFError:
            break
        except Exception as error:  # a function that is not known here
            jobs.put((_refuse, (error,), {}))
    jobs.put(None)
    if in_hand.is_set():
        _thread.interrupt_main()


def _refuse(error: Exception) -> None:
    raise error


def _pickled(well: bool, value: object) -> bytes:
    try:
        told = pickle.dumps((well, value))
        pickle.loads(told)  # an exception may be one that cannot be made again
        return told
    except Exception as error:
        return pickle.dumps((False, RuntimeError(f"{type(value).__name__} cannot be sent back: {error}")))
