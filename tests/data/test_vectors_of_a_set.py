"""Finite sets whose examples come with vectors, and who refuses to be asked of them."""

import numpy as np
import pytest
import torch

from difflab.chain import MarkovChain
from difflab.data import FiniteSet
from difflab.denoisers import ExactDenoiser
from difflab.elbo import optimal
from difflab.metrics import fisher_divergence
from difflab.mmse import profile
from difflab.objectives import floor, floor_profile
from difflab.schedules import VPCosine

X = np.random.default_rng(0).normal(size=(50, 2))
VECTORS = np.concatenate([2 * X, X[:, :1] ** 2], axis=1)  # each example's own, to be told again
DATA = FiniteSet(X, vectors=VECTORS)


def test_it_says_how_long_they_are_and_that_there_are_no_classes():
    assert (DATA.vector, DATA.classes, DATA.labels) == (3, None, None)
    assert DATA.vectors.dtype == np.float32
    assert FiniteSet(X).vector is None


@pytest.mark.parametrize("weights", [None, np.arange(1, 51) / 1275])
def test_examples_are_drawn_with_their_vectors(weights):
    data = FiniteSet(X, vectors=VECTORS, weights=weights)
    x, vectors = data.sample_labelled(1000, torch.Generator().manual_seed(0))
    assert vectors.dtype == torch.float32
    assert torch.equal(vectors[:, :2], 2 * x)  # twice a float32 is exact
    torch.testing.assert_close(vectors[:, 2], x[:, 0] ** 2, rtol=1e-6, atol=0)
    assert data.preview(5)[1] is None


def test_they_do_not_change_which_examples_are_drawn():
    def drawn(data):
        return data.sample(100, torch.Generator().manual_seed(3))

    assert torch.equal(drawn(DATA), drawn(FiniteSet(X)))


def test_an_observation_leaves_them_with_their_examples():
    seen = DATA.observed([[1.0, 0.0]], [0.5], 0.1)
    assert seen.weights is not None
    np.testing.assert_array_equal(seen.vectors, DATA.vectors)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"vectors": VECTORS[:-1]}, r"vectors must have the shape \(50, d\), one for each example, but got \(49, 3\)"),
        ({"vectors": VECTORS[:, 0]}, r"but got \(50,\)"),
        ({"vectors": VECTORS[:, :0]}, r"but got \(50, 0\)"),
        ({"vectors": [["a"]] * 50}, "vectors must be real numbers"),
        ({"vectors": np.full((50, 2), np.nan)}, "must be finite in float32"),
        ({"vectors": np.full((50, 2), 1e300)}, "must be finite in float32"),
        ({"vectors": VECTORS, "labels": [0] * 50}, "labels or vectors, not both"),
    ],
)
def test_vectors_that_are_none_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        FiniteSet(X, **options)


ORACLE = ExactDenoiser(DATA, VPCosine())
CHAIN = MarkovChain(VPCosine(), 10)
LEVELS = torch.linspace(-5, 5, 3)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: ORACLE(torch.zeros(3, 2), 0.5, torch.zeros(3, 3)),
        lambda: optimal(CHAIN, DATA, conditional=True),
        lambda: profile(ORACLE, DATA, LEVELS, conditional=True),
        lambda: floor(ORACLE, "v", conditional=True),
        lambda: floor_profile(ORACLE, "v", torch.tensor([0.5]), conditional=True),
        lambda: fisher_divergence(ORACLE, ORACLE, torch.tensor([0.5]), conditional=True),
    ],
)
def test_no_oracle_knows_what_a_vector_says(ask):
    with pytest.raises(ValueError, match="no classes") as caught:
        ask()
    assert "\n" not in str(caught.value)
