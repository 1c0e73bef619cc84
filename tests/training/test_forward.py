"""The compiled network beside the plain one. One test compiles, for that takes half a minute."""

import pytest
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import load, prepare, train

RING = GaussianMixture.ring()


def fresh():
    return NetworkDenoiser.for_data(RING, VPCosine(), width=16)


def options(**changes):
    return {"batch": 64, "device": "cpu", "generator": torch.Generator().manual_seed(3)} | changes


def flat(parameters):
    return torch.cat([p.detach().flatten() for p in parameters])


def test_a_compiled_run_is_the_plain_one_and_goes_on_as_it(tmp_path):
    """The same sums in another order: float32's rounding of 6e-8, in some 20 operations, so 1e-6 of a loss. Adam divides by the
    root of a squared gradient that is tiny at first, which magnifies roundings; after 6 steps of 4e-5 to 2.4e-4 each (the
    warm-up) the weights lie within a hundredth of what they moved."""
    plain_states = list(train(fresh(), RING, steps=6, **options(folder=tmp_path / "plain")))
    states, called = [], []
    for state in train(fresh(), RING, steps=6, **options(folder=tmp_path / "compiled", compile=True)):
        states.append(state)
        called.append(state.run.forward._compiled)
    assert called[0] is not None
    assert not states[-1].run.forward.plain
    losses = [torch.stack([s.loss for s in run]) for run in (plain_states, states)]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-6, atol=0)
    start = flat(fresh().parameters())
    one, other = (flat(run[-1].run.parameters) for run in (plain_states, states))
    assert (other - one).norm() < 0.01 * (one - start).norm()

    plain, compiled = (load(tmp_path / name / "checkpoint.safetensors") for name in ("plain", "compiled"))
    assert plain.tensors.keys() == compiled.tensors.keys()
    assert not any("_orig_mod" in name for name in compiled.tensors)
    *_, further = train(fresh(), RING, steps=8, resume=compiled, **options())  # goes on without a compiler
    assert further.step == 8
    run = states[-1].run
    for network in (run.denoiser.network, run.ema.module.network):  # what is sampled from
        assert type(network).__name__ == "MLP"
        assert getattr(network, "_compiled_call_impl", None) is None


def test_nothing_to_compile_with_is_told_before_the_first_step(monkeypatch):
    monkeypatch.setenv("CXX", "/nowhere/c++")
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/nowhere/c++",))
    from torch._inductor import cpp_builder

    for name in ("get_cpp_compiler", "cpp_compiler_search"):  # they remember what they found
        getattr(getattr(cpp_builder, name, None), "cache_clear", lambda: None)()
    try:
        with pytest.raises(
            ValueError, match=r"^compile cannot be True here: .*; install a compiler, or set compile to False\.$"
        ):
            prepare(fresh(), RING, steps=1, **options(compile=True))
    finally:
        for name in ("get_cpp_compiler", "cpp_compiler_search"):
            getattr(getattr(cpp_builder, name, None), "cache_clear", lambda: None)()
