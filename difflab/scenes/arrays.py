"""Arrays on the wire: binary buffers with dtype and shape beside them, never JSON lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

DTYPES = ("float32", "float16", "uint8")


class Array(traitlets.TraitType[Any, Any]):
    """A trait that holds a numpy array, or None, and crosses to the browser as {dtype, shape, data}.

    The browser never writes one: what comes back is ignored. Raises TraitError for other dtypes than the browser reads.
    """

    allow_none = True
    default_value = None
    info_text = f"a numpy array of {', '.join(DTYPES)} or None"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag(sync=True, to_json=encode, from_json=_keep, echo_update=False)

    def validate(self, obj: Any, value: Any) -> np.ndarray | None:
        if value is None:
            return None
        array = np.ascontiguousarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        if array.dtype.name not in DTYPES:
            self.error(obj, value)
        return array

    def _validate(self, obj: Any, value: Any) -> Any:
        return self.validate(obj, value)

    def set(self, obj: Any, value: Any) -> None:
        """Arrays have no single truth value, so that the comparison of traitlets fails on them: every new array is a change."""
        new = self._validate(obj, value)
        old = obj._trait_values.get(self.name)
        obj._trait_values[self.name] = new
        if new is not old:
            obj._notify_trait(self.name, old, new)


def encode(value: np.ndarray | None, _widget: Any = None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {"dtype": value.dtype.name, "shape": list(value.shape), "data": value.reshape(-1).view(np.uint8).data}


def _keep(_value: Any, widget: Any) -> Any:
    raise traitlets.TraitError("Arrays cross from Python to the browser only.")
