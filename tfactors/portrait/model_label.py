"""A factor's label by a language model: whose it is, and what it is worth beside the others."""

from collections.abc import Mapping

from tfactors.bundle import Bundle, BundleError, llm_labels
from tfactors.bundle.llm_labels import ModelLabel
from tfactors.display.text import as_html


def labels_beside(bundle: Bundle) -> tuple[Mapping[int, ModelLabel], str | None]:
    """Return by factor its newest label, and in one line what is wrong with them, or None."""
    try:
        answers = llm_labels.read(bundle.path, bundle.about, said=False)
        return llm_labels.newest_labels(answers), None
    except BundleError as error:
        return {}, f"Labels by a language model are left out. {error}"


def header_html(given: ModelLabel | None, named: bool) -> str:
    """Return the HTML of the label under a headline, "" where there is none.

    ``named`` says whether the name above it is by people, and not by rule.
    """
    if given is None:
        return ""
    above = "by people" if named else "by rule"
    scores = f'<p class="tf-why tf-scores">{as_html(scores_sentence(given))}</p>'
    return (
        f'<p class="tf-by">{above}</p>'
        f'<p class="tf-model-label"><q><bdi>{as_html(given.label)}</bdi></q> {by_html(given)}</p>'
        f"{scores if given.score is not None else ''}"
    )


def card_html(given: ModelLabel | None) -> str:
    """Return the HTML of the label on a card, "" where there is none."""
    if given is None:
        return ""
    return (
        f'<p class="tf-model-label"><q><bdi>{as_html(given.label)}</bdi></q> {by_html(given)}</p>'
    )


def by_html(given: ModelLabel) -> str:
    """Return the mark that says whose a label is."""
    return f'<span class="tf-by">by <bdi>{as_html(given.model)}</bdi>, {given.date}</span>'


def scores_sentence(given: ModelLabel) -> str:
    """Return how well the label tells active places from near misses, beside the others.

    >>> scores_sentence(ModelLabel("x", "m", "2026-11-26", 0.85, 0.6, None, 20))
    'Told from near misses in 20 places not seen before: with this label 85%, with the name by \
rule 60%, by chance 50% (balanced accuracy).'
    """
    parts = [
        f"{name} {score:.0%}"
        for name, score in (
            ("with this label", given.score),
            ("with the name by rule", given.rule_score),
            ("with another factor's label", given.shuffled_score),
            ("by chance", 0.5),
        )
        if score is not None
    ]
    return (
        f"Told from near misses in {given.places} places not seen before: {', '.join(parts)} "
        "(balanced accuracy)."
    )
