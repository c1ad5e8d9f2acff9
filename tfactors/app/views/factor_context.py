"""What decides whether a factor fires, how far another level is, and how much text it needs.

Draws which parts of its variance word, sentence and window decide, and what is left of its
activation when context is cut away; of older bundles beside its importance over the layers, with
the thresholds of their rule. Says how far the factor is from each threshold in numbers, and
measures any other layer live.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from tfactors.app.parts import downloads, live_model
from tfactors.app.parts.selection import Selected
from tfactors.describe.levels import OlderThresholds, deciding_parts
from tfactors.display.text import as_html
from tfactors.errors import InputError
from tfactors.portrait import definitions, level_rule

_REMEMBERED = 200  # small tables
_EXAMPLES = 10


@dataclass(frozen=True)
class Question:
    """What is left of a factor's activation at a layer; equal questions have equal answers."""

    factor: int
    layer: int


def show(selected: Selected) -> None:
    """Draw what the bundle holds of a factor's peak layer, and offer the layer that is open."""
    newer = not isinstance(selected.thresholds, OlderThresholds)
    if newer and selected.row["alive"]:
        _draw_deciding(selected)
    st.subheader("How much text it needs", anchor=False, help=definitions.REACH)
    retention = selected.bundle.retention(selected.factor)
    if retention.empty:
        dead = "This was not measured: the factor is dead."
        st.caption(selected.bundle.abilities.retention.why_not or dead)
        return
    peak = int(retention["layer"].iloc[0])
    _draw_curves(selected, retention, peak)
    if not newer:
        _draw_distances(selected)
    if selected.layer != peak:
        _draw_open_layer(selected)


def _draw_deciding(selected: Selected) -> None:
    """Draw what decides whether the factor fires, and the rule of levels with its numbers."""
    st.subheader("What decides whether it fires", anchor=False, help=definitions.DECIDES)
    names = ("token_share", "window_share", "sentence_share")
    token, window, sentence = (float(selected.row[name]) for name in names)
    if np.isnan(token + window + sentence):
        st.caption("Fewer than 20 tokens of the sample activate it: too few to tell.")
    else:
        from tfactors.app.views import factor_charts

        parts = deciding_parts(token, window, sentence)
        said = " · ".join(f"{name} **{share:.0%}**" for name, share in parts.items())
        factor_charts.deciding_parts(
            parts,
            alt="Shares of the variance of its activation: "
            + ", ".join(f"{name} {share:.0%}" for name, share in parts.items()),
        )
        st.caption(said)
        shares = dict(zip(names, (token, window, sentence), strict=True))
        downloads.show(lambda: pd.DataFrame([shares | parts]), f"decides_{selected.factor}")
    _draw_distances(selected)
    st.caption(level_rule.rule_sentence(selected.thresholds))


def _draw_curves(selected: Selected, retention: pd.DataFrame, layer: int) -> None:

    side = "before" if selected.bundle.about.model.causal else "on each side of"
    st.markdown(
        f"The model reads its strongest examples at layer {layer} again, with only a few tokens "
        f"{side} the word. Of the activation, the word alone keeps "
        f"**{_mean_retained(retention, 'word'):.0%}** and the word's own sentence "
        f"**{_mean_retained(retention, 'sentence'):.0%}**.",
        help=definitions.CUTTING,
    )
    limits = selected.thresholds
    if isinstance(limits, OlderThresholds):
        left, right = st.columns(2, gap="large")
        with left:
            _draw_importance(selected, limits)
    else:
        right = st.container()
    with right:
        st.markdown("**What is left, by tokens of context**", help=definitions.REACH)
        _draw_retention(selected, retention)
    downloads.show(lambda: retention, f"retention_{selected.factor}")


def _draw_importance(selected: Selected, limits: OlderThresholds) -> None:
    from tfactors.app.views import factor_charts

    values, band = selected.overview.importance[selected.factor], selected.overview.band
    st.markdown("**Importance by layer, and where low ends**", help=definitions.DEPTH)
    factor_charts.importance_and_low(
        band,
        values,
        limits.low_depth * selected.bundle.blocks,
        selected.level,
        alt=f"Importance of factor {selected.factor} by layer: "
        + ", ".join(f"{v:.2f}" for v in values)
        + f". It peaks at layer {selected.row['peak_layer']}; the grey part is low-level.",
    )


def _draw_retention(selected: Selected, retention: pd.DataFrame) -> None:
    from tfactors.app.views import factor_charts

    radius = retention[retention["kind"] == "radius"].sort_values("radius")
    limits, high_below = selected.thresholds, None
    if isinstance(limits, OlderThresholds) and limits.word_share is None:
        high_below = limits.sentence_share
    factor_charts.retention_curve(
        radius,
        _mean_retained(retention, "sentence"),
        high_below,
        selected.level,
        alt="Share of the activation that is left by tokens of context: "
        + ", ".join(f"{row.radius}: {row.retained:.0%}" for row in radius.itertuples()),
    )


def _mean_retained(retention: pd.DataFrame, kind: str) -> float:
    return float(retention.loc[retention["kind"] == kind, "retained"].mean())


def _draw_distances(selected: Selected) -> None:
    """Draw the rule with this factor's numbers in it."""
    rows = "".join(
        f"<dt>{as_html(name)}</dt><dd>{as_html(says)}</dd>"
        for name, says in level_rule.distances(
            selected.row, selected.level, selected.thresholds, selected.bundle.blocks
        )
    )
    st.markdown("##### How far from another level", help=definitions.DISTANCE)
    st.html(f'<dl class="tf-facts">{rows}</dl>')


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
