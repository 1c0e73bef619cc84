import pytest
import torch

from difflab import device


def test_auto_prefers_cuda_then_mps_then_cpu(monkeypatch):
    present = {"cuda": True, "mps": True}
    monkeypatch.setattr(device, "_has", present.__getitem__)
    assert device.resolve("auto").type == "cuda"
    present["cuda"] = False
    assert device.resolve("auto").type == "mps"
    present["mps"] = False
    assert device.resolve("auto").type == "cpu"


def test_a_named_device_is_taken_as_it_is():
    assert device.resolve("cpu") == torch.device("cpu")
    assert device.resolve(torch.device("meta")) == torch.device("meta")


def test_a_device_that_is_not_there_or_unknown_is_refused(monkeypatch):
    monkeypatch.setattr(device, "_has", lambda kind: False)
    with pytest.raises(ValueError, match="offers torch no cuda device"):
        device.resolve("cuda:0")
    with pytest.raises(ValueError, match="no device named 'abacus'"):
        device.resolve("abacus")
    for what in (None, 0.5, True, ["cpu"]):
        with pytest.raises(TypeError, match="A device is auto, cpu, cuda"):
            device.resolve(what)
