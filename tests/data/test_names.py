"""The names by which data is asked for."""

import pytest

from difflab.data import NAMES, GaussianMixture, digits, mnist_5k, named, two_moons


def test_every_name_is_a_data_set_of_its_own():
    assert list(NAMES)[:6] == ["ring", "grid", "random", "moons", "digits", "mnist-5k"]
    assert named("digits") is digits()
    assert named("moons") is two_moons()
    assert named("mnist-5k") is mnist_5k()
    assert len({named(name).name for name in list(NAMES)[:6]}) == 6


def test_options_are_passed_on():
    assert named("ring", components=5, std=0.4).to_dict() == GaussianMixture.ring(5, std=0.4).to_dict()


@pytest.mark.parametrize("name", ["faces", "", None, ["ring"], 3])
def test_another_name_is_refused(name):
    with pytest.raises(ValueError, match=r"There is no data named .*; choose one of ring, grid, random, moons, digits"):
        named(name)
