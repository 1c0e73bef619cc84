"""Which copies of averages are there after which step, how well lengths can be made of them, and their files."""

import pytest
import torch

from difflab.training.power_profiles import gamma_of, nearest
from difflab.training.snapshots import FIRST, MOST, SnapshotError, Snapshots, spacing


def kept_after(step):
    """By the definition: every multiple of the spacing."""
    apart = FIRST
    while step / apart > MOST:
        apart *= 2
    return list(range(apart, step + 1, apart))


def filled(last, kept=None, first=1):
    kept = Snapshots() if kept is None else kept
    for step in range(first, last + 1):
        if kept.due(step):
            kept.add(step, {"w": torch.tensor(float(step))})
    return kept


def test_they_are_evenly_spaced_and_of_bounded_number():
    kept = Snapshots()
    for step in range(1, 5001):
        filled(step, kept, first=step)
        assert kept.steps == kept_after(step)
        assert step < 512 or 16 <= len(kept.steps) <= 32
    assert all(float(kept.read(step)["w"]) == step for step in kept.steps)


@pytest.mark.parametrize("break_", [1, 31, 512, 1024, 1025, 2047, 3000])
def test_an_interruption_leaves_the_same_ones(break_, tmp_path):
    unbroken = filled(3000)
    broken = filled(break_, Snapshots(tmp_path))
    broken.write()
    filled(min(break_ + 40, 3000), broken, first=break_ + 1).write()  # steps that no checkpoint has seen
    again = Snapshots(tmp_path)
    again.forget_after(break_)
    assert again.steps == kept_after(break_) or break_ + 40 > 32 * spacing(break_)  # thinned already, as they would be
    filled(3000, again, first=break_ + 1).write()
    assert again.steps == unbroken.steps
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{step:09d}.safetensors" for step in unbroken.steps]


@pytest.mark.parametrize(("lengths", "far"), [((0.04, 0.15), 0.011), ((0.035, 0.2), 0.025)])
def test_how_much_of_a_profile_is_missed_is_as_said(lengths, far):
    """Of two averages, 0.05 and 0.1, at any time from step 512 on: what the module's first lines claim."""
    worst = 0.0
    for last in (512, 543, 544, 576, 800, 1024, 1025, 1056, 1500, 2048, 2100, 10**4, 33 * 2**12, 10**6):
        steps = sorted({*kept_after(last), last})
        t, g = [s for s in steps for _ in (0, 1)], [gamma_of(0.05), gamma_of(0.1)] * len(steps)
        for i in range(12):
            length = lengths[0] + (lengths[1] - lengths[0]) * i / 11
            worst = max(worst, nearest(t, g, last, gamma_of(length))[1])
    assert far / 2 < worst < far


def test_a_file_is_written_once_and_never_again(tmp_path):
    kept = filled(512, Snapshots(tmp_path))
    assert not list(tmp_path.iterdir())  # they wait for the checkpoint
    kept.write()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    assert len(before) == 16
    filled(1024, kept, first=513)
    kept.write()
    assert before.items() <= {p: p.stat().st_mtime_ns for p in tmp_path.iterdir()}.items()
    assert kept.steps == kept_after(1024)


def test_large_ones_do_not_wait(tmp_path):
    kept = Snapshots(tmp_path)
    kept.due(32)
    kept.add(32, {"w": torch.zeros(2**24 + 1)})  # more than 64 MiB
    assert [p.name for p in tmp_path.iterdir()] == ["000000032.safetensors"]


def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path):
    kept = filled(96, Snapshots(tmp_path))
    kept.write()
    paths = [tmp_path / f"{step:09d}.safetensors" for step in (32, 64, 96)]
    paths[0].write_bytes(paths[0].read_bytes()[:-3])
    paths[2].write_bytes(paths[1].read_bytes())
    for step, said in ((32, "is damaged, or no copy of averages"), (96, "is not the averages of step 96")):
        with pytest.raises(SnapshotError, match=said):
            kept.read(step)
