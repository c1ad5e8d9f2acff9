"""Turns a result into what a notebook shows: a titled block of HTML, a table, a curve as a picture.

Bundles, factors, explanations and decompositions draw themselves with these pieces and those of
:mod:`tfactors.display.passages`. Every token is escaped. The importance curve of a factor is an SVG
picture that needs no script and no network; it stands beside the chart of Altair, for every place
that does not draw Vega-Lite itself: a machine without network, a page of GitHub, a notebook turned
into HTML or PDF. It has a ground of its own, so that it can be read on dark pages too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tfactors.display.text import as_html

_LOOK = """<style>
.tf-nb ol { list-style: none; margin: 0; padding: 0; }
.tf-nb cite { opacity: .6; font-size: .85em; }
.tf-nb .tf-line { display: grid; column-gap: .4rem; padding: .1rem 0;
  grid-template-columns: 3.5rem minmax(0, 1fr) max-content minmax(0, 1fr) minmax(0, 11rem); }
.tf-nb .tf-before { text-align: right; direction: rtl; }
.tf-nb .tf-before, .tf-nb .tf-after, .tf-nb cite { overflow: hidden; white-space: nowrap; }
.tf-nb cite { text-overflow: ellipsis; }
.tf-nb mark { background: #FDE68A; color: #22262B; font-weight: 650; border-radius: .2rem; }
.tf-nb .tf-plus { background: rgb(43 108 163 / calc(var(--a) * 55%)); }
.tf-nb .tf-minus { background: rgb(184 80 0 / calc(var(--a) * 55%)); border-bottom: 1px dashed; }
.tf-nb .tf-moved { font-weight: 650; outline: 2px solid; }
</style>"""


def framed(title: str, body: str) -> str:
    """Return a block of HTML with a title over it and the look of a notebook."""
    return f'<div class="tf-nb">{_LOOK}<p><b>{as_html(title)}</b></p>{body}</div>'


def table(rows: list[tuple[str, str]]) -> str:
    """Return rows of a name and what is said of it as a table, both escaped."""
    left = ' style="text-align: left"'  # notebooks align cells to the right, and win over a rule
    cells = (f"<tr><th{left}>{as_html(a)}</th><td{left}>{as_html(b)}</td></tr>" for a, b in rows)
    return f"<table>{''.join(cells)}</table>"


_WIDTH, _HEIGHT = 380, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 14, 40
_INK, _GREY, _GRID, _GROUND = "#1F5FA8", "#5F5B54", "#E4E0D8", "#FDFCFA"
_TICKS, _LAYER_NUMBERS = 4, 14


def curve_svg(layers: Sequence[int], importance: Sequence[float]) -> str:
    """Return the curve over the layers as SVG, each point with its value for a pointer over it."""
    top = nice_step(max([*importance, 0.0]) or 1.0, _TICKS)
    highest = top * math.ceil(max([*importance, top]) / top)
    bottom = _HEIGHT - _BOTTOM
    step = (_WIDTH - _LEFT - _RIGHT) / max(len(layers), 1)
    x = [_LEFT + step * (i + 0.5) for i in range(len(layers))]
    y = [bottom - (bottom - _TOP) * value / highest for value in importance]
    parts = [f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{_GROUND}"/>']
    for n in range(round(highest / top) + 1):
        at = bottom - (bottom - _TOP) * n * top / highest
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="{_GRID}"/>')
        parts.append(_text(_LEFT - 8, at + 4, f"{n * top:.10g}", "end"))
    every = math.ceil(len(layers) / _LAYER_NUMBERS)
    parts += [
        _text(at, bottom + 16, str(layer))
        for at, layer in list(zip(x, layers, strict=True))[::every]
    ]
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, "layer"))
    parts.append(_text(14, (_TOP + bottom) / 2, "importance", turned=True))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    parts.append(f'<polyline points="{points}" fill="none" stroke="{_INK}" stroke-width="2"/>')
    parts += [
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="{_INK}">'
        f"<title>layer {layer}: {value:.3f}</title></circle>"
        for a, b, layer, value in zip(x, y, layers, importance, strict=True)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="importance over the layers" '
        f'font-family="sans-serif" font-size="11">{"".join(parts)}</svg>'
    )


def nice_step(highest: float, steps: int) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that takes at most so many steps.

    >>> nice_step(10.4, 4), nice_step(0.9, 4)
    (5.0, 0.25)
    """
    least = highest / steps
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= least * (1 - 1e-9))


def _text(x: float, y: float, text: str, anchor: str = "middle", turned: bool = False) -> str:
    """Return text at a place of the picture, in its units."""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{_GREY}" text-anchor="{anchor}"{turn}>{text}</text>'
    )
