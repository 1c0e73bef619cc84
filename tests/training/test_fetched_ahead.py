"""Batches that are fetched ahead: the same as from memory, resumed to the bit, and a failure that loses nothing."""

import threading
import time

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from difflab.data import ArraySource, FiniteSet, Source, Streamed, digits
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import load, train
from difflab.training.batches import batches
from difflab.training.fingerprint import fingerprint

CPU = torch.device("cpu")
DIGITS = digits()
VECTORS = np.random.default_rng(0).normal(size=(len(DIGITS), 3)).astype(np.float32)


class Slow(Source):
    """Of a finite set; `delay` seconds a fetch, with three threads, whose parts come in any order."""

    threads, shape, range, levels, classes = 3, DIGITS.shape, DIGITS.range, DIGITS.levels, DIGITS.classes

    def __init__(self, delay=0.0):
        self.delay, self.asked, self.broken = delay, [], False
        self.began = threading.Event()

    def __len__(self):
        return len(DIGITS)

    def fetch(self, index):
        self.began.set()
        time.sleep(self.delay * (index[0] % 3) if len(index) else 0)
        if self.broken:
            raise OSError("the disk is gone")
        self.asked.append(index)
        return DIGITS.fetch(index)


def source(data, seed=0, labelled=True, device=CPU):
    return batches(data, device, torch.Generator().manual_seed(seed), labelled)


def drawn(of, sizes):
    return [of.draw(n) for n in sizes]


def same(a, b):
    return all(
        torch.equal(x, y) and (k is y_k is None or torch.equal(k, y_k)) for (x, k), (y, y_k) in zip(a, b, strict=True)
    )


SIZES = [16, 16, 16, 5, 5, 300, 16, 2, 2, 2, 2]  # a draw of another size than was fetched ahead, too


def test_they_are_the_batches_of_the_set_in_memory():
    assert same(drawn(source(DIGITS), SIZES), drawn(source(Streamed(Slow(0.002))), SIZES))
    assert same(drawn(source(DIGITS, labelled=False), SIZES), drawn(source(Streamed(Slow()), labelled=False), SIZES))
    with_vectors = ArraySource(DIGITS.x, vectors=VECTORS)
    held = FiniteSet(DIGITS.x, vectors=VECTORS)
    assert same(drawn(source(held), SIZES), drawn(source(Streamed(with_vectors)), SIZES))


@pytest.mark.parametrize("used", range(0, len(SIZES), 3))
def test_the_state_is_that_of_what_was_drawn_whatever_is_fetched_already(used):
    data = Streamed(Slow(0.001))
    first = source(data)
    drawn(first, SIZES[:used])
    state = first.state().clone()
    expected = drawn(first, SIZES[used:])
    other = source(data, seed=1)
    other.draw(16)  # and two more are on their way
    other.restore(state)
    assert torch.equal(other.state(), state)
    assert same(drawn(other, SIZES[used:]), expected)
    held = source(DIGITS, seed=1)
    held.restore(state)  # the streams of the two kinds are one
    assert same(drawn(held, SIZES[used:]), expected)


def test_the_next_ones_are_fetched_while_this_one_is_worked_on():
    slow = Slow()
    of = source(Streamed(slow))
    slow.asked.clear()
    of.draw(30)
    deadline = time.monotonic() + 20
    while sum(map(len, slow.asked)) < 90:  # one drawn and two ahead
        assert time.monotonic() < deadline
        time.sleep(0.001)
    time.sleep(0.02)
    assert sum(map(len, slow.asked)) == 90  # and no more


def test_a_fetch_that_fails_is_told_and_can_be_drawn_again():
    slow = Slow()
    of, expected = source(Streamed(slow)), drawn(source(DIGITS), [16] * 6)
    assert same(drawn(of, [16] * 2), expected[:2])
    slow.broken = True
    with pytest.raises(OSError, match="the disk is gone"):
        drawn(of, [16] * 4)
    state = of.state()
    slow.broken = False
    again = drawn(of, [16] * 2)
    held = source(DIGITS)
    held.restore(state)
    assert same(again, drawn(held, [16] * 2))


def test_threads_end_with_the_batches():
    before = set(threading.enumerate())
    of = source(Streamed(Slow()))
    of.draw(16)
    its = set(threading.enumerate()) - before
    assert {thread.name.split("_")[0] for thread in its} == {"difflab-fetch"}
    del of
    for thread in its:
        thread.join(20)
        assert not thread.is_alive()


def test_a_set_too_large_for_the_device_is_fetched_from_memory(monkeypatch):
    """No such device is at hand: what is said to be free there decides, and the batches are the same."""
    nearly = 2 * DIGITS.x.nbytes
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (nearly + 1, 10 * nearly))
    from difflab.training.batches import _fits

    assert _fits(DIGITS, torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (nearly, 10 * nearly))
    assert not _fits(DIGITS, torch.device("cuda"))
    expected = drawn(source(DIGITS), SIZES)
    monkeypatch.setattr("difflab.training.batches._fits", lambda data, device: False)
    assert same(drawn(source(DIGITS), SIZES), expected)


def test_in_a_dry_run_nothing_is_fetched():
    slow = Slow()
    data = Streamed(slow)
    slow.asked.clear()
    x, labels = source(data, device=torch.device("meta")).draw(7)
    assert (x.device.type, x.shape, labels.dtype, labels.shape) == ("meta", (7, 1, 8, 8), torch.int64, (7,))
    assert not slow.asked


def test_a_dry_run_of_training_needs_no_example():
    slow = Slow()
    data = Streamed(slow)
    slow.asked.clear()
    with FakeTensorMode():
        with torch.device("meta"):
            denoiser = NetworkDenoiser.for_data(data, VPCosine(), conditional=True, width=16)
        states = list(train(denoiser, data, steps=2, batch=8, device="meta"))
    assert states[-1].loss.device.type == "meta"
    assert len(slow.asked) <= 1  # for the fingerprint


def trained(data, steps, **options):
    torch.manual_seed(0)
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), conditional=True, width=16)
    *_, state = train(
        denoiser,
        data,
        steps=steps,
        batch=256,  # blocks of 8 batches: the first run ends with one
        device="cpu",
        generator=torch.Generator().manual_seed(5),
        **options,
    )
    return state.run.state()


def test_a_training_sees_the_same_and_goes_on_to_the_bit(tmp_path):
    slow = Streamed(Slow(0.001), measured=len(DIGITS))  # all of them: sigma_data is a parameter of the denoiser
    assert slow.sigma_data == DIGITS.sigma_data
    whole = trained(DIGITS, 20)
    streamed = trained(slow, 20)
    trained(slow, 8, folder=tmp_path)
    resumed = trained(slow, 20, folder=tmp_path, resume=True)
    for name, tensor in whole.items():
        assert torch.equal(streamed[name], tensor), name
        assert torch.equal(resumed[name], tensor), name


def test_other_data_of_the_name_is_told_apart():
    x = DIGITS.x.copy()
    data = Streamed(ArraySource(x, DIGITS.labels))
    known = fingerprint(data)
    assert known == fingerprint(Streamed(ArraySource(x, DIGITS.labels)))
    assert known != fingerprint(Streamed(ArraySource(x[:-1], DIGITS.labels[:-1])))
    assert known != fingerprint(Streamed(ArraySource(x)))
    assert known != fingerprint(Streamed(ArraySource(x, (DIGITS.labels + 1) % 10)))
    assert known != fingerprint(Streamed(ArraySource(x * np.float32(0.999), DIGITS.labels)))
    held = FiniteSet(x, vectors=VECTORS)
    changed = VECTORS.copy()
    changed[-1, -1] += 1e-3
    assert fingerprint(held) != fingerprint(FiniteSet(x))
    assert fingerprint(held) != fingerprint(FiniteSet(x, vectors=changed))


def test_a_run_whose_data_is_gone_is_saved_before_its_first_checkpoint_was_due(tmp_path):
    class Drive(ArraySource):
        there = True

        def fetch(self, index):
            if not self.there:
                raise OSError("the drive was pulled out")
            return super().fetch(index)

    drive = Drive(np.linspace(-1, 1, 60, dtype=np.float32).reshape(20, 3))
    data = Streamed(drive)
    denoiser = NetworkDenoiser.for_data(data, VPCosine(), width=8)
    states = train(denoiser, data, steps=10_000, batch=16, device="cpu", folder=tmp_path / "run")
    run = next(states).run
    drive.there = False
    with pytest.raises(OSError, match=r"^the drive was pulled out$"):
        list(states)
    assert run.step > 0
    assert load(tmp_path / "run" / "checkpoint.safetensors").step == run.step
