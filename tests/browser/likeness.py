"""Is a picture like the one that was looked at? Compared cell by cell, so that no font's edges and no machine's rounding count.

A reference is the picture reduced to cells of 8 x 8 pixels. A glyph that another version of a font draws one pixel wider moves
an eighth of a cell between ink and paper: at most 255 / 8 = 32 grey levels. Such cells, and only cells on the outline of words,
may differ; words and their outlines cover less than a tenth of our panels, and a quarter of their cells at most changes by more
than half of that. So a picture is like its reference if at most 1 in 40 cells differs by more than 32 levels.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

REFERENCES = Path(__file__).parent / "references"
CELL = 8
LEVELS = 32.0
SHARE = 1 / 40
#: set it to keep what is shot as the new references: look at them before they are committed
RENEW = "DIFFLAB_NEW_REFERENCES"


def cells(png: bytes) -> np.ndarray:
    """Mean colour of each cell, (rows, columns, 3) in 0..255; a rest at the right and below is left out."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.float64)
    rows, columns = (n // CELL for n in pixels.shape[:2])
    blocks = pixels[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL, 3)
    return blocks.mean((1, 3))


def unlike(found: np.ndarray, wanted: np.ndarray) -> float:
    """Share of cells that differ; 1 for pictures of another size. One row or column more or less is the same size."""
    if max(abs(a - b) for a, b in zip(found.shape[:2], wanted.shape[:2], strict=True)) > 1:
        return 1.0
    rows, columns = (min(a, b) for a, b in zip(found.shape[:2], wanted.shape[:2], strict=True))
    away = np.abs(found[:rows, :columns] - wanted[:rows, :columns]).max(-1)
    return float((away > LEVELS).mean())


def looks_like(png: bytes, name: str, keep: Path) -> None:
    """AssertionError where the picture is not like references/NAME.png; both are then kept in the folder `keep`."""
    reference, found = REFERENCES / f"{name}.png", cells(png)
    if os.environ.get(RENEW):
        REFERENCES.mkdir(exist_ok=True)
        _image(found).save(reference, optimize=True)
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{name}.png").write_bytes(png)
        return
    assert reference.exists(), f"nobody has looked at {name} yet: run the test with {RENEW}=1, and look"
    share = unlike(found, np.asarray(Image.open(reference).convert("RGB"), dtype=np.float64))
    if share > SHARE:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"unlike-{name}.png").write_bytes(png)
    assert share <= SHARE, f"{share:.1%} of {name} differs from its reference; see unlike-{name}.png"


def _image(means: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(means).astype(np.uint8))
