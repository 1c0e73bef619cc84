"""The picture of `quality.py` as SVG: error over evaluations, both logarithmic; grey dots are other settings, ours is a line."""

from __future__ import annotations

import math

_W, _H, _LEFT, _TOP, _GAP = 340, 300, 62, 34, 60
_OURS, _PEER, _INK = "#d55e00", "#8a8a8a", "#333333"

#: by target, by evaluations: (name, error), the default first
Panels = dict[str, dict[int, list[tuple[str, float]]]]


def svg(panels: Panels) -> str:
    """A panel for each target, next to each other."""
    width = _LEFT + len(panels) * (_W + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_H + _TOP + 58}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{_H + _TOP + 58}" fill="#ffffff"/>',
    ]
    for k, (name, found) in enumerate(panels.items()):
        parts += _panel(_LEFT + k * (_W + _GAP), name, found)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(left: float, name: str, found: dict[int, list[tuple[str, float]]]) -> list[str]:
    budgets = list(found)
    top, bottom = 1.0, 1e-5

    def x(budget: float) -> float:
        share = (math.log(budget) - math.log(min(budgets))) / max(1e-9, math.log(max(budgets) / min(budgets)))
        return left + 16 + share * (_W - 32)

    def y(error: float) -> float:
        return _TOP + (math.log(top) - math.log(min(max(error, bottom), top))) / math.log(top / bottom) * _H

    parts = [f'<text x="{left}" y="{_TOP - 14}" fill="{_INK}" font-size="14">{name}</text>']
    for power in range(round(math.log10(bottom)), 1):
        level = y(10.0**power)
        parts.append(f'<line x1="{left}" x2="{left + _W}" y1="{level:.1f}" y2="{level:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 6}" y="{level + 4:.1f}" text-anchor="end" fill="{_INK}">1e{power}</text>')
    for budget, runs in found.items():
        parts.append(
            f'<text x="{x(budget):.1f}" y="{_TOP + _H + 18}" text-anchor="middle" fill="{_INK}">{budget}</text>'
        )
        for label, error in runs[1:]:
            if not math.isfinite(error) or error > top:
                continue
            at = f'transform="translate({x(budget):.1f} {y(error):.1f})"'
            title = f"<title>{label}: {error:.2g}</title>"
            if label.startswith("difflab"):
                parts.append(f'<path {at} d="M-3 3L0 -3L3 3Z" fill="none" stroke="{_OURS}">{title}</path>')
            else:
                parts.append(f'<circle {at} r="2.2" fill="none" stroke="{_PEER}" opacity="0.7">{title}</circle>')
    line = " ".join(f"{x(b):.1f},{y(runs[0][1]):.1f}" for b, runs in found.items())
    parts.append(f'<polyline points="{line}" fill="none" stroke="{_OURS}" stroke-width="2"/>')
    for budget, runs in found.items():
        parts.append(f'<circle cx="{x(budget):.1f}" cy="{y(runs[0][1]):.1f}" r="4" fill="{_OURS}"/>')
    foot = _TOP + _H + 38
    parts.append(f'<text x="{left + _W / 2}" y="{foot}" text-anchor="middle" fill="{_INK}">evaluations</text>')
    low = _TOP + _H
    parts += [
        f'<text x="{left + 8}" y="{low - 26}" fill="{_OURS}">&#9679; difflab, default &#9651; its others</text>',
        f'<text x="{left + 8}" y="{low - 10}" fill="{_PEER}">&#9675; diffusers, azula, smalldiffusion</text>',
        f'<text x="{left + _W}" y="{_TOP - 14}" text-anchor="end" fill="{_INK}">median distance to the flow\'s end</text>',
    ]
    return parts
