"""Turns text into what pages show as it is, and what is known of a map into a sentence."""

from __future__ import annotations

import html

import numpy as np

from tfactors.visible import boxed

# A token longer than this is cut: a reader cannot use it, and 200 rows of 10 kB slow the page.
LONGEST_TOKEN = 60


def as_html(text: str) -> str:
    r"""Return text that HTML shows as it is: escaped, what would act on the page boxed.

    All text of a bundle or a reader comes through here on its way into HTML. Whoever shows it in a
    line with other text puts it into a ``<bdi>``, so that its direction is its own affair.

    >>> as_html("<b>\u202e&\x1b")
    '&lt;b&gt;�&amp;�'
    """
    return html.escape(boxed(text), quote=True)


def shorten(text: str, longest: int) -> str:
    """Return text of at most ``longest`` characters, an ellipsis for what is left out."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def documents(count: int) -> str:
    """Return a number of documents in words."""
    return f"{count:,} document{'s' if count != 1 else ''}"


TITLES = {"lime": "LIME", "occlusion": "Occlusion"}


def in_words(method: str, texts: int, score: float, stability: float, told: int | None) -> str:
    """Return what is known of a map in one sentence.

    Parameters
    ----------
    method : str
        "lime" or "occlusion".
    texts : int
        How many were read for the map.
    score : float
        Of the fit; said of LIME alone, where there is one: a single token needs none.
    stability : float
        How well two halves of the texts agree; said where it is finite.
    told : int or None
        How many tokens can be told from zero; said where it is known.

    Examples
    --------
    >>> in_words("lime", 97, 0.82, 0.66, 6)
    'LIME: score 0.82, 97 texts read, two halves of them agree to 0.66, 6 tokens told from zero'
    >>> in_words("occlusion", 34, 0.0, float("nan"), 1)
    'Occlusion: 34 texts read, 1 token told from zero'
    """
    parts = [f"score {score:.2f}"] if method == "lime" and np.isfinite(score) else []
    parts.append(f"{texts:,} texts read")
    if np.isfinite(stability):
        parts.append(f"two halves of them agree to {stability:.2f}")
    if told is not None:
        parts.append(f"{told} token{'s' if told != 1 else ''} told from zero")
    return f"{TITLES[method]}: {', '.join(parts)}"
