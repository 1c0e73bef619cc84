"""Recipes of small networks, as files."""

import pytest

RECIPE = """
[data]
name = "{data}"
[model]
width = 16
conditional = true
[training]
steps = {steps}
batch = 16
device = "cpu"
"""


@pytest.fixture(scope="session")
def recipe():
    """recipe(folder, data, steps): the path of a recipe in that folder."""

    def write(folder, data="digits", steps=4):
        path = folder / "recipe.toml"
        path.write_text(RECIPE.format(data=data, steps=steps))
        return path

    return write
