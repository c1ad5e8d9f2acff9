"""Every control of the dashboard and every page, in one place: the vocabulary of its URLs.

Turns the names that appear in a link (``?factor=30&layer=4``) into the controls that the pages
show. A default of None means "the bundle's own" (its first factor worth a click, its level
thresholds), or as many examples as suit their layout. A list is laid out as the level of its factor
asks, until the reader chooses.
"""

import math
import re
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tfactors.app.frame import url_state
from tfactors.app.frame.basket import BASKET
from tfactors.app.frame.url_state import Beyond, Control, Unusable
from tfactors.bundle import Bundle
from tfactors.bundle.evidence import NAMES
from tfactors.bundle.format import LABEL_KINDS

MOST_CURVES = 12
_NAMED = 5  # sources in a sentence
PEAK = -1  # stands for the layer where the factor's importance peaks, whichever that is


def _has_factor(value: int | None, bundle: Bundle | None) -> None:
    if bundle is not None and value is not None and value >= bundle.n_factors:
        raise Unusable(f"the factors of this bundle are 0 to {bundle.n_factors - 1:,}")


def _has_layer(value: int, bundle: Bundle | None) -> None:
    if bundle is not None and value != PEAK and value not in bundle.layers:
        layers = ", ".join(map(str, bundle.layers))
        raise Unusable(f"the layers of this bundle are {layers}")


def _has_factors(values: tuple[int, ...], bundle: Bundle | None) -> None:
    for value in values:
        _has_factor(value, bundle)


def _has_place(level: str, value: int, bundle: Bundle | None) -> None:
    if bundle is not None and value > (count := int((bundle.factors["level"] == level).sum())):
        raise Unusable(f"{count:,} factors of this bundle are {level}-level")


def _has_source(value: str, bundle: Bundle | None) -> None:
    if bundle is not None and value not in (known := source_titles(bundle)):
        names = ", ".join(list(known)[:_NAMED]) + (", …" if len(known) > _NAMED else "")
        raise Unusable(f"the sources of this bundle are {names}" if known else "it knows none")


def source_titles(bundle: Bundle) -> dict[str, str]:
    """Return the titles of a bundle's sources by their names, {} where none is known."""
    if not bundle.abilities.documents:
        return {}
    titles = {source.name: source.title for source in bundle.about.corpus.sources}
    found = bundle.documents["source"].unique().tolist()
    return {str(name): str(titles.get(name) or name) for name in found}


def _read_factors(text: str) -> tuple[int, ...]:
    values = tuple(dict.fromkeys(int(FACTOR.read(part) or 0) for part in text.split(",")))
    if len(values) > MOST_CURVES:
        raise Unusable(f"it names {len(values)} factors, and {MOST_CURVES} is the most")
    return values


def _read_area(text: str) -> tuple[float, ...]:
    try:
        ends = tuple(float(part) for part in text.split(",", 4))
    except ValueError:
        ends = ()
    if len(ends) != 4 or not all(abs(end) < 1e9 for end in ends):
        raise Unusable("it is not four numbers: left, right, bottom, top")
    return ends


def _write_area(ends: tuple[float, ...] | None) -> str:
    return ",".join(f"{end:g}" for end in ends or ())


def region_name(zoom: int, region: int) -> str:
    """Return what a link calls a region of the map.

    >>> region_name(1, 12)
    '1-12'
    """
    return f"{zoom}-{region}"


def _read_region(text: str) -> str:
    if not re.fullmatch("[0-9]-[0-9]{1,6}", text):
        raise Unusable("it is not a zoom and a number, as 1-12")
    return text


def _has_region(value: str, bundle: Bundle | None) -> None:
    if bundle is None:
        return
    regions = bundle.regions
    if value not in map(region_name, regions["zoom"], regions["region"]):
        raise Unusable("the map of this bundle has no such region")


BUNDLE: Control[str] = url_state.free_text("bundle", 200)

# What is looked at
FACTOR: Control[int | None] = url_state.whole_number("factor", None, 0, 10**9, check=_has_factor)
LAYER: Control[int] = url_state.whole_number("layer", PEAK, 0, 10**4, check=_has_layer)

# Which part of the Factor page is open
PARTS = {
    "examples": "Examples",
    "random": "By strength",
    "contrast": "Contrast",
    "layers": "Layer by layer",
    "context": "Context",
    "corpus": "Corpus",
    "similar": "Similar",
    "origins": "Made from",
    "effect": "What it does",
}
PART = url_state.choice("part", "examples", PARTS)

# How examples are listed
MOST_EXAMPLES = 200
EXAMPLE_COUNT: Control[int | None] = url_state.whole_number("top", None, 1, MOST_EXAMPLES)
LEAST_ACTIVATION = url_state.whole_number("floor", 0, 0, 100)
CONTEXT = url_state.whole_number("context", 12, 0, 60)
GROUPED_BY_WORD = url_state.switch("group")
EVERY_TOKEN = url_state.switch("tokens")  # compute every token's activation where it is not stored
SORTS = {
    "activation": "Strongest first",
    "weakest": "Weakest first",
    "after": "By the words after",
    "before": "By the words before",
    "document": "In the order of the corpus",
}
SORT = url_state.choice("sort", "activation", SORTS)
LAYOUTS = {"level": "By level", "lines": "Lines", "text": "Text", "window": "Window"}
LAYOUT = url_state.choice("layout", "level", LAYOUTS)

# Which examples are listed
EXAMPLE_WORD = url_state.free_text("having", 60)
PLACES_OF_WORD = {"marked": "Marked word", "window": "Anywhere near"}
PLACE_OF_WORD = url_state.choice("having_in", "marked", PLACES_OF_WORD)
EXAMPLE_SOURCE = replace(url_state.free_text("source", 200), check=_has_source)
SINCE: Control[int | None] = url_state.whole_number("since", None, -9999, 9999)
UNTIL: Control[int | None] = url_state.whole_number("until", None, -9999, 9999)

# Levels
MOST_WORDS = 50
LEVELS = ("low", "mid", "high")
# by name, as the rule of levels calls them; the last three of older bundles
THRESHOLDS: dict[str, Control[float | None]] = {
    "low_words": url_state.number("low_words", None, 1, MOST_WORDS),
    "window_share": url_state.number("window_share", None, 0, 1),
    "few_words_share": url_state.number("few_words_share", None, 0, 1),
    "low_depth": url_state.number("low_depth", None, 0, 1),
    "word_share": url_state.number("word_share", None, 0, 1),
    "sentence_share": url_state.number("sentence_share", None, 0, 1),
}
LEVEL = url_state.choice("level", "", ("", *LEVELS))
SEED = url_state.whole_number("seed", 0, 0, 10**9)

# The factors of Home: of each level, which of its best is shown
MOST_SHOWN = 20
SHOWN = {
    level: url_state.whole_number(level, 1, 1, MOST_SHOWN, check=partial(_has_place, level))
    for level in LEVELS
}

# Curves
CURVE_FACTORS: Control[tuple[int, ...]] = Control(
    "factors", (), _read_factors, lambda values: ",".join(map(str, values)), _has_factors
)
SCALES = {"importance": "Importance", "peak": "Share of its own peak"}
SCALE = url_state.choice("scale", "importance", SCALES)

# Saliency
EXAMPLE = url_state.whole_number("example", 1, 1, 200)
METHODS = {"both": "Both", "lime": "LIME", "occlusion": "Occlusion"}
METHOD = url_state.choice("method", "both", METHODS)
RECIPES = {"": "Ours", "2021": "2021"}
RECIPE = url_state.choice("recipe", "", RECIPES)
MASK_RADIUS = url_state.whole_number("radius", 0, 0, 512)  # 0 is the whole window
LIME_SAMPLES = url_state.whole_number("samples", 500, 50, 1000)
LIME_FEATURES = url_state.whole_number("features", 30, 1, 128)
REPLACEMENT = url_state.free_text("replacement", 30)
LIME_SEED = url_state.whole_number("lime_seed", 0, 0, 10**6)

# Search
QUERY_LENGTH = 500
QUERY = url_state.free_text("q", QUERY_LENGTH)
SEARCH_MODES = {
    "words": "Words, labels, numbers",
    "meaning": "Meaning",
    "sentence": "An example sentence",
}
SEARCH_MODE = url_state.choice("by", "words", SEARCH_MODES)
SEARCH_LEVEL = url_state.choice("in", "", ("", *LEVELS))
SEARCH_PEAK: Control[int] = url_state.whole_number("peak", PEAK, 0, 10**4, check=_has_layer)

# Densities at the peak layer: the name in a link, and the shares of tokens it stands for
DENSITIES: dict[str, tuple[float, float]] = {
    "": (0.0, 1.0),
    "rarest": (0.0, 0.0001),
    "rare": (0.0001, 0.001),
    "medium": (0.001, 0.01),
    "frequent": (0.01, 0.1),
    "dense": (0.1, 1.0),
}
DENSITY = url_state.choice("density", "", DENSITIES)
KINDS = ("", *LABEL_KINDS)
LABEL_KIND = url_state.choice("kind", "", KINDS)
LEAST_PRECISION = url_state.number("precision", 0.0, 0, 1)
LEAST_RECALL = url_state.number("recall", 0.0, 0, 1)
LEAST_STABILITY = url_state.number("stable", 0.0, 0, 1)
_FILTERS: tuple[Control[Any], ...] = (
    DENSITY,
    LABEL_KIND,
    LEAST_PRECISION,
    LEAST_RECALL,
    LEAST_STABILITY,
)

# The map
MAP_PLACE_NAMES = {"near": "By likeness", "levels": "By level"}
MAP_PLACES = url_state.choice("places", "", ("", *MAP_PLACE_NAMES))
MAP_COLOURS = {"level": "Level", "peak": "Peak layer", "density": "Density"}
MAP_COLOUR = url_state.choice("colour", "level", MAP_COLOURS)
MAP_ARROWS = url_state.switch("arrows")  # from what the factor is made from, and to what it feeds
MAP_AREA: Control[tuple[float, ...] | None] = Control("area", None, _read_area, _write_area)
MAP_VIEW: Control[tuple[float, ...] | None] = Control("view", None, _read_area, _write_area)
MAP_LIT = url_state.free_text("lit", 200)
MAP_REGION: Control[str] = Control("region", "", _read_region, str, _has_region)

# The other side of a comparison
OTHER_BUNDLE = url_state.free_text("to_bundle", 200)
OTHER_FACTOR: Control[int | None] = url_state.whole_number("to", None, 0, 10**9)
OTHER_LAYER: Control[int] = url_state.whole_number("to_layer", PEAK, 0, 10**4)

# Labels
LIST = url_state.free_text("list", 60)

# Evidence
EVIDENCE_SECTION = url_state.choice("section", "", ("", *NAMES))
EVIDENCE_VALUE = url_state.free_text("at", 40)

# The gallery of bundles
GALLERY_QUERY = url_state.free_text("find", 80)

# Word senses
WORD = url_state.free_text("word", 40)
ALL_OCCURRENCES = url_state.switch("all")

# Your text
# About three times what 512 tokens of English take: too long a text gets a message and is not cut.
TEXT_LENGTH = 8000
TEXT = url_state.free_text("text", TEXT_LENGTH)
TOKEN: Control[int | None] = url_state.whole_number("token", None, 0, 10**4)
OTHER_TEXT_LENGTH = 2000
OTHER_TEXT = url_state.free_text("with", OTHER_TEXT_LENGTH)
OTHER_TOKEN: Control[int | None] = url_state.whole_number("with_token", None, 0, 10**4)
COMPARED_PARTS = {"token": "The two tokens", "text": "The whole texts"}
COMPARED_PART = url_state.choice("beside", "token", COMPARED_PARTS)
MEASURES = {"explained": "Explained", "l0": "Active factors", "factor": "One factor"}
MEASURE = url_state.choice("measure", "explained", MEASURES)

# What a factor does: which one is moved, its activation times what, and where
MOVED: Control[int | None] = url_state.whole_number("moved", None, 0, 10**9, check=_has_factor)
TIMES = url_state.number("times", 0.0, 0, 4)
MOVED_TOKENS_NAMES = {"token": "This token", "all": "Every token"}
MOVED_TOKENS = url_state.choice("where", "token", MOVED_TOKENS_NAMES)


def penalty_range(bundle: Bundle) -> tuple[float, float]:
    """Return the smallest and the largest λ that a page solves for; below, a code takes minutes."""
    built = bundle.about.coding.penalty
    return built / 5, built * 4


def _has_penalty(value: float | None, bundle: Bundle | None) -> None:
    if bundle is None or value is None or not bundle.abilities.penalty:
        return
    low, high = penalty_range(bundle)
    if not low * (1 - _ROUNDED) <= value <= high * (1 + _ROUNDED):
        nearest = min(max(value, low), high)
        raise Beyond(f"λ of this bundle goes from {low:g} to {high:g}", nearest)


_ROUNDED = 1e-5  # a link holds six digits
PENALTY: Control[float | None] = replace(
    url_state.number("penalty", None, -math.inf, math.inf), check=_has_penalty
)

# Origins: the share of what the factors of a layer carry that the kept ones carry, in per cent
KEPT = url_state.whole_number("kept", 80, 50, 100)

_LISTING: tuple[Control[Any], ...] = (
    *(EXAMPLE_COUNT, LEAST_ACTIVATION, CONTEXT, GROUPED_BY_WORD, EVERY_TOKEN, SORT, LAYOUT),
    *(EXAMPLE_WORD, PLACE_OF_WORD, EXAMPLE_SOURCE, SINCE, UNTIL),
)
_MAP: tuple[Control[Any], ...] = (
    *(MAP_PLACES, MAP_COLOUR, MAP_LIT, MAP_REGION, MAP_ARROWS),
    *(MAP_AREA, MAP_VIEW),
)
_THRESHOLDS: tuple[Control[Any], ...] = tuple(THRESHOLDS.values())


@dataclass(frozen=True)
class Page:
    """A page: its file, what the menu calls it, and the controls its link restores.

    To those of its own comes what every link has: the basket.
    """

    path: str
    title: str
    icon: str
    own_controls: tuple[Control[Any], ...]

    @property
    def controls(self) -> tuple[Control[Any], ...]:
        """The controls that its link restores."""
        return *self.own_controls, BASKET


HOME = Page("pages/0_Home.py", "Home", ":material/home:", (BUNDLE, *SHOWN.values()))
FACTOR_PAGE = Page(
    "pages/1_Factor.py",
    "Factor",
    ":material/label:",
    (BUNDLE, FACTOR, LAYER, PART, EXAMPLE, TIMES, MOVED_TOKENS, *_LISTING, *_THRESHOLDS),
)
RANDOM_PAGE = Page(
    "pages/2_Random_by_level.py",
    "Random by level",
    ":material/casino:",
    (BUNDLE, LEVEL, SEED, *_THRESHOLDS, *_LISTING),
)
CURVES_PAGE = Page(
    "pages/3_Curves_and_saliency.py",
    "Curves and saliency",
    ":material/show_chart:",
    (
        *(BUNDLE, CURVE_FACTORS, SCALE, FACTOR, LAYER, EXAMPLE),
        *(METHOD, RECIPE, MASK_RADIUS, LIME_SAMPLES, LIME_FEATURES, REPLACEMENT, LIME_SEED),
    ),
)
SEARCH_PAGE = Page(
    "pages/4_Search.py",
    "Search",
    ":material/search:",
    (BUNDLE, QUERY, SEARCH_MODE, SEARCH_LEVEL, SEARCH_PEAK, *_FILTERS, *_THRESHOLDS),
)
TEXT_PAGE = Page(
    "pages/5_Your_text.py",
    "Your text",
    ":material/edit_note:",
    (
        *(BUNDLE, TEXT, TOKEN, OTHER_TEXT, OTHER_TOKEN, COMPARED_PART),
        *(LAYER, MEASURE, FACTOR, PENALTY, MOVED, TIMES, MOVED_TOKENS),
    ),
)
MAP_PAGE = Page(
    "pages/6_Map.py",
    "Map",
    ":material/scatter_plot:",
    (BUNDLE, *_MAP, SEARCH_LEVEL, SEARCH_PEAK, FACTOR, *_THRESHOLDS),
)
COMPARE_PAGE = Page(
    "pages/7_Compare.py",
    "Compare",
    ":material/compare_arrows:",
    (BUNDLE, FACTOR, LAYER, OTHER_BUNDLE, OTHER_FACTOR, OTHER_LAYER, *_THRESHOLDS),
)
LABELS_PAGE = Page("pages/8_Labels.py", "Labels", ":material/edit:", (BUNDLE, LIST, *_THRESHOLDS))
EVIDENCE_PAGE = Page(
    "pages/9_Evidence.py",
    "Evidence",
    ":material/balance:",
    (BUNDLE, EVIDENCE_SECTION, EVIDENCE_VALUE),
)
SENSES_PAGE = Page(
    "pages/10_Word_senses.py",
    "Word senses",
    ":material/call_split:",
    (BUNDLE, WORD, LAYER, ALL_OCCURRENCES),
)
ORIGINS_PAGE = Page(
    "pages/11_Origins.py",
    "Origins",
    ":material/account_tree:",
    (BUNDLE, TEXT, TOKEN, LAYER, FACTOR, KEPT, PENALTY),
)
GALLERY_PAGE = Page(
    "pages/13_Gallery.py", "Gallery", ":material/grid_view:", (BUNDLE, GALLERY_QUERY)
)
BASKET_PAGE = Page(
    "pages/12_Basket.py", "Basket", ":material/shopping_basket:", (BUNDLE, SCALE, *_THRESHOLDS)
)
PAGES = (
    *(HOME, FACTOR_PAGE, RANDOM_PAGE, CURVES_PAGE, SEARCH_PAGE, SENSES_PAGE),
    *(TEXT_PAGE, ORIGINS_PAGE, MAP_PAGE, COMPARE_PAGE, BASKET_PAGE, LABELS_PAGE, EVIDENCE_PAGE),
    GALLERY_PAGE,
)
