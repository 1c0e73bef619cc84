"""Training and sampling with vectors for conditions, on a problem whose answer is a formula.

x_0 = A c + s z with standard normal c and z. Given c, and x_t = alpha x_0 + sigma eps,

    E[x_0 | x_t, c] = A c + g (x_t - alpha A c),   g = alpha s^2 / (alpha^2 s^2 + sigma^2);

without c the prior is N(0, C), C = A A' + s^2 I, and E[x_0 | x_t] = alpha C (alpha^2 C + sigma^2 I)^-1 x_t.
"""

import numpy as np
import pytest
import torch

from difflab.data import FiniteSet
from difflab.denoisers import Conditioned, NetworkDenoiser
from difflab.denoisers.consistency import ConsistencyDenoiser
from difflab.denoisers.guidance import ClassifierFree
from difflab.objectives import loss_profile
from difflab.objectives.consistency import ConsistencyTraining
from difflab.samplers import sample
from difflab.schedules import VPCosine
from difflab.training import CheckpointError, load, prepare, train
from difflab.training.few_step import train_few_step
from difflab.training.fingerprint import fingerprint

A, S = torch.tensor([[0.8, 0.0, -0.3], [0.2, 0.6, 0.4]], dtype=torch.float64), 0.4
SCHEDULE = VPCosine()


def examples(n, seed=0):
    rng = np.random.default_rng(seed)
    c = rng.standard_normal((n, 3))
    return c @ A.numpy().T + S * rng.standard_normal((n, 2)), c


def data(n=30_000):
    x, c = examples(n)
    return FiniteSet(x, vectors=c, name="linear Gaussian")


def given(x_t, alpha, sigma, c):
    prior = c @ A.T
    return prior + alpha * S**2 / (alpha**2 * S**2 + sigma**2) * (x_t - alpha * prior)


def without(x_t, alpha, sigma):
    cov, one = A @ A.T + S**2 * torch.eye(2), torch.eye(2, dtype=torch.float64)
    alpha, sigma = alpha[:, :, None], sigma[:, :, None]
    return (alpha * cov @ torch.linalg.inv(alpha**2 * cov + sigma**2 * one) @ x_t[:, :, None]).squeeze(2)


@pytest.fixture(scope="module")
def trained():
    torch.set_num_threads(1)
    denoiser = NetworkDenoiser.for_data(data(), SCHEDULE, conditional=True, width=64)
    options = {"lr": 5e-3, "decay": "cosine", "ema": 0.99, "label_dropout": 0.2, "device": "cpu"}
    *_, state = train(denoiser, data(), steps=1000, generator=torch.Generator().manual_seed(0), **options)
    return state


@pytest.fixture(scope="module")
def asked():
    """(x_t, t, alpha, sigma, c, x_0) of 20,000 fresh examples at random times, float64."""
    x0, c = (torch.from_numpy(a) for a in examples(20_000, seed=1))
    generator = torch.Generator().manual_seed(1)
    t = torch.rand(len(x0), generator=generator, dtype=torch.float64)
    alpha, sigma = (a[:, None] for a in SCHEDULE.alpha_sigma(t))
    x_t = alpha * x0 + sigma * torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    return x_t, t, alpha, sigma, c, x0


def excess(one, other):
    return float((one.double() - other).square().sum(1).mean())


@torch.no_grad()
def test_a_network_learns_both_closed_forms(trained, asked):
    x_t, t, alpha, sigma, c, x0 = asked
    with_c, without_c = given(x_t, alpha, sigma, c), without(x_t, alpha, sigma)
    apart = excess(with_c, without_c)
    # the formulas themselves: what is left is uncorrelated with what is known, so that errors add up
    assert excess(x0, without_c) == pytest.approx(excess(x0, with_c) + apart, rel=0.03)
    denoiser = trained.ema
    told = denoiser(x_t.float(), t.float(), c.float()).mean
    untold = denoiser(x_t.float(), t.float()).mean
    # how near a network comes after 1000 steps has no formula; unheard, the vectors would leave a ratio of 1 or more
    assert excess(told, with_c) < 0.01 * apart
    assert excess(untold, without_c) < 0.01 * apart
    mixed = denoiser(
        x_t.float(), t.float(), c.float().masked_fill(torch.arange(len(c))[:, None] % 2 == 0, torch.nan)
    ).mean
    rows = torch.arange(len(c)) % 2 == 0
    torch.testing.assert_close(mixed, torch.where(rows[:, None], untold, told), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_guidance_of_weight_0_is_without_and_of_weight_1_is_with(trained, asked):
    x_t, t, _, _, c, _ = (a.float() for a in asked)
    denoiser = trained.ema
    for weight, due in ((0.0, denoiser(x_t, t)), (1.0, denoiser(x_t, t, c))):
        assert torch.equal(ClassifierFree(denoiser, weight)(x_t, t, c).mean, due.mean)
        assert torch.equal(Conditioned(ClassifierFree(denoiser, weight), c)(x_t, t).mean, due.mean)
    twice = ClassifierFree(denoiser, 2.0)(x_t, t, c).mean
    torch.testing.assert_close(twice, 2 * denoiser(x_t, t, c).mean - denoiser(x_t, t).mean, rtol=0, atol=1e-5)


def test_samples_are_of_the_law_given_the_vector(trained):
    c = torch.tensor([[1.0, -1.0, 0.5], [-2.0, 0.0, 1.0]]).repeat_interleave(4000, 0)
    *_, last = sample(Conditioned(trained.ema, c), n=len(c), generator=torch.Generator().manual_seed(0))
    for rows, one in ((last.x[:4000], c[0]), (last.x[4000:], c[4000])):
        # of 4000 samples a mean is off by 0.4 / 63 = 0.006 and a spread by 0.0045; the rest is the network's
        torch.testing.assert_close(rows.double().mean(0), A @ one.double(), rtol=0, atol=0.05)
        torch.testing.assert_close(rows.double().std(0), torch.full((2,), S).double(), rtol=0, atol=0.04)


def test_a_checkpoint_says_how_long_the_vectors_are(trained, tmp_path):
    trained.save(tmp_path / "it.safetensors")
    loaded = load(tmp_path / "it.safetensors")
    assert loaded.config["data"]["vector"] == 3
    assert (loaded.denoiser.vector, loaded.denoiser.classes) == (3, None)
    x, c = torch.randn(5, 2), torch.randn(5, 3)
    assert torch.equal(loaded.denoiser(x, 0.5, c).mean, trained.ema(x, 0.5, c).mean)
    x, c = examples(30_000)
    other = FiniteSet(x, vectors=2 * c, name="linear Gaussian")
    assert fingerprint(other) != fingerprint(data())
    fresh = NetworkDenoiser.for_data(other, SCHEDULE, conditional=True, width=64)
    with pytest.raises(CheckpointError, match="trained on other data of the name 'linear Gaussian'"):
        prepare(fresh, other, steps=2000, resume=tmp_path / "it.safetensors", device="cpu")


def test_a_run_goes_on_to_the_bit(tmp_path):
    def run(**options):
        denoiser = NetworkDenoiser.for_data(data(500), SCHEDULE, conditional=True, width=16)
        generator = torch.Generator().manual_seed(5)
        return train(denoiser, data(500), steps=12, batch=32, device="cpu", generator=generator, **options)

    *_, whole = run()
    half = run()
    for _ in range(5):
        state = next(half)
    state.save(tmp_path / "half.safetensors")
    *_, resumed = run(resume=tmp_path / "half.safetensors")
    one, other = whole.run.state(), resumed.run.state()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_a_share_of_rows_is_trained_without_its_vector():
    denoiser = NetworkDenoiser.for_data(data(500), SCHEDULE, conditional=True, width=16)
    run = prepare(denoiser, data(500), steps=3, batch=40, label_dropout=0.25, device="cpu")
    _, labels = run.blocks.draw()
    assert labels.shape == (40, 3)
    assert int(labels.isnan().all(1).sum()) == 10
    assert int(labels.isfinite().all(1).sum()) == 30


def test_a_loss_profile_is_with_the_vectors(trained):
    t = torch.tensor([0.3, 0.7])
    found = loss_profile(trained.ema, data(), t, n=20_000, generator=torch.Generator().manual_seed(2))
    alpha, sigma = SCHEDULE.alpha_sigma(t.double())
    # v = alpha eps - sigma x_0 is off by |x_0 - E x_0| / sigma, and the variance of x_0 given x_t and c is that of a Gaussian
    floor = S**2 * sigma**2 / (alpha**2 * S**2 + sigma**2) / sigma**2
    torch.testing.assert_close(found.value, floor, rtol=0.05, atol=0)
    assert (found.value > floor - 4 * found.error).all()


def test_few_step_models_are_trained_with_vectors():
    model = ConsistencyDenoiser.for_data(data(500), conditional=True, width=16)
    assert model.vector == 3
    *_, state = train_few_step(
        model,
        data(500),
        ConsistencyTraining(),
        steps=3,
        batch=16,
        device="cpu",
        generator=torch.Generator().manual_seed(0),
    )
    moved = dict(state.model.named_parameters())["denoiser.network.condition.vector.weight"]
    fresh = ConsistencyDenoiser.for_data(data(500), conditional=True, width=16)
    first = dict(fresh.named_parameters())["denoiser.network.condition.vector.weight"]
    assert (moved - first).abs().max() > 0


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda d: d(X, 0.5, torch.zeros(3)), ValueError, r"labels must be 3 vectors of 3 floating-point numbers, .* got \(3,\)"),
        (lambda d: d(X, 0.5, torch.zeros(3, 2)), ValueError, r"got \(3, 2\) of torch.float32"),
        (lambda d: d(X, 0.5, torch.zeros(3, 3).long()), ValueError, r"got \(3, 3\) of torch.int64"),
        (lambda d: d(X, 0.5, [[0.0] * 3] * 3), TypeError, "labels must be a tensor of 3 vectors of 3 numbers"),
        (lambda d: d(X, 0.5, torch.full((3, 3), torch.inf)), ValueError, "must be finite, or all of them nan for none"),
        (lambda d: d(X, 0.5, torch.tensor([[0.0, torch.nan, 0.0]] * 3)), ValueError, "all of them nan for none"),
        (lambda d: train(d, UNTOLD, steps=1), ValueError, "it knows vectors of 3 numbers, and points has none"),
        (lambda d: train(d, LABELLED, steps=1), ValueError, "it knows vectors of 3 numbers, and points has 2 classes"),
        (lambda d: NetworkDenoiser.for_data(UNTOLD, SCHEDULE, conditional=True), ValueError, "no classes and no vectors"),
    ],
)  # fmt: skip
def test_labels_that_are_no_vectors_are_refused(call, kind, sentence):
    denoiser = NetworkDenoiser.for_data(data(50), SCHEDULE, conditional=True, width=8)
    with pytest.raises(kind, match=sentence) as caught:
        call(denoiser)
    assert "\n" not in str(caught.value)


X = torch.zeros(3, 2)
UNTOLD = FiniteSet([[0.0, 1.0], [1.0, 0.0]], name="points")
LABELLED = FiniteSet([[0.0, 1.0], [1.0, 0.0]], [0, 1], name="points")


def test_a_sweep_states_no_floor_that_a_vector_gets_below(tmp_path):
    """The vector says in which of two far apart points x_0 lies, which no oracle of this library is told."""
    from concurrent.futures import ThreadPoolExecutor

    import difflab

    which = np.arange(100)[:, None] % 2
    np.savez(tmp_path / "two.npz", x=4.0 * which - 2, vectors=which)
    config = {
        "data": {"name": "array", "path": str(tmp_path / "two.npz")},
        "model": {"width": 8, "depth": 1},
        "training": {"steps": 5, "batch": 8, "device": "cpu"},
    }
    with ThreadPoolExecutor(1) as threads:
        for conditional, has_floor in ((True, False), (False, True)):
            model = config["model"] | {"conditional": conditional}
            runs = difflab.sweep(
                {"a": config | {"model": model}}, executor=threads, folder=tmp_path / str(conditional)
            ).wait()
            assert runs["a"].state == "finished", runs["a"].error
            assert (runs["a"].floor is not None) is has_floor
