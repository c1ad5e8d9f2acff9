"""What the pages have to say of the 2021 website's own factors, which have no activations.

In goes a bundle that `tfactors import-site` made; out come the sentences that stand where other
bundles have numbers.
"""

import pandas as pd

from tfactors.bundle import Bundle
from tfactors.describe.levels import Thresholds

CURVE = (
    "Read from the picture on the website, whose axis is scaled for each factor: 0 is the lowest "
    "point of this factor's curve and 1 its highest, so factors cannot be compared by height."
)
NO_CURVE = "The picture of its curve is missing, or could not be read."
NO_ACTIVATIONS = "The website shows the order of the examples, and no activation."
NO_SAMPLE = "The website shows the strongest examples alone."
NO_ARTICLES = "The website does not say from which article of WikiText-103 an example is."
NO_COLOURS = (
    "The website has the colours of LIME for the factors 500 to 531 alone, and this folder has "
    "none for this one at this layer."
)
COLOURS = (
    "Read back from the colours of the website: each weight is a share of the largest of its sign "
    "in that text, so neither texts nor signs can be compared."
)
LEVELS = (
    "Low, mid and high are the lists on the website, which its authors made by hand. A factor that "
    "stands in none is low where its peak is at or below the depth threshold, else has no level."
)
MATCH = "Share of the factor's examples at this layer that mark one of these words."
LAYER_WORDS = "The words marked in the examples of each layer, and in what share of them."
NO_DICTIONARY = (
    "This takes the dictionary, and the website never published one: this bundle holds its "
    "examples alone."
)
RANKS = (
    "The number before an example is its rank on the website. Nothing around the marked word is "
    "tinted, because activations were never published."
)


def nothing_at(layer: int) -> str:
    """Say that a page of the website is missing, which tells nothing of the factor itself."""
    return (
        f"There is no page of this factor at layer {layer}: the website never published one, or "
        "the folder that was imported lacks it. Its examples there are unknown."
    )


def notes(bundle: Bundle) -> list[str]:
    """Return what a reader has to know of the whole bundle; nothing for other bundles."""
    return [str(note) for note in bundle.manifest.get("website", {}).get("notes", [])]


def note(bundle: Bundle, factor: int) -> str:
    """Return what a reader has to know of one factor of the website, or ""."""
    columns = bundle.manifest.get("website", {}).get("long_columns")
    if columns is None:
        return ""
    if factor < 500:
        return "On the website: of the dictionary learnt on short windows."
    own = f", where it is column {columns[str(factor)]}" if str(factor) in columns else ""
    return f"On the website: of the other dictionary, learnt on long windows{own}."


def missing(bundle: Bundle) -> int:
    """Return how many pages, pictures and lists of the website were not there or damaged."""
    return len(bundle.manifest.get("website", {}).get("missing", []))


def why(factor: pd.Series, thresholds: Thresholds, blocks: int) -> str:
    """Return the sentence that puts the website's list beside our rule."""
    listed = f"is listed as {factor['listed']}-level" if factor["listed"] else "is in no list"
    if not factor["alive"]:
        return f"On the website it {listed}. The folder that was imported has no page of it."
    if pd.isna(factor["depth"]):
        return f"On the website it {listed}. Its curve could not be read, so our rule says nothing."
    depth, low = float(factor["depth"]), thresholds.low_depth
    ours = (
        f"at or below {low:.0%}, so our rule says low"
        if depth <= low + 1e-9
        else f"over {low:.0%}, so our rule says mid or high; which of them takes the dictionary"
    )
    return (
        f"On the website it {listed}. Its importance peaks at layer {factor['peak_layer']} of "
        f"{blocks}, a depth of {depth:.0%}: {ours}."
    )
