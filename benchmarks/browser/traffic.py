"""Traffic: what a scene's front end weighs, and what crosses the wire while a hand is on a slider.

Counted are the frames that the page sends over its web sockets, and those that come back, in a real JupyterLab: while
ForwardNoising is scrubbed for two seconds, when the hand rests, and while a slider of the schedule is dragged.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from pathlib import Path
from typing import Any

from place import chromium, jupyterlab, opened

import difflab

SCRUB = """([seconds]) => new Promise((done) => {
    const input = document.querySelector('.difflab-scrub');
    const start = performance.now();
    let moves = 0;
    const move = (now) => {
        input.value = String(Math.round(500 + 400 * Math.sin(now / 200)));
        input.dispatchEvent(new Event('input'));
        moves += 1;
        if (now - start < 1000 * seconds) requestAnimationFrame(move); else done(moves);
    };
    requestAnimationFrame(move);
})"""
DRAG = """([seconds]) => new Promise((done) => {
    const panel = [...document.querySelectorAll('.difflab-panel')].find((p) => p.ariaLabel === 'Schedule');
    const input = panel.querySelector('input[type=range]');
    const start = performance.now();
    let moves = 0;
    const move = (now) => {
        input.value = String(Math.round(500 + 400 * Math.sin(now / 200)));
        input.dispatchEvent(new Event('input'));
        moves += 1;
        if (now - start < 1000 * seconds) return requestAnimationFrame(move);
        input.dispatchEvent(new Event('change'));
        done(moves);
    };
    requestAnimationFrame(move);
})"""


def kind_of(frame: str | bytes) -> str:
    """Jupyter's name of the message in a frame."""
    text = frame if isinstance(frame, str) else frame.decode("latin-1")
    found = re.search(r'"msg_type": ?"(\w+)"', text)
    return found[1] if found else "other"


def weights() -> dict[str, int]:
    """Bytes of what a scene brings, as a server compresses it (gzip, level 6)."""
    static = Path(difflab.__file__).parent / "static"
    return {name: len(gzip.compress((static / name).read_bytes(), 6)) for name in ("widget.js", "widget.css")}


def measure(seconds: float = 2.0) -> dict[str, Any]:
    with chromium() as browser, jupyterlab() as server:
        notebook = opened(browser, server, "1 + 1")
        page = notebook.page
        sent: list[str] = []
        received: list[str] = []

        def listen(socket: Any) -> None:
            socket.on("framesent", lambda data: sent.append(kind_of(data)))
            socket.on("framereceived", lambda data: received.append(kind_of(data)))

        page.on("websocket", listen)  # those of the page that is opened from here on
        notebook.open(
            "from difflab import ForwardNoising, ScheduleDesk\nforward = ForwardNoising()\nforward",
            "desk = ScheduleDesk()\ndesk",
        )
        notebook.run_all()
        page.locator(".difflab-scrub").first.wait_for()
        page.wait_for_timeout(3000)

        def counted(act: str) -> dict[str, Any]:
            sent.clear()
            received.clear()
            moves = page.evaluate(act, [seconds])
            during = len(sent), len(received)
            page.wait_for_timeout(1500)
            return {
                "moves": moves,
                "sent": dict(Counter(sent[: during[0]])),
                "received": dict(Counter(received[: during[1]])),
                "sent at rest": dict(Counter(sent[during[0] :])),
            }

        notebook.output(0).scroll_into_view_if_needed()
        scrubbed = counted(SCRUB)
        kept = notebook.value("forward.t")
        notebook.output(1).scroll_into_view_if_needed()
        dragged = counted(DRAG)
        page.get_by_label("formula of the schedule").last.select_option(
            "VPBetaSigmoid"
        )  # no formula in the browser: tables
        page.wait_for_timeout(2000)
        tables = counted(DRAG)
        latest = notebook.value("desk.terminal['schedule'] == desk.schedule and not desk.status")
    return {
        "scrubbed": scrubbed,
        "t in Python afterwards": kept,
        "dragged": dragged,
        "dragged, by tables": tables,
        "the last position is answered": latest,
    }


def report() -> None:
    found = weights()
    parts = ", ".join(f"{name} {size / 1000:.1f} kB" for name, size in found.items())
    print(f"compressed: {parts}, together {sum(found.values()) / 1000:.1f} kB")
    for name, value in measure().items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    report()
