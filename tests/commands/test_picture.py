import io

import numpy as np
import pytest
from PIL import Image

from difflab.commands.picture import png


def opened(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def test_images_fill_rows_and_keep_their_values():
    x = np.linspace(-1, 1, 3 * 4, dtype=np.float32).reshape(3, 1, 2, 2)
    picture = opened(png(x, (-1.0, 1.0), columns=2, scale=4))
    side = 2 * 4 + 2 * 2  # two pixels of four, and two of margin on each side
    assert picture.shape == (2 * side, 2 * side)
    for i in range(3):
        row, column = divmod(i, 2)
        for h in range(2):
            for w in range(2):
                tile = picture[row * side + 2 + 4 * h :, column * side + 2 + 4 * w :][:4, :4]
                assert (tile == round((x[i, 0, h, w] + 1) / 2 * 255)).all()
    assert (picture[side:, side:] == 0).all()  # no fourth image


def test_colours_stay_in_their_channels():
    x = np.stack([np.full((2, 3), v, np.float32) for v in (-1.0, 0.2, 1.0)])[None]
    picture = opened(png(x, (-1.0, 1.0), columns=1, scale=2))
    assert picture.shape == (2 * 2 + 2, 3 * 2 + 2, 3)
    assert (picture[1:-1, 1:-1] == [0, 153, 255]).all()
    assert not picture[0].any()


def test_large_images_take_fewer_pixels():
    assert opened(png(np.zeros((1, 1, 64, 40), np.float32), (-1.0, 1.0), columns=1, scale=6)).shape == (
        64 * 3 + 2,
        40 * 3 + 2,
    )


def test_values_beyond_the_range_are_its_ends():
    picture = opened(png(np.array([-9.0, 9.0], np.float32).reshape(2, 1, 1, 1), (-1.0, 1.0), columns=2, scale=2))
    assert set(np.unique(picture[1:3, 1:3])) == {0}
    assert set(np.unique(picture[1:3, 5:7])) == {255}


def test_points_are_dark_where_they_are():
    picture = opened(png(np.array([[0.5, 0.9]] * 10, np.float32), (-1.0, 1.0)))
    (row,), (column,) = np.nonzero(picture < 255)
    height, width = picture.shape
    assert (1 - 2 * (row + 0.5) / height) == pytest.approx(0.9, abs=2 / height)  # the ordinate points up
    assert (2 * (column + 0.5) / width - 1) == pytest.approx(0.5, abs=2 / width)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"got samples of \(3,\)"):
        png(np.zeros((5, 3), np.float32), (0.0, 1.0))
