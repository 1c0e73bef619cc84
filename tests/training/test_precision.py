"""In what a network computes: what the hardware has is measured, what is not there is refused, and bfloat16 stays near float32.

The hardware is made to have it or not: on this machine through what `precision` asks of it, and in a process of its own through
oneDNN, which is told to use no instructions newer than AVX2: then torch emulates bfloat16, for real.
"""

import os
import subprocess
import sys

import pytest
import torch

from difflab.data import GaussianMixture, digits
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import load, precision, prepare, train
from difflab.training.forward import Forward
from difflab.training.precision import autocast, resolved, slowdown

CPU = torch.device("cpu")
RING = GaussianMixture.ring()


@pytest.fixture
def machine(monkeypatch):
    """machine(has, ratio): one that says whether it `has` bfloat16 and takes `ratio` times as long with it."""

    def made(has, ratio):
        monkeypatch.setattr(precision, "in_hardware", lambda device: has)
        monkeypatch.setattr(precision, "slowdown", lambda device: ratio)

    return made


def fresh(**options):
    return NetworkDenoiser.for_data(RING, VPCosine(), width=16, **options)


def options(**changes):
    return {"batch": 64, "device": "cpu", "generator": torch.Generator().manual_seed(3)} | changes


def test_float32_asks_nobody(machine):
    machine(True, 0.0)
    assert resolved("float32", CPU) == "float32"


def test_auto_needs_the_hardware_and_a_measurement(machine):
    for has in (True, False, None):
        for ratio in (0.2, 0.9, 1.1, 18.0, float("inf")):
            machine(has, ratio)
            assert resolved("auto", CPU) == ("bfloat16" if has is not False and ratio < 0.95 else "float32")


@pytest.mark.parametrize(("has", "ratio", "said"), [
    (False, 18.4, "18.4 times as slowly"),
    (True, 18.4, "18.4 times as slowly"),  # what a machine says of itself is not enough
    (False, 0.5, "0.5 times as slowly"),
    (None, float("inf"), "takes no bfloat16"),
])  # fmt: skip
def test_what_is_not_there_is_refused_with_what_was_found(machine, has, ratio, said):
    machine(has, ratio)
    with pytest.raises(
        ValueError, match=r"precision cannot be 'bfloat16' here: this cpu has no arithmetic for it"
    ) as refused:
        train(fresh(), RING, steps=1, **options(precision="bfloat16"))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_auto_measures_the_network_s_own_step(machine):
    """One that gains nothing stays in float32 on a machine that multiplies quickly."""
    machine(True, 0.1)
    assert resolved("auto", CPU, lambda computed: sum(range(200_000 if computed == "bfloat16" else 1000))) == "float32"
    assert resolved("auto", CPU, lambda computed: sum(range(200_000 if computed == "float32" else 1000))) == "bfloat16"


def test_auto_goes_on_as_before_where_it_can(machine):
    for has, before, due in (
        (True, "float32", "float32"),
        (True, "bfloat16", "bfloat16"),
        (False, "bfloat16", "float32"),
    ):
        machine(has, 0.1)
        assert resolved("auto", CPU, before=before) == due


def test_trying_moves_no_stream_and_changes_no_weight(machine):
    machine(True, 0.1)
    plain, tried = (
        prepare(fresh(), RING, steps=9, **options(precision=p, label_dropout=0.3)) for p in ("float32", "auto")
    )
    one, other = plain.state(), tried.state()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one if not name.startswith("streams/"))
    batches = [run.blocks.draw()[0] for run in (plain, tried)]
    assert torch.equal(batches[0].shown, batches[1].shown)


def test_a_resumed_run_computes_as_it_did(machine, tmp_path):
    """ "auto" may measure otherwise the second time; the run goes on to the bit all the same."""
    machine(True, 0.1)
    faster = {"now": True}

    def ratio(first, second, device):
        return 0.1 if faster["now"] else 2.0

    precision_ratio, precision._ratio = precision._ratio, ratio
    try:
        *_, unbroken = train(fresh(), RING, steps=8, **options(precision="auto"))
        *_, first = train(fresh(), RING, steps=5, folder=tmp_path, **options(precision="auto"))
        faster["now"] = False
        *_, second = train(fresh(), RING, steps=8, folder=tmp_path, resume=True, **options(precision="auto"))
        *_, anew = train(fresh(), RING, steps=8, **options(precision="auto"))
    finally:
        precision._ratio = precision_ratio
    assert [s.run.config["training"]["computed"] for s in (unbroken, first, second, anew)] == [
        *["bfloat16"] * 3,
        "float32",
    ]
    assert load(tmp_path / "checkpoint.safetensors").config["training"]["computed"] == "bfloat16"
    weights = [torch.cat([p.flatten() for p in s.run.parameters]) for s in (unbroken, second, anew)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("data", ["ring", "digits"])
def test_bfloat16_stays_within_its_rounding_of_float32(data):
    """bfloat16 keeps 8 bits: a rounding is 2^-9 of a value. Weights, inputs and outputs of each layer are rounded, by the
    independent errors of a dot product to about 2^-9 of its size in the mean; some 6 to 30 roundings one after the other, each
    magnified by a layer by less than 2: 2^-9 sqrt(30) 2 = 0.02 of the answer's size. That they happen at all: more than 1e-4."""
    given = RING if data == "ring" else digits()
    denoiser = NetworkDenoiser.for_data(given, VPCosine(), conditional=data == "digits")
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():  # fresh networks answer 0
        for p in denoiser.parameters():
            p.add_(torch.randn(p.shape, generator=g), alpha=0.02)
    x = torch.randn(32, *given.shape, generator=g)
    level = torch.linspace(-2, 2, 32)
    labels = torch.arange(32) % 10 if data == "digits" else None
    one = Forward(denoiser, CPU)(x, level, labels)
    other = Forward(denoiser, CPU, computed="bfloat16")(x, level, labels)
    assert other.dtype == torch.float32
    far = (one - other).norm() / one.norm()
    assert 1e-4 < far < 0.02
    assert all(p.dtype == torch.float32 for p in denoiser.parameters())
    other.square().mean().backward()
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in denoiser.parameters())


def test_training_in_bfloat16_keeps_all_else_in_float32(machine):
    machine(True, 0.1)
    runs = []
    for computed in ("float32", "bfloat16"):
        run = prepare(fresh(), RING, steps=20, **options(precision=computed))
        loss = run.loss()
        assert loss.dtype == torch.float32
        run.descend(loss)
        assert {v.dtype for k, v in run.state().items() if k.startswith(("weights/", "ema/", "exp_avg"))} == {
            torch.float32
        }
        runs.append((float(loss.detach()), torch.cat([p.detach().flatten() for p in run.parameters])))
    # the same batch: the answers are 2 % apart at most, the squared errors so no more than twice that
    assert runs[0][0] == pytest.approx(runs[1][0], rel=0.04)
    assert not torch.equal(runs[0][1], runs[1][1])


def test_the_context_is_of_the_device():
    with autocast("bfloat16", CPU):
        assert torch.is_autocast_enabled("cpu")
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16
    with autocast("float32", CPU):
        assert not torch.is_autocast_enabled("cpu")


def test_this_machine_is_measured_once():
    slowdown.cache_clear()
    ratio = slowdown(CPU)
    assert 0.01 < ratio < 10_000
    assert slowdown(CPU) == ratio
    assert slowdown.cache_info().misses == 1


EMULATED = """
import torch
from difflab.training.precision import resolved, slowdown
cpu = torch.device("cpu")
assert slowdown(cpu) > 3, slowdown(cpu)
assert resolved("auto", cpu) == "float32"
try:
    resolved("bfloat16", cpu)
except ValueError as error:
    print(error)
"""


def test_a_cpu_without_the_instructions_for_real():
    """torch computes bfloat16 by conversion there, tens of times as slowly: 18 to 90 times where it was measured."""
    limited = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", EMULATED], env=limited, capture_output=True, text=True, check=False)
    if "AssertionError" in done.stderr and torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        pytest.skip("another architecture, which oneDNN does not limit so")
    assert done.returncode == 0, done.stderr
    assert (
        "precision cannot be 'bfloat16' here: this cpu has no arithmetic for it, and multiplied matrices" in done.stdout
    )
