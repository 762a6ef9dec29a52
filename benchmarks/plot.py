"""How cost grows, as a small SVG: two panels on logarithmic axes, legible on light and dark pages."""

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.arena import LIMIT, MULTICALL, OURS, VIEM

WIDTH, HEIGHT = 880, 400
_PANEL_WIDTH, _PANEL_HEIGHT = 330, 270
_LEFT, _TOP, _BETWEEN = 70, 62, 90
_COLOURS = {OURS: "#2f81f7", LIMIT: "#8b949e", MULTICALL: "#d1603d", VIEM: "#8957e5"}
_DASHED = frozenset({LIMIT})
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#57606a}.t{font-size:14px;font-weight:600}"
    ".g{stroke:#8b949e;stroke-opacity:.25}.a{stroke:#8b949e}"
    "@media(prefers-color-scheme:dark){text{fill:#adbac7}}"
)


def growth_svg(growth: dict[str, list[dict[str, Any]]]) -> str:
    """Both panels: milliseconds against wallets (60 tokens each) and against tokens (100 wallets)."""
    every = [ms for points in growth.values() for point in points for ms in point["ms"].values()]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Time of a read against the number of wallets and of tokens">',
        f"<style>{_STYLE}</style>",
        _legend(),
    ]
    titles = {"wallets": "Wallets, 60 tokens each", "tokens": "Tokens, 100 wallets each"}
    for number, (axis, title) in enumerate(titles.items()):
        left = _LEFT + number * (_PANEL_WIDTH + _BETWEEN)
        parts += _Panel(left, axis, title, growth[axis], (low, high)).parts()
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Panel:
    def __init__(
        self, left: int, axis: str, title: str, points: Sequence[dict[str, Any]], decades: tuple[int, int]
    ) -> None:
        self._left, self._axis, self._title = left, axis, title
        self._points = points
        self._low, self._high = decades
        self._from = math.log10(points[0][axis])
        self._to = math.log10(points[-1][axis])

    def parts(self) -> list[str]:
        return [*self._frame(), *(self._line(name) for name in _COLOURS)]

    def _x(self, value: float) -> float:
        return self._left + _PANEL_WIDTH * (math.log10(value) - self._from) / (self._to - self._from)

    def _y(self, ms: float) -> float:
        share = (math.log10(ms) - self._low) / (self._high - self._low)
        return _TOP + _PANEL_HEIGHT * (1 - share)

    def _frame(self) -> list[str]:
        right, bottom = self._left + _PANEL_WIDTH, _TOP + _PANEL_HEIGHT
        parts = [_text(self._left + _PANEL_WIDTH / 2, bottom + 44, self._title, "middle", "t")]
        for decade in range(self._low, self._high + 1):
            y = self._y(10**decade)
            parts.append(f'<line class="g" x1="{self._left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
            parts.append(_text(self._left - 8, y + 4, _duration(10**decade), "end"))
        for point in self._points:
            x = self._x(point[self._axis])
            parts.append(f'<line class="a" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 5}"/>')
            parts.append(_text(x, bottom + 20, f"{point[self._axis]:,}", "middle"))
        parts.append(f'<line class="a" x1="{self._left}" y1="{bottom}" x2="{right}" y2="{bottom}"/>')
        return parts

    def _line(self, name: str) -> str:
        known = [point for point in self._points if name in point["ms"]]
        places = [(self._x(point[self._axis]), self._y(point["ms"][name])) for point in known]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dashes = ' stroke-dasharray="5 4"' if name in _DASHED else ""
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places)
        colour = _COLOURS[name]
        line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
        return f'{line}<g fill="{colour}">{dots}</g>'


def _legend() -> str:
    parts = []
    for number, (name, colour) in enumerate(_COLOURS.items()):
        x = _LEFT + number * 200
        dashes = ' stroke-dasharray="5 4"' if name in _DASHED else ""
        parts.append(
            f'<line x1="{x}" y1="24" x2="{x + 24}" y2="24" stroke="{colour}" stroke-width="2"{dashes}/>'
        )
        parts.append(_text(x + 32, 28, name, "start"))
    return "\n".join(parts)


def _text(x: float, y: float, words: str, anchor: str, style: str = "") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{words}</text>'


def _duration(ms: float) -> str:
    return f"{ms / 1_000:g} s" if ms >= 1_000 else f"{ms:g} ms"
