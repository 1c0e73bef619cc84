import math

import pytest
import torch

from difflab.data import GaussianMixture, digits, two_moons
from difflab.denoisers import ExactDenoiser, NetworkDenoiser
from difflab.objectives import floor_profile, loss_profile
from difflab.schedules import VPCosine
from difflab.training import Settings, fit, load, prepare, train

RING = GaussianMixture.ring()


def fresh(data=RING, seed=0, **options):
    return NetworkDenoiser.for_data(data, VPCosine(), seed=seed, **{"width": 16} | options)


def seeded(seed=7):
    return torch.Generator().manual_seed(seed)


def states_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_a_gaussian_is_learned_to_its_floor(prediction):
    """In one dimension E[x_0 | x_t] is a line at every t; the loss must come within 3 % of variance of the floor."""
    data = GaussianMixture([1.0], [[0.5]], 0.4**2)
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), prediction, width=64)
    ema = fit(
        denoiser,
        data,
        steps=1200,
        batch=256,
        lr=4e-3,
        decay="cosine",
        ema=0.98,
        generator=seeded(),
        progress=False,
        device="cpu",
    )
    oracle = ExactDenoiser(data, VPCosine())
    times = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])
    learned = loss_profile(ema, data, times, generator=seeded(1), oracle=oracle)
    floors = floor_profile(oracle, prediction, times, generator=seeded(1))
    scale = {"eps": 1.0, "x0": data.sigma_data**2, "v": 1.0}[prediction]
    assert ((learned.value - floors.value) >= 0).all()
    assert ((learned.value - floors.value) < 0.03 * scale).all(), (learned.value - floors.value) / scale


def test_classes_are_learned_apart_and_together():
    """Two far classes at t = 1, where x_t says nothing: told the class, E[x_0] is its mean; else the mean of both."""
    data = GaussianMixture(None, [[-2.0], [2.0]], 0.1**2)
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), "x0", conditional=True, width=32)
    settings = {"batch": 256, "lr": 5e-3, "label_dropout": 0.25, "ema": 0.98, "device": "cpu"}
    ema = fit(denoiser, data, steps=500, generator=seeded(), progress=False, **settings)
    x = torch.randn(256, 1, generator=seeded(2))
    for label, mean in ((0, -2.0), (1, 2.0)):
        assert (ema(x, 1.0, torch.full((256,), label)).mean - mean).abs().mean() < 0.4  # the classes are 4 apart
    assert ema(x, 1.0).mean.mean().abs() < 0.4


def test_label_dropout_takes_its_share_evenly_over_the_strata():
    run = prepare(
        fresh(digits(), conditional=True),
        digits(),
        steps=1,
        batch=200,
        label_dropout=0.1,
        generator=seeded(),
        device="cpu",
    )
    rows = run.blocks.unlabelled.nonzero().flatten()
    assert len(rows) == 20
    assert set(rows.diff().tolist()) == {10}
    for batch, share in ((200, 0.1), (128, 0.1), (7, 0.9), (3, 0.1), (30, 1.0)):
        settings = Settings(batch=batch, label_dropout=share)
        assert settings.unlabelled == settings.rows_without_label().double().mean()
    for share, forgotten in ((0.0, None), (1.0, 10)):
        run = prepare(fresh(digits(), conditional=True), digits(), steps=1, batch=8, label_dropout=share)
        _, labels = run.blocks.draw()
        assert (labels != 10).all() if forgotten is None else (labels == forgotten).all()


@pytest.mark.parametrize(
    ("data", "options", "settings"),
    [
        (RING, {}, {"batch": 32}),
        (RING, {"conditional": True}, {"batch": 32, "decay": "cosine", "clip_gradient": 0.5}),
        (digits(), {"conditional": True}, {"batch": 16, "weight_decay": 0.01}),
        (two_moons(), {}, {"batch": 32}),
    ],
    ids=["ring", "ring with classes", "digits", "moons"],
)
@pytest.mark.parametrize("interrupted_at", [1, 63, 64, 70])
def test_a_resumed_run_is_the_unbroken_run_to_the_bit(data, options, settings, interrupted_at, tmp_path):
    steps = 75
    common = {"steps": steps, "device": "cpu", **settings}
    *_, whole = train(fresh(data, **options), data, generator=seeded(), **common)
    for state in train(fresh(data, **options), data, generator=seeded(), **common):
        if state.step == interrupted_at:
            state.save(tmp_path / "c.safetensors")
            break
    rest = list(
        train(fresh(data, seed=9, **options), data, generator=seeded(8), resume=tmp_path / "c.safetensors", **common)
    )
    assert [s.step for s in rest] == list(range(interrupted_at + 1, steps + 1))
    states_equal(rest[-1].run.state(), whole.run.state())
    assert torch.equal(rest[-1].loss, whole.loss)


def test_the_same_seed_is_the_same_run_and_the_global_stream_is_not_touched():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    runs = [list(train(fresh(), RING, steps=5, batch=16, generator=seeded(), device="cpu"))[-1].run for _ in range(2)]
    states_equal(runs[0].state(), runs[1].state())
    assert torch.equal(before, torch.get_rng_state())


def test_each_next_is_one_step():
    denoiser = fresh()
    states = train(denoiser, RING, steps=3, batch=16, device="cpu")
    weights = [[p.detach().clone() for p in denoiser.parameters()]]
    for expected in (1, 2, 3):
        state = next(states)
        assert state.step == expected
        assert not state.loss.requires_grad
        assert math.isfinite(float(state.loss))
        weights.append([p.detach().clone() for p in denoiser.parameters()])
        assert any(not torch.equal(a, b) for a, b in zip(weights[-1], weights[-2], strict=True))
    assert next(states, None) is None


def test_the_learning_rate_warms_up_and_falls_as_asked():
    run = prepare(fresh(), RING, steps=100, lr=1.0, warmup=10, device="cpu")
    assert [run.settings.learning_rate(k, 100) for k in (1, 5, 10, 50, 100)] == pytest.approx([0.1, 0.5, 1, 1, 1])
    run = prepare(fresh(), RING, steps=100, lr=1.0, warmup=0, decay="cosine", device="cpu")
    assert [run.settings.learning_rate(k, 100) for k in (1, 51, 100)] == pytest.approx(
        [1, 0.5, (1 + math.cos(0.99 * math.pi)) / 2]
    )


def test_a_checkpoint_is_rewritten_on_the_way_and_at_the_end(tmp_path):
    path = tmp_path / "deep" / "checkpoint.safetensors"
    states = train(fresh(), RING, steps=7, batch=16, folder=path.parent, save_every=3, keep=1, device="cpu")
    seen = []
    for _ in range(7):
        state = next(states)
        seen.append(load(path).step if path.exists() else None)
    assert seen == [None, None, 3, 3, 3, 6, 7]
    assert sorted(p.name for p in path.parent.iterdir() if p.name not in ("lock", "writer")) == [
        "checkpoint-000000006.safetensors",
        "checkpoint.safetensors",
        "metrics.csv",
    ]
    states_equal(load(path).tensors, state.run.state())


def test_fit_shows_its_progress_and_returns_the_average(capsys):
    denoiser = fresh()
    ema = fit(denoiser, RING, steps=40, batch=16, generator=seeded(), device="cpu")
    shown = capsys.readouterr().err
    assert "40/40" in shown
    assert "loss=" in shown
    *_, state = train(fresh(), RING, steps=40, batch=16, generator=seeded(), device="cpu")
    for a, b in zip(ema.parameters(), state.ema.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_loop_imports_no_progress_bar():
    import subprocess
    import sys

    code = "import sys, difflab.training; assert 'tqdm' not in sys.modules, 'tqdm'"
    # torch itself may bring tqdm along: compare with torch alone
    bare = subprocess.run(
        [sys.executable, "-c", "import sys, torch; print('tqdm' in sys.modules)"], capture_output=True, text=True
    )
    if bare.stdout.strip() == "False":
        subprocess.run([sys.executable, "-c", code], check=True)
