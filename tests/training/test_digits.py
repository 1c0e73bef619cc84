"""A minute of training on one core, judged by a classifier and by distances: see benchmarks/digits.py and judge.py."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from difflab.data import FiniteSet, deformed, digits

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmarks():
    """(the benchmark's module, its judge's)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield tuple(importlib.import_module(name) for name in ("digits", "judge"))


def test_the_judge_and_the_network_never_see_what_is_held_out(benchmarks):
    _, judge = benchmarks
    data = digits()
    learned, held_out = judge.parted(data)
    assert (len(learned), len(held_out)) == (1437, 360)
    share = held_out.labels.size * np.bincount(data.labels) / len(data)
    assert np.abs(np.bincount(held_out.labels) - share).max() <= 1  # the same share of each class
    together = np.concatenate([learned.x, held_out.x]).reshape(len(data), -1)
    assert sorted(map(bytes, together)) == sorted(map(bytes, data.x.reshape(len(data), -1)))
    assert judge.Judge(learned, held_out).held_out > 0.98


def test_copies_and_new_images_are_told_apart(benchmarks):
    _, judge = benchmarks
    learned, held_out = judge.parted(digits())
    x, labels = torch.from_numpy(learned.x), torch.from_numpy(learned.labels)
    copied = judge.Neighbours.of(x[:300] + 1e-3, labels[:300], learned, held_out)
    assert max(copied.median, copied.mean, copied.lowest, copied.same_class, copied.among_learned) < 0.01
    real = torch.from_numpy(held_out.x), torch.from_numpy(held_out.labels)
    new = judge.Neighbours.of(*real, learned, held_out)
    assert new.median == new.mean == new.lowest == new.same_class == 1
    # by hand, of a few
    far = np.linalg.norm(held_out.x[:5].reshape(5, 1, 64) - learned.x.reshape(1, -1, 64), axis=2)
    np.testing.assert_allclose(judge.distances(real[0][:5], x), far.min(1), rtol=1e-5)
    np.testing.assert_allclose(judge.distances(real[0][:5], x, nth=2), np.sort(far, 1)[:, 1], rtol=1e-5)


def test_deformed_real_digits_are_as_readable_and_farther_away(benchmarks):
    """What the copies may teach: the judge still reads them, and they lie beyond 1.1 of a new digit's distance."""
    _, judge = benchmarks
    learned, held_out = judge.parted(digits())
    other = FiniteSet(held_out.x, held_out.labels, levels=17, range=held_out.range)
    moved = deformed(other, 4)
    x, labels = torch.from_numpy(moved.x[len(other) :]), torch.from_numpy(moved.labels[len(other) :])
    assert judge.Judge(learned, held_out).agreement(x, labels) > 0.96
    assert judge.Neighbours.of(x, labels, learned, held_out).median > 1.1


def test_sixty_cpu_seconds_give_digits_that_a_classifier_calls_right(benchmarks):
    benchmark, judge = benchmarks
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parts = judge.parted(digits())
        shown = benchmark.learned_from(parts[0], benchmark.COPIES)
        denoiser, steps, seconds = judge.trained(shown, 60, benchmark.NETWORK, benchmark.SETTINGS)
        assert seconds < 63
        x, labels = judge.drawn(denoiser, per_class=20)
    finally:
        torch.set_num_threads(before)
    assert labels.bincount().tolist() == [20] * 10
    agreement = judge.Judge(*parts).agreement(x, labels)
    near = judge.Neighbours.of(x, labels, *parts)
    print(f"{steps} steps in {seconds:.1f} CPU-seconds: {100 * agreement:.1f} % of 200 called right, {near.median:.2f}")
    assert agreement >= 0.9
    assert near.median >= 1.1
    # not one picture over and over: the samples of a class differ about as much as real digits of a class do
    data = digits()
    for label in range(10):
        real = torch.from_numpy(data.x[data.labels == label]).flatten(1)
        assert torch.pdist(x[labels == label].flatten(1)).mean() > 0.7 * torch.pdist(real).mean()
