"""The page that takes a text of the reader's own apart."""

import html
from pathlib import Path

import pytest
from opened_page import html_of, open_page, query, words
from synthetic_bundle import write_synthetic_bundle

import tfactors
from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest


@pytest.mark.model
def test_a_text_of_the_readers_own_is_taken_apart(
    asks_minilm: Path,
) -> None:
    path, text = "pages/5_Your_text.py", "He left the <b>house</b> $x$."
    app = open_page(path)
    next(b for b in app.button if b.label.startswith("He left")).click().run(timeout=120)
    assert query(app)["text"].startswith("He left the house")
    assert "Its factors against λ" in words(app)

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


@pytest.mark.model
def test_the_equation_of_a_token_begins_with_the_word_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiny_model import write_tiny_bert

    from tfactors.model.hidden_states import load_model

    model = load_model(str(write_tiny_bert(tmp_path / "model")))
    folder = tmp_path / "bundles/default"
    write_synthetic_bundle(folder, layers=3, width=model.width, factors=20, hostile=False)
    manifest = Bundle.open(folder).manifest
    manifest["model"] |= {"name": model.name, "sha256": model.sha256}
    manifest["coding"]["penalty"] = 0.2
    write_manifest(folder, manifest)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path / "bundles"))
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
