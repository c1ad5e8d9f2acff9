"""The page that draws a factor of a level by lot, with thresholds that move live."""

import re
from pathlib import Path

import pytest
from opened_page import open_page, query, words
from tiny_site import write_tiny_site

from tfactors.app.frame import controls
from tfactors.bundle import Bundle
from tfactors.interchange.website_2021.site import import_site


@pytest.mark.parametrize("level", controls.LEVELS)
def test_the_same_seed_draws_the_same_factor_of_the_level(level: str, made_up: Path) -> None:
    path = "pages/2_Random_by_level.py"
    first, again = (words(open_page(path, level=level, seed="12")) for _ in range(2))
    assert first == again
    factor = int(re.search(r"Factor ([\d,]+) at layer", first)[1])
    assert Bundle.open(made_up / "default").factors["level"][factor] == level


def test_a_click_on_a_level_draws_at_once_and_puts_the_seed_into_the_url() -> None:
    app = open_page("pages/2_Random_by_level.py")
    assert not re.search(r"Factor \d+ at layer", words(app))
    app.button(key="draw_mid").click().run()
    assert re.search(r"Factor \d+ at layer \d .* mid level", words(app))
    assert query(app)["level"] == "mid"
    assert query(app)["seed"].isdigit()


def test_thresholds_move_factors_between_the_levels_live(made_up: Path) -> None:
    path = "pages/2_Random_by_level.py"
    app = open_page(path, low_words="50", window_share="0", few_words_share="1")
    factors = Bundle.open(made_up / "default").factors
    many = factors["effective_words"] > 50
    high = at_first = int((many & (factors["effective_windows"] >= 3)).sum())
    assert f"{39 - many.sum()} low · {many.sum() - high} mid · {high} high" in words(app)
    app.slider(key="control_low_words").set_value(1.0).run()
    app.slider(key="control_window_share").set_value(1.0).run()
    assert "0 low · 39 mid · 0 high" in words(app)
    assert query(app)["window_share"] == "1"
    app.slider(key="control_window_share").set_value(0.0).run()
    high = int((factors["effective_windows"] >= 3).sum())
    assert f"0 low · {39 - high} mid · {high} high" in words(app)
    app.slider(key="control_low_words").set_value(50.0).run()
    app.slider(key="control_few_words_share").set_value(0.0).run()
    assert f"{39 - many.sum() - (high - at_first)} low" in words(app)


def test_the_thresholds_of_an_older_bundle_move_its_own_rule(older: Path) -> None:
    path = "pages/2_Random_by_level.py"
    app = open_page(path, low_depth="1", sentence_share="0.5")
    assert "39 low · 0 mid · 0 high" in words(app)
    app.slider(key="control_low_depth").set_value(0.0).run()
    app.slider(key="control_sentence_share").set_value(1.0).run()
    counts = re.search(r"(\d+) low · (\d+) mid · (\d+) high", words(app))
    assert int(counts[2]) == 0
    assert int(counts[3]) > 0


def test_a_drawn_factor_without_a_name_says_so_and_one_with_a_name_does_not(made_up: Path) -> None:
    path, said = "pages/2_Random_by_level.py", "no rule was found that tells where it fires"
    kinds = Bundle.open(made_up / "default").factors["label_kind"]
    seen = set()
    for seed in range(60):
        head = words(open_page(path, level="mid", seed=str(seed)))
        kind = kinds[int(re.search(r"Factor ([\d,]+) at layer", head)[1])]
        assert (said in head) == (kind == "mixed")
        assert ("The words above are only the closest" in head) == (kind == "mixed")
        seen.add(kind == "mixed")
        if seen == {False, True}:
            return
    pytest.fail("sixty draws gave no factor of both kinds")


def test_factors_of_the_website_are_drawn_from_its_own_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our rule calls factor 0 low, and in this site it stands in no list."""
    write_tiny_site(tmp_path / "site")
    (tmp_path / "site" / "low_level.js").write_text("var low_level = ['7'];\n")
    bundle = import_site(tmp_path / "site", tmp_path / "bundles" / "published", False)
    assert bundle.factors["level"][0] == "low"
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path / "bundles"))
    path = "pages/2_Random_by_level.py"
    assert "No factor is low-level" in words(open_page(path, level="low", seed="1"))
    assert "Factor 1 at layer" in words(open_page(path, level="mid", seed="1"))
