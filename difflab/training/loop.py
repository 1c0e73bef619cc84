"""Training as a generator: each next() is one step. To pause is to stop calling next()."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from ..checks import brief, check_generator
from ..data import DataSet
from ..denoisers.network import NetworkDenoiser
from ..device import resolve
from .checkpoint import Checkpoint, load, save, sound_state
from .distributed import World
from .ema import clone
from .faults import (
    NotSaved,
    TrainingDiverged,
    TrainingInterrupted,
    TrainingOutOfMemory,
    fitting,
    is_out_of_memory,
)
from .folder import Folder, FolderError
from .run import Run
from .settings import Settings, whole

KEEP_EVERY = 100  # steps between copies of the run that a divergence falls back to
CHECK_EVERY = 25  # steps between looks at the loss where looking means waiting for the device; a divisor of the others
NOTE_EVERY = 50  # steps between rows of metrics
_SAVING = ("save_every", "keep", "tensorboard")


@dataclass(frozen=True, slots=True)
class TrainingState:
    """What one step yields.

    Attributes:
        step: 1, 2, ... : how many updates the weights have had.
        loss: of this step's batch, before its update; a scalar on the device, without gradients (float(loss) waits
            for it).
        run: the run itself, live: it changes with the next step.
    """

    step: int
    loss: Tensor
    run: Run

    @property
    def ema(self) -> NetworkDenoiser:
        """A copy of the averaged denoiser as it is now."""
        return clone(self.run.average())

    def save(self, path: str | PathLike[str]) -> None:
        """Write a checkpoint that `train(resume=path)` continues from. FloatingPointError if a weight is not finite."""
        save(self.run, path)


def train(
    denoiser: NetworkDenoiser,
    data: DataSet,
    *,
    steps: int,
    generator: torch.Generator | None = None,
    conditional: bool | None = None,
    device: str | torch.device = "auto",
    resume: Checkpoint | str | PathLike[str] | bool = False,
    folder: str | PathLike[str] | None = None,
    save_every: int = 1000,
    keep: int = 2,
    tensorboard: bool = False,
    **settings: Any,
) -> Iterator[TrainingState]:
    """Train `denoiser` in place up to step number `steps` by denoising score matching; yields after every step.

    Processes that torchrun or accelerate launch started train together, where all of them call this (`distributed.py`).

    Args:
        denoiser: moved to `device`; it holds the raw weights, `state.ema` the averaged ones.
        data: finite sets are kept on the device, densities are sampled as it goes.
        steps: the last step's number; a resumed run does what is left.
        generator: a CPU generator; it gives the seeds of the run's own streams. torch's global one if not given.
        conditional: train with labels. By default if the network knows classes or vectors.
        resume: a checkpoint, or its path, or True for the one in `folder`, if it holds one; weights, averages, moments, step
            and random streams are taken from it. On the CPU and with the same settings the run goes on as if it had never been
            interrupted, to the bit.
        folder: directory of the run (see `Folder`): a checkpoint every `save_every` steps, at the end, when the generator is
            closed and when training diverges (of the last good state), `keep` older ones beside it; metrics.csv; with
            `tensorboard`, event files. One that holds a run already is only taken with `resume`.
        settings: the fields of `Settings`: batch, lr, warmup, decay, ema, averages, weighting, times, precision, compile, ...

    Raises ValueError at once, in one sentence, for bad arguments; on the way TrainingDiverged when the loss is nan or inf, or
    explodes, TrainingOutOfMemory, NotSaved when a checkpoint cannot be written, and TrainingInterrupted. Whatever ends it, the
    run is whole, as after one of its steps, and `folder` has a checkpoint of that step if it can be written.
    """
    saving = {"save_every": save_every, "keep": keep, "tensorboard": tensorboard}
    options = {"generator": generator, "conditional": conditional, "device": device, **settings}
    return continued(*begun(denoiser, data, steps=steps, folder=folder, resume=resume, **saving, **options))


def begun(
    denoiser: NetworkDenoiser,
    data: DataSet,
    *,
    steps: int,
    folder: str | PathLike[str] | None = None,
    resume: Checkpoint | str | PathLike[str] | bool = False,
    **options: Any,
) -> tuple[Run, Folder | None]:
    """The run that `train` with these arguments would do, before its first step, and its directory, held open."""
    saving = {name: options.pop(name) for name in _SAVING if name in options}
    if not isinstance(resume, bool | Checkpoint | str | PathLike | None):
        raise TypeError(f"resume must be True, False, a checkpoint or the path of one, but got {brief(resume)}.")
    if folder == "":
        raise ValueError("folder must be the path of a directory, or None, but got ''.")
    place = Folder(folder if folder is not None else "", **saving)  # checks what it is given, and touches nothing
    world = World.found()
    if folder is None:
        if resume is True:
            raise ValueError(
                "resume=True goes on from the run in folder=; give the folder, or the checkpoint to go on from."
            )
        return prepare(denoiser, data, steps=steps, resume=resume or None, world=world, **options), None
    try:
        world.first(place.open)
        found = place.newest(denoiser.network)
        world.check_same(str(found and found.step), f"checkpoint in {place.path}")
        if found is not None and resume is False:
            raise FolderError(
                f"{place.path} already holds a run, at step {found.step}: give resume=True to go on with it, or another folder."
            )
        start = found if resume is True else resume or None
        run = prepare(denoiser, data, steps=steps, resume=start, world=world, **options)
        world.first(lambda: place.begin(run))
    except BaseException as error:
        place.close()
        if (told := world.ended_by(error)) is error:
            raise
        raise told from error
    return run, place


def prepare(
    denoiser: NetworkDenoiser,
    data: DataSet,
    *,
    steps: int,
    generator: torch.Generator | None = None,
    conditional: bool | None = None,
    device: str | torch.device = "auto",
    resume: Checkpoint | str | PathLike[str] | None = None,
    world: World | None = None,
    **settings: Any,
) -> Run:
    """The run that `train` with these arguments would do, before its first step. `world` is `World.found()` if None."""
    if not isinstance(denoiser, NetworkDenoiser):
        raise TypeError(
            f"What is trained is a NetworkDenoiser, such as NetworkDenoiser.for_data(data, schedule), but got {brief(denoiser)}."
        )
    check_generator(generator)
    whole("steps", steps, least=1)
    unknown = settings.keys() - Settings.__dataclass_fields__.keys()
    if unknown:
        raise ValueError(
            f"There is no training setting named {min(unknown)!r};"
            f" choose from {', '.join(Settings.__dataclass_fields__)}."
        )
    world = World.found() if world is None else world
    with fitting():
        run = Run(
            denoiser,
            data,
            Settings(**settings),
            steps=int(steps),
            conditional=_conditional(denoiser, data, conditional),
            device=world.device(resolve(device)),
            generator=generator,
            world=world,
        )
        if resume is not None:
            (resume if isinstance(resume, Checkpoint) else load(resume, network=denoiser.network)).continue_in(run)
    return run


def continued(run: Run, folder: Folder | None = None) -> Generator[TrainingState, None, None]:
    """The steps that are left of `run`, one a next(); `folder` is closed at the end."""
    try:
        yield from _steps(run, folder)
        _save(run, folder)
    except GeneratorExit:
        if not sys.is_finalizing():  # nothing can be written any more while Python ends
            _save(run, folder, tell=True)
        raise
    except KeyboardInterrupt:
        run.ended_by(KeyboardInterrupt("Training was interrupted in one of its processes."))
        _save(run, folder, tell=True)
        raise TrainingInterrupted(run, None if folder is None else folder.checkpoint) from None
    except Exception as error:
        new = is_out_of_memory(error) and not isinstance(error, TrainingOutOfMemory)
        told = run.ended_by(TrainingOutOfMemory.at(run, run.step + 1) if new else error)
        with suppress(OSError):  # what went wrong first is told
            if not isinstance(error, NotSaved) and run.step:  # fresh weights alone would only stand in the way
                _save(run, folder)
        if told is error:
            raise
        raise told from error
    finally:
        if folder is not None:
            folder.close()


def _save(run: Run, folder: Folder | None, *, back: bool = False, tell: bool = False) -> None:
    """A checkpoint of a run that is sound; of an earlier step than its last one only when it goes `back`. With `tell`,
    FloatingPointError if its weights are not finite."""
    if folder is None or not run.whole or run.lost or run.watch.suspicious or not (tell or run.finite()):
        return
    if back or folder.saved_step is None or folder.saved_step < run.step:
        state = sound_state(run, folder.checkpoint) if run.in_parts else None  # all processes put it together
        run.world.first(lambda: folder.save(run, state))
        folder.newest_step = folder.saved_step = run.step


def _steps(run: Run, folder: Folder | None) -> Generator[TrainingState, None, None]:
    every = 1 if run.device.type == "cpu" else CHECK_EVERY
    looks = run.device.type != "meta"
    kept = run.state(parts=True)  # what a divergence falls back to
    run.metrics.go_on(run.step)
    ends = False  # whether another process, or this one, wants all to end: after the same step
    try:
        while run.step < run.steps and not ends:
            loss = run.loss()
            seen = loss.detach()
            last = run.step + 1 == run.steps
            if looks and (run.step % every == 0 or last):
                closely = run.step % CHECK_EVERY == 0
                if wrong := run.wrong(seen, closely=closely):
                    raise _back(run, kept, folder, run.step + 1, f"loss {wrong}")
                if closely and run.step % KEEP_EVERY == 0 and run.step > int(kept["step"]) and not run.watch.suspicious:
                    kept = run.state(parts=True, into=kept)  # weights whose loss is sound
                ends = run.world.all_end()
            run.descend(loss)
            # whether the weights are sound shows in the next step's loss; the last step has none
            if last and not run.finite():
                raise _back(run, kept, folder, run.step, "weights were not finite any more")
            noted = run.note() if run.step % NOTE_EVERY == 0 or last else None
            if folder is not None:
                if noted is not None and run.world.is_first:
                    folder.note(run, noted)
                if last or run.step % folder.save_every == 0:
                    _save(run, folder)
            if run.world.ending:
                continue
            try:
                yield TrainingState(run.step, seen, run)
            except GeneratorExit:
                if run.world.size == 1 or sys.is_finalizing():
                    raise
                run.world.ending = True  # the others hear of it with the loss of a step to come
    except BaseException as error:  # also an interrupt, anywhere
        if run.whole:
            raise
        step = run.step
        run.restore(kept)
        if is_out_of_memory(error):
            raise TrainingOutOfMemory.at(run, step) from error
        raise


def _back(run: Run, kept: dict[str, Tensor], folder: Folder | None, step: int, what: str) -> TrainingDiverged:
    """What to raise, with `run` and its checkpoint back at the `kept` state (which is bad if it never had a good one)."""
    run.restore(kept)
    with suppress(NotSaved):
        _save(run, folder, back=True)
    return TrainingDiverged(step, run.step, what)


def _conditional(denoiser: NetworkDenoiser, data: DataSet, asked: bool | None) -> bool:
    if denoiser.shape not in (None, data.shape):
        raise ValueError(
            f"The network is made for samples of shape {denoiser.shape}, but {data.name} has {data.shape}."
        )
    knows, has = (denoiser.classes, denoiser.vector), (data.classes, data.vector)
    conditional = knows != (None, None) if asked is None else asked
    if conditional and (knows == (None, None) or knows != has):
        raise ValueError(
            f"Training with labels needs a network that knows the data's classes or vectors: it knows {_conditions(*knows)},"
            f" and {data.name} has {_conditions(*has)}."
        )
    return conditional


def _conditions(classes: int | None, vector: int | None) -> str:
    return f"{classes} classes" if classes is not None else "none" if vector is None else f"vectors of {vector} numbers"
