"""Arrays cross as binary buffers, and only from Python to the browser."""

import numpy as np
import pytest
import traitlets

from difflab.scenes.arrays import Array, encode


class Holder(traitlets.HasTraits):
    a = Array()


def test_an_array_is_encoded_as_its_own_bytes() -> None:
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    wire = encode(array)
    assert (wire["dtype"], wire["shape"]) == ("float16", [2, 3])
    assert bytes(wire["data"]) == array.tobytes()


def test_float64_is_narrowed_and_rows_are_made_contiguous() -> None:
    holder = Holder(a=np.arange(6.0).reshape(2, 3).T)
    assert holder.a.dtype == np.float32
    assert holder.a.flags["C_CONTIGUOUS"]
    assert bytes(encode(holder.a)["data"]) == np.array([0, 3, 1, 4, 2, 5], np.float32).tobytes()


def test_every_new_array_is_a_change_and_none_empties_it() -> None:
    seen = []
    holder = Holder(a=np.zeros(3, np.float32))
    holder.observe(lambda change: seen.append(change["new"]), "a")
    same_values = np.zeros(3, np.float32)
    holder.a = same_values
    holder.a = None
    assert seen[0] is same_values
    assert seen[1] is None
    assert len(seen) == 2
    assert encode(holder.a) is None


def test_a_dtype_the_browser_does_not_read_is_refused() -> None:
    with pytest.raises(traitlets.TraitError, match="float32, float16, uint8"):
        Holder(a=np.zeros(3, np.int64))
