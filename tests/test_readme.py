"""What the README shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("code", EXAMPLES)
def test_examples_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    promised = re.search(r"final\(states\) *# \((\d+), (\d+)\)", code)
    if promised:
        assert tuple(names["x"].shape) == tuple(map(int, promised.groups()))  # type: ignore[attr-defined]
    if "save_html" in code:
        assert (tmp_path / "noising.html").stat().st_size > 100_000
