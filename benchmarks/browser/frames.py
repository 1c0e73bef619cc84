"""Frames: ForwardNoising plays 100,000 points and scrubs 1,000,000, beside a bare loop that draws as many on a canvas as large.

The bare loops are the plainest JavaScript: mix, project, add to a Float32Array, a colour table, putImageData. "one pixel" puts
a point on the nearest pixel, "2 x 2" spreads it over the four around it. They draw no density, no paths, no words. Both take
turns in one page; a frame's cost is what its animation callbacks take, and the reading of one pixel, which makes the canvas
finish.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from place import SIZE, chromium, median

from difflab import ForwardNoising

WATCH = """
window.costs = []; window.frames = []; window.watching = false;
const raf = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (f) => raf((now) => {
  const start = performance.now();
  f(now);
  if (!window.watching) return;
  document.querySelector('canvas').getContext('2d').getImageData(0, 0, 1, 1);
  window.costs.push(performance.now() - start);
  window.frames.push(now);
});
"""
SCRUB = """(frames) => new Promise((done) => {
  const input = document.querySelector('.difflab-scrub');
  let i = 0;
  const move = () => {
    input.value = String(Math.round(1000 * Math.abs(((2 * i) / frames) % 2 - 1)));
    input.dispatchEvent(new Event('input'));
    i += 1;
    if (i < frames) setTimeout(move, 0); else done();
  };
  move();
})"""
BARE = """([n, width, height, frames, wide]) => new Promise((done) => {
  const canvas = document.createElement('canvas');
  canvas.width = width; canvas.height = height;
  canvas.style.cssText = 'position: fixed; left: 0; top: 0; z-index: 9';
  document.body.append(canvas);
  const context = canvas.getContext('2d');
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const x = Float32Array.from({ length: 2 * n }, normal);
  const y = Float32Array.from({ length: 2 * n }, normal);
  const mass = new Float32Array(width * height);
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const table = Uint32Array.from({ length: 256 }, (_, i) => ((i << 24) | 0xb27200) >>> 0);
  const scale = height / 6;
  const draw = (a, b) => {
    mass.fill(0);
    for (let i = 0; i < 2 * n; i += 2) {
      const px = width / 2 + scale * (a * x[i] + b * y[i]);
      const py = height / 2 - scale * (a * x[i + 1] + b * y[i + 1]);
      if (!(px >= 0 && py >= 0 && px < width - 1 && py < height - 1)) continue;
      const at = (py | 0) * width + (px | 0);
      if (wide) {
        const u = px - (px | 0);
        const v = py - (py | 0);
        mass[at] += (1 - u) * (1 - v);
        mass[at + 1] += u * (1 - v);
        mass[at + width] += (1 - u) * v;
        mass[at + width + 1] += u * v;
      } else mass[at] += 1;
    }
    for (let i = 0; i < pixels.length; i++) pixels[i] = table[Math.min(255, (mass[i] * 60) | 0)];
    context.putImageData(image, 0, 0);
    context.getImageData(0, 0, 1, 1);
  };
  const costs = [];
  const go = () => {
    const t = costs.length / frames;
    const start = performance.now();
    draw(Math.cos(1.5 * t), Math.sin(1.5 * t));
    costs.push(performance.now() - start);
    if (costs.length < frames) requestAnimationFrame(go); else { canvas.remove(); done(costs); }
  };
  requestAnimationFrame(go);
})"""


def measure(rounds: int = 3) -> list[dict[str, Any]]:
    rows = []
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        for n in (100_000, 1_000_000):
            page = browser.new_page(viewport=SIZE | {"height": 600})
            page.add_init_script(WATCH)
            file = ForwardNoising(n=n).save_html(Path(folder) / f"{n}.html")
            page.goto(file.as_uri())
            canvas = page.locator("canvas").first
            canvas.wait_for()
            canvas.focus()
            width, height = page.evaluate(
                "() => { const c = document.querySelector('canvas'); return [c.width, c.height]; }"
            )
            found: dict[str, list[float]] = {"played": [], "scrubbed": [], "scene": [], "one pixel": [], "2 x 2": []}
            for _ in range(rounds):
                for kind in ("played", "scrubbed"):
                    page.keyboard.press("Home")
                    page.wait_for_timeout(300)
                    page.evaluate("() => { window.costs = []; window.frames = []; window.watching = true; }")
                    if kind == "played":
                        page.keyboard.press("Space")
                        page.wait_for_timeout(3000)
                        page.keyboard.press("Space")
                    else:
                        page.evaluate(SCRUB, 400)
                    costs, frames = page.evaluate(
                        "() => { window.watching = false; return [window.costs, window.frames]; }"
                    )
                    found[kind].append(1000 * (len(frames) - 1) / (frames[-1] - frames[0]))
                    found["scene"] += costs
                for wide in (False, True):
                    costs = page.evaluate(BARE, [n, width, height, 60, wide])
                    found["2 x 2" if wide else "one pixel"] += costs[10:]
            rows.append({"points": n, "canvas": f"{width} x {height}"} | {k: median(v) for k, v in found.items()})
            page.close()
    return rows


def report() -> None:
    for row in measure():
        scene, near, wide = row["scene"], row["one pixel"], row["2 x 2"]
        print(
            f"{row['points']:,} points on {row['canvas']}: played at {row['played']:.0f} frames a second, scrubbed at "
            f"{row['scrubbed']:.0f}; a frame costs {scene:.1f} ms, the bare loop {near:.1f} ms (one pixel: "
            f"{scene / near:.2f} times) and {wide:.1f} ms (2 x 2: {scene / wide:.2f} times)"
        )


if __name__ == "__main__":
    report()
