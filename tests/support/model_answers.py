"""Answers of a language model beside a bundle, without one: for the pages that show them."""

from collections.abc import Mapping
from pathlib import Path

from tfactors.bundle import Bundle, llm_labels
from tfactors.bundle.llm_labels import Answer

MODEL = "tiny <model>"


def answer(factor: int, layer: int, task: str, text: str, fits: tuple[int, ...] = ()) -> Answer:
    """One row; ``fits`` are how many of 5 strong, 5 random and 10 silent places fit."""
    counts = {}
    for kind, asked, fit in zip(
        ("strong", "random", "silent"), (5, 5, 10), fits or (), strict=False
    ):
        counts |= {kind: asked, f"{kind}_fit": fit}
    other = factor + 1 if task == "shuffled" else None
    row = (factor, MODEL, task, layer, text, "2026-11-26T10:00:00Z", 1, "0" * 64, "{}")
    return Answer(*row, tokens_in=100, tokens_out=10, other=other, **counts)


def put_labels(folder: Path, labels: Mapping[int, str]) -> None:
    """Write labels with scores of 85 %, 60 % by rule and 50 % shuffled beside a bundle."""
    bundle, rows = Bundle.open(folder), []
    for factor, label in labels.items():
        layer = int(bundle.factors["peak_layer"][factor])
        rows += [
            answer(factor, layer, "label", label),
            answer(factor, layer, "score", label, (5, 3, 1)),
            answer(factor, layer, "rule", "a rule", (3, 1, 2)),
            answer(factor, layer, "shuffled", "another", (0, 0, 0)),
        ]
    llm_labels.write(folder, bundle.about, rows)
