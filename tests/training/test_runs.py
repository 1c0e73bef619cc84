"""Several trainings at once, and the list of them."""

import gc

import pytest
import torch

import difflab
from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import Trainer, train
from difflab.training.runs import Runs

RING = GaussianMixture.ring()
OPTIONS = {"steps": 60, "batch": 16, "device": "cpu"}


def fresh(seed=0):
    return NetworkDenoiser.for_data(RING, VPCosine(), width=16, seed=seed)


def trainer(seed=0, **options):
    return Trainer(fresh(seed), RING, generator=torch.Generator().manual_seed(seed), **OPTIONS | options)


def flat(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_three_at_once_each_train_as_they_would_alone():
    trainers = [trainer(seed) for seed in range(3)]
    for one in trainers:
        one.start()
    assert [one.wait(60) for one in trainers] == ["finished"] * 3
    for seed, one in enumerate(trainers):
        *_, alone = train(fresh(seed), RING, generator=torch.Generator().manual_seed(seed), **OPTIONS)
        assert torch.equal(flat(one.snapshot()), flat(alone.ema))


def test_they_are_listed_the_newest_first_as_long_as_somebody_holds_them():
    gc.collect()
    before = list(difflab.runs())
    one, two = trainer(), trainer(name="two")
    assert list(difflab.runs()) == [two, one, *before]
    del two
    gc.collect()
    assert list(difflab.runs()) == [one, *before]


def test_one_that_runs_is_held_by_its_thread_until_it_is_stopped(until):
    trainer(name="left alone", steps=10**9).start()
    gc.collect()
    (alone,) = [one for one in difflab.runs() if one.name == "left alone"]
    until(lambda: alone.step > 3)
    alone.stop()
    assert alone.state == "stopped"


def test_the_table_says_how_each_is_doing(tmp_path):
    one = trainer(folder=tmp_path / "first <b>")
    assert one.name == "first <b>"
    one.start()
    one.wait(30)
    broken = trainer(name="second", on_step=lambda state: 1 / 0)
    broken.start()
    broken.wait(30)
    text, markup = repr(Runs([one, broken])), Runs([one, broken])._repr_html_()
    first, second = text.splitlines()[1:3]
    assert first.split("  ")[0] == "first <b>"
    assert "finished" in first
    assert "60 of 60" in first
    assert f"{one.loss:.4f}" in first
    assert str(tmp_path) in first
    assert "failed" in second
    assert text.splitlines()[-1] == f"second: {broken.error}"
    assert "ZeroDivisionError" in broken.error
    assert "first &lt;b&gt;" in markup
    assert "<b>" not in markup
    assert repr(Runs()) == "No training in this process."


def test_a_name_is_the_data_s_and_a_number_where_there_is_no_folder():
    one, two = trainer(), trainer()
    (name, first), (same, second) = (t.name.rsplit(" ", 1) for t in (one, two))
    assert name == same == RING.name
    assert int(second) == int(first) + 1


@pytest.mark.parametrize("name", ["", 3, "two\nlines"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="name must be one line of text, or None, but got"):
        trainer(name=name)
