"""Search by meaning: beside the words, with contexts; and what stands there where it cannot be."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from meanings import embed_meanings
from opened_page import html_of, open_page, query, words

from tfactors.app.frame import controls
from tfactors.bundle import Bundle

SEARCH = "pages/4_Search.py"


@pytest.fixture(scope="module")
def embedded(over_minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up bundle over MiniLM, with names and contexts embedded by it."""
    from tfactors.model.folder import MINILM_PACKAGE

    folder = tmp_path_factory.mktemp("embedded")
    shutil.copytree(over_minilm / "default", folder / "default")
    embed_meanings(folder / "default", MINILM_PACKAGE)
    return folder


def links(app: object) -> list[str]:
    found = [link.proto for link in app.get("page_link")]
    return [link.label for link in found if "factor=" in link.query_string]


@pytest.mark.model
def test_a_question_finds_factors_with_their_nearest_contexts_beside_the_words(
    embedded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfactors.explain.meaning_search import search_by_meaning

    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(embedded))
    bundle = Bundle.open(embedded / "default")
    bundle.verify()
    question = "someone's <b>farm land</b>"
    app = open_page(SEARCH, by="meaning", q=question)
    assert not app.exception
    expected = search_by_meaning(bundle, question, top=10)
    shown = links(app)
    for row in expected.itertuples():
        assert any(f"**{row.likeness:.2f}** {row.factor}" in label for label in shown)
    best = expected.iloc[0]
    assert html_of(app).count("<mark") == 20
    example = bundle.examples(best["factor"], best["at"]).iloc[best["ranks"][0]]
    assert f">{example['word']}</bdi></mark>" in html_of(app)
    assert "<b>farm" not in html_of(app)
    assert query(app) == {"by": "meaning", "q": question}
    level = open_page(SEARCH, by="meaning", q=question, **{"in": "high"})
    assert 0 < len(links(level)) < len(shown)
    nothing = open_page(SEARCH, by="meaning", q=question, stable="1")
    assert "The filters leave none of the" in words(nothing)
    assert "the most" in words(open_page(SEARCH, by="meaning", q="w" * 501))
    assert "reads at most 256" in words(open_page(SEARCH, by="meaning", q="川" * 400))
    assert "words about weather" in words(open_page(SEARCH, by="meaning"))


def test_without_the_model_one_line_says_what_is_missing_and_words_find_factors() -> None:
    app = open_page(SEARCH, by="meaning", q="river")
    assert not app.exception
    assert "asks the model synthetic, which is not here" in words(app)
    assert "that the words themselves find" in words(app)
    assert len(links(app)) > 3


def test_without_torch_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *at: None if name == "torch" else real(name, *at)
    )
    assert "install torch beside the dashboard" in words(open_page(SEARCH, by="meaning", q="river"))


def test_an_older_bundle_says_what_it_lacks(damaged: Path) -> None:
    from tfactors.bundle.writing import write_manifest

    manifest = Bundle.open(damaged).manifest
    (damaged / "meanings.parquet").unlink()
    write_manifest(damaged, manifest | {"meanings": None})
    for asked in ({}, {"q": "river"}):
        app = open_page(SEARCH, by="meaning", **asked)
        assert not app.exception
        assert "cannot be searched by meaning" in words(app)


def test_the_mode_begins_to_load_the_model_and_no_other_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tfactors.app.parts import live_meanings

    begun: list[str] = []
    monkeypatch.setattr(live_meanings, "missing_part", lambda *_: None)
    monkeypatch.setattr(
        live_meanings.LiveMeanings, "prepare", lambda self, bundle: begun.append(bundle.title)
    )
    for mode in controls.SEARCH_MODES:
        open_page(SEARCH, by=mode)
        assert bool(begun) == (mode == "meaning")
        begun.clear()
