"""Files that are refused, quickly, in one sentence, and without executing anything in them."""

import json
import math
import os
import pickle
import struct
import time

import pytest
import safetensors.torch
import torch
from torch import nn

from difflab.data import GaussianMixture
from difflab.denoisers import NetworkDenoiser
from difflab.schedules import VPCosine
from difflab.training import CheckpointError, load, train


def refused(path, sentence, **options):
    start = time.perf_counter()
    with pytest.raises(CheckpointError, match=sentence) as caught:
        load(path, **options)
    assert time.perf_counter() - start < 3
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)


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


def test_a_newer_format_asks_to_upgrade(trained, rewritten):
    refused(rewritten(trained[1], difflab='{"what": "checkpoint", "format": 3}'), "newer difflab .format 3.*upgrade")


@pytest.mark.parametrize(
    "mark", ["", "[]", "null", '{"what": "preset", "format": 1}', '{"what": "checkpoint", "format": "1"}']
)
def test_a_mark_that_is_not_ours_is_refused(trained, rewritten, mark):
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
def test_wrong_shapes_are_refused(trained, rewritten, change, sentence):
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
        (("network", "options", "depth"), 65_536, "depth must be whole numbers from 1 to 128"),
        (("network", "options"), [], "options of a network are a table, but got"),
        (("network", "options"), None, "options of a network are a table, but got None"),
        (("network", "options", "shape"), [1] * 1000, "shape must be a list of 1 to 8"),
        (("network", "options", "shape"), 2, "shape must be a list of 1 to 8"),
        (("network", "options", "shape"), [65_536] * 8, "up to 16777216 coordinates"),
        (("network", "options", "width"), None, "whole numbers from 1"),
        (("network", "name"), ["MLP"], r"no network named \['MLP'\]"),
        (("network",), "MLP", "does not describe"),
        (("schedule",), [], "does not describe"),
        (("schedule", "name"), {}, "no schedule named {}"),
        (("schedule", "params"), [1], "are a table of numbers"),
        (("schedule", "params"), {"s": math.nan}, "VPCosine needs an offset"),
        (("schedule",), {"name": "Geometric", "params": {"sigma_max": math.inf}}, "levels from"),
        (("clip",), 3, "clip must be the lowest and the highest value"),
        (("clip",), [1.0, -1.0], "clip must be the lowest and the highest value"),
        (("clip",), [-math.inf, math.inf], "clip must be the lowest and the highest value"),
        (("sigma_data",), None, "sigma_data must be a number of 0 or more, but got None"),
        (("sigma_data",), math.nan, "sigma_data must be a number"),
        (("sigma_data",), 10**400, "does not describe"),
    ],
)
def test_a_description_that_cannot_be_is_refused(trained, rewritten, path, value, sentence):
    run, file = trained
    config = json.loads(json.dumps(run.config))
    place = config["denoiser"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    refused(rewritten(file, config=json.dumps(config)), sentence)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("[]", "its config is no table"),
        ("{}", "its config has no denoiser"),
        ("5", "its config is no table"),
        ("[" * 100_000, "its JSON is nested too deeply"),
        ('{"a":' * 100_000, "its JSON is nested too deeply"),
        ('{"denoiser": ' + "[" * 900 + "]" * 900 + "}", "does not describe"),
    ],
    ids=["list", "empty", "number", "deep lists", "deep tables", "deep enough to be read"],
)
def test_a_config_that_is_none_is_refused(trained, rewritten, config, sentence):
    refused(rewritten(trained[1], config=config), sentence)


@pytest.mark.parametrize("depth", [1000, 1_000_000])
def test_a_header_nested_too_deeply_is_refused(depth, tmp_path):
    path = tmp_path / "deep.safetensors"
    header = b'{"__metadata__":' + b"[" * depth
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    refused(path, "not a difflab checkpoint")
    header = b'{"__metadata__":{"difflab":"' + b"[" * depth + b'"}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    refused(path, "not a difflab checkpoint")


@pytest.mark.parametrize(
    ("part", "value", "sentence"),
    [
        ("data", None, "its config has no data"),
        ("training", None, "its config has no training"),
        ("data", [], "its config has no data"),
        ("data", {}, "its data has no name"),
        ("data", {"name": "x"}, "its data has no shape"),
        ("data", {"name": "x", "shape": 2}, "its data has no shape"),
        ("data", {"name": "x", "shape": [2.0]}, "its data has no shape"),
        ("data", {"name": "x", "shape": [10**12]}, "its data has no shape"),
        ("data", {"name": "x", "shape": [3]}, "samples of different shapes"),
        ("data", {"name": "x", "shape": [2], "classes": "8"}, "number of its data's classes"),
    ],
)
def test_a_config_without_one_of_its_parts_is_refused(trained, rewritten, part, value, sentence):
    run, file = trained
    config = {key: content for key, content in run.config.items() if key != part}
    refused(rewritten(file, config=json.dumps(config if value is None else config | {part: value})), sentence)


@pytest.mark.parametrize("step", [torch.tensor([1, 2]), torch.tensor(1.5), torch.tensor(-1), torch.zeros(0, dtype=int)])
def test_a_step_that_is_none_is_refused(trained, rewritten, step):
    refused(rewritten(trained[1], lambda tensors: tensors.update(step=step)), "step is missing, or no whole number")


class Own(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.SiLU(), nn.Linear(width, 2))

    def forward(self, x, level, labels=None):
        return self.layers(x) + level[:, None]


def test_a_network_of_one_s_own_must_be_given_and_is_left_alone(tmp_path):
    path = tmp_path / "own.safetensors"
    ring, settings = GaussianMixture.ring(), {"batch": 16, "device": "cpu"}
    *_, state = train(NetworkDenoiser(Own(), VPCosine()), ring, steps=3, **settings)
    state.save(path)
    refused(path, "network of your own; give it as network=")
    mine = Own()
    before = [p.detach().clone() for p in mine.parameters()]
    loaded = load(path, network=mine)
    x = torch.randn(5, 2)
    assert torch.equal(loaded.denoiser(x, 0.5).mean, state.ema(x, 0.5).mean)
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), before, strict=True))
    refused(path, "does not fit its own description", network=Own(width=5))
    *_, resumed = train(NetworkDenoiser(Own(), VPCosine()), ring, steps=5, resume=path, **settings)
    assert resumed.step == 5


def test_what_is_not_there_is_named(tmp_path):
    for path, file in ((tmp_path / "gone", "gone"), (tmp_path, "checkpoint.safetensors")):
        with pytest.raises(
            FileNotFoundError, match=f"^There is no file .*{file}: give a checkpoint, or the folder= of a run"
        ):
            load(path)
