"""The page of importance curves, and of the words that an activation depends on."""

import re
from pathlib import Path

import pytest
from opened_page import follow, html_of, open_page, words

from tfactors.bundle import Bundle


def test_factors_of_the_curves_page_are_checked_too() -> None:
    app = open_page("pages/3_Curves_and_saliency.py", factors="3,999")
    assert not app.exception
    assert "the factors of this bundle are 0 to 39" in app.info[0].value.replace("\\", "")


def test_a_click_on_a_point_of_a_curve_opens_that_factor_at_that_layer() -> None:
    app = open_page("pages/3_Curves_and_saliency.py", factors="3,4")
    app.session_state["curves"] = {"selection": {"pick": [{"factor": 4, "layer": 2}]}}
    follow(app.run())
    assert "Factor 4 at layer 2" in words(app)


def test_stored_saliency_marks_support_and_opposition_without_colour_alone(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    factor = next(f for f in range(0, 40, 10) if bundle.factors["alive"][f])
    app = open_page("pages/3_Curves_and_saliency.py", factor=str(factor))
    assert "Stored with the bundle" in words(app)
    assert 'class="tf-plus"' in html_of(app)
    assert 'class="tf-minus"' in html_of(app)
    assert "(dashed)" in words(app)


def test_without_the_model_the_saliency_page_says_what_to_install() -> None:
    app = open_page("pages/3_Curves_and_saliency.py", factor="4")
    assert "install the model synthetic" in words(app)
    explain = next(b for b in app.button if b.label.startswith("Explain"))
    assert explain.disabled


@pytest.mark.model
def test_an_example_is_explained_with_the_model_once_and_then_remembered(
    asks_minilm: Path,
) -> None:
    page = "pages/3_Curves_and_saliency.py"
    asked = {"factor": "1", "layer": "3", "samples": "150", "method": "lime"}
    app = open_page(page, **asked)
    explain = next(b for b in app.button if b.label == "Explain with LIME")
    explain.click().run(timeout=120)
    assert not app.exception
    assert "LIME: score" in words(app)
    assert html_of(app).count('class="tf-plus"') > 1  # one stands in the legend
    again = open_page(page, **asked)
    assert html_of(again) == html_of(app)
    both = open_page(page, **(asked | {"method": "both", "radius": "4"}))
    next(b for b in both.button if b.label.startswith("Explain with LIME and")).click().run()
    assert not both.exception
    assert re.search(r"The two maps (agree to|cannot be compared)", words(both))
    assert "LIME: score" in words(both)
    assert "Occlusion: " in words(both)
    wrong = open_page(page, factor="2", layer="3", replacement="nosuchtoken!", method="lime")
    next(b for b in wrong.button if b.label == "Explain with LIME").click().run(timeout=120)
    assert not wrong.exception
    assert "is no token of the model" in words(wrong)
