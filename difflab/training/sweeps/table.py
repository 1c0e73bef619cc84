"""The results of a sweep as a table, in plain text and in a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from ...estimate import Estimate
from .configs import said, short

STATES = ("finished", "running", "waiting", "failed", "lost", "stopped")
_OWN = ("name", "state", "step", "loss", "loss_error", "excess", "excess_error", "steps_per_second", "seconds", "note")
_LEFT = {"name", "state", "note"}  # words; numbers stand to the right
_NUMBER = "text-align:right;white-space:nowrap"


def text(rows: Sequence[dict[str, Any]], best: str | None) -> str:
    """Aligned columns, a line for each row; the best one's name is marked with a star."""
    titles, cells = _cells(rows)
    for line, row in zip(cells, rows, strict=True):
        line[0] += " *" if row["name"] == best else ""
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if title in _LEFT else cell.rjust(width)
            for title, cell, width in zip(titles, line, widths, strict=True)
        ).rstrip()
        for line in (titles, *cells)
    ]
    return "\n".join(lines)


def html(caption: str, rows: Sequence[dict[str, Any]], best: str | None) -> str:
    """The same as a table of HTML in the page's own colours; the best one's row is bold."""
    titles, cells = _cells(rows)
    styles = dict.fromkeys(_LEFT, "text-align:left")

    def line(tag: str, values: Sequence[str], bold: bool = False) -> str:
        weight = ";font-weight:bold" if bold else ""
        return "".join(
            f'<{tag} style="{styles.get(title, _NUMBER)}{weight}">{escape(value)}</{tag}>'
            for title, value in zip(titles, values, strict=True)
        )

    body = "".join(
        f"<tr>{line('td', values, row['name'] == best)}</tr>" for values, row in zip(cells, rows, strict=True)
    )
    return (
        f'<table style="font-variant-numeric:tabular-nums"><caption style="text-align:left">{escape(caption)}</caption>'
        f"<thead><tr>{line('th', titles)}</tr></thead><tbody>{body}</tbody></table>"
    )


def number(estimate: Estimate) -> str:
    """With as many digits as its error leaves: two of the error; four of a value without one."""
    value, error = estimate
    if math.isnan(value):
        return "-"
    if not (math.isfinite(error) and error > 0):
        return f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _cells(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Titles, and the cells of each row, as text; no columns that are empty in all rows."""
    keys = [key for key in rows[0] if key not in _OWN]
    words = short(keys)
    titles = ["name", *(words[key] for key in keys), "state", "step", "loss", "excess", "steps/s", "seconds", "note"]
    cells = [
        [
            row["name"],
            *(said(row[key]) for key in keys),
            row["state"],
            str(row["step"]),
            number(Estimate(row["loss"], row["loss_error"])),
            "" if row["excess"] is None else number(Estimate(row["excess"], row["excess_error"])),
            "" if math.isnan(row["steps_per_second"]) else f"{row['steps_per_second']:.0f}",
            f"{row['seconds']:.{0 if row['seconds'] >= 100 else 1}f}",
            row["note"],
        ]
        for row in rows
    ]
    filled = [i for i, column in enumerate(zip(*cells, strict=True)) if any(column)]
    return [titles[i] for i in filled], [[line[i] for i in filled] for line in cells]
