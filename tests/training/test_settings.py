"""Rates of learning in closed form, and what settings refuse."""

import math
from itertools import pairwise

import pytest

from difflab.training import Settings
from difflab.training.recipe import RecipeError, read, recipe_from

STEPS = 1000


def rates(decay, steps=STEPS, **options):
    settings = Settings(lr=0.5, decay=decay, **{"warmup": 0} | options)
    return [settings.learning_rate(step, steps) for step in range(1, steps + 1)]


def test_the_warm_up_rises_in_equal_parts_and_is_there_with_every_decay():
    for decay in ("constant", "cosine", "linear", "inverse-sqrt", "trapezoid"):
        with_, without = rates(decay, warmup=50), rates(decay)
        for k in range(1, STEPS + 1):
            assert with_[k - 1] == pytest.approx(without[k - 1] * min(1, k / 50), rel=1e-12)


def test_constant_is_constant():
    assert set(rates("constant")) == {0.5}


def test_cosine_and_linear_would_be_zero_one_step_after_the_last():
    """n equal parts from the full rate on: the last step, too, is of use."""
    assert rates("linear") == pytest.approx([0.5 * (STEPS + 1 - k) / STEPS for k in range(1, STEPS + 1)], rel=1e-12)
    half = [0.25 + 0.25 * math.cos(math.pi * (k - 1) / STEPS) for k in range(1, STEPS + 1)]
    assert rates("cosine") == pytest.approx(half, rel=1e-12)
    assert min(rates("linear") + rates("cosine")) > 0


def test_inverse_sqrt_is_the_paper_s():
    """alpha_ref / sqrt(max(t / t_ref, 1)): Karras et al. 2024, eq. 67."""
    found = rates("inverse-sqrt", decay_after=100)
    assert set(found[:100]) == {0.5}
    for k in (101, 200, 400, 1000):
        assert found[k - 1] == pytest.approx(0.5 * (100 / k) ** 0.5, rel=1e-12)
    assert found[399] == pytest.approx(0.25, rel=1e-12)  # a quarter of the way to the square


def test_trapezoid_falls_over_the_last_fifth():
    found = rates("trapezoid")
    assert set(found[:800]) == {0.5}
    assert found[800:] == pytest.approx([0.5 * (STEPS + 1 - k) / 200 for k in range(801, 1001)], rel=1e-12)


@pytest.mark.parametrize("decay", ["constant", "cosine", "linear", "inverse-sqrt", "trapezoid"])
def test_no_rate_jumps(decay):
    """The steepest slope is the trapezoid's, lr / 200 a step (pi / 2 / 1000 lr of the cosine, lr / 50 of the warm-up)."""
    found = rates(decay, warmup=50, decay_after=100)
    assert max(abs(b - a) for a, b in pairwise(found)) <= 0.5 / 50 * (1 + 1e-9)
    assert max(abs(b - a) for a, b in pairwise(found[50:])) <= 0.5 / 200 * (1 + 1e-9)


def test_what_may_stop_at_any_time_does_not_know_how_long_it_is_to_be():
    for decay in ("constant", "inverse-sqrt"):
        assert rates(decay, 1000, warmup=50, decay_after=100) == rates(decay, 5000, warmup=50, decay_after=100)[:1000]
    for decay in ("cosine", "linear", "trapezoid"):
        assert rates(decay, 1000) != rates(decay, 5000)[:1000]


def test_lengths_may_come_as_a_list_and_become_a_tuple():
    settings = Settings(averages=[0.05, 0.1])
    assert settings.averages == (0.05, 0.1)
    assert hash(settings) == hash(Settings(averages=(0.05, 0.1)))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("averages", 0.05, "a list of lengths"),
        ("averages", "0.05", "a list of lengths"),
        ("averages", [0.05, 0.3], "at most 1/sqrt"),
        ("averages", [0.0], "above 0"),
        ("averages", [0.1, "b"], "share of the training"),
        ("averages", [float("nan")], "share of the training"),
        ("averages", [0.1, 0.1], "different lengths"),
        ("averages", [i / 100 for i in range(1, 10)], "at most 8"),
        ("decay", "step", "one of constant, cosine"),
        ("decay_after", 0, "whole number of at least 1"),
        ("decay_after", 1.5, "whole number of at least 1"),
        ("precision", "float16", "one of float32, bfloat16, auto"),
        ("precision", [], "one of float32, bfloat16, auto"),
        ("compile", "yes", "True or False"),
        ("compile", 1, "True or False"),
    ],
)
def test_one_sentence_names_the_setting_what_it_got_and_what_is_allowed(name, value, allowed):
    with pytest.raises(ValueError, match=name) as refused:
        Settings(**{name: value})
    said = str(refused.value)
    assert allowed in said
    assert said.endswith(".")
    assert "\n" not in said
    got = value[-1] if allowed.startswith(("at most 1/", "above 0", "share")) else value
    assert f"got {got!r}" in said


def test_a_recipe_s_lists_and_names_are_settings(tmp_path):
    recipe = recipe_from(
        {"data": {"name": "ring"}, "training": {"steps": 3, "averages": [0.05, 0.1], "precision": "auto"}}
    )
    assert recipe.training == {"steps": 3, "averages": [0.05, 0.1], "precision": "auto"}
    trainer = recipe.trainer(device="cpu", batch=8)
    assert trainer.settings.averages == (0.05, 0.1)
    trainer.stop()
    path = tmp_path / "long.toml"
    path.write_text('data.name = "ring"\n[training]\nsteps = 3\naverages = [0.05, 0.5]\n')
    with pytest.raises(RecipeError, match=r"^long.toml: training.averages must be a share .*, but got 0.5\.$"):
        read(path)
    with pytest.raises(
        RecipeError, match=r"^recipe: training.precision must be one of float32, bfloat16, auto, but got 'half'\.$"
    ):
        recipe_from({"data": {"name": "ring"}, "training": {"steps": 3, "precision": "half"}})
