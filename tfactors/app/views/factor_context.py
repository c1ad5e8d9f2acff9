"""How much text a factor needs, and how far that is from another level.

Draws a factor's importance over the layers beside what is left of its activation when context is
cut away, each with its threshold of the rule of levels. Says how far the factor is from each
threshold in numbers, and measures any other layer live.
"""

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.parts import definitions, downloads, live_model
from tfactors.app.parts.selection import Selected
from tfactors.errors import InputError

if TYPE_CHECKING:
    from tfactors.describe.levels import Thresholds


_REMEMBERED = 200  # small tables
_EXAMPLES = 10


@dataclass(frozen=True)
class Question:
    """What is left of a factor's activation at a layer; equal questions have equal answers."""

    factor: int
    layer: int


def show(selected: Selected) -> None:
    """Draw what the bundle holds of a factor's peak layer, and offer the layer that is open."""
    st.subheader("How much text it needs", anchor=False, help=definitions.REACH)
    retention = selected.bundle.retention(selected.factor)
    if retention.empty:
        dead = "This was not measured: the factor is dead."
        st.caption(selected.bundle.abilities.retention.why_not or dead)
        return
    peak = int(retention["layer"].iloc[0])
    _draw_curves(selected, retention, peak)
    _draw_distances(selected)
    if selected.layer != peak:
        _draw_open_layer(selected)


def _draw_curves(selected: Selected, retention: pd.DataFrame, layer: int) -> None:
    from tfactors.app.views import factor_charts

    side = "before" if selected.bundle.about.model.causal else "on each side of"
    st.markdown(
        f"The model reads its strongest examples at layer {layer} again, with only a few tokens "
        f"{side} the word. Of the activation, the word alone keeps "
        f"**{_mean_retained(retention, 'word'):.0%}** and the word's own sentence "
        f"**{_mean_retained(retention, 'sentence'):.0%}**.",
        help=definitions.CUTTING,
    )
    values, band = selected.overview.importance[selected.factor], selected.overview.band
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Importance by layer, and where low ends**", help=definitions.DEPTH)
        factor_charts.importance_and_low(
            band,
            values,
            selected.thresholds.low_depth * selected.bundle.blocks,
            selected.level,
            alt=f"Importance of factor {selected.factor} by layer: "
            + ", ".join(f"{v:.2f}" for v in values)
            + f". It peaks at layer {selected.row['peak_layer']}; the grey part is low-level.",
        )
    with right:
        st.markdown("**What is left, by tokens of context**", help=definitions.REACH)
        _draw_retention(selected, retention)
    downloads.show(lambda: retention, f"retention_{selected.factor}")


def _draw_retention(selected: Selected, retention: pd.DataFrame) -> None:
    from tfactors.app.views import factor_charts

    radius = retention[retention["kind"] == "radius"].sort_values("radius")
    factor_charts.retention_curve(
        radius,
        _mean_retained(retention, "sentence"),
        selected.thresholds.sentence_share if selected.thresholds.word_share is None else None,
        selected.level,
        alt="Share of the activation that is left by tokens of context: "
        + ", ".join(f"{row.radius}: {row.retained:.0%}" for row in radius.itertuples()),
    )


def _mean_retained(retention: pd.DataFrame, kind: str) -> float:
    return float(retention.loc[retention["kind"] == kind, "retained"].mean())


def _draw_distances(selected: Selected) -> None:
    """Draw the rule with this factor's numbers in it."""
    rows = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(says)}</dd>"
        for name, says in distances(
            selected.row, selected.level, selected.thresholds, selected.bundle.blocks
        )
    )
    st.markdown("##### How far from another level", help=definitions.DISTANCE)
    st.html(f'<dl class="tf-facts">{rows}</dl>')


def distances(
    row: "pd.Series[Any]", level: str, limits: "Thresholds", blocks: int
) -> list[tuple[str, str]]:
    """Return the rule with a factor's distance to each threshold, line by line."""
    depth, sentence = float(row["depth"]), float(row[limits.sentence_column])
    low, sentence_share = limits.low_depth, limits.sentence_share
    layers = (depth - low) * blocks
    lines = [
        (
            "Depth",
            f"{depth:.2f} (layer {row['peak_layer']} of {blocks}), {abs(depth - low):.2f} or "
            f"{abs(layers):.1f} layers {'above' if layers > 1e-9 else 'from'} the threshold "
            f"{low:.2f}; low at or below it",
        )
    ]
    word = float(row["word_elsewhere"])
    if limits.word_share is not None and not np.isnan(word):
        lines.append(
            (
                "Kept by its words elsewhere",
                f"{_from_threshold(word, limits.word_share)}; low at or above it",
            )
        )
    place = float(row["same_place"])
    if limits.word_share is not None and not np.isnan(place):
        lines.append(
            (
                "Examples at one place of the window",
                f"{_from_threshold(place, limits.word_share)}; low at or above it",
            )
        )
    if not np.isnan(sentence):
        name = "Kept by the sentence" + (" in another text" if limits.word_share else "")
        lines.append(
            (name, f"{_from_threshold(sentence, sentence_share)}; high below it, unless low")
        )
    lines.append(("Level", level or "none"))
    return lines


def _from_threshold(share: float, threshold: float) -> str:
    side = "below" if share < threshold else "above"
    points = abs(share - threshold) * 100
    return f"{share:.0%}, {points:.0f} points {side} the threshold {threshold:.0%}"


def _draw_open_layer(selected: Selected) -> None:
    """Offer to measure the layer that is open, which the bundle does not hold, and draw it."""
    st.markdown(f"##### At layer {selected.layer}", help=definitions.RETAINED_SENTENCE)
    question = Question(selected.factor, selected.layer)
    answer = live_model.model_of(selected.bundle).answers.get(question)
    if answer is None:
        missing = live_model.missing_part(selected.bundle)
        place = st.empty()
        if not place.button(
            f"Measure at layer {selected.layer}",
            disabled=missing is not None,
            key="measure_retention",
        ):
            st.caption(
                f"To measure it, install {missing} beside the dashboard."
                if missing
                else "The bundle holds the peak layer; another one takes the model some seconds."
            )
            return
        try:
            answer = _measured_retention(selected, question)
        except InputError as error:
            live_model.show_refusal(error)
            return
        place.empty()
    shares = answer.rename(columns={"word": "alone"})
    st.markdown(
        f"Of {int(shares['examples'].iloc[0])} strongest examples at layer {selected.layer}, the "
        f"word alone keeps **{float(shares['alone'].iloc[0]):.0%}** and the word's own sentence "
        f"**{float(shares['sentence'].iloc[0]):.0%}**."
    )
    from tfactors.explain.retention import curve_rows

    _draw_retention(selected, curve_rows(answer))


def _measured_retention(selected: Selected, question: Question) -> pd.DataFrame:
    note = st.empty()
    with live_model.borrowed_encoder(selected.bundle, note.caption) as encoder:
        from tfactors.explain.retention import retention_at

        retention = retention_at(
            selected.bundle, question.factor, question.layer, _EXAMPLES, encoder
        )
    note.empty()
    live_model.model_of(selected.bundle).remember(question, retention, _REMEMBERED)
    return retention
