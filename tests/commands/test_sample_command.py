"""`difflab sample`: the picture it writes, and what it refuses."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from PIL import Image

from difflab.commands.sample import sample
from difflab.commands.train import train
from difflab.samplers import SAMPLERS, DDIMInversion, OneLevel


def asked(path, **options):
    return Namespace(
        **{
            "checkpoint": path,
            "out": path.parent / "grid.png",
            "n": 20,
            "seed": 0,
            "labels": None,
            "sampler": "DDIM",
            "evaluations": 5,
            "device": "cpu",
            "length": None,
        }
        | options
    )


@pytest.fixture(scope="module")
def checkpoint(recipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert train(Namespace(config=recipe(folder), out=folder, device=None)) == 0
    return folder / "checkpoint.safetensors"


def test_the_grid_holds_the_samples_of_every_class(checkpoint):
    args = asked(checkpoint)
    assert sample(args) == 0
    picture = np.asarray(Image.open(args.out))
    tile = 8 * 6 + 6
    assert picture.shape == (2 * tile, 10 * tile)
    assert picture.std() > 10
    first = picture.copy()
    sample(args)
    assert np.array_equal(np.asarray(Image.open(args.out)), first)
    sample(asked(checkpoint, seed=1))
    assert not np.array_equal(np.asarray(Image.open(args.out)), first)


@pytest.mark.parametrize("sampler", ["ddim", "ancestral"])
def test_labels_take_turns_in_columns(checkpoint, sampler):
    args = asked(checkpoint, labels="3,5,7", n=7, sampler=sampler)
    sample(args)
    assert Image.open(args.out).size == (3 * 54, 3 * 54)


def test_no_sampler_named_is_the_default(checkpoint):
    assert sample(asked(checkpoint, sampler=None)) == 0


def test_points_become_a_density(recipe, tmp_path):
    train(Namespace(config=recipe(tmp_path, data="ring", steps=2), out=tmp_path, device=None))
    args = asked(tmp_path / "checkpoint.safetensors", n=500)
    sample(args)
    assert Image.open(args.out).size == (480, 480)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n": 0}, "at least 1"),
        ({"labels": "3,x"}, "whole numbers with commas"),
        ({"labels": "10"}, "between 0 and 9"),
        ({"sampler": "magic"}, "No sampler named 'magic' draws from noise; choose one of Ancestral"),
        ({"evaluations": 0}, "1 or more .*, but got 0"),
        ({"seed": -1}, r"whole number from 0 to 2\^63 - 1, but got -1"),
        ({"seed": 2**70}, "but got 1180591620717411303424"),
    ],
)
def test_bad_requests_end_in_one_sentence(checkpoint, options, sentence):
    with pytest.raises(SystemExit, match=sentence) as caught:
        sample(asked(checkpoint, **options))
    assert "\n" not in str(caught.value)


def test_weights_are_averaged_over_the_length_asked_for(checkpoint, tmp_path):
    with pytest.raises(SystemExit, match=r"followed no averages: train with averages=\(0.05, 0.1\)"):
        sample(asked(checkpoint, length=0.1))
    config = tmp_path / "recipe.toml"
    text = (
        (checkpoint.parent / "recipe.toml")
        .read_text()
        .replace("steps = 4", "steps = 40\naverages = [0.05, 0.2]\nlr = 0.01")
    )
    config.write_text(text)
    train(Namespace(config=config, out=tmp_path, device=None))
    pictures = []
    for length in (0.05, 0.2, None):
        args = asked(tmp_path / "checkpoint.safetensors", length=length)
        sample(args)
        pictures.append(args.out.read_bytes())
    assert len(set(pictures)) == 3
    with pytest.raises(SystemExit, match=r"sigma_rel, the length of an average, must be a share .* but got 2\.0"):
        sample(asked(tmp_path / "checkpoint.safetensors", length=2.0))


def test_every_sampler_that_ends_at_data_can_be_asked_for(checkpoint):
    for name, kind in SAMPLERS.items():
        args = asked(checkpoint, sampler=name.lower(), n=1, labels="3")
        if issubclass(kind, OneLevel | DDIMInversion):
            with pytest.raises(SystemExit, match=f"No sampler named '{name.lower()}' draws from noise"):
                sample(args)
        else:
            assert sample(args) == 0


def test_the_run_takes_place_where_it_is_asked_for(checkpoint, monkeypatch):
    asked_for = []
    monkeypatch.setattr(
        "difflab.commands.sample.resolve", lambda device: asked_for.append(device) or torch.device("cpu")
    )
    assert sample(asked(checkpoint, device="cuda")) == 0
    assert asked_for == ["cuda"]
    monkeypatch.undo()
    monkeypatch.setattr("difflab.device._has", lambda kind: False)
    with pytest.raises(SystemExit, match="This machine offers torch no mps device"):
        sample(asked(checkpoint, device="mps"))


def test_bad_files_end_in_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"There is no file .*nowhere.safetensors"):
        sample(asked(tmp_path / "nowhere.safetensors"))
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x80\x04K\x00.")
    with pytest.raises(SystemExit, match="is a pickle"):
        sample(asked(tmp_path / "checkpoint.safetensors"))


def test_where_no_picture_can_be_written_nothing_is_drawn(checkpoint, tmp_path, monkeypatch):
    from difflab.commands import sample as command

    (tmp_path / "file").write_text("no folder")
    with monkeypatch.context() as patch:
        patch.setattr(command, "_drawn", lambda args: pytest.fail("samples were drawn"))
        for out, said in ((tmp_path, "but .* is a folder"), (tmp_path / "file" / "x.png", "give another --out")):
            with pytest.raises(SystemExit, match=said):
                sample(asked(checkpoint, out=out))

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "write_atomically", full)
    with pytest.raises(SystemExit, match=r"grid.png cannot be written \(No space left on device\): give another --out"):
        sample(asked(checkpoint, n=1, evaluations=1))
