"""The page that takes a text of the reader's own apart."""

import html
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from opened_page import html_of, open_page, query, words
from over_tiny_bert import write_bundle_over_tiny_bert
from streamlit.testing.v1 import AppTest
from synthetic_bundle import write_synthetic_bundle

import tfactors
from tfactors.app.parts.live_decomposition import richest_place
from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest
from tfactors.explain.decomposition import Decomposition


@pytest.mark.model
def test_a_text_of_the_readers_own_is_taken_apart(
    asks_minilm: Path,
) -> None:
    path, text = "pages/5_Your_text.py", "He left the <b>house</b> $x$."
    app = open_page(path, text=text, token="1", layer="3")
    bundle = Bundle.open(asks_minilm)
    made = tfactors.decompose(bundle, text)
    here = made.residuals.query("position == 1 and layer == 3").iloc[0]
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Active factors"] == str(int(here["l0"]))
    assert values["Explained"] == f"{here['explained']:.0%}"
    assert "left = " in words(app)
    assert "<b>house" not in html_of(app)

    slider = app.slider(key="control_penalty")
    slider.set_value(slider.max).run()
    assert not app.exception
    fewer = {metric.label: metric.value for metric in app.metric}["Active factors"]
    assert int(fewer) < int(values["Active factors"])
    assert float(query(app)["penalty"]) == pytest.approx(slider.max)
    app = open_page(path, text=text, token="1", layer="3", times="2", **{"with": "He went."})
    factor = int(app.selectbox(key="control_moved").value)
    moved = tfactors.intervene(bundle, text, factor, 3, position=1, times=2.0, other="He went.")
    values = {metric.label: metric.value for metric in app.metric}
    assert float(values["Change of the embedding"].rstrip("%")) == pytest.approx(
        100 * moved.change, abs=0.06
    )
    before, after = moved.similarity
    assert values["Cosine with the other text"] == f"{before:.3f} → {after:.3f}"
    app.segmented_control(key="control_where").set_value("all").run()
    assert query(app)["where"] == "all"
    everywhere = tfactors.intervene(bundle, text, factor, 3, times=2.0)
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Change of the embedding"] == f"{everywhere.change:.1%}"

    app = open_page("pages/1_Factor.py", factor="3", part="effect", layer="2")
    effect = bundle.effects(3).iloc[0]
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Ratio"] == f"{effect['ratio']:.2f} ± {effect['ratio_error']:.2f}"
    assert "Change of the embedding" in values
    app = open_page(path, text="word " * 700)
    assert "reads at most" in words(app)
    assert app.text_area[0].label == "A text of up to 512 tokens"


def richest_by_hand(decomposition: Decomposition) -> tuple[int, int]:
    """Every word at every layer, one after the other."""
    words_of = {
        row.position
        for row in decomposition.tokens.itertuples()
        if row.token.strip().isalpha() and row.token.strip() == row.word
    }
    longer = {
        row.position for row in decomposition.tokens.itertuples() if len(row.token.strip()) > 3
    }
    words_of = words_of & longer or words_of
    best, place = -1.0, (-1, -1)
    for cell in decomposition.residuals.itertuples():
        share = (cell.context**2 - cell.residual**2) / cell.norm**2
        if cell.position in words_of and share > best:
            best, place = share, (cell.position, cell.layer)
    return place


def test_the_richest_place_is_a_whole_word_that_the_factors_carry_most_of() -> None:
    tokens = [" the", " un", "believ", "able", " (", " bank"]
    wholes = ["the", "unbelievable", "unbelievable", "unbelievable", "(", "bank"]
    table = pd.DataFrame({"position": range(6), "token": tokens, "word": wholes, "token_id": 0})
    random = np.random.default_rng(0)
    cells = pd.DataFrame({"layer": np.repeat([0, 1, 2], 6), "position": np.tile(range(6), 3)})
    for _ in range(30):
        context = random.uniform(1, 4, len(cells))
        drawn = cells.assign(
            context=context,
            norm=random.uniform(3, 6, len(cells)),
            residual=context * random.uniform(0, 1, len(cells)),
        )
        decomposition = Decomposition(table, pd.DataFrame(), drawn, 1.0)
        assert richest_place(decomposition) == richest_by_hand(decomposition)
        assert richest_place(decomposition)[0] == 5
        short = Decomposition(
            table.replace(" bank", " ban").replace("bank", "ban"), *[pd.DataFrame(), drawn, 1.0]
        )
        assert richest_place(short) == richest_by_hand(short)
        assert richest_place(short)[0] in (0, 5)
    marks = table.assign(token="…", word="…")
    assert richest_place(Decomposition(marks, pd.DataFrame(), drawn, 1.0))[0] in range(6)


@pytest.mark.model
def test_the_page_opens_at_the_richest_word_of_an_example_until_the_reader_picks_one(
    asks_minilm: Path,
) -> None:
    path, bundle = "pages/5_Your_text.py", Bundle.open(asks_minilm)

    def open_at(app: AppTest) -> tuple[int, int]:
        tokens = next(box for box in app.number_input if box.label.startswith("Token, 1 to"))
        return tokens.value - 1, app.segmented_control(key="control_layer").value

    app = open_page(path)
    example = app.text_area[0].value
    assert example.startswith("He left the house")
    assert query(app) == {}
    made = tfactors.decompose(bundle, example)
    position, layer = richest_by_hand(made)
    assert open_at(app) == (position, layer)
    assert f"{made.tokens['token'][position].strip()} = " in words(app).replace("  ", " ")

    slider = app.slider(key="control_penalty")
    slider.set_value(slider.max).run()
    assert open_at(app) == (position, layer)
    other = next(at for at in bundle.layers if at != layer)
    app.segmented_control(key="control_layer").set_value(other).run()
    assert open_at(app) == (position, other)
    tokens = next(box for box in app.number_input if box.label.startswith("Token, 1 to"))
    picked = 0 if position else 1
    tokens.set_value(picked + 1).run()
    assert open_at(app) == (picked, other)
    assert query(app)["token"] == str(picked)

    next(b for b in app.button if b.label.startswith("The bank raised")).click().run()
    text = query(app)["text"]
    assert text.startswith("The bank raised")
    assert "token" not in query(app)
    assert open_at(app) == richest_by_hand(tfactors.decompose(bundle, text))
    app = open_page(path, text="A text of my own, by the river.")
    own = tfactors.decompose(bundle, "A text of my own, by the river.")
    assert open_at(app) == richest_by_hand(own)
    assert not [b for b in app.button if b.label.startswith("The bank raised")]


@pytest.mark.model
def test_the_equation_of_a_token_begins_with_the_word_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_bundle_over_tiny_bert(tmp_path, monkeypatch)
    text = "He <i>left</i> the house."
    app = open_page("pages/5_Your_text.py", text=text, token="1", layer="2")
    assert not app.exception
    made = tfactors.decompose(Bundle.open(folder), text)
    token = made.tokens["token"][1].strip()
    assert f"<bdi>{html.escape(token)}</bdi> <i>itself</i>" in html_of(app)
    assert "The word itself, and what the text makes of it" in words(app)
    here = made.residuals.query("position == 1 and layer == 2").iloc[0]
    assert here["context"] != pytest.approx(here["norm"])
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Explained"] == f"{here['explained']:.0%}"
    app = open_page(
        "pages/5_Your_text.py", text=text, token="40", **{"with": "No.", "with_token": "9"}
    )
    said = words(app)
    assert f"The link asks for token 41, and the text has {len(made.tokens)}: the last one" in said
    assert "The link asks for token 10, and the text has 2: the last one" in said


@pytest.mark.model
@pytest.mark.parametrize("marks", [False, True])
def test_a_model_of_few_positions_says_how_much_text_it_takes_before_and_after_it_is_loaded(
    marks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiny_model import write_tiny_bert

    from tfactors.model.hidden_states import load_model

    model = load_model(str(write_tiny_bert(tmp_path / "model")), marks=marks)
    write_synthetic_bundle(
        tmp_path / "bundles/default", layers=3, width=model.width, factors=20, hostile=False
    )
    manifest = Bundle.open(tmp_path / "bundles/default").manifest
    manifest["model"] |= {"name": model.name, "sha256": model.sha256, "marks": marks}
    write_manifest(tmp_path / "bundles/default", manifest)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path / "bundles"))
    path, most = "pages/5_Your_text.py", model.max_length
    app = open_page(path)
    assert app.text_area[0].label == f"A text of up to {most} tokens"
    app = open_page(path, text="the " * most)
    assert not app.exception
    assert "Its factors against λ" in words(app)
    app = open_page(path, text="the " * (most + 1))
    assert f"the text has {most + 1} tokens" in words(app)
    assert f"reads at most {most} at once" in words(app)
    assert app.text_area[0].label == f"A text of up to {most} tokens"
