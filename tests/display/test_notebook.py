"""What a notebook shows: the same highlighted text as the dashboard, and nothing that could run."""

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle, BundleError
from tfactors.display.notebook import curve_svg
from tfactors.explain.decomposition import Decomposition
from tfactors.explain.explanation import Explanation


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    write_synthetic_bundle(folder, title="<b>Made up</b>")
    return Bundle.open(folder)


def test_a_bundle_says_what_it_is(bundle):
    shown = bundle._repr_html_()
    assert "&lt;b&gt;Made up&lt;/b&gt;" in shown
    assert f"{bundle.n_factors}" in shown


def test_a_factor_shows_its_examples_with_the_words_marked(bundle):
    factor = bundle.factor(7)
    shown = factor._repr_html_()
    examples = bundle.examples(7, factor.peak_layer, 10)
    assert shown.count("<mark") == len(examples) > 0
    for word in examples["word"]:
        assert f"<bdi>{word}</bdi></mark>" in shown


def test_text_of_the_corpus_cannot_run(bundle):
    for number in range(1, 5):  # these answer to hostile tokens
        shown = bundle.factor(number)._repr_html_()
        assert "<img" not in shown
        assert "<script" not in shown


def test_a_dead_factor_and_one_that_is_not_there(bundle):
    assert "No token activates it" in bundle.factor(bundle.n_factors - 1)._repr_html_()
    with pytest.raises(BundleError, match="factor 999"):
        bundle.factor(999)


def test_the_chart_holds_the_importance_of_every_layer(bundle):
    spec = bundle.factor(7).chart.to_dict()
    (rows,) = spec["datasets"].values()
    found = {row["layer"]: row["importance"] for row in rows}
    expected = bundle.importance(7)
    assert found == pytest.approx(dict(zip(expected["layer"], expected["importance"], strict=True)))


def test_the_curve_is_also_a_picture_that_needs_no_network(bundle):
    shown = bundle.factor(7)._curve()
    assert any(kind.startswith("application/vnd.vegalite") for kind in shown)
    picture = ElementTree.fromstring(shown["image/svg+xml"])
    assert "script" not in shown["image/svg+xml"]
    svg = "{http://www.w3.org/2000/svg}"
    points = picture.findall(f".//{svg}circle")
    expected = bundle.importance(7)
    said = [point.findtext(f"{svg}title") for point in points]
    assert said == [
        f"layer {row.layer}: {row.importance:.3f}" for row in expected.itertuples(index=False)
    ]
    # Heights are in proportion to importance: the slope is the same for every pair of points.
    heights = np.array([float(point.get("cy")) for point in points])
    slope = np.polyfit(expected["importance"], heights, 1)
    assert slope[0] < 0
    np.testing.assert_allclose(np.polyval(slope, expected["importance"]), heights, atol=0.1)


@pytest.mark.parametrize("importance", [[0.0], [0.0, 0.0], [1e-6, 0.0], [3.0] * 33])
def test_a_curve_of_any_size_is_drawn_inside_its_picture(importance):
    picture = ElementTree.fromstring(curve_svg(range(len(importance)), importance))
    _, _, width, height = map(float, picture.get("viewBox").split())
    for point in picture.iter("{http://www.w3.org/2000/svg}circle"):
        assert 0 < float(point.get("cx")) < width
        assert 0 < float(point.get("cy")) < height


def test_an_explanation_tints_what_supports_and_what_opposes():
    weights = np.array([0.5, 0.9, -0.4, 0], np.float32)
    tokens = ["he", " left", " <b>", " now"]
    made = Explanation(
        tokens, 1, 30, 4, "lime", weights, weights * 0, 2.5, 0.9, 0.8, 100, 0, 100, (0, 4)
    )
    shown = made._repr_html_()
    assert "<bdi>left</bdi></mark>" in shown
    assert 'class="tf-plus" style="--a:1.00" title="weight +0.5">he' in shown
    assert 'class="tf-minus" style="--a:0.80" title="weight -0.4">&lt;b&gt;' in shown


def test_a_new_line_that_is_a_token_is_marked_as_one():
    made = Explanation(
        ["ends", ".", "\n", "We"], 2, 30, 4, "occlusion", np.array([0.5, 0, 0, 0], np.float32),
        np.zeros(4, np.float32), 2.5, 0.9, 0.8, 4, 0, 4, (0, 3),
    )  # fmt: skip
    shown = made._repr_html_()
    assert "<bdi>¶</bdi></mark>" in shown
    assert "on “¶”" in shown


def test_a_decomposition_lists_the_strongest_factors_of_each_token():
    tokens = pd.DataFrame({"position": [0, 1], "token": ["<i>", " left"]})
    factors = pd.DataFrame(
        {"layer": [2, 2], "position": [1, 1], "factor": [30, 7], "activation": [4.25, 1.0]}
    )
    residuals = pd.DataFrame({"layer": [2, 2], "position": [0, 1], "explained": [0.0, 0.75]})
    shown = Decomposition(tokens, factors, residuals, 1.0)._repr_html_()
    assert "75%: 4.2 · 30 + 1.0 · 7" in shown
    assert "&lt;i&gt;" in shown
    labels = ["mixed: left, <u>"] * 31
    shown = Decomposition(tokens, factors, residuals, 1.0, labels)._repr_html_()
    assert "75%: 4.2 · 30 (left · &lt;u&gt;) + 1.0 · 7 (left · &lt;u&gt;)" in shown
