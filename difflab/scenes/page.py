"""A scene as one self-contained page: its state, its buffers and the front end, with no kernel, no CDN, no network."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any


def write_page(path: Path, title: str, state: dict[str, Any]) -> Path:
    """Write the scene with this `state` to `path` as HTML; OSError if the folder does not exist or cannot be written.

    `state` holds traits as they go over the wire; a child scene stands in it as a state of its own.
    """
    static = Path(__file__).parent.parent / "static"
    # "</script" would end the element and "<!--" hide its end; inside JSON "\\u003c" means the same as "<"
    text = json.dumps(_value(state), allow_nan=False).replace("<", "\\u003c")
    script = (static / "page.js").read_text(encoding="utf-8").replace("</script", "<\\/script")
    style = (static / "widget.css").read_text(encoding="utf-8")
    path.write_text(
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{style}</style></head>\n"
        f'<body><main id="scene"></main>\n<script type="application/json" id="state">{text}</script>\n'
        f"<script>{script}</script></body></html>\n",
        encoding="utf-8",
    )
    return path


def _value(value: Any) -> Any:
    """Buffers as base64; numbers that JSON does not know as null."""
    if isinstance(value, dict):
        return {k: _value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(v) for v in value]
    if isinstance(value, (memoryview, bytes)):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return None
    return value
