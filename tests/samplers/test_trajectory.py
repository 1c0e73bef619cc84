"""What is kept of a run: the frames that were asked for, as they were, through a file and back."""

import json
import math
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from difflab.data import GaussianMixture
from difflab.denoisers import ExactDenoiser
from difflab.samplers import DDIM, Ancestral, Heun, Trajectory, grids, sample
from difflab.samplers.chains.bridge import bridge
from difflab.schedules import Geometric, VPCosine

S = VPCosine()
ORACLE = ExactDenoiser(GaussianMixture.ring(), S)


def states(sampler=Ancestral(), steps=10, n=4, dtype=torch.float32):  # noqa: B008 (frozen)
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(1)).to(dtype)
    return sample(ORACLE, sampler, grids.uniform(S, steps), x=x, generator=torch.Generator().manual_seed(0))


def same(one, other):
    for name in ("times", "states", "steps", "evaluations"):
        assert torch.equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype
    assert (one.denoised is None) == (other.denoised is None)
    assert one.denoised is None or torch.equal(one.denoised.nan_to_num(9.0), other.denoised.nan_to_num(9.0))
    assert list(one.noise) == list(other.noise)
    assert all(torch.equal(one.noise[k], other.noise[k]) for k in one.noise)


def test_keeps_every_state_as_it_was():
    run, kept = list(states()), Trajectory.of(states(), noise=True, denoised=True)
    assert (len(kept), kept.n, kept.shape) == (11, 4, (2,))
    assert kept.times.tolist() == [s.t for s in run]
    assert kept.steps.tolist() == kept.evaluations.tolist() == list(range(11))
    for frame, mean, state in zip(kept.states, kept.denoised, run, strict=True):
        assert torch.equal(frame, state.x)
        assert mean.isnan().all() if state.denoised is None else torch.equal(mean, state.denoised)
    assert torch.equal(kept.final, run[-1].x)
    assert list(kept.noise) == list(range(1, 10))  # the last step draws nothing
    assert Trajectory.of(states()).noise == {}
    assert Trajectory.of(states()).denoised is None


def test_the_run_can_be_walked_again_from_what_is_kept():
    """Times, first state, means and noise are all that ancestral sampling is made of."""
    kept = Trajectory.of(states(dtype=torch.float64), noise=True, denoised=True)
    x = kept.states[0]
    for k, (t, s) in enumerate(zip(kept.times[:-1].tolist(), kept.times[1:].tolist(), strict=True), 1):
        b = bridge(S, t, s)
        x = b.c_x * x + b.c_0 * kept.denoised[k] + (b.var**0.5 * kept.noise[k] if s else 0)
        torch.testing.assert_close(x, kept.states[k], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("thinning", "steps"),
    [
        ({"every": 1}, list(range(11))),
        ({"every": 4}, [0, 4, 8, 10]),
        ({"every": 5}, [0, 5, 10]),
        ({"every": 99}, [0, 10]),
        ({"keep": 2}, [0, 10]),
        ({"keep": 5}, [0, 2, 5, 8, 10]),  # 2.5 and 7.5, to the even one
        ({"keep": 11}, list(range(11))),
        ({"keep": 60}, list(range(11))),
    ],
)
def test_thinning_on_the_way_and_afterwards(thinning, steps):
    whole, thin = Trajectory.of(states(), noise=True), Trajectory.of(states(), noise=True, **thinning)
    assert thin.steps.tolist() == thin.evaluations.tolist() == steps
    assert torch.equal(thin.states, whole.states[steps])
    assert list(thin.noise) == list(whole.noise)  # also between the frames
    same(whole.thinned(**thinning), thin)


def test_a_run_that_was_cut_short_keeps_where_it_came():
    def some():
        for state in states():
            if state.index == 7:
                return
            yield state

    assert Trajectory.of(some(), every=5).steps.tolist() == [0, 5, 6]
    assert Trajectory.of(some(), keep=3).steps.tolist() == [0, 5, 6]


def test_counts_what_a_step_cost():
    kept = Trajectory.of(states(Heun(), steps=4))
    assert kept.evaluations.tolist() == [0, 2, 4, 6, 7]  # the last step is Euler's


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("more", [{}, {"noise": True, "denoised": True}])
def test_comes_back_from_a_file_bit_by_bit(tmp_path, dtype, more):
    kept = Trajectory.of(states(steps=12, dtype=dtype), every=3, **more)
    kept.save(tmp_path / "run.safetensors")
    same(Trajectory.load(tmp_path / "run.safetensors"), kept)


def test_the_file_is_plain_safetensors(tmp_path):
    Trajectory.of(states(steps=3), noise=True).save(tmp_path / "run.safetensors")
    tensors = safetensors.torch.load_file(tmp_path / "run.safetensors")
    assert set(tensors) == {"times", "states", "steps", "evaluations", "noise.1", "noise.2"}
    with safetensors.safe_open(tmp_path / "run.safetensors", "pt") as file:
        assert json.loads(file.metadata()["difflab"]) == {"what": "trajectory", "format": 1}


def test_for_display_it_is_half_the_size_and_near():
    kept = Trajectory.of(states(n=64), noise=True, denoised=True)
    shown = kept.display()
    assert (shown.states.dtype, shown.denoised.dtype, shown.noise) == (torch.float16, torch.float16, {})
    assert torch.equal(shown.times, kept.times)
    # float16 has 11 bits
    torch.testing.assert_close(shown.states.float(), kept.states, rtol=2**-11, atol=1e-7)
    assert shown.states.nbytes * 2 == kept.states.nbytes


def test_what_float16_cannot_hold_is_shown_at_the_edge_and_not_as_infinite():
    wide = ExactDenoiser(GaussianMixture.ring(), Geometric(0.01, 1e6))
    shown = Trajectory.of(sample(wide, DDIM(), evaluations=3, n=50)).display()
    assert shown.states.isfinite().all()
    assert shown.states[0].abs().max() == 65504


def test_says_what_it_is():
    assert repr(Trajectory.of(states(), keep=5, noise=True)) == (
        "Trajectory(5 frames of 4 samples of shape (2,), float32, t = 1 to 0; 10 steps, 10 evaluations, noise of 9 steps)"
    )


@pytest.mark.parametrize(
    ("thinning", "words"),
    [
        ({"every": 0}, "every must be a whole number of at least 1, but got 0"),
        ({"every": 1.5}, "every must be a whole number"),
        ({"every": True}, "every must be a whole number"),
        ({"keep": 1}, "keep must be a whole number of at least 2, .* but got 1"),
        ({"keep": 2, "every": 2}, "Give either every, .* or keep"),
    ],
)
def test_refuses_to_keep_nothing(thinning, words):
    with pytest.raises(ValueError, match=words):
        Trajectory.of(states(), **thinning)
    with pytest.raises(ValueError, match=words):
        Trajectory.of(states()).thinned(**thinning)


def test_refuses_no_states():
    with pytest.raises(ValueError, match="made of the states of a run, but there are none"):
        Trajectory.of([])


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"states": None}, TypeError, "made of the states of a run, but got None"),
        ({"states": torch.zeros(3, 2)}, TypeError, "made of the states of a run, but got tensor"),
        ({"states": [1, 2]}, TypeError, "made of the states of a run, but got 1"),
        ({"states": [*states(), *states()]}, ValueError, "of several runs: make a trajectory of each"),
        ({"noise": "yes"}, TypeError, "noise, whether it is kept, must be True or False, but got 'yes'"),
        ({"denoised": 1}, TypeError, "denoised, whether it is kept, must be True or False, but got 1"),
    ],
)
def test_refuses_what_is_no_run(given, error, words):
    with pytest.raises(error, match=words):
        Trajectory.of(**{"states": states(), **given})


@pytest.mark.parametrize("path", [None, 3, b"run.safetensors"])
def test_refuses_what_is_no_path(path):
    run = Trajectory.of(states())
    for ask in (run.save, Trajectory.load):
        with pytest.raises(TypeError, match="file of a name or path, but got"):
            ask(path)


def test_says_that_a_file_cannot_be_written(tmp_path):
    for path in (tmp_path, tmp_path / "none" / "run.safetensors"):
        with pytest.raises(OSError, match="cannot be written: there is no such folder, or no room"):
            Trajectory.of(states()).save(path)


@pytest.mark.parametrize("change", [{"times": None}, {"more": torch.zeros(2)}, {"noise.x": torch.zeros(4, 2)}])
def test_refuses_files_of_other_parts(change, tmp_path):
    run, path = Trajectory.of(states()), tmp_path / "run.safetensors"
    parts = {name: getattr(run, name).clone() for name in ("times", "states", "steps", "evaluations")} | change
    parts = {name: part for name, part in parts.items() if part is not None}
    safetensors.torch.save_file(parts, path, {"difflab": '{"what": "trajectory", "format": 1}'})
    with pytest.raises(ValueError, match=r"run\.safetensors is no trajectory that can be read: it holds \["):
        Trajectory.load(path)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"times": torch.zeros(3)}, ValueError, "of 4 frames has as many times"),
        ({"times": [1.0, 0.5, 0.2, 0.0]}, TypeError, "times must be a tensor"),
        ({"steps": torch.zeros(4)}, TypeError, "steps must be int64"),
        ({"states": torch.zeros(4, 2, dtype=torch.int64)}, TypeError, "states must be floating-point"),
        ({"states": torch.zeros(4)}, ValueError, r"states must be \(frames, n, \*shape\)"),
        ({"denoised": torch.zeros(4, 9)}, ValueError, "denoised must be shaped as its states"),
        ({"noise": {2: torch.zeros(9)}}, ValueError, "noise of step 2 must be shaped as x"),
        ({"noise": [1]}, TypeError, r"dict of draws by step, but got \[1\]"),
        ({"noise": {2: None}}, TypeError, "by the number of a step, but got {2: None}"),
        ({"noise": {"2": torch.zeros(4, 2)}}, TypeError, "by the number of a step, but got {'2'"),
        ({"times": torch.tensor([1.5, 0.5, 0.2, 0.0])}, ValueError, r"times lie in \[0, 1\], but got \[1.5"),
        ({"times": torch.tensor([math.nan, 0.5, 0.2, 0.0])}, ValueError, r"times lie in \[0, 1\], but got \[nan"),
    ],
)
def test_refuses_parts_that_do_not_fit(change, error, words):
    with pytest.raises(error, match=words):
        replace(Trajectory.of(states(steps=3)), **change)


def test_refuses_other_files(tmp_path):
    path = tmp_path / "other.safetensors"
    with pytest.raises(FileNotFoundError, match=r"no file other\.safetensors"):
        Trajectory.load(path)
    path.write_bytes(b"not at all")
    with pytest.raises(ValueError, match=r"other\.safetensors is no safetensors file, or is damaged"):
        Trajectory.load(path)
    safetensors.torch.save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"is a safetensors file, but no trajectory of difflab's"):
        Trajectory.load(path)
    for said, words in (
        ("{", "no trajectory"),
        ('{"what": "trajectory", "format": 2}', "is of format 2, but .* reads 1"),
    ):
        safetensors.torch.save_file({"w": torch.zeros(2)}, path, {"difflab": said})
        with pytest.raises(ValueError, match=words):
            Trajectory.load(path)
    kept = Trajectory.of(states(steps=3), noise=True)
    kept.save(path)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(ValueError, match="damaged or cut short"):
        Trajectory.load(path)
    tensors = {"times": kept.times, "states": kept.states}
    for more in ({}, {"steps": kept.steps, "evaluations": kept.evaluations[:2]}, {"noise.x": kept.times.clone()}):
        safetensors.torch.save_file({**tensors, **more}, path, {"difflab": '{"what": "trajectory", "format": 1}'})
        with pytest.raises(ValueError, match="is no trajectory that can be read: "):
            Trajectory.load(path)
