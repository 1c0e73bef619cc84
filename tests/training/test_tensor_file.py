"""Files written tensor by tensor, read by the safetensors library, and compared with the ones that it writes."""

import json
import struct

import pytest
import safetensors
import safetensors.torch
import torch

from difflab.training.tensor_file import serialised

METADATA = {"config": json.dumps({"name": 'ring "of" eight, Gauß'}), "versions": "{}"}
KINDS = {"float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"}


def tensors():
    """Of every kind, of odd lengths that would break alignment if they came first; a scalar, an empty one, a transposed one."""
    g = torch.Generator().manual_seed(0)
    made = {f"z{kind}": (8 * torch.rand(3, 5, generator=g)).to(getattr(torch, kind)) for kind in sorted(KINDS)}
    made |= {"scalar": torch.tensor(7), "empty": torch.zeros(0, 3), "turned": torch.randn(4, 6, generator=g).t()}
    return made | {"of a gradient": torch.nn.Parameter(torch.randn(9, generator=g))}


def test_the_library_reads_what_was_written(tmp_path):
    content = b"".join(serialised(tensors(), METADATA))
    found = safetensors.torch.load(content)
    assert found.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor.detach())
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == METADATA


def test_it_lies_as_the_library_lays_it():
    plain = {name: t.detach().contiguous() for name, t in tensors().items()}
    ours, theirs = b"".join(serialised(plain, METADATA)), safetensors.torch.save(plain, METADATA)
    lengths = [struct.unpack("<Q", content[:8])[0] for content in (ours, theirs)]
    assert lengths[0] % 8 == 0
    headers = [json.loads(c[8 : 8 + n]) for c, n in zip((ours, theirs), lengths, strict=True)]
    assert headers[0] == headers[1]
    assert ours[8 + lengths[0] :] == theirs[8 + lengths[1] :]


def test_nothing_is_copied_that_lies_here():
    x = torch.zeros(1000)
    *_, part = serialised({"x": x}, {})
    x.fill_(1.0)
    assert bytes(part) == torch.ones(1000).numpy().tobytes()


def test_a_kind_without_a_name_is_refused_before_anything_is_written():
    parts = serialised({"x": torch.zeros(2, dtype=torch.complex64)}, {})
    with pytest.raises(ValueError, match="which a checkpoint cannot hold"):
        next(parts)
