"""A small website in the two page formats of 2021, with pictures drawn here; nothing is copied."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

LAYERS = (0, 2, 4, 6, 8, 10)
SENTENCES = (
    ("the crew left their", "camp", " at dawn, in 1 < unk> order"),
    ("she wrote a ", "letter", " to the editor of the @-@ paper."),
    ("", "banks", " of the river • were steep"),
    ("a harbour under the old", " town", ""),
    ("they sold the un", "believ", "able machine, twice"),
)


def write_plain_page(path: Path, examples: list[tuple[str, str, str]]) -> None:
    """Format A: a bullet an example, the marked word blue, an empty bullet at the end."""
    parts = "".join(f"• {a} <text style=color:blue>{b}</text>{c}<br />" for a, b, c in examples)
    path.write_text(f"<body>{parts}•</body>", encoding="utf-8")


def colour(weight: float) -> str:
    """The colour of a weight between -1 and 1, blended with white."""
    full = (255, 50, 0) if weight >= 0 else (50, 255, 0)
    return "#" + "".join(f"{round(255 + abs(weight) * (c - 255)):02x}" for c in full)


def write_coloured_page(path: Path, windows: list[list[tuple[str, float | None, bool]]]) -> None:
    """Format B: (text, weight or None where it has no colour, whether it is marked) in a row."""
    parts = []
    for window in windows:
        part = ""
        for text, weight, marked in window:
            body = f"<text style=color:blue>{text}</text>" if marked else text
            part += (
                body
                if weight is None
                else f"<text style=background-color:{colour(weight)};>{body}</text>"
            )
        parts.append(part)
    path.write_text("<body> " + "<br /><br />".join(parts) + "<br /><br />\n</body>", "utf-8")


def draw_curve(path: Path, values: np.ndarray, fine: int = 6) -> None:
    """A blue line in a black frame with ticks, 300 × 200, its axis scaled to the curve."""
    picture = Image.new("RGBA", (300 * fine, 200 * fine), (255, 255, 255, 255))
    draw = ImageDraw.Draw(picture)
    left, right, top, bottom = 45, 290, 10, 175
    draw.rectangle([n * fine for n in (left, top, right, bottom)], outline="black", width=fine)
    for tick in range(top + 10, bottom, 30):
        draw.line([n * fine for n in (left - 4, tick, left, tick)], fill="black", width=fine)
    span = np.ptp(values) or 1.0
    share = 0.05 + 0.9 * (values - values.min()) / span
    x = left + (right - left) * np.linspace(0.05, 0.95, len(values))
    y = bottom - (bottom - top) * share
    points = list(zip((x * fine).tolist(), (y * fine).tolist(), strict=True))
    draw.line(points, fill=(31, 119, 180, 255), width=round(1.5 * fine), joint="curve")
    picture.resize((300, 200), Image.Resampling.LANCZOS).save(path)


WINDOW = [
    ("the ", None, False),
    ("port", 0.5, False),
    (" of nas", None, False),
    ("tia", -0.25, False),
    (" ", None, False),
    ("sank", 1.0, True),
    (",", 0.75, False),
    (" it is said.", None, False),
]


def write_tiny_site(folder: Path) -> dict[int, np.ndarray]:
    """Factors 0, 1 and 500 at all layers and 528 at all but layer 6; return their curves."""
    pages, pictures = folder / "sparse_code_data", folder / "sparse_code_img"
    pages.mkdir(parents=True)
    pictures.mkdir()
    curves = {
        0: np.array([9.0, 12.0, 8.0, 5.0, 2.0, 1.0]),
        1: np.array([1.0, 2.0, 3.0, 6.0, 9.0, 4.0]),
        500: np.array([0.9, 1.2, 0.8, 1.2, 2.8, 3.3]),
        528: np.array([0.1, 0.2, 0.4, 2.0, 1.8, 3.0]),
    }
    for number, curve in curves.items():
        draw_curve(pictures / f"d_{number}.png", curve)
        for layer in LAYERS:
            page = pages / f"d_{number}_l_{layer}.html"
            if number < 500:
                turned = SENTENCES[layer // 2 % 5 :] + SENTENCES[: layer // 2 % 5]
                write_plain_page(page, [*turned, turned[0]])  # with one exact duplicate
            elif (number, layer) != (528, 6):
                write_coloured_page(page, [WINDOW, WINDOW[2:]])
    (folder / "low_level.js").write_text("var low_level = [0, 7];\n")
    (folder / "mid_level.js").write_text("var mid_level = [\n  3, 1\n];\n")
    (folder / "high_level.js").write_text(
        '// const low_level = ["500", "7"]\n'
        "// const high_level  = Array.from(new Array(2), (x, i) => '' +(i * 28 + 500));\n"
        'const high_level = ["500", "528"]'
    )
    return curves
