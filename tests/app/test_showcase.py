"""The factors worth a click: the rule that ranks them, and Home, which shows one a level."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from opened_page import html_of, open_page, query
from streamlit.testing.v1 import AppTest

from tfactors.app.frame import controls
from tfactors.app.parts import showcase
from tfactors.bundle import Bundle

NAN = math.nan


def shown(app: AppTest) -> list[int]:
    """The factors whose cards Home shows, by the links below them."""
    labels = (link.proto.label for link in app.get("page_link"))
    found = (re.fullmatch(r"Open factor ([\d,]+)", label) for label in labels)
    return [int(match[1].replace(",", "")) for match in found if match]


def test_a_factor_is_as_good_as_the_worst_of_its_ranks() -> None:
    criteria = pd.DataFrame(
        {
            "name": [0.9, 0.8, 0.7, 0.6, 0.5],  # ranks 5 4 3 2 1
            "stability": [0.1, 0.9, 0.5, 0.6, 0.7],  # ranks 1 5 2 3 4
            "clear": [5.0, 3.0, 4.0, 2.0, 1.0],  # ranks 5 3 4 2 1
        }
    )
    # The worst ranks are 1 3 2 2 1; of equals the first comes first.
    assert showcase.best_first(criteria, np.zeros(5)).tolist() == [1, 2, 3, 0, 4]


def test_those_without_a_name_come_last_however_well_they_do() -> None:
    criteria = pd.DataFrame({"stability": [0.99, 0.5, 0.6, 0.7]})
    assert showcase.best_first(criteria, np.array([2, 0, 0, 1])).tolist() == [2, 1, 3, 0]


def test_what_a_bundle_does_not_know_ranks_nothing_and_a_single_gap_is_the_worst() -> None:
    known = pd.DataFrame({"name": [0.6, NAN, 0.8]})
    unknown = known.assign(stability=[NAN, NAN, NAN])
    for criteria in (known, unknown):
        assert showcase.best_first(criteria, np.zeros(3)).tolist() == [2, 0, 1]


def test_every_factor_that_is_shown_has_a_better_worst_rank_than_those_after_it(
    made_up: Path,
) -> None:
    bundle = Bundle.open(made_up / "default")
    factors = bundle.factors
    density = bundle.importance().groupby("factor")["density"].max()
    assert set(showcase.factors_by_level(bundle)) == set(controls.LEVELS)
    for level, best in showcase.factors_by_level(bundle).items():
        members = factors[factors["level"] == level]
        assert len(best) == min(len(members), controls.MOST_SHOWN)
        assert factors["alive"][best].all()
        places = []
        for at, row in members.iterrows():
            mixed = row["label_kind"] == "mixed" or row["label"].startswith("mixed")
            in_words = re.search(r"[^\W\d_]{3}", row["label"]) and row["label_kind"] != "affix"
            group = 2 * mixed + (not (0.0001 < density[at] < 0.1 and in_words))
            places.append((at, group, values(row, level)))
        score = {}
        for at, group, own in places:
            rivals = [other for _, same, other in places if same == group]
            score[at] = (group, -min(rank(own, rivals, name) for name in own))
        assert [score[at] for at in best] == sorted(score.values())[: len(best)]


def values(row: pd.Series, level: str) -> dict[str, float]:
    """What a factor of a made-up bundle is ranked by, more being better."""
    precision, recall = row["label_precision"], row["label_recall"]
    above = math.log(row["effective_words"] / 6)
    inside = row["window_share"] - (0.1 if above > 0 else 0.2)
    margins = {
        "low": min(-above, -inside),
        "mid": min(above, -inside),
        "high": min(above, inside) if above > 0 else inside,
    }
    found = {
        "name": 2 / (1 / precision + 1 / recall),
        "stability": row["stability"],
        "clear": margins[level],
        "short": -len(row["label_rule"] or row["label"]),
    }
    return found if level == "low" else found | {"words": row["effective_words"]}


def rank(own: dict[str, float], rivals: list[dict[str, float]], name: str) -> float:
    """The share of its rivals that a factor is not worse than, ties in the middle."""
    others = [rival[name] for rival in rivals if not math.isnan(rival[name])]
    if math.isnan(own[name]):
        return 0.0
    below, same = (sum(f(x) for x in others) for f in (lambda x: x < own[name], own[name].__eq__))
    return (below + (same + 1) / 2) / len(others)


def test_a_bundle_with_the_older_rule_of_levels_has_factors_worth_a_click(older: Path) -> None:
    bundle = Bundle.open(older)
    best = showcase.factors_by_level(bundle)
    assert set(best) == set(bundle.factors.loc[bundle.factors["alive"], "level"])
    for level, factors in best.items():
        assert (bundle.factors["level"][factors] == level).all()
        assert bundle.factors["label_kind"][factors[0]] != "mixed"
    assert shown(open_page()) == [factors[0] for factors in best.values()]


def test_another_steps_through_the_best_of_a_level_and_begins_again(made_up: Path) -> None:
    best = showcase.factors_by_level(Bundle.open(made_up / "default"))
    app = open_page()
    low, mid, high = (best[level] for level in controls.LEVELS)
    assert shown(app) == [low[0], mid[0], high[0]]
    for step in range(1, len(mid)):
        app.button(key="another_mid").click().run()
        assert shown(app) == [low[0], mid[step], high[0]]
        assert query(app) == {"mid": str(step + 1)}
    app.button(key="another_mid").click().run()
    assert shown(app) == [low[0], mid[0], high[0]]
    assert query(app) == {}


def test_a_link_to_home_shows_the_same_factors(made_up: Path) -> None:
    best = showcase.factors_by_level(Bundle.open(made_up / "default"))
    app = open_page(low="2", high="3")
    assert shown(app) == [best["low"][1], best["mid"][0], best["high"][2]]
    assert "mid level" in html_of(app)


@pytest.mark.parametrize(
    ("given", "said"),
    [("0", "it has to be from 1 to 20"), ("x", "it is not a whole number")],
)
def test_a_link_to_a_place_that_is_none_is_told_so(given: str, said: str, made_up: Path) -> None:
    best = showcase.factors_by_level(Bundle.open(made_up / "default"))
    app = open_page(mid=given)
    assert not app.exception
    assert said in app.info[0].value
    assert best["mid"][0] in shown(app)


def test_a_link_to_a_place_that_a_level_has_not_is_told_so(made_up: Path) -> None:
    best = showcase.factors_by_level(Bundle.open(made_up / "default"))
    assert len(best["mid"]) < controls.MOST_SHOWN
    app = open_page(mid=str(len(best["mid"]) + 1))
    assert f"{len(best['mid'])} factors of this bundle are mid" in app.info[0].value
    assert best["mid"][0] in shown(app)
