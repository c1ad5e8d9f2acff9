"""A high-level factor is drawn as whole windows, a mid-level one with its neighbours lined up."""

import html
import re
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from opened_page import html_of, open_page, query, words

from tfactors.app.parts import downloads
from tfactors.bundle import Bundle
from tfactors.describe.lined_up import shares_by_offset
from tfactors.portrait.words_around import table_html
from tfactors.text.words import words as words_of

PAGE = "pages/1_Factor.py"
WINDOW, LINE = 'class="tf-text"', 'class="tf-line"'


def factor_of(level: str, made_up: Path, which: int = 0) -> int:
    """A factor of the level that answers to common words (the first few to markup)."""
    factors = Bundle.open(made_up / "default").factors[5:]
    return int(factors.index[factors["level"] == level][which])


def test_a_high_level_factor_opens_as_whole_windows_and_others_as_lines(made_up: Path) -> None:
    for level, shown, other in (
        ("high", WINDOW, LINE),
        ("mid", LINE, WINDOW),
        ("low", LINE, WINDOW),
    ):
        app = open_page(PAGE, factor=str(factor_of(level, made_up)))
        assert not app.exception
        assert shown in html_of(app)
        assert other not in html_of(app)
        assert "layout" not in query(app)


def test_the_level_that_counts_is_the_one_at_the_reader_s_thresholds(made_up: Path) -> None:
    factor = factor_of("low", made_up)
    app = open_page(PAGE, factor=str(factor), low_words="1", window_share="0")
    assert "high level" in words(app)
    assert WINDOW in html_of(app)


def test_a_window_is_all_that_the_model_read_with_the_activations_of_its_tokens(
    made_up: Path,
) -> None:
    factor = factor_of("high", made_up)
    bundle = Bundle.open(made_up / "default")
    layer = int(bundle.factors["peak_layer"][factor])
    listed = html_of(open_page(PAGE, factor=str(factor))).partition('<ol class="tf-list"')[2]
    shown = listed.split("</li>")[:-1]
    assert len(shown) == 10
    contexts = bundle.contexts(factor, layer)
    assert len(contexts) >= 10
    windows = bundle.windows(bundle.examples(factor, layer, 10)["window"].to_list())
    for body, window in zip(shown, windows.itertuples(), strict=True):
        plain = re.sub(r"<[^>]+>|\s", "", body)
        for word in ("".join(window.tokens[:5]), "".join(window.tokens[-5:])):
            assert re.sub(r"\s", "", html.escape(word)) in plain
        assert 'class="tf-plus"' in body


def test_ten_windows_begin_and_a_click_shows_more(made_up: Path) -> None:
    app = open_page(PAGE, factor=str(factor_of("high", made_up)))
    assert html_of(app).count(WINDOW) == 10
    assert "10 of the 50 strongest" in words(app)
    more = app.button(key="more_examples")
    assert more.label == "Show 10 more, of 40 that are left"
    more.click().run()
    assert html_of(app).count(WINDOW) == 20
    assert query(app)["top"] == "20"
    assert app.slider(key="control_top").value == 20


def test_where_nothing_is_left_no_button_offers_more(made_up: Path) -> None:
    app = open_page(PAGE, factor=str(factor_of("high", made_up)), top="50")
    assert html_of(app).count(WINDOW) == 50
    assert "more_examples" not in [button.key for button in app.button]


def test_a_reader_s_layout_holds_for_the_next_factors(made_up: Path) -> None:
    high, mid = factor_of("high", made_up), factor_of("mid", made_up)
    app = open_page(PAGE, factor=str(high))
    app.segmented_control(key="control_layout").set_value("lines").run()
    assert query(app)["layout"] == "lines"
    assert LINE in html_of(app)
    app.number_input(key="control_factor").set_value(factor_of("high", made_up, 1)).run()
    assert "high level" in words(app)
    assert WINDOW not in html_of(app)
    app.segmented_control(key="control_layout").set_value("window").run()
    app.number_input(key="control_factor").set_value(mid).run()
    assert WINDOW in html_of(app)
    app.segmented_control(key="control_layout").set_value("level").run()
    assert "layout" not in query(app)
    assert LINE in html_of(app)


def test_the_buttons_say_what_the_level_asks_for(made_up: Path) -> None:
    for level, asked in (("high", "By level (window)"), ("low", "By level (lines)")):
        app = open_page(PAGE, factor=str(factor_of(level, made_up)))
        control = app.segmented_control(key="control_layout")
        assert control.value == "level"
        assert control.options == [asked, "Lines", "Text", "Window"]


def test_a_mid_level_factor_lines_its_neighbours_up_with_their_shares(made_up: Path) -> None:
    """Against counts over the words of every token of each example's window."""
    bundle = Bundle.open(made_up / "default")
    factor = factor_of("mid", made_up)
    layer = int(bundle.factors["peak_layer"][factor])
    examples = bundle.examples(factor, layer, 50)
    windows = bundle.windows(examples["window"].to_list())
    counts: dict[int, Counter[str]] = {offset: Counter() for offset in range(-4, 5)}
    for position, window in zip(examples["position"], windows.itertuples(), strict=True):
        starts = [i for i, begins in enumerate(window.word_starts) if begins or i == 0]
        here = max(k for k, start in enumerate(starts) if start <= position)
        spelled = words_of(window.tokens, window.word_starts)
        for offset, counter in counts.items():
            if 0 <= here + offset < len(starts):
                counter[spelled[starts[here + offset]].casefold()] += 1
    table = lined_up_table(html_of(open_page(PAGE, factor=str(factor))))
    first, *others = re.findall(r'<tr class="tf-(?:first|next)">(.*?)</tr>', table)
    cells = re.findall(r"<td.*?</td>", first)
    assert len(cells) == 9
    assert len(others) == 2
    told = 0
    for cell, counter in zip(cells, counts.values(), strict=True):
        (_, most), *_ = counter.most_common()
        if most == 1:
            assert "all differ" in cell
            continue
        told += 1
        share = most / counter.total()
        word = re.search(r"<bdi>(?:<mark>)?(.*?)<", cell)[1]
        assert counter[word] == most
        assert f'<span class="tf-share">{share:.0%}</span>' in cell
        assert f"--w:{share:.3f}" in cell
    assert told > 4


def lined_up_table(body: str) -> str:
    return body.partition('<div class="tf-lined"')[2].partition("</table>")[0]


def test_the_table_has_a_head_for_every_column_and_row(made_up: Path) -> None:
    table = lined_up_table(html_of(open_page(PAGE, factor=str(factor_of("mid", made_up)))))
    assert table.count('<th scope="col"') == 9
    assert table.count('<th scope="row"') == 3
    assert "4 before" in table
    assert '<th scope="col" class="tf-self">the word</th>' in table
    assert "1 after" in table


def test_only_mid_level_factors_have_the_table_above_their_list(made_up: Path) -> None:
    for level in ("low", "high"):
        factor = str(factor_of(level, made_up))
        assert "tf-lined" not in html_of(open_page(PAGE, factor=factor))
        assert "tf-lined" in html_of(open_page(PAGE, factor=factor, part="context"))


def test_hostile_words_are_escaped_in_the_table(made_up: Path) -> None:
    """Factor 1 answers to markup."""
    for layer in range(4):
        app = open_page(PAGE, factor="1", layer=str(layer), part="context")
        assert not app.exception
        assert "<img" not in html_of(app)
        assert "<script" not in html_of(app)


@pytest.mark.parametrize("attack", ["<img src=x>", '" onmouseover="alert(1)', "</table>", "&amp;"])
def test_a_hostile_word_is_text_in_every_cell(attack: str) -> None:
    lined_up = [{offset: attack for offset in range(-4, 5)}] * 2
    table = table_html(shares_by_offset(lined_up))
    cell = r"""<td(?: class="tf-self")? title="([^"<>]*)" style="--w:1\.000"><bdi>([^<>]*)</bdi>"""
    shown = re.findall(cell, re.sub("</?mark>", "", table))
    assert len(shown) == 9
    for title, word in shown:
        assert html.unescape(title) == f"{attack}: 2 of 2 examples"
        assert html.unescape(word) == attack


def test_a_word_of_ten_thousand_letters_is_cut() -> None:
    table = table_html(shares_by_offset([{0: "a" * 10_000}] * 2))
    assert len(table) < 4_000


def test_the_table_to_take_along_has_all_words(
    made_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[str, pd.DataFrame] = {}
    monkeypatch.setattr(downloads, "show", lambda table, name: taken.update({name: table()}))
    factor = factor_of("mid", made_up)
    app = open_page(PAGE, factor=str(factor), layer="2")
    assert not app.exception
    table = taken[f"around_{factor}_2"]
    assert table.columns.tolist() == ["offset", "word", "count", "examples", "share"]
    assert table.groupby("offset")["share"].sum().tolist() == pytest.approx([1] * 9)
    assert (table.groupby("offset")["count"].sum() <= 50).all()
