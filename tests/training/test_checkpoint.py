"""Checkpoints that are sound: what is written is what is read, in one stroke or not at all."""

import json
import os

import pytest
import safetensors.torch
import torch

from difflab.training import load, save
from difflab.training.checkpoint import write_atomically


def test_what_was_saved_is_what_is_read(trained):
    run, path = trained
    loaded = load(path)
    assert loaded.step == 3
    assert loaded.config == json.loads(json.dumps(run.config))
    assert loaded.versions["torch"] == torch.__version__
    x = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.denoiser(x, 0.4).mean, run.ema.module(x, 0.4).mean)
    assert not any(p.requires_grad for p in loaded.denoiser.parameters())


def test_reading_leaves_the_global_random_stream(trained):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    load(trained[1])
    assert torch.equal(before, torch.get_rng_state())


def test_it_is_a_plain_safetensors_file_without_a_pickle(trained):
    tensors = safetensors.torch.load_file(trained[1])
    assert {name.split("/")[0] for name in tensors} == {
        "weights", "ema", "exp_avg", "exp_avg_sq", "streams", "losses", "step"
    }  # fmt: skip


def test_no_length_of_the_header_is_mistaken_for_a_pickle(trained, rewritten):
    """The file begins with that length, and 0x80 as its first byte is also how a pickle begins."""
    firsts = set()
    for i in range(0, 256, 8):
        path = rewritten(trained[1], note="x" * i)
        assert load(path).step == 3
        firsts.add(path.read_bytes()[0])
    assert 0x80 in firsts


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_an_interrupted_save_leaves_the_old_checkpoint(trained, moment, monkeypatch):
    run, path = trained
    before = path.read_bytes()
    run.descend(run.loss())

    def fails(*_):
        raise OSError("the disk is full")

    if moment == "write":
        monkeypatch.setattr("builtins.open", fails)
    else:
        monkeypatch.setattr(os, moment, fails)
    with pytest.raises(OSError, match="the disk is full"):
        save(run, path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_reader_never_sees_half_a_file(tmp_path):
    import threading

    path, contents = tmp_path / "file", [bytes([i]) * 200_000 for i in range(2)]
    write_atomically(path, contents[0])
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for content in contents:
                write_atomically(path, content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert all(path.read_bytes() in contents for _ in range(300))
    finally:
        stop.set()
        writer.join()
