"""The page of a factor: its examples, its level, its parts, and what the model adds."""

import html
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opened_page import html_of, open_page, query, words

from tfactors.app.frame import controls
from tfactors.bundle import Bundle
from tfactors.bundle.passages import cut
from tfactors.bundle.writing import write_manifest, write_table
from tfactors.describe.levels import deciding_parts
from tfactors.display import passages


def short(number: float) -> str:
    """A number as the page gives it: a digit behind the point below ten."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def test_next_goes_round_and_any_draws_a_living_factor() -> None:
    app = open_page("pages/1_Factor.py", factor="38")
    buttons = {button.label: button for button in app.button}
    buttons["Next"].click().run()
    assert query(app)["factor"] == "39"
    assert "dead" in words(app)  # the last factor of a made-up bundle is
    {button.label: button for button in app.button}["Next"].click().run()
    assert app.number_input(key="control_factor").value == 0
    {button.label: button for button in app.button}["Any"].click().run()
    assert "no token of the corpus" not in words(app)


def test_the_layer_follows_the_peak_until_one_is_chosen(made_up: Path) -> None:
    factors = Bundle.open(made_up / "default").factors
    app = open_page("pages/1_Factor.py", factor="4")
    assert f"Factor 4 at layer {factors['peak_layer'][4]}" in words(app)
    app.segmented_control(key="control_layer").set_value(1).run()
    app.number_input(key="control_factor").set_value(5).run()
    assert "Factor 5 at layer 1" in words(app)


def test_the_list_shows_what_the_bundle_holds_strongest_first(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    peak = int(bundle.factors["peak_layer"][4])
    examples = bundle.examples(4, peak)
    app = open_page("pages/1_Factor.py", factor="4", top="10", floor="0")
    shown = [float(v) for v in re.findall(r'title="activation ([\d.]+), ', html_of(app))]
    assert shown == pytest.approx(examples["activation"][:10].tolist(), abs=6e-4)
    assert re.findall(r"<mark[^>]*><bdi>(.*?)</bdi>", html_of(app)) == [
        passages.escape(word) for word in examples["word"][:10]
    ]


def test_the_smallest_activation_leaves_the_weaker_examples_out() -> None:
    app = open_page("pages/1_Factor.py", factor="4", top="200", floor="50")
    shown = [float(v) for v in re.findall(r'title="activation ([\d.]+), ', html_of(app))]
    assert shown
    assert min(shown) >= 0.5 * max(shown)


def test_a_level_is_shown_with_its_rule_its_numbers_and_its_margin(made_up: Path) -> None:
    factors = Bundle.open(made_up / "default").factors
    for level, says in (
        ("low", "; 6 or fewer are low-level, unless which window it is decides 20% of their "),
        (
            "mid",
            " more than 6; which window it is decides {share:.1%} of their variance, less than",
        ),
        ("high", " of their variance, at least 10%, over as many as "),
        ("few", " no more than 6; which window it is decides {share:.1%} of their variance, at "),
    ):
        few = factors["effective_words"] <= 6
        plain = (factors["window_share"] >= 0.1) == (level == "high")
        plain &= few == (level == "low")
        if level == "few":
            level, plain = "high", few
        row = factors[(factors["level"] == level) & plain].iloc[0]
        app = open_page("pages/1_Factor.py", factor=str(row["factor"]))
        assert f"as many words as {short(row['effective_words'])} that" in words(app)
        assert says.format(share=row["window_share"]) in words(app)
        if level != "low":
            assert f"decides {row['window_share']:.1%} of their variance" in words(app)


def test_a_level_of_an_older_bundle_is_shown_with_the_rule_of_its_time(older: Path) -> None:
    factors = Bundle.open(older).factors
    row = factors[factors["level"] == "high"].iloc[0]
    app = open_page("pages/1_Factor.py", factor=str(row["factor"]))
    word, kept = row["word_elsewhere"], row["sentence_elsewhere"]
    assert f"peaks at layer {row['peak_layer']} of 3, a depth of {row['depth']:.0%}" in words(app)
    assert f"its words keep {word:.0%} of the activation at other places" in words(app)
    assert f"inside another text keeps {kept:.0%}, less than 50%" in words(app)
    margin = min(row["depth"] - 1 / 3, 0.55 - word, 0.5 - kept)
    assert f"(margin {margin:.0%})" in words(app)


def test_the_curve_of_a_factor_is_the_bundle_s_importance(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    app = open_page("pages/1_Factor.py", factor="4")
    values = enumerate(bundle.importance(4)["importance"])
    said = ", ".join(f"{value:.2f} at {layer}" for layer, value in values)
    assert f"Importance by layer: {said}. It peaks at layer" in words(app)
    other = open_page("pages/1_Factor.py", factor="5")
    charts, others = (
        [chart.proto.alt for chart in page.get("vega_lite_chart")] for page in (app, other)
    )
    assert charts == others  # a chart with other words would be embedded anew


def test_the_lists_can_be_downloaded(made_up: Path) -> None:
    for level, lists in (("low", 1), ("mid", 2)):  # the words around it and its examples
        factor = int((Bundle.open(made_up / "default").factors["level"] == level).argmax())
        app = open_page("pages/1_Factor.py", factor=str(factor))
        labels = [button.label for button in app.get("download_button")]
        assert labels == ["CSV", "Parquet"] * lists


@pytest.mark.parametrize("part", controls.PARTS)
def test_every_part_of_a_factor_opens_for_a_living_and_a_dead_factor(part: str) -> None:
    for factor in ("4", "39"):
        app = open_page("pages/1_Factor.py", factor=factor, part=part)
        assert not app.exception
        assert not app.error


def test_the_words_of_a_layer_are_those_of_the_bundle(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    body = html_of(open_page("pages/1_Factor.py", factor="4", part="layers"))
    column = body[body.index("Layer 2</h4>") : body.index("Layer 3</h4>")]
    shown = re.findall(r"<li style=[^>]*><bdi>(.*?)</bdi>", column)
    words_ = bundle.words(4, 2)
    carried = (words_["count"] * words_["mean_activation"]).sort_values(ascending=False)
    best = words_["word"][carried.index[: len(shown)]]
    assert shown == [passages.escape(word) for word in best]
    assert len(shown) > 3


def test_the_context_part_says_what_is_left_of_the_activation(made_up: Path) -> None:
    kept = Bundle.open(made_up / "default").retention(4)
    word = float(kept.loc[kept["kind"] == "word", "retained"].iloc[0])
    app = open_page("pages/1_Factor.py", factor="4", part="context")
    assert f"the word alone keeps **{word:.0%}**" in words(app)


def test_the_context_part_says_what_decides_and_how_far_another_level_is(made_up: Path) -> None:
    row = Bundle.open(made_up / "default").factors.iloc[4]
    app = open_page("pages/1_Factor.py", factor="4", part="context")
    shown = html_of(app)
    assert f"{short(row['effective_words'])}, {short(abs(row['effective_words'] - 6))} " in shown
    assert f"{abs(row['window_share'] - 0.1) * 100:.1f} points" in shown
    assert (
        f"{short(row['effective_windows'])}, {short(abs(row['effective_windows'] - 3))} " in shown
    )
    parts = deciding_parts(*(row[f"{name}_share"] for name in ("token", "window", "sentence")))
    said = ", ".join(f"{name} {share:.0%}" for name, share in parts.items())
    chart = next(c.proto for c in app.get("vega_lite_chart") if said in c.proto.alt)
    tables = {table.name: pa.ipc.open_stream(table.data.data) for table in chart.datasets}
    drawn = tables["parts"].read_pandas()
    assert drawn["part"].tolist() == list(parts)
    assert (drawn["to"] - drawn["from"]).tolist() == pytest.approx(list(parts.values()))
    assert drawn["to"].iloc[-1] == pytest.approx(1)
    assert all(f"{name} **{share:.0%}**" in words(app) for name, share in parts.items())


def test_a_dead_factor_is_said_to_be_dead_and_one_too_seldom_active_to_have_no_level(
    damaged: Path,
) -> None:
    unknown = ["token_share", "window_share", "sentence_share", "effective_words"]
    table = pq.read_table(damaged / "factors.parquet").to_pandas()
    table.loc[4, [*unknown, "effective_windows"]] = np.nan
    table.loc[4, "level"] = ""
    schema = pq.read_schema(damaged / "factors.parquet")
    manifest = Bundle.open(damaged).manifest
    write_table(damaged, "factors.parquet", pa.Table.from_pandas(table, schema))
    write_manifest(damaged, manifest)
    Bundle.open(damaged).verify()
    app = open_page("pages/1_Factor.py", factor="4", part="context")
    assert not app.exception
    assert "fewer than 20 tokens of the sample activate it" in words(app)
    assert "no level" in words(app)
    assert "This factor is dead" in words(open_page("pages/1_Factor.py", factor="39"))


def test_the_context_part_of_an_older_bundle_has_the_distances_of_its_rule(older: Path) -> None:
    app = open_page("pages/1_Factor.py", factor="4", part="context")
    row = Bundle.open(older).factors.iloc[4]
    shown = html_of(app)
    assert "What decides whether it fires" not in words(app)
    assert f"{abs(row['depth'] - 1 / 3):.2f} or" in shown
    assert f"{abs(row['word_elsewhere'] - 0.55) * 100:.0f} points" in shown
    assert f"{abs(row['sentence_elsewhere'] - 0.5) * 100:.0f} points" in shown


def test_the_window_layout_shows_all_that_the_model_read(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    example = bundle.examples(4, 2).iloc[0]
    tokens = bundle.windows([int(example["window"])])["tokens"].iloc[0]
    app = open_page("pages/1_Factor.py", factor="4", layer="2", layout="window", top="1")
    shown = re.sub(r"<[^>]+>|¶", "", html_of(app))
    assert re.sub(r"\s", "", html.escape("".join(tokens))) in re.sub(r"\s", "", shown)


def test_words_the_factor_answers_to_as_a_rule_are_tinted(made_up: Path) -> None:
    # The strongest 20 are tinted by their activations, those behind them by habit.
    app = open_page("pages/1_Factor.py", factor="8", top="50", context="30")
    listed = html_of(app).partition('<ol class="tf-list"')[2]
    tinted = re.findall(r'class="tf-habit"[^>]*>(.*?)</span>', listed)
    bundle = Bundle.open(made_up / "default")
    known = set(bundle.words(8, int(bundle.factors["peak_layer"][8]))["word"])
    whole = {word.casefold() for word in tinted}
    assert whole
    assert all(any(word in other for other in known) for word in whole)


def test_the_strongest_examples_are_tinted_by_the_activations_that_the_bundle_holds(
    made_up: Path,
) -> None:
    bundle = Bundle.open(made_up / "default")
    factor, layer = 8, int(bundle.factors["peak_layer"][8])
    context = bundle.contexts(factor, layer).iloc[0]
    top = bundle.examples(factor, layer, 1).iloc[0]
    app = open_page("pages/1_Factor.py", factor=str(factor), top="10", layout="window")
    first = html_of(app).partition('<ol class="tf-list"')[2].partition("</li>")[0]
    shown = {
        float(value) for value in re.findall(r'tf-plus" [^>]*title="activation ([\d.]+)"', first)
    }
    at = bundle.windows([top["window"]])["word_starts"][0]
    _, start, stop, _ = cut(at, int(top["position"]), None)
    beside = [
        round(float(value), 2)
        for position, value in zip(context["positions"], context["activations"], strict=True)
        if not start <= position < stop and value >= passages.FAINTEST * top["activation"]
    ]
    assert beside
    assert shown == set(beside)


def test_without_the_model_the_other_examples_say_what_to_install() -> None:
    app = open_page("pages/1_Factor.py", factor="8", top="50", tokens="on")
    assert not app.exception
    assert "asks the model itself" in words(app)
    assert "tf-habit" in html_of(app)
    shown = open_page("pages/1_Factor.py", factor="8", top="10", tokens="on")
    assert "asks the model itself" not in words(shown)  # the bundle holds all that is listed


@pytest.mark.model
def test_the_model_says_what_the_factor_does_at_every_token_of_the_other_examples(
    asks_minilm: Path,
) -> None:
    from tfactors.explain.encoder import FactorEncoder

    bundle = Bundle.open(asks_minilm)
    query = {"factor": "2", "layer": "3", "top": "50", "layout": "window", "tokens": "on"}
    app = open_page("pages/1_Factor.py", **query)
    assert not app.exception
    assert "tf-habit" not in html_of(app)
    example = bundle.examples(2, 3, 50).iloc[30]
    token_ids = bundle.windows([example["window"]])["token_ids"].iloc[0]
    encoder = FactorEncoder.from_bundle(bundle)
    expected = encoder.encode([token_ids], 3)[:, [2]].toarray().ravel()
    row = html_of(app).partition('<ol class="tf-list"')[2].split("</li>")[30]
    shown = {float(value) for value in re.findall(r'title="activation ([\d.]+)"', row)}
    beside = {round(float(value), 2) for value in expected}
    # Tokens of the marked word have its number, and faint ones are left plain.
    assert len(shown) > 1
    assert shown - {round(float(example["activation"]), 2)} <= beside


def test_similar_factors_and_tokens_come_with_their_numbers(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    app = open_page("pages/1_Factor.py", factor="8", part="similar")
    together = bundle.neighbours(8, "together")
    tables = [table.value for table in app.dataframe]
    shown = next(table for table in tables if "together" in table)
    assert shown["together"].tolist() == pytest.approx(together["value"].tolist())
    assert shown["factor"].tolist() == together["other"].tolist()
    bodies = html_of(app)
    for row in bundle.vocabulary(8).itertuples():
        assert f"<bdi>{passages.escape(row.token)}</bdi> <small>{row.value:.2f}" in bodies


@pytest.mark.parametrize(("kind", "judges"), [("lemma", "tokens"), ("topic", "windows")])
def test_a_label_says_how_often_it_is_right_of_tokens_or_of_windows(
    made_up: Path, kind: str, judges: str
) -> None:
    factors = Bundle.open(made_up / "default").factors
    row = factors[factors["label_kind"] == kind].iloc[0]
    head = words(open_page("pages/1_Factor.py", factor=str(row["factor"])))
    assert f"{row['label_precision']:.0%} of the held-out {judges}" in head
    assert f"{row['label_recall']:.0%} of those" in head
