"""Many configurations trained beside one another, by whatever executor: their states, their results, one lost worker at a time.

The jobs go to the executor at once; what has become of them is read from their folders, and from what they hand back.
"""

from __future__ import annotations

import atexit
import secrets
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...checks import brief
from ...device import resolve
from ..folder import FolderError
from ..settings import whole
from . import record, table
from .configs import Config, Tables, differences, grid, named
from .job import Outcome, train_run
from .local_processes import LocalProcesses, WorkerLost, usable_cpus
from .measured import rows
from .member import SweepRun

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_AT_EXIT = 10.0  # seconds that the end of this process waits for its runs to be saved
_MOST_RETRIES = 1000
# what losses must have in common to be compared: what is predicted, of what, and how levels count
_OBJECTIVE = ("data.", "schedule.", "model.prediction", "model.conditional", "training.weighting", "training.times",
              "training.label_dropout")  # fmt: skip


def sweep(
    configs: Mapping[str, Config] | Iterable[Config],
    *,
    executor: Executor | None = None,
    folder: str | PathLike[str] = "runs/sweep",
    workers: int | None = None,
    retries: int = 1,
) -> Sweep:
    """Train all `configs` in the background, each in a folder of its own; returns at once.

        runs = difflab.sweep(difflab.sweep.grid("configs/ring.toml", {"training.lr": [1e-3, 2e-3]}))
        difflab.RunComparison(runs)  # their curves, live
        runs.wait().best.load()      # the averaged denoiser of the best

    Args:
        configs: recipes, as tables or as paths of TOML files; by name, or named after their files and after what differs.
            `grid` makes them from one.
        executor: any of `concurrent.futures`, or Dask's `client.get_executor()`. By default `LocalProcesses`, of which a
            killed one loses one run only.
        folder: the run NAME trains in folder/NAME, and goes on from what lies there.
        workers: of the default executor: how many runs train at once, by default as many as there are CPUs; where they would
            train on a GPU, one.
        retries: how often a run is given to a new process of the default executor when it lost one; it goes on from its
            checkpoint.

    A run has one torch thread unless its recipe says `threads`. Raises ValueError, TypeError or FileNotFoundError, in one
    sentence, before anything is started, for a configuration that cannot be, and where a run's folder holds one of another
    configuration.
    """
    tables = named(configs)
    if executor is not None and not isinstance(executor, Executor):
        instead = ": give its get_executor()" if hasattr(executor, "get_executor") else ""
        raise TypeError(f"executor must be one of concurrent.futures, or None, but got {brief(executor)}{instead}.")
    if executor is not None and workers is not None:
        raise ValueError(f"workers = {workers} belongs to the default executor; the one that is given has its own.")
    whole("retries", retries, least=0, most=_MOST_RETRIES)
    if not isinstance(folder, str | PathLike):
        raise TypeError(f"folder must be the path of a directory, but got {brief(folder)}.")
    place = Path(folder).absolute()  # where it is now, wherever a notebook moves to
    for name, config in tables.items():
        record.refuse_another(name, place / name, config)
    own = executor is None
    if executor is None:
        executor = LocalProcesses(_processes(tables) if workers is None else workers)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"Nothing can be written into {place} ({error.strerror}): give another folder.") from error
    return Sweep(tables, executor, place, retries=retries, closes=own)


sweep.grid = grid  # type: ignore[attr-defined]  # as difflab.sweep.grid: there is no sweep without one


class Sweep:
    """What `sweep` returns: the runs as they go and what they came to.

    Iterating yields each run as it ends. In a notebook it shows as a table; `difflab.RunComparison(sweep)` shows the curves live.

    Attributes:
        runs: in the order of the configurations.
        folder: theirs are inside.
    """

    def __init__(
        self, configs: Mapping[str, Tables], executor: Executor, folder: Path, *, retries: int, closes: bool
    ) -> None:
        token = secrets.token_hex(4)
        own = differences(configs)
        self.folder = folder
        self.runs = [SweepRun(name, config, own[name], folder / name, token) for name, config in configs.items()]
        self._executor, self._retries, self._closes, self._token = executor, retries, closes, token
        self._stop_file = folder / f".stop-{token}"
        self._stopping = False
        self._futures: dict[str, Future[Outcome]] = {}
        self._in_order: list[SweepRun] = []  # as they end
        self._turn = threading.Condition()
        atexit.register(_stop_if_alive, weakref.ref(self))
        for run in self.runs:
            self._submit(run)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, name: str) -> SweepRun:
        for run in self.runs:
            if run.name == name:
                return run
        raise KeyError(f"This sweep has no run {name!r}; it has {', '.join(run.name for run in self.runs)}.")

    def __iter__(self) -> Iterator[SweepRun]:
        """Each run as it ends."""
        for i in range(len(self.runs)):
            with self._turn:
                while len(self._in_order) <= i:
                    self._turn.wait()
                run = self._in_order[i]
            yield run

    @property
    def done(self) -> bool:
        """Whether all runs have ended."""
        return len(self._in_order) == len(self.runs)

    def wait(self, timeout: float | None = None) -> Sweep:
        """Block until all runs have ended or `timeout` seconds have passed. An interrupt ends the waiting, not the runs."""
        with self._turn:
            self._turn.wait_for(lambda: self.done, timeout)
        return self

    def stop(self, timeout: float | None = None) -> None:
        """End all runs, and wait for that. What has begun is saved; the same `sweep` goes on with it.

        Workers hear of it through the folder: on a disk that this process does not see, runs in hand go on to their end.
        """
        with self._turn:
            self._stopping = True
            if not self.done:
                self._stop_file.touch()
            waiting = [self._futures[run.name] for run in self.runs if run.state == "waiting"]
        for future in waiting:
            future.cancel()
        self.wait(timeout)

    def show(self, every: float = 0.5) -> None:
        """Wait while a line tells how many runs have ended and which is the best; then print the table.

        An interrupt ends the waiting, not the runs.
        """
        try:
            while not self.done:
                self.wait(every)
                print(f"\r{self.line():<100.100}", end="", flush=True)
        except KeyboardInterrupt:
            print(f"\nStill going on; stop() ends the runs in {self.folder}.")
            return
        print(f"\n{self}")

    def line(self) -> str:
        """How many runs have ended, and the best of them, on one line."""
        states = [run.state for run in self.runs]
        said = [f"{states.count(state)} {state}" for state in table.STATES if state in states]
        best = self.best
        return f"{len(self.runs)} runs: {', '.join(said)}" + (
            f"; best {best.name}: {table.number(best.loss)}" if best else ""
        )

    @property
    def best(self) -> SweepRun | None:
        """The finished run of the lowest loss, or None while there is none. Losses of different data, schedules, predictions,
        weightings or laws of t do not compare: None too if any of them differs."""
        finished = [run for run in self.runs if run.state == "finished" and run.loss.value == run.loss.value]
        if not finished or any(key.startswith(_OBJECTIVE) for key in finished[0].differs):
            return None
        return min(finished, key=lambda run: run.loss.value)

    def table(self) -> list[dict[str, Any]]:
        """One row of plain values for each run (see `SweepRun.row`), as they are now."""
        return [run.row() for run in self.runs]

    def figure(self) -> Figure:
        """The loss of each run over its steps: above its exact floor, if all that have a loss have one. ModuleNotFoundError
        without plotly, ValueError before there is a loss."""
        from ...plots import loss_curves

        found = {run.name: rows(run.folder) for run in self.runs}
        floors = {run.name: run.floor.value for run in self.runs if run.floor is not None}
        above = all(name in floors for name, its in found.items() if its)
        curves = {
            name: [(row["step"], row["loss"] - (floors.get(name, 0.0) if above else 0.0)) for row in its]
            for name, its in found.items()
        }
        return loss_curves(curves, above_floor=above)

    def __repr__(self) -> str:
        return f"{self.line()} ({self.folder})\n{table.text(self.table(), self._best_name())}"

    def _repr_html_(self) -> str:
        return table.html(f"{self.line()} ({self.folder})", self.table(), self._best_name())

    def _best_name(self) -> str | None:
        return None if (best := self.best) is None else best.name

    def _submit(self, run: SweepRun) -> None:
        where, stop = run.folder.resolve(), self._stop_file.resolve()
        try:
            future = self._executor.submit(train_run, run.name, run.config, str(where), str(stop), self._token)
        except Exception as error:  # shut down, or broken
            self._lose(run, error)
            return
        self._futures[run.name] = future
        future.add_done_callback(partial(self._on_end, run))

    def _on_end(self, run: SweepRun, future: Future[Outcome]) -> None:
        """In a thread of the executor's."""
        if future.cancelled():
            if self._stopping:
                run.cancel()
            else:
                run.lose("lost: its executor cancelled it")
        elif (error := future.exception()) is None:
            run.end(future.result())
        elif isinstance(error, WorkerLost) and run.losses < self._retries and not self._stopping:
            run.losses += 1
            self._submit(run)
            return
        else:
            self._lose(run, error)
            return
        self._note_end(run)

    def _lose(self, run: SweepRun, error: BaseException) -> None:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if isinstance(error, WorkerLost):
            run.lose(f"lost: {first}")
        elif isinstance(error, BrokenExecutor):
            run.lose(f"lost: its executor broke as a whole ({type(error).__name__}: {first})")
        else:
            run.lose(f"lost: {type(error).__name__}: {first}")
        self._note_end(run)

    def _note_end(self, run: SweepRun) -> None:
        with self._turn:
            self._in_order.append(run)
            if (
                self.done and self._closes
            ):  # elsewhere a job may still have to see the file, though its future was cancelled
                self._executor.shutdown(wait=False)
                self._stop_file.unlink(missing_ok=True)
            self._turn.notify_all()


def _processes(configs: Mapping[str, Tables]) -> int:
    """How many runs train at once where nobody says."""
    devices = {config.get("training", {}).get("device", "auto") for config in configs.values()}
    if any(resolve(device).type != "cpu" for device in devices):
        return 1
    return min(usable_cpus(), len(configs))


def _stop_if_alive(sweep: weakref.ref[Sweep]) -> None:
    """At the interpreter's end."""
    alive = sweep()
    if alive is not None and not alive.done:
        alive.stop(timeout=_AT_EXIT)
