"""What a run measured, where TensorBoard looks for it: event files in the folder tensorboard/ of its directory."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .metrics_table import Row

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
SCALARS = ("loss", "learning_rate", "steps_per_second", "gradient_norm")


class EventFiles:
    """Event files in `folder`, for a run that goes on from `step`: TensorBoard hides what they hold of later steps. Where there
    are none, they begin with the rows of `before`. Raises OSError where they cannot be written."""

    def __init__(self, folder: Path, step: int, before: Iterable[Row]) -> None:
        first = not any(folder.glob("events.*"))
        self._writer: SummaryWriter = writer_class()(str(folder), purge_step=step + 1)
        for row in before if first else ():
            self._add(row)
        self._writer.flush()

    def add(self, row: Row) -> None:
        """Write it where a process that is killed leaves it: TensorBoard's writer, which has a thread of its own, would take its
        time. Raises OSError."""
        self._add(row)
        self._writer.flush()

    def _add(self, row: Row) -> None:
        for name in SCALARS:
            value = getattr(row, name)
            if not math.isnan(value):
                self._writer.add_scalar(name, value, row.step)

    def close(self) -> None:
        """All that could be written is written already."""
        if sys.is_finalizing():  # its thread does not run any more, and must not be waited for
            return
        with suppress(OSError):
            self._writer.close()


def writer_class() -> type[SummaryWriter]:
    """torch's writer of event files. ImportError, in one sentence, where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            f"tensorboard=True needs the package tensorboard ({error}); install it with: pip install 'difflab[tensorboard]'."
        ) from error
    return SummaryWriter
