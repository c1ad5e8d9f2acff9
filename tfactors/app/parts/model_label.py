"""A factor's label by a language model, as :mod:`tfactors.portrait.model_label` words it."""

from tfactors.app.frame import llm_labels
from tfactors.app.parts.selection import has_own_name
from tfactors.bundle import Bundle
from tfactors.portrait import model_label


def header_html(bundle: Bundle, factor: int) -> str:
    """Return the HTML of the label under a headline, "" where there is none."""
    given = llm_labels.shown(bundle).get(factor)
    return model_label.header_html(given, has_own_name(bundle, factor))


def card_html(bundle: Bundle, factor: int) -> str:
    """Return the HTML of the label on a card, "" where there is none."""
    return model_label.card_html(llm_labels.shown(bundle).get(factor))
