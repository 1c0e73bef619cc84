"""One of the processes that `launch` starts: trains as it is told, and tells of it in lines of JSON.

The first process writes them: {"step", "loss"} a few times a second, at last {"ended": "finished" | "stopped"} or {"error"}.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from .distributed import ProcessLost, is_first
from .interrupts import Asked
from .recipe import recipe_from
from .trainer import Trainer

_LOOK = 0.2  # seconds between two lines


def main(request: dict[str, Any]) -> int:
    """Train the recipe in `request`, which has tables, name, folder and changes; 0 unless it failed."""
    if not is_first():
        warnings.simplefilter("ignore")
    try:
        recipe = recipe_from(request["tables"], request["name"])
        trainer = recipe.trainer(request["folder"], **request["changes"])
    except (ValueError, OSError, ImportError, ProcessLost) as error:
        _tell(error=str(error))
        return 1
    return _driven(trainer)


def _driven(trainer: Trainer) -> int:
    with Asked() as asked:
        trainer.start()
        while trainer.wait(_LOOK) == "running":
            heard = _tell(step=trainer.step, loss=trainer.loss)
            if asked.by is not None or not heard:
                trainer.stop(timeout=0)
        _tell(step=trainer.step, loss=trainer.loss)
        if trainer.state == "failed":
            _tell(error=trainer.error)
            return 1
        _tell(ended=trainer.state)
        return 0


def _tell(**what: Any) -> bool:
    """Whether there still is somebody to listen."""
    if not is_first():
        return True
    try:
        print(json.dumps(what), flush=True)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
