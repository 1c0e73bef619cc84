"""What a sweep notes in the directory of each of its runs, sweep.json: the configuration, and every start of a worker on it."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from ..atomic import write_atomically
from .configs import Tables, differences, said

FILE = "sweep.json"
# what may change between two sweeps that go on with one run: it is still the same one
_FREE = ("training.steps", "training.device", "training.threads", "training.save_every", "training.keep",
         "training.tensorboard")  # fmt: skip


def begin(folder: Path, config: Tables, token: str, step: int) -> None:
    """Note that a worker of the sweep `token` goes on from `step` in `folder`."""
    before = read(folder)
    started = {"sweep": token, "step": step, "host": socket.gethostname(), "pid": os.getpid()}
    starts = [*(before.get("starts") or []), started]
    write_atomically(folder / FILE, json.dumps({"config": config, "starts": starts}, indent=1).encode())


def starts(folder: Path, token: str) -> list[dict[str, Any]]:
    """The starts of the sweep `token` in `folder`: of each the step it went on from, the host and the process."""
    return [one for one in read(folder).get("starts") or [] if one.get("sweep") == token]


def refuse_another(name: str, folder: Path, config: Tables) -> None:
    """ValueError, in one sentence, if a sweep left a run of another configuration in `folder`."""
    before = read(folder).get("config")
    if not isinstance(before, dict):
        return
    now = json.loads(json.dumps(config))
    own = differences({"then": before, "now": now})
    for key, value in own["now"].items():
        then = own["then"][key]
        if key in _FREE and not (key == "training.steps" and then > value):
            continue
        raise ValueError(
            f"{name}: {folder} holds a run whose {key} is {said(then)}, not {said(value)}: give the sweep another folder, or"
            " this run another name."
        )


def read(folder: Path) -> dict[str, Any]:
    """What is noted in `folder`; nothing if nothing can be read there."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
