"""What every scene is: a widget with a clock, an error line, plain numbers, a preset and a page that works without a kernel."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Hashable
from contextlib import suppress
from inspect import signature
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..checks import brief
from . import publisher as threads
from .bundle import STUB, full, inside
from .page import write_page
from .preset import data_from, data_told
from .traits import ClockTrait, HiddenTrait, SeedTrait, check_seed

LONGEST = 500  # characters of an error: what was sent may be a book
#: what widget.ts asks of every scene
_HOST = ("ready", "beat", "front_end")
_INTERNAL = {"layout", "tabbable", "tooltip", "error", "status"}


class Scene(anywidget.AnyWidget):
    """One interactive view; its TypeScript half has the same name.

    Traits of all scenes: `t` (the clock, 0 is data), `seed`, `error` (one red line in the panel, "" for none), `status` (a
    calm word on what is being computed), `hidden` (names out of `controls` that are not shown).
    """

    _esm = full("widget.js")
    _css = full("widget.css")

    scene = traitlets.Unicode().tag(sync=True)
    t = ClockTrait()
    seed = SeedTrait()
    error = traitlets.Unicode().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    hidden = HiddenTrait()

    #: names of the traits that make a preset
    preset_traits: tuple[str, ...] = ("t", "seed", "hidden")
    #: names of the scene's controls, as `hidden` takes them; the front end's deck has the same
    controls: tuple[str, ...] = ("time", "seed", "png")

    def __init__(self, **traits: Any) -> None:
        self.error_source: Hashable = None
        self._is_part = inside()
        if self._is_part:
            self._esm, self._css = STUB, ""
        super().__init__(scene=type(self).__name__, **traits)
        self.on_msg(self._receive)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @traitlets.observe("comm")
    def _answer_while_a_cell_runs(self, change: dict[str, Any]) -> None:
        """Let the browser choose the thread that serves its messages: JupyterLab's subshell, which no cell keeps busy.

        ipykernel 7.4 sends them to the shell that wrote to the scene last instead. That was the main one, which made the
        scene and in whose name the publisher writes, so that every slider waited for the cell that runs there.
        """
        if hasattr(change["new"], "_reply_subshell_for"):
            change["new"]._reply_subshell_for = lambda _data, chosen: chosen

    # -- what users and tests read -------------------------------------------------------------------------------------

    def numbers(self) -> dict[str, float]:
        """The scene's numbers as plain floats, after everything under way has settled."""
        self.settle()
        return {"t": self.t, "seed": float(self.seed)}

    def settle(self, timeout: float = 60.0) -> None:
        """Wait until what the scene computes in the background is done. TimeoutError after `timeout` seconds."""
        if not threads.settle(timeout):
            raise TimeoutError(f"{type(self).__name__} is still computing after {timeout:g} s.")

    def to_dict(self) -> dict[str, Any]:
        """The scene's preset: plain JSON, read back by `from_dict`. Scenes inside this one are part of it."""
        own = {name: getattr(self, name) for name in self.preset_traits}
        data = None if self._is_part else self._data_told()
        own |= {"data": data} if data else {}
        return {"scene": type(self).__name__} | own | {n: c.to_dict() for n, c in self.children_scenes().items()}

    def _data_told(self) -> dict[str, Any] | None:
        """The scene's data as a preset holds them; None where there are none, or they cannot be told."""
        data = getattr(self, "data", None)
        return None if data is None else data_told(data)

    def save_preset(self, path: str | os.PathLike[str]) -> Path:
        """Write `to_dict` to a file, for `difflab lab --preset FILE` and `from_dict`. Returns its path."""
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")
        return Path(path)

    @classmethod
    def from_dict(cls, preset: dict[str, Any], **arguments: Any) -> Any:
        """A scene from its preset; `arguments` are what it cannot hold (data, a denoiser). ValueError for another's preset."""
        cls._check(preset)
        if "data" in preset:
            arguments.setdefault("data", data_from(preset["data"]))
        scene = cls(**arguments)
        scene.apply({name: value for name, value in preset.items() if name != "data"})
        return scene

    @classmethod
    def _check(cls, preset: dict[str, Any]) -> None:
        if not isinstance(preset, dict) or preset.get("scene") != cls.__name__:
            named = preset.get("scene") if isinstance(preset, dict) else preset
            raise ValueError(f"This is a preset of {brief(named)}, not of {cls.__name__}.")

    def apply(self, preset: dict[str, Any]) -> None:
        """Take over a preset of this kind of scene. ValueError or TraitError, and nothing changed, for what is none."""
        self.check_preset(preset)
        names = [name for name in self.preset_traits if name in preset]
        before = {name: getattr(self, name) for name in names}
        if "data" in preset:
            self.show(data_from(preset["data"]), preset.get("seed"))  # type: ignore[attr-defined]
        try:
            for name in names:
                setattr(self, name, preset[name])
        except Exception:  # each may be right by itself, and not beside the others
            self._set_back(before)
            raise
        # one that is as it was overtakes nothing that `show` has asked the publisher for
        self.publish(**{name: getattr(self, name) for name in names})
        self._apply_children(preset)

    def _apply_children(self, preset: dict[str, Any]) -> None:
        for name, child in self.children_scenes().items():
            if name in preset:
                child.apply(preset[name])

    def check_preset(self, preset: dict[str, Any]) -> None:
        """Look at each value by itself, those of the scenes inside too. ValueError or TraitError for one that cannot be."""
        self._check(preset)
        children, shows = self.children_scenes(), hasattr(self, "show")
        unknown = set(preset) - {"scene", *self.preset_traits, *children, *(["data"] if shows else [])}
        if unknown:
            raise ValueError(f"A preset of {type(self).__name__} has no {', '.join(sorted(map(str, unknown)))}.")
        for name in self.preset_traits:
            trait = self.traits()[name]
            if name in preset and not (preset[name] is None and trait.allow_none):
                trait.validate(self, preset[name])
        if "data" in preset:
            data_from(preset["data"])
        for name, child in children.items():
            if name in preset:
                child.check_preset(preset[name])

    def _set_back(self, before: dict[str, Any]) -> None:
        for name, value in before.items():
            with suppress(traitlets.TraitError):
                setattr(self, name, value)

    def save_html(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained page that shows the scene without a kernel or a network. Returns its path."""
        self.settle()
        return self.write_html(Path(path))

    def write_html(self, path: Path) -> Path:
        """`save_html` of what is there now, without waiting for work under way."""
        return write_page(path, f"{type(self).__name__} · difflab", self.page_state())

    def page_state(self) -> dict[str, Any]:
        """The synced traits as the browser has them, children in place, without those of the widget machinery."""
        own = {k: v for k, v in self.get_state().items() if not k.startswith("_") and k not in _INTERNAL}
        return own | {name: child.page_state() for name, child in self.children_scenes().items()}

    def children_scenes(self) -> dict[str, Scene]:
        """Scenes inside this one, by the name of their trait."""
        return {}

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        self._bring_front_end()
        return super()._repr_mimebundle_(**kwargs)

    def _bring_front_end(self) -> None:
        """A scene that was made inside another one is shown by itself after all: give it the front end."""
        if self._esm == STUB:
            self.set_trait("_css", Scene._css)
            self.set_trait("_esm", Scene._esm)

    # -- the way in: requests from the browser, on any thread -------------------------------------------------------------

    def _receive(self, _widget: Any, message: Any, _buffers: list[Any]) -> None:
        asked = message if isinstance(message, dict) else {}
        name, args = asked.get("request"), asked.get("args") or {}
        with self.shown("host" if name in _HOST else "user"):  # a beat must not wipe away what a user was told
            if name not in (*_HOST, *self.requests()):
                raise ValueError(f"This scene does not know the request {brief(name)}.")
            handler: Callable[..., None] = getattr(self, f"on_{name}")
            takes = list(signature(handler).parameters)
            if not isinstance(args, dict) or set(args) != set(takes):
                raise ValueError(f"The request {name!r} takes {', '.join(takes) or 'nothing'}, but got {brief(args)}.")
            handler(**args)

    def on_ready(self) -> None:
        """A view is there; this also wakes the kernel's message thread."""
        threads.publisher().backpressure.listen(self)

    def on_beat(self, beat: Any) -> None:
        threads.publisher().backpressure.answered(beat)

    def on_front_end(self) -> None:
        self._bring_front_end()

    def requests(self) -> tuple[str, ...]:
        """Requests that the browser may send; `on_NAME` answers each."""
        return ()

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Values from the browser. A bad one is refused in the scene, and the browser gets the old one back."""
        with self.shown("user") as outcome:
            if not isinstance(sync_data, dict):
                raise ValueError(f"The state of a scene is a table of its traits, but got {brief(sync_data)}.")
            super().set_state(sync_data)
        if outcome.failed and isinstance(sync_data, dict):
            self.send_state([k for k in sync_data if self.has_trait(k)])

    def _seed_of(self, seed: int | None) -> int:
        """The seed that `show` was given, checked; the scene's own for None."""
        return self.seed if seed is None else check_seed(seed)

    # -- the way out: everything a scene shows after its first paint goes through here -------------------------------------

    def publish(self, **traits: Any) -> None:
        """Set traits from the publisher's thread, soon; the latest value of each wins."""
        threads.publisher().put(self, **traits)

    def notify_change(self, change: Any) -> None:
        threads.publisher().overtaken(self, change["name"])
        super().notify_change(change)

    def compute(self, lane: str, key: Hashable, job: Callable[[], None], status: str = "") -> None:
        """Run `job` in a background lane (latest of `key` wins); what it raises is shown in the scene."""
        if status:
            self.publish(status=status)

        def run() -> None:
            with self.shown((lane, key)):
                job()
            if status:
                self.publish(status="")

        threads.lane(lane).put((id(self), key), run)

    def superseded(self, lane: str, key: Hashable) -> bool:
        return threads.lane(lane).superseded((id(self), key))

    def show_error(self, source: Hashable, text: str) -> None:
        """Show one sentence until `clear_error` of the same source."""
        self.error_source = source
        self.publish(error=f"{text.splitlines()[0]:.{LONGEST}}")

    def clear_error(self, source: Hashable) -> None:
        if self.error_source == source:
            self.error_source = None
            self.publish(error="")

    def shown(self, source: Hashable) -> _Shown:
        """A `with` block whose exceptions become the scene's error line.

        The line stays until the same `source` succeeds: work in the background must not wipe away what a user was told.
        """
        return _Shown(self, source)


class _Shown:
    def __init__(self, scene: Scene, source: Hashable) -> None:
        self.scene, self.source, self.failed = scene, source, False

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: Any) -> bool:
        if e is None:
            self.scene.clear_error(self.source)
            return False
        if not isinstance(e, Exception):
            return False
        self.failed = True
        known = isinstance(e, (ValueError, TypeError, ArithmeticError, RuntimeError, OSError, traitlets.TraitError))
        where = traceback.extract_tb(trace)[-1]
        place = f"({Path(where.filename).name}:{where.lineno})"
        self.scene.show_error(self.source, str(e) if known and str(e) else f"{type(e).__name__}: {e} {place}")
        return True
