"""What a run measured, as a plain table that anything can read: metrics.csv in its directory."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

from .checkpoint import write_atomically

FILE = "metrics.csv"
COLUMNS = ("step", "loss", "learning_rate", "seconds")


class MetricsFile:
    """Appends rows of (step, mean loss since the row before, learning rate, seconds of training).

    Rows after `step`, of a run that goes on from an earlier checkpoint, are dropped first, and a last line that was cut short
    with them; seconds go on from the last row that stays.
    """

    def __init__(self, folder: Path, step: int, *, tensorboard: bool = False) -> None:
        path = folder / FILE
        kept = [row for row in read(path) if row["step"] <= step] if path.exists() else []
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(kept)
        write_atomically(path, text.getvalue().encode())
        self._file = open(path, "a", newline="", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._writer = csv.writer(self._file)
        self._began = time.monotonic() - (kept[-1]["seconds"] if kept else 0.0)

    def add(self, step: int, loss: float, learning_rate: float) -> None:
        seconds = time.monotonic() - self._began
        self._writer.writerow((step, f"{loss:.8g}", f"{learning_rate:.8g}", f"{seconds:.3f}"))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv; a line that was cut short is left out."""
    rows = []
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                rows.append({name: float(row[name]) for name in COLUMNS} | {"step": int(row["step"])})
            except (KeyError, TypeError, ValueError):
                continue
    return rows
