"""A drawing is a data set, exactly, and a data set is a drawing; the browser and Python draw by the same numbers."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from difflab.data import FiniteSet, GaussianMixture
from difflab.scenes.draw_data import DrawData
from difflab.scenes.drawings import DRAWINGS
from difflab.scenes.drawn import (
    CLASSES,
    FIT,
    LEAST,
    MOST_COMPONENTS,
    MOST_POINTS,
    SHEET,
    ellipses_of,
    fitted,
    mixture_of,
)

JS = Path(__file__).parents[2] / "js"
ELLIPSE = {"weight": 2.0, "mean": [1.0, -0.5], "axes": [0.6, 0.2], "angle": math.pi / 6}


def test_ellipses_are_a_mixture_exactly() -> None:
    scene = DrawData(mode="mixture", ellipses=[ELLIPSE, {"weight": 6, "mean": [0, 0], "axes": [1, 0.5], "angle": 0}])
    mixture = scene.data
    assert isinstance(mixture, GaussianMixture)
    np.testing.assert_array_equal(mixture.weights, [0.25, 0.75])
    np.testing.assert_array_equal(mixture.means, [[1.0, -0.5], [0.0, 0.0]])
    turn = np.array([[math.sqrt(3) / 2, -0.5], [0.5, math.sqrt(3) / 2]])  # by 30 degrees
    due = turn @ np.diag([0.36, 0.04]) @ turn.T
    # float64: a few operations on numbers below one
    np.testing.assert_allclose(mixture.covariances[0], due, atol=1e-15)
    np.testing.assert_array_equal(mixture.covariances[1], [[1.0, 0.0], [0.0, 0.25]])


@pytest.mark.parametrize("seed", range(5))
def test_a_mixture_comes_back_from_its_ellipses(seed: int) -> None:
    given = GaussianMixture.random(6, seed=seed)
    back = mixture_of(ellipses_of(given), "back")
    np.testing.assert_allclose(back.weights, given.weights, rtol=1e-15)
    np.testing.assert_array_equal(back.means, given.means)
    # an eigendecomposition in float64 is good to a few units in the last place of the largest entry
    np.testing.assert_allclose(back.covariances, given.covariances, atol=1e-14 * given.covariances.max())
    scene = DrawData(mixture=given)
    assert scene.numbers()["sigma_data"] == pytest.approx(given.sigma_data, rel=1e-13)


def test_points_are_a_finite_set_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    xy = rng.uniform(-2, 2, (MOST_POINTS, 2)).astype(np.float32)
    labels = rng.integers(0, CLASSES, MOST_POINTS)
    scene = DrawData(points=xy, labels=labels)
    data = scene.data
    assert isinstance(data, FiniteSet)
    np.testing.assert_array_equal(data.x, xy)
    np.testing.assert_array_equal(data.labels, labels)
    numbers = scene.numbers()
    assert (numbers["points"], numbers["classes"], numbers["components"], numbers["scaled"]) == (MOST_POINTS, 10, 0, 1)
    assert numbers["sigma_data"] == data.sigma_data
    assert "entropy" not in numbers  # of a finite set there is none
    # points without classes have no labels: nobody conditions on nothing
    assert DrawData(points=xy[:5]).data.classes is None


def test_what_does_not_lie_well_is_fitted_and_the_scale_is_said() -> None:
    scene = DrawData()
    assert scene.set_points([[0, 0], [10, 5], [5, 5]], [0, 1, 2]) == 0.4
    np.testing.assert_array_equal(scene.data.x, np.float32([[-2, -1], [2, 1], [0, 1]]))  # type: ignore[union-attr]
    assert scene.numbers()["scaled"] == 0.4
    assert scene.set_points([[0, 0], [10, 5]], fit=False) == 1.0
    assert scene.data.range == (0.0, 10.0)
    assert scene.set_points(torch.tensor([[0.0, 1.0], [1.0, 0.0]])) == 1.0
    xy, scale = fitted(np.full((3, 2), 7.0))
    assert scale == 1.0
    assert not xy.any()


def test_the_browser_fits_alike() -> None:
    """`fitted` and the limits stand in Python and in TypeScript; this holds one to the other."""
    text = (JS / "src/scenes/drawn_points.ts").read_text()
    due = {"MOST_POINTS": MOST_POINTS, "CLASSES": CLASSES, "SHEET": SHEET, "FIT": FIT, "LEAST": LEAST}
    for name, value in due.items():
        found = re.search(rf"const {name} = ([\d_.]+);", text)
        assert found
        assert float(found[1].replace("_", "")) == value, name
    ellipses = (JS / "src/scenes/drawn_ellipses.ts").read_text()
    assert f"MOST_COMPONENTS = {MOST_COMPONENTS};" in ellipses
    node, rng = shutil.which("node"), np.random.default_rng(1)
    assert node, "node is missing: run `make test`, which installs it"
    sets = [rng.normal(size=(20, 2)) * s + m for s, m in ((1, 0), (30, 4), (0.01, 0), (1, 50))]
    code = f"""
        const {{ build }} = await import("esbuild");
        const out = await build({{ entryPoints: ["src/scenes/drawn_points.ts"], bundle: true, write: false, format: "esm" }});
        const made = await import("data:text/javascript;base64," + Buffer.from(out.outputFiles[0].text).toString("base64"));
        const sets = {json.dumps([s.ravel().tolist() for s in sets])};
        console.log(JSON.stringify(sets.map((s) => {{
            const {{ points, scale }} = made.fitted({{ xy: Float32Array.from(s), classes: new Uint8Array(s.length / 2) }});
            return [Array.from(points.xy), scale];
        }})));
    """
    said = subprocess.run([node, "--input-type=module", "-e", code], cwd=JS, capture_output=True, text=True, check=True)
    for given, (xy, scale) in zip(sets, json.loads(said.stdout), strict=True):
        mine, my_scale = fitted(given)
        # the browser begins with float32: 6e-8 of coordinates up to 53, over half widths of 0.02 at least
        assert scale == pytest.approx(my_scale, rel=1e-5)
        np.testing.assert_allclose(np.reshape(xy, (-1, 2)), mine, atol=1e-5)


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_preset_is_drawn_and_of_variance_one(name: str) -> None:
    scene = DrawData(name, seed=4)
    assert scene.preset == name
    # standardised in float64; points are kept in float32
    assert scene.data.sigma_data == pytest.approx(1.0, abs=1e-6)
    assert np.abs(scene.data.preview(500)[0]).max() < 4  # in sight, but for a tail
    again, other = DrawData(name, seed=4), DrawData(name, seed=5)
    assert (again.drawn, again.ellipses) == (scene.drawn, scene.ellipses)
    assert ((other.drawn, other.ellipses) == (scene.drawn, scene.ellipses)) == (name in ("ring", "grid"))
