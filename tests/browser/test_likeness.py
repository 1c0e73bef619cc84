"""The comparison of pictures itself: another font's edges pass, another picture does not."""

from __future__ import annotations

import io

import numpy as np
from likeness import SHARE, cells, unlike
from PIL import Image, ImageDraw

SIZE = (640, 480)


def panel(
    *, shift: int = 0, curve: bool = True, words: str = "exact 0.254 learned 0.271", ink: str = "#1f2328"
) -> np.ndarray:
    image = Image.new("RGB", SIZE, "#ffffff")
    draw = ImageDraw.Draw(image)
    for line in range(3):
        draw.text((20 + shift, 20 + 14 * line), words, fill=ink)
    if curve:
        heights = 300 + 100 * np.sin(np.linspace(0, 6, 600))
        draw.line([(20 + x, float(y)) for x, y in enumerate(heights)], fill="#0072b2", width=6)
    draw.rectangle((20, 440, 400, 470), fill="#1976d2")
    out = io.BytesIO()
    image.save(out, "PNG")
    return cells(out.getvalue())


def test_words_one_pixel_to_the_side_are_alike() -> None:
    assert unlike(panel(shift=1), panel()) <= SHARE


def test_a_missing_curve_a_missing_button_another_theme_and_another_size_are_not() -> None:
    wanted = panel()
    assert unlike(panel(curve=False), wanted) > SHARE
    without_button = wanted.copy()
    without_button[440 // 8 :] = 255
    assert unlike(without_button, wanted) > SHARE
    assert unlike(255 - wanted, wanted) > 0.9
    assert unlike(wanted[:, :-2], wanted) == 1
    assert unlike(wanted[:, :-1], wanted) == 0
