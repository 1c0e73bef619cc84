import json
import os
import pickle
import struct

import pytest
import safetensors.torch
import torch
from torch import nn

from difflab.data import GaussianMixture, digits
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine, VPLinear
from difflab.training import CheckpointError, load, prepare, save, train
from difflab.training.checkpoint import write_atomically

RING = GaussianMixture.ring()


def fresh(data=RING, schedule=None, **options):
    return NetworkDenoiser.for_data(data, schedule or VPCosine(), **{"width": 16} | options)


@pytest.fixture
def trained(tmp_path):
    """(the run after three steps, its checkpoint)."""
    *_, state = train(fresh(), RING, steps=3, batch=16, device="cpu")
    path = tmp_path / "ring.safetensors"
    state.save(path)
    return state.run, path


def rewritten(path, change=None, **metadata):
    """The checkpoint with its tensors changed and some entries of its header replaced."""
    with safetensors.safe_open(path, "pt") as file:
        header = file.metadata()
    tensors = safetensors.torch.load_file(path)
    if change is not None:
        change(tensors)
    safetensors.torch.save_file(tensors, path, header | metadata)
    return path


def refused(path, sentence, **options):
    with pytest.raises(CheckpointError, match=sentence) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


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
    assert {name.split("/")[0] for name in tensors} == {"weights", "ema", "exp_avg", "exp_avg_sq", "streams", "step"}


class Payload:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_and_not_executed(zipped, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"weights": Payload(tmp_path / "executed")}, path, _use_new_zipfile_serialization=zipped)
    refused(path, "is a pickle")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_protocol_of_pickle_is_executed(protocol, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(pickle.dumps(Payload(tmp_path / "executed"), protocol))
    refused(path, "is a pickle" if protocol >= 2 else "is not a difflab checkpoint")
    assert not (tmp_path / "executed").exists()


def test_every_cut_is_noticed(trained, tmp_path):
    content = trained[1].read_bytes()
    header = 8 + struct.unpack("<Q", content[:8])[0]
    cuts = {0, 1, 7, 8, 9, header - 1, header, header + 1, len(content) // 2, len(content) - 1}
    path = tmp_path / "cut.safetensors"
    for cut in sorted(cuts):
        path.write_bytes(content[:cut])
        refused(path, "is not a difflab checkpoint|cut short")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello, world",
        b"\x00" * 4096,
        b"GIF89a" + b"\x01" * 100,
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 4) + b"{{}}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 2) + b"{}",
    ],
)
def test_what_is_not_ours_is_refused(content, tmp_path):
    path = tmp_path / "thing.safetensors"
    path.write_bytes(content)
    refused(path, "not a difflab checkpoint")


def test_another_program_s_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "theirs.safetensors"
    safetensors.torch.save_file({"w": torch.zeros(2)}, path, {"format": "pt"})
    refused(path, "is a safetensors file, but not a difflab checkpoint")
    safetensors.torch.save_file({"w": torch.zeros(2)}, path)
    refused(path, "is a safetensors file, but not a difflab checkpoint")


def test_a_newer_format_asks_to_upgrade(trained):
    refused(rewritten(trained[1], difflab='{"what": "checkpoint", "format": 2}'), "newer difflab .format 2.*upgrade")


@pytest.mark.parametrize(
    "mark", ["", "[]", "null", '{"what": "preset", "format": 1}', '{"what": "checkpoint", "format": "1"}']
)
def test_a_mark_that_is_not_ours_is_refused(trained, mark):
    refused(rewritten(trained[1], difflab=mark), "not a difflab checkpoint")


def bigger(tensors):
    tensors["ema/network.first.weight"] = torch.zeros(17, 2)


def halved(tensors):
    tensors["ema/network.first.weight"] = tensors["ema/network.first.weight"].half()


def without_a_weight(tensors):
    del tensors["ema/network.last.bias"]


def with_one_more(tensors):
    tensors["ema/network.extra"] = torch.zeros(1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (bigger, r"network.first.weight is of shape \(17, 2\).*where \(16, 2\)"),
        (halved, "torch.float16, where .* torch.float32 is due"),
        (without_a_weight, "network.last.bias is missing"),
        (with_one_more, "network.extra is of shape .*where none is due"),
        (lambda tensors: tensors.pop("step"), "does not describe a denoiser.*step"),
    ],
)
def test_wrong_shapes_are_refused(trained, change, sentence):
    refused(rewritten(trained[1], change), sentence)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (("network", "name"), "Transformer", "no network named 'Transformer'"),
        (("network", "options", "width"), 10**12, "whole numbers from 1"),
        (
            ("network", "options", "width"),
            60_000,
            "is of shape",
        ),  # 14 GB, were it not compared on the meta device first
        (("network", "options", "depth"), 10**6, "whole numbers from 1"),
        (("schedule", "name"), "os.system", "no schedule named"),
        (("schedule", "params"), {"s": -1}, "VPCosine needs an offset"),
        (("prediction",), "score", "got 'score'"),
        (("clip",), 3, "not a denoiser's description"),
        (("sigma_data",), None, "does not describe"),
    ],
)
def test_a_description_that_cannot_be_is_refused(trained, path, value, sentence):
    run, file = trained
    config = json.loads(json.dumps(run.config))
    place = config["denoiser"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    refused(rewritten(file, config=json.dumps(config)), sentence)


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


class Own(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, 2))

    def forward(self, x, level, labels=None):
        return self.layers(x) + level[:, None]


def test_a_network_of_one_s_own_must_be_given_and_is_left_alone(tmp_path):
    path = tmp_path / "own.safetensors"
    *_, state = train(NetworkDenoiser(Own(), VPCosine()), RING, steps=3, batch=16, device="cpu", checkpoint=path)
    refused(path, "network of your own; give it as network=")
    mine = Own()
    before = [p.detach().clone() for p in mine.parameters()]
    loaded = load(path, network=mine)
    x = torch.randn(5, 2)
    assert torch.equal(loaded.denoiser(x, 0.5).mean, state.ema(x, 0.5).mean)
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), before, strict=True))
    refused(path, "does not fit its own description", network=Own(width=5))
    *_, resumed = train(NetworkDenoiser(Own(), VPCosine()), RING, steps=5, batch=16, device="cpu", resume=path)
    assert resumed.step == 5


@pytest.mark.parametrize(
    ("denoiser", "data", "sentence"),
    [
        (fresh(width=32), RING, "its network of the denoiser is"),
        (fresh(schedule=VPLinear()), RING, "its schedule of the denoiser is .*VPCosine.* not .*VPLinear"),
        (fresh(prediction="eps"), RING, "its prediction of the denoiser is v, not eps"),
        (fresh(), GaussianMixture.grid(), "its .* of the data is"),
        (fresh(digits()), digits(), "cannot be resumed here"),
    ],
)
def test_resuming_something_else_is_refused_before_a_weight_is_touched(trained, denoiser, data, sentence):
    before = [p.detach().clone() for p in denoiser.parameters()]
    with pytest.raises(CheckpointError, match=sentence):
        prepare(denoiser, data, steps=5, resume=trained[1], device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(denoiser.parameters(), before, strict=True))


def test_a_run_whose_moments_do_not_match_is_refused(trained):
    def change(tensors):
        tensors["exp_avg/network.first.weight"] = torch.zeros(3, 3)

    with pytest.raises(CheckpointError, match=r"exp_avg/network.first.weight is of shape \(3, 3\)"):
        prepare(fresh(), RING, steps=5, resume=rewritten(trained[1], change), device="cpu")


def broken_stream(tensors):
    tensors["streams/data"] = torch.zeros_like(tensors["streams/data"])


@pytest.mark.parametrize("change", [lambda tensors: tensors.pop("streams/data"), broken_stream])
def test_a_run_without_sound_streams_is_refused(trained, change):
    with pytest.raises(CheckpointError, match="cannot be resumed here") as caught:
        prepare(fresh(), RING, steps=5, resume=rewritten(trained[1], change), device="cpu")
    assert "\n" not in str(caught.value)
