"""Names of factors: rules proposed by one text and judged on another."""

import numpy as np
import pytest
from planted_text import Planted

from tfactors.describe.labels import GOOD_ENOUGH
from tfactors.describe.name_search import Firing, f1_score

WINDOWS = 160
MATTER = np.arange(WINDOWS) // 2 % 4  # two windows after another are about one matter
HELD_OUT = np.arange(WINDOWS) // 8 % 4 == 3
SUBJECTS = ["we", "they", "people", "members", "farmers", "sailors"]
VERBS = ["made", "taken", "seen", "found", "lost", "heard", "kept", "sold"]
THINGS = ["bread", "money", "paper", "water", "music", "trouble", "silver", "glass"]
MATTERS = {
    "forest": ["forest", "timber", "reserve", "trees", "rangers", "logging"],
    "film": ["film", "actor", "scene", "director", "studio", "camera"],
    "law": ["court", "judge", "statute", "verdict", "appeal", "jury"],
    "sea": ["harbour", "sailors", "fleet", "anchor", "captain", "voyage"],
}


def sentence(rng: np.random.Generator, matter: list[str]) -> str:
    subject, verb, thing = (str(rng.choice(words)) for words in (SUBJECTS, VERBS, THINGS))
    one, two = rng.choice(matter, 2, replace=False)
    auxiliary = rng.choice(["have", "never"])
    order = rng.choice(["order", "way", "idea"])
    return f"The {one} said {subject} {auxiliary} {verb} {thing} of the {two} in that {order}."


@pytest.fixture(scope="module")
def planted() -> Planted:
    rng = np.random.default_rng(0)
    matters = list(MATTERS.values())
    return Planted(
        [" ".join(sentence(rng, matters[MATTER[n]]) for _ in range(3)) for n in range(WINDOWS)]
    )


def strong_at(planted: Planted, condition) -> np.ndarray:
    """Activations of 1 where a condition on (text, token number) holds, of one factor."""
    return np.array(
        [[float(condition(planted, at))] for at in range(len(planted.windows))], np.float32
    )


def name(
    planted: Planted,
    activations: np.ndarray,
    held_out: np.ndarray = HELD_OUT,
    of_windows: bool = False,
) -> dict:
    return planted.namer(activations, held_out).name(0, 1.0, ["frequent", "words"], of_windows)


def after_have(planted: Planted, at: int) -> bool:
    return planted.before(at, 1) == ["have"]


def of_forests(planted: Planted, at: int) -> bool:
    return MATTER[planted.windows[at]] == 0


def test_a_word_after_another_is_a_template_with_a_slot(planted):
    label = name(planted, strong_at(planted, after_have))
    assert (label["label"], label["kind"]) == ("have […]", "pattern")
    assert (label["precision"], label["recall"], label["judge"]) == (1, 1, "held out")
    assert label["rule"] == "the word before is “have”"


def test_a_pattern_names_what_stands_at_each_offset(planted):
    strong = strong_at(
        planted, lambda p, at: p.spelled[at] == "in" and p.before(at, 3) == ["of", "the", "trees"]
    )
    label = name(planted, strong)
    assert (label["label"], label["kind"]) == ("trees [in]", "pattern")
    assert (label["precision"], label["recall"]) == (1, 1)
    strong = strong_at(planted, lambda p, at: p.before(at, 2)[:1] == ["have"])
    assert name(planted, strong)["label"] == "have … […]"


def test_what_windows_are_about_are_words_frequent_there_and_not_elsewhere(planted):
    label = name(planted, strong_at(planted, of_forests))
    assert label["kind"] == "topic"
    words = label["label"].removeprefix("about ").split(", ")
    assert set(words) <= set(MATTERS["forest"]) - {"the"}
    assert label["precision"] > 0.9
    assert label["recall"] > 0.9


def test_a_word_in_one_use_is_told_by_the_words_around_it(planted):
    strong = strong_at(planted, lambda p, at: p.spelled[at] == "order" and of_forests(p, at))
    label = name(planted, strong)
    assert label["kind"] == "use"
    word, words = label["label"].split(" · ")
    assert word == "[order]"
    assert set(words.split(", ")) <= set(MATTERS["forest"])
    assert min(label["precision"], label["recall"]) > 0.8


def test_a_word_alone_is_its_own_name(planted):
    label = name(planted, strong_at(planted, lambda p, at: p.spelled[at] == "order"))
    assert (label["label"], label["kind"], label["precision"]) == ("order", "word", 1)


def test_a_mark_and_a_class_are_named_as_such(planted):
    stops = name(planted, strong_at(planted, lambda p, at: p.spelled[at] == "."))
    assert (stops["kind"], stops["recall"]) == ("punctuation", 1)
    strong = strong_at(planted, lambda p, at: p.spelled[at] in ("we", "they"))
    assert name(planted, strong)["label"] in ("we, they", "they, we", "[pronoun]")


def test_nothing_of_held_out_text_proposes(planted):
    """Whatever a factor does in held-out text, the rule is the same, and only its shares differ."""
    usual = strong_at(planted, after_have)
    other = np.where(HELD_OUT[planted.windows][:, None], 0, usual)
    rows = np.flatnonzero(HELD_OUT[planted.windows])
    other[rows[::3]] = 1
    before, after = name(planted, usual), name(planted, other)
    assert before["rule"] == after["rule"]
    assert after["kind"] == "mixed"
    assert after["precision"] < 0.5


def test_the_shares_are_of_all_held_out_tokens(planted):
    activations = strong_at(planted, after_have)
    judging = HELD_OUT[planted.windows]
    fits = np.array([after_have(planted, at) for at in range(len(judging))]) & judging
    hits = np.flatnonzero(fits)
    activations[hits[: len(hits) // 4]] = 0.25  # half as much as counts as strong
    others = np.flatnonzero(judging & ~fits)[:10]
    activations[others] = 1
    label = name(planted, activations)
    weak, strong = len(hits) // 4, len(hits) - len(hits) // 4
    assert label["precision"] == pytest.approx((strong + weak / 2) / len(hits))
    assert label["recall"] == pytest.approx(strong / (strong + 10))


def test_a_matter_that_held_out_text_never_touches_is_judged_by_windows_that_proposed_nothing(
    planted,
):
    of_the_sea = MATTER == 3
    law_and_film = strong_at(planted, lambda p, at: MATTER[p.windows[at]] in (1, 2))
    label = name(planted, law_and_film * strong_at(planted, after_have), of_the_sea)
    assert label["judge"] == "sample"
    assert "have" in label["label"]
    assert label["precision"] > 0.5


def test_with_few_active_tokens_nothing_is_claimed(planted):
    activations = np.zeros((len(planted.windows), 1), np.float32)
    activations[[5, 200, 400]] = 1
    label = name(planted, activations)
    assert (label["kind"], label["judge"]) == ("mixed", "")
    assert np.isnan(label["precision"])
    assert np.isnan(label["recall"])


def test_a_factor_without_any_pattern_is_mixed_with_its_measured_shares(planted):
    rng = np.random.default_rng(1)
    activations = (rng.random((len(planted.windows), 1)) < 0.03).astype(np.float32)
    label = name(planted, activations)
    assert label["kind"] == "mixed"
    assert label["label"].startswith("mixed: ")


def test_any_token_is_a_bad_name(planted):
    """The trivial predicate has full recall, and no more precision than activation is dense."""
    for condition in (after_have, lambda p, at: p.spelled[at] == "order"):
        activations = strong_at(planted, condition)[:, 0]
        firing = Firing.of(np.flatnonzero(activations), activations[activations > 0], 0.5)
        precision, recall = firing.shares(np.ones(len(activations), bool))
        assert recall == 1
        assert precision == pytest.approx(activations.mean())
        assert f1_score(np.array(precision), np.array(recall)) < 0.2 < GOOD_ENOUGH


def test_a_factor_of_windows_is_named_by_their_words_and_judged_by_windows(planted):
    """It is active at one token of each of its windows, which no rule about tokens could tell."""
    first = np.flatnonzero(planted.positions == 0)
    activations = np.zeros((len(planted.windows), 1), np.float32)
    activations[first + planted.windows[first] % 11, 0] = MATTER == 0
    label = name(planted, activations, of_windows=True)
    assert (label["kind"], label["judge"]) == ("topic", "held out windows")
    assert set(label["label"].removeprefix("about ").split(", ")) <= set(MATTERS["forest"])
    assert (label["precision"], label["recall"]) == (1, 1)
    assert name(planted, activations)["kind"] == "mixed"


def test_a_window_counts_as_its_strongest_token_and_a_weak_one_in_part(planted):
    """With half of θ in the windows of one matter, P is (1 + ½) / 2 where both matters fit."""
    activations = np.zeros((len(planted.windows), 1), np.float32)
    first = np.flatnonzero(planted.positions == 0)
    activations[first, 0] = np.select([MATTER == 0, MATTER == 1], [1.0, 0.25])
    activations[first + 1, 0] = 0.1
    namer = planted.namer(activations, HELD_OUT)
    firing = namer.held_out.firing(0, 0.5, of_windows=True)
    of_matter = MATTER[HELD_OUT]
    assert firing.shares(of_matter <= 1) == (pytest.approx(0.75), 1)
    assert firing.shares(of_matter == 0) == (1, 1)
    assert firing.shares(of_matter == 2) == (pytest.approx(0.2), 0)


def test_windows_drawn_by_chance_have_no_name(planted):
    rng = np.random.default_rng(5)
    drawn = rng.random(WINDOWS) < 0.2
    label = name(planted, drawn[planted.windows, None].astype(np.float32), of_windows=True)
    assert label["kind"] == "mixed"
    assert label["judge"] == "held out windows"


def test_names_are_the_same_every_time(planted):
    rng = np.random.default_rng(2)
    noise = (rng.random((len(planted.windows), 1)) < 0.02).astype(np.float32)
    for activations in (strong_at(planted, of_forests), noise):
        first, second = (repr(name(planted, activations)) for _ in range(2))
        assert first == second


def test_hostile_tokens_are_only_text():
    evil = "<script>alert(1)</script>"
    texts = [f"we have {evil} | [ ] … · ‹› and x{n} , \n said" for n in range(40)]
    planted = Planted(texts)
    strong = strong_at(planted, lambda p, at: p.before(at, 1) == ["<"])
    label = planted.namer(strong, np.arange(40) % 4 == 3).name(0, 1.0, [evil])
    assert label["kind"] in ("pattern", "mixed", "word")
    assert isinstance(label["label"], str)
    assert label["label"].count("\n") == 0
