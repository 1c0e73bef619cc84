import pytest
import torch

from difflab.data import GaussianMixture, digits
from difflab.training.batches import batches

CPU = torch.device("cpu")


def make(data, seed=0):
    return batches(data, CPU, torch.Generator().manual_seed(seed), labelled=True)


@pytest.mark.parametrize("data", [digits(), GaussianMixture.ring()], ids=lambda d: d.name)
@pytest.mark.parametrize("used", [0, 1, 3])
def test_a_restored_source_gives_the_very_next_batch(data, used):
    source = make(data)
    for _ in range(used):
        source.draw(16)
    state = source.state().clone()
    expected = [source.draw(16) for _ in range(5)]
    other = make(data, seed=1)
    other.draw(16)
    other.restore(state)
    for x, labels in expected:
        again, its_labels = other.draw(16)
        assert torch.equal(x, again)
        assert torch.equal(labels, its_labels)


def test_a_finite_set_s_batches_are_its_examples_with_their_labels():
    data = digits()
    x, labels = make(data).draw(16)
    for image, label in zip(x, labels, strict=True):
        same = (torch.from_numpy(data.x) == image).flatten(1).all(1)
        assert same.any()
        assert label in torch.from_numpy(data.labels)[same]


def test_every_example_is_as_likely():
    """Counts of 10 examples over 20,000 draws: chi-square of 9 degrees, 99.9 % point 27.9."""
    from difflab.data import FiniteSet

    source = batches(FiniteSet(torch.arange(10.0)[:, None]), CPU, torch.Generator().manual_seed(0), False)
    counts = torch.stack([source.draw(2000)[0].flatten().long().bincount(minlength=10) for _ in range(10)]).sum(0)
    assert ((counts - 2000.0) ** 2 / 2000).sum() < 27.9


def test_a_density_is_drawn_from_itself():
    data = GaussianMixture([1.0], [[3.0, -1.0]], [[4.0, 0.25]])
    source = batches(data, CPU, torch.Generator().manual_seed(0), False)
    x, labels = source.draw(512)
    assert labels is None
    x = torch.cat([x, *(source.draw(512)[0] for _ in range(99))])
    n = len(x)
    for d, (mean, std) in enumerate([(3.0, 2.0), (-1.0, 0.5)]):
        assert abs(x[:, d].mean() - mean) < 4 * std / n**0.5
        assert abs(x[:, d].std() - std) < 4 * std / (2 * n) ** 0.5
