"""A safetensors file, written tensor by tensor: the library makes the whole of it in memory first, and twice.

    8 bytes: length of the header | header: JSON | the tensors' bytes, one after the other

Tensors lie as the library lays them, with the widest numbers first, so that each is aligned, and the header is filled up with
spaces to a multiple of 8 bytes (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

_NAMES = {  # in the order in which tensors lie: the widest numbers first
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def serialised(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The file's parts, in order. A tensor's are its own memory if it lies on the CPU: write them before it changes.

    Raises ValueError for a kind of number that has no name here.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise ValueError(f"{name} is of {tensor.dtype}, which a checkpoint cannot hold.")
    kinds = list(_NAMES)
    names = sorted(tensors, key=lambda name: (kinds.index(tensors[name].dtype), name))
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name in names:
        tensor, start = tensors[name], end
        end += tensor.numel() * tensor.itemsize
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield struct.pack("<Q", len(text)) + text
    for name in names:
        flat = tensors[name].detach().cpu().contiguous().flatten()
        yield flat.view(torch.uint8).numpy().data
