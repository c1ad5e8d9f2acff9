"""What happens at the end of the network when one factor is taken away or made stronger.

Draws a slider, the text tinted by the change of each final state, and what that does to the
sentence embedding, to its cosine with another text, and to the predicted words. The text is a
reader's own with a chosen token, or an example of a factor. The Factor page also shows what the
bundle holds: the effect over the factor's examples, beside random directions.
"""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import (
    downloads,
    figures,
    live_decomposition,
    live_intervention,
    live_model,
    option_buttons,
    selection,
)
from tfactors.app.parts.selection import Selected
from tfactors.bundle import Bundle
from tfactors.display import passages
from tfactors.errors import InputError
from tfactors.portrait import definitions
from tfactors.portrait.figure import Figure

if TYPE_CHECKING:
    from tfactors.explain.decomposition import Decomposition
    from tfactors.explain.intervention import Intervention


def show_for_text(
    bundle: Bundle, text: str, decomposition: "Decomposition", position: int, layer: int
) -> None:
    """Draw what a factor of a token does in a reader's own text."""
    st.subheader("What a factor does", anchor=False, help=definitions.INTERVENTION)
    active = live_decomposition.rows_at(decomposition.factors, position, layer)
    if active.empty:
        st.caption("No factor is active at this token and layer: nothing to take away.")
        return
    factors = [int(factor) for factor in active["factor"]]
    strength = dict(zip(factors, active["activation"], strict=True))
    chosen = url_state.value_of(controls.MOVED)
    factor = chosen if chosen in strength else factors[0]

    def named(number: int) -> str:
        words = " / ".join(selection.name_words(bundle, number)[:2])
        return f"{strength[number]:.1f} · {number} {passages.shorten(words, 40)}"

    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Factor of this token",
            factors,
            format_func=named,
            width=300,
            **url_state.widget(controls.MOVED, factor),
        )
        _draw_step_controls()
    if bundle.abilities.origins and layer > bundle.layers[0]:
        shell.link(
            controls.ORIGINS_PAGE,
            "Where does it come from?",
            ":material/account_tree:",
            changes={
                controls.TOKEN: position,
                controls.LAYER: layer,
                controls.FACTOR: factor,
            },
        )
    other = url_state.value_of(controls.OTHER_TEXT).strip()
    everywhere = url_state.value_of(controls.MOVED_TOKENS) == "all"
    question = live_intervention.Question(
        text,
        -1,
        other,
        factor,
        layer,
        None if everywhere else position,
        url_state.value_of(controls.TIMES),
        live_decomposition.chosen_penalty(bundle),
    )
    _draw_intervention(bundle, question)
    if layer == bundle.blocks:
        st.caption(
            "This is the last layer: nothing is left to run, so only the token itself changes. "
            "Choose a lower one to see the factor at work."
        )


def show_for_factor(selected: Selected) -> None:
    """Draw what a factor does: what the bundle holds, and live in one of its examples."""
    st.subheader("What it does", anchor=False, help=definitions.EFFECT)
    _draw_stored_effect(selected)
    st.markdown("##### Try it on an example", help=definitions.INTERVENTION)
    examples = selected.bundle.examples(selected.factor, selected.layer)
    if examples.empty:
        st.caption(f"No token of the corpus activates this factor at layer {selected.layer}.")
        return
    if live_model.missing_part(selected.bundle):
        live_model.show_how_to_get(selected.bundle)
        return
    number = min(url_state.value_of(controls.EXAMPLE), len(examples))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            f"Example, 1 to {len(examples)}",
            1,
            len(examples),
            width=150,
            **url_state.widget(controls.EXAMPLE, number),
        )
        _draw_step_controls()
    example = examples.iloc[number - 1]
    everywhere = url_state.value_of(controls.MOVED_TOKENS) == "all"
    question = live_intervention.Question(
        "",
        int(example["window"]),
        "",
        selected.factor,
        selected.layer,
        None if everywhere else int(example["position"]),
        url_state.value_of(controls.TIMES),
        live_decomposition.built_penalty(selected.bundle),
    )
    _draw_intervention(selected.bundle, question)
    if selected.layer == selected.bundle.blocks:
        st.caption(
            "At the last layer nothing is left to run: only the token itself changes. Choose a "
            "lower layer at the top to see the factor at work."
        )


def _draw_stored_effect(selected: Selected) -> None:
    """Draw the effect over the factor's examples that the bundle holds."""
    effects = selected.bundle.effects(selected.factor)
    if effects.empty:
        last = "It is active at no layer below the last, where all that runs is measured."
        st.caption(selected.bundle.abilities.effects.why_not or last)
        return
    row = effects.iloc[0]
    removed = _percent_with_error(row["removed"], row["removed_error"])
    random = _percent_with_error(row["random"], row["random_error"])
    ratio = _ratio_with_error(row["ratio"], row["ratio_error"])
    figures.show(
        [
            Figure("Change of the sentence embedding", removed, definitions.EFFECT),
            Figure("A random direction", random, definitions.EFFECT_RANDOM),
            Figure("Ratio", ratio, definitions.EFFECT_RATIO),
            Figure("Above random", f"{row['above']:.0%}", definitions.EFFECT_ABOVE),
            Figure("On other tokens", f"{row['elsewhere']:.0%}", definitions.EFFECT_ELSEWHERE),
        ]
    )
    examples = int(row["examples"])
    directions = examples * int(row["directions"])
    st.caption(
        f"The factor is taken away from the word in {examples} of its strongest examples at layer "
        f"{int(row['layer'])}, and the rest of the network runs on; beside it {directions} random "
        f"directions of the same length. Means over {examples} examples ± standard error."
    )


def _draw_step_controls() -> None:
    """Draw how much and where."""
    st.slider(
        "Its activation times",
        0.0,
        4.0,
        step=0.25,
        format="× %.2f",
        width=260,
        help="0 takes the factor away, x − αΦ; 1 leaves the text as it is; 2 doubles it.",
        **url_state.widget(controls.TIMES),
    )
    option_buttons.show("At", controls.MOVED_TOKENS, controls.MOVED_TOKENS_NAMES)


def _draw_intervention(bundle: Bundle, question: live_intervention.Question) -> None:
    """Draw the answer to a question."""
    try:
        moved = live_intervention.intervention_of(bundle, question)
    except InputError as error:
        live_model.show_refusal(error)
        return
    tokens = moved.tokens["token"].tolist()
    places = moved.tokens.index[moved.tokens["step"] != 0].tolist()
    if not places:
        silent = "× 1 leaves everything as it is" if moved.times == 1 else "the factor is silent"
        st.caption(f"Nothing was moved: {silent}.")
    random = _percent_with_spread(float(moved.random.mean()), float(moved.random.std(ddof=1)))
    shown = [
        Figure("Change of the embedding", _percent(moved.change), definitions.EMBEDDING_CHANGE),
        Figure("Random directions", random, definitions.RANDOM_CHANGE),
        Figure("Cosine, before to after", _cosine_text(moved.cosine), definitions.EMBEDDING_COSINE),
    ]
    if moved.similarity:
        before, after = moved.similarity
        change = f"{before:.3f} → {after:.3f}"
        shown.append(Figure("Cosine with the other text", change, definitions.SIMILARITY))
    figures.show(shown)
    st.html(passages.strip(tokens, moved.tokens["change"].to_numpy(), places))
    top = moved.tokens.loc[moved.tokens["change"].idxmax()]
    word = str(top["token"]).strip()[:30]
    full = passages.full_tint(moved.tokens["change"].to_numpy(), places)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.caption(
            f"Tint: how far each final state moves, in shares of its length; a full one is "
            f"{full:.1%}, and the largest {top['change']:.0%}, at “{shell.plain_text(word)}”. "
            "Boxed: where the factor was moved."
        )
        downloads.show(lambda: moved.tokens, f"intervention_{moved.factor}_{moved.layer}")
    if moved.words is not None:
        _draw_predicted_words(bundle, moved)


def _draw_predicted_words(bundle: Bundle, moved: "Intervention") -> None:
    """Draw the words that become more and less probable."""
    assert moved.words is not None
    token = str(moved.tokens["token"].iloc[moved.words_at]).strip()
    where = "after" if bundle.about.model.causal else "at"
    st.markdown(
        f"**Predicted words** {where} “{shell.plain_text(token[:30])}”",
        help=definitions.PREDICTED,
    )
    if moved.words.empty:
        st.caption("No probability changes.")
        return
    shown = pd.DataFrame(
        {
            "Word": [passages.shorten(word, 40) for word in moved.words["token"]],
            "Before": moved.words["before"],
            "After": moved.words["after"],
            "Gain": 100 * moved.words["gain"],
        }
    )
    percent = st.column_config.NumberColumn(
        format="percent", width="small", help=definitions.PROBABILITY
    )
    points = st.column_config.NumberColumn(format="%+.2f", width="small", help=definitions.GAIN)
    word = st.column_config.TextColumn(help=definitions.PREDICTED)
    st.dataframe(
        shown,
        hide_index=True,
        width="content",
        alt="Words whose probability changes most, before and after the factor was moved.",
        column_config={"Word": word, "Before": percent, "After": percent, "Gain": points},
    )
    downloads.show(lambda: moved.words, f"predicted_{moved.factor}_{moved.layer}")


def _percent_with_spread(mean: float, spread: float) -> str:
    """Return a share and how far it spreads, to the same places.

    >>> _percent_with_spread(0.0142, 0.0041), _percent_with_spread(0.0064, 0.0003)
    ('1.4% ± 0.4%', '0.64% ± 0.03%')
    >>> _percent_with_spread(0.044, 0.0)
    '4.4% ± 0.0%'
    """
    shown = _percent(mean)
    places = len(shown.partition(".")[2]) - 1 if "." in shown else 1
    return f"{shown} ± {spread:.{places}%}"


def _percent(value: float) -> str:
    """Return a share in per cent, to two places where it is small.

    >>> _percent(0.1234), _percent(0.0064), _percent(0.00002), _percent(0.0)
    ('12.3%', '0.64%', '0.002%', '0%')
    """
    places = 1 if value >= 0.01 else 2 if value >= 0.0001 else 3
    return f"{value:.{places}%}" if value else "0%"


def _cosine_text(value: float) -> str:
    """Return a cosine to three places, or to as many as part it from 1.

    >>> _cosine_text(0.9871), _cosine_text(0.99996), _cosine_text(1.0)
    ('0.987', '0.99996', '1')
    """
    places = next((n for n in range(3, 7) if value < 1 - 10**-n), None)
    return f"{value:.{places}f}" if places else "1"


def _percent_with_error(value: float, error: float) -> str:
    return f"{value:.1%}" if pd.isna(error) else f"{value:.1%} ± {error:.1%}"


def _ratio_with_error(value: float, error: float) -> str:
    return f"{value:.2f}" if pd.isna(error) else f"{value:.2f} ± {error:.2f}"
