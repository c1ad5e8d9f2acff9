"""The part Contrast of a factor: what the bundle knows, and what the model is asked."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from opened_page import html_of, open_page, words

from tfactors.bundle import Bundle
from tfactors.bundle.near_misses import silent_words
from tfactors.text.words import spelled, word_bounds

FACTOR = "pages/1_Factor.py"
FIND = "Find the nearest contexts where it is silent"


def test_the_words_that_the_bundle_shows_are_silent_at_every_token(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    layer = int(bundle.factors["peak_layer"][8])
    examples, contexts = bundle.examples(8, layer), bundle.contexts(8, layer)
    window_of = dict(zip(examples["rank"], examples["window"], strict=True))
    active = {
        (window_of[row.rank], p) for row in contexts.itertuples() for p in row.positions.tolist()
    }
    found = silent_words(bundle, 8, layer, examples)
    count = 0
    for row in bundle.windows([window_of[rank] for rank in contexts["rank"]]).itertuples():
        for start, stop in pairwise(word_bounds(row.word_starts).tolist()):
            word = spelled("".join(row.tokens[start:stop])).casefold()[:100]
            silent = not any((row.window, at) in active for at in range(start, stop))
            listed = [p for w, places in found.items() if w.startswith(word) for p in places]
            assert ((row.window, start) in listed) == silent
            count += silent
    assert count == sum(map(len, found.values())) > 0


def test_without_the_model_one_line_says_what_is_missing_and_the_bundle_speaks(
    made_up: Path,
) -> None:
    bundle = Bundle.open(made_up / "default")
    layer = int(bundle.factors["peak_layer"][8])
    examples = bundle.examples(8, layer)
    liked = {word.casefold() for word in examples["word"]}
    silent = silent_words(bundle, 8, layer, examples)
    count = sum(len(places) for word, places in silent.items() if word in liked)
    app = open_page(FACTOR, factor="8", part="contrast")
    assert not app.exception
    assert "chosen by the model itself: start the dashboard with" in words(app) or (
        "chosen by the model itself: install" in words(app)
    )
    assert FIND not in [button.label for button in app.button]
    said = f"its words stand at {count:,} place" if count else "wherever one of its words stands"
    assert said in words(app)
    shown = re.findall(r"<mark[^>]*><bdi>(.*?)</bdi>", html_of(app))
    assert len(shown) == min(count, 8)
    assert {word.casefold() for word in shown} <= liked


@pytest.mark.model
def test_the_model_is_asked_when_the_reader_wants_it_and_the_answer_is_kept(
    asks_minilm: Path,
) -> None:
    app = open_page(FACTOR, factor="2", layer="3", part="contrast")
    assert "The same word, where it is silent" not in words(app)
    next(button for button in app.button if button.label == FIND).click().run()
    assert not app.exception
    assert "The same word, where it is silent" in words(app)
    assert "nearest to example" in html_of(app)
    assert 'title="similarity ' in html_of(app)
    assert [b.label for b in app.get("download_button")] == ["CSV", "Parquet"]
    again = open_page(FACTOR, factor="2", layer="3", part="contrast")
    assert FIND not in [button.label for button in again.button]
    assert "nearest to example" in html_of(again)
