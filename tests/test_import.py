"""`import difflab` is cheap, and its names lead somewhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

import difflab


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, difflab; print(*({'torch', 'anywidget', 'sklearn', 'numpy'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


@pytest.mark.parametrize("name", difflab.__all__)
def test_every_name_is_there(name: str) -> None:
    value = getattr(difflab, name)
    assert isinstance(value, str) or value.__name__.endswith(name)
    assert name in dir(difflab)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Labb'"):
        difflab.Labb  # noqa: B018
