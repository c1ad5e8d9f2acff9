"""The website of 2021 as a bundle, from small pages in its two formats."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_site import (
    LAYERS,
    SENTENCES,
    WINDOW,
    draw_curve,
    write_coloured_page,
    write_plain_page,
    write_tiny_site,
)

from tfactors.bundle import Bundle
from tfactors.bundle.passages import passages_of
from tfactors.bundle.summary import describe
from tfactors.cli import main
from tfactors.display.passages import lines
from tfactors.errors import InputError
from tfactors.interchange.website_2021.curves import read_curve
from tfactors.interchange.website_2021.folder import read_levels
from tfactors.interchange.website_2021.pages import read_page, weight_of_colour

ROOT = Path(__file__).resolve().parents[2]


def parsed(tmp_path, write, *args):
    write(tmp_path / "page.html", *args)
    found, problems = read_page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert not problems
    return found


def test_a_plain_page_gives_each_word_in_its_context(tmp_path):
    found = parsed(tmp_path, write_plain_page, list(SENTENCES))
    assert len(found) == len(SENTENCES)  # one holds a bullet of its own
    for example, (before, word, after) in zip(found, SENTENCES, strict=True):
        said = re.sub(r"\s+", " ", f"{before} {word}{after}").strip()
        assert re.sub(r"\s+", " ", "".join(example.tokens)).strip() == said
        assert example.tokens[example.position].strip() == word.strip()
        assert example.weights is None


SAVED = {
    "by a browser": [
        ("style=color:blue>", 'style="color:blue">'),
        ("style=background-color:", 'style="background-color:'),
        (";>", ';">'),
        ("<br />", "<br>"),
        ("<body>", '<!DOCTYPE html><html><head></head><body class="x"><script>a("b")</script>'),
        ("•", "&bull;"),
    ],
    "with other blanks": [("color:", "color: "), ("<br />", "<BR/>"), ("<text", "<TEXT")],
    "on Windows": [("\n", "\r\n"), ("<body>", "\ufeff<body>")],
}


@pytest.mark.parametrize("way", SAVED)
@pytest.mark.parametrize(
    ("write", "given"),
    [(write_plain_page, list(SENTENCES)), (write_coloured_page, [WINDOW, WINDOW])],
)
def test_a_page_that_was_saved_again_is_the_same_page(way, write, given, tmp_path):
    write(tmp_path / "page.html", given)
    html = (tmp_path / "page.html").read_text("utf-8")
    changed = html
    for before, after in SAVED[way]:
        changed = changed.replace(before, after)
    assert changed != html
    assert read_page(changed) == read_page(html)


def test_what_html_escapes_is_what_a_reader_of_the_site_saw():
    html = "<body>• R &amp; D, 1 &lt; 2: <text style=color:blue>&quot;</text> x<br />•</body>"
    ((example,), _) = read_page(html)
    assert "".join(example.tokens) == 'R & D, 1 < 2: " x'
    assert example.tokens[example.position] == ' "'


def test_a_piece_of_a_word_belongs_to_its_word():
    html = "<body>• nas<text style=color:blue>tia</text>h, said<br />•</body>"
    ((example,), _) = read_page(html)
    assert example.tokens == ("nas", "tia", "h", ",", " said")
    assert example.word_starts == (True, False, False, True, True)


def test_a_coloured_page_gives_back_the_weights(tmp_path):
    found = parsed(tmp_path, write_coloured_page, [WINDOW, WINDOW])
    assert len(found) == 2
    assert "".join(found[0].tokens) == "the port of nastia sank, it is said."
    assert found[0].tokens[found[0].position].strip() == "sank"
    weights = dict(zip(map(str.strip, found[0].tokens), found[0].weights, strict=True))
    expected = {"port": 0.5, "tia": -0.25, "sank": 1.0, ",": 0.75, "the": 0.0, "nas": 0.0}
    for token, weight in expected.items():
        assert weights[token] == pytest.approx(weight, abs=1 / 255), token


@pytest.mark.parametrize(
    ("before", "after", "tokens", "position"),
    [
        (" ocaml, f", ", perl", ("ocaml", ",", " f", "", ",", " perl"), 3),
        (" swamp thing", " 37( june", ("swamp", " thing", "", " 37", "(", " june"), 2),
        ("", " one", ("", "one"), 0),
        (" c", "4", ("c", "", "4"), 1),
    ],
)
def test_an_example_whose_marked_word_was_lost_has_its_target_at_the_gap(
    before, after, tokens, position
):
    mark = "<text style=color:blue>"
    html = (
        f"<body>• a {mark}b</text> c<br />•{before}{mark}</text>{after}<br />"
        f"• d {mark}e</text><br />•</body>"
    )
    found, problems = read_page(html)
    assert [example.tokens for example in found] == [("a", " b", " c"), tokens, ("d", " e")]
    assert found[1].position == position
    assert found[1].word_starts == (True,) * len(tokens)
    assert not problems


def test_a_lost_word_of_a_coloured_page_keeps_its_weight(tmp_path):
    window = [*WINDOW[:5], ("", 1.0, True), *WINDOW[6:]]
    lost, whole = parsed(tmp_path, write_coloured_page, [window, WINDOW])
    assert "".join(lost.tokens) == "the port of nastia , it is said."
    assert lost.weights == whole.weights
    assert (lost.position, lost.tokens[lost.position]) == (whole.position, "")


def test_an_example_that_cannot_be_read_does_not_take_its_page_with_it(tmp_path):
    write_coloured_page(tmp_path / "page.html", [WINDOW, WINDOW, WINDOW])
    html = (tmp_path / "page.html").read_text("utf-8").replace("#ff3200", "#0000ff", 1)
    found, problems = read_page(html)
    assert len(found) == 2
    assert problems == ["example 1: #0000ff is no colour of a weight"]


@pytest.mark.parametrize(
    ("script", "listed"),
    [
        ('const high_level = ["500", "501",\n"502"]', [500, 501, 502]),
        ("var high_level = ['500', 501,];", [500, 501]),
        (
            '// const high_level = ["1", "2"]\n'
            "// const high_level  = Array.from(new Array(32), (x, i) => '' +(i + 500));\n"
            'const high_level = ["500"]',
            [500],
        ),
        (
            '/* high_level = ["1"] */\nconst other = [3];\nlet high_level = ["4" /* [5] */, 6]',
            [4, 6],
        ),
        ("const high_level = []", []),
        ("const high_level = Array.from(new Array(32), (x, i) => [i])", None),
        ('const high_level = ["500", one]', None),
        ('// high_level = ["500"]', None),
        ('const high_level = ["531", "532"]', [531]),
        ("const high_level = [1, 2].map(at => at + 500)", None),
        (f"const high_level = [{'9' * 5000}]", None),
    ],
)
def test_a_list_of_levels_is_read_as_a_browser_reads_it(tmp_path, script, listed):
    for level in ("low", "mid"):
        (tmp_path / f"{level}_level.js").write_text(f"const {level}_level = []")
    (tmp_path / "high_level.js").write_text(script)
    factors_at, problems = read_levels(tmp_path)
    assert factors_at == {"low": [], "mid": [], "high": listed or []}
    if listed is None:
        assert problems == ["high_level.js: missing, or without a list of numbers"]
    else:
        beyond = ["high_level.js: 532 is no factor: they are 0 to 531; left out"]
        assert problems == (beyond if "532" in script else [])


def test_a_bundle_holds_the_examples_whose_word_was_lost(tmp_path):
    write_tiny_site(tmp_path / "site")
    page = tmp_path / "site" / "sparse_code_data" / "d_1_l_8.html"
    html = page.read_text("utf-8")
    word = re.search("color:blue>([^<]+)<", html)[1]
    page.write_text(html.replace(f"color:blue>{word}<", "color:blue><", 1), "utf-8")
    out = tmp_path / "out"
    assert main(["import-site", str(tmp_path / "site"), "--out", str(out), "--quiet"]) == 0
    bundle = Bundle.open(out)
    bundle.verify()
    assert bundle.examples(1, 8)["word"].tolist()[0] == ""
    assert len(bundle.examples(1, 8)) == 6
    assert "lost the marked word of 1 example" in bundle.manifest["website"]["notes"][-1]
    assert "" not in [word for words in bundle.factors["words"] for word in words]
    shown = passages_of(bundle, bundle.examples(1, 8), words=8)
    assert "<bdi>▯</bdi></mark>" in lines(shown[:1], 6.0)


@pytest.mark.parametrize("weight", np.linspace(-1, 1, 41))
def test_a_colour_is_its_weight_to_the_last_shade(weight):
    from tiny_site import colour

    assert weight_of_colour(colour(weight)[1:]) == pytest.approx(weight, abs=0.5 / 255 + 1e-9)


@pytest.mark.parametrize("bad", ["0000ff", "808080", "ff0000"])
def test_another_colour_is_refused(bad):
    with pytest.raises(InputError, match=f"#{bad}"):
        weight_of_colour(bad)


def test_a_curve_comes_back_from_its_picture(tmp_path):
    random = np.random.default_rng(0)
    for _ in range(8):
        values = random.random(6) * random.choice([0.1, 1, 20])
        draw_curve(tmp_path / "curve.png", values)
        found = read_curve(tmp_path / "curve.png")
        expected = (values - values.min()) / np.ptp(values)
        np.testing.assert_allclose(found, expected, atol=0.01)


def test_a_picture_without_a_curve_is_refused(tmp_path):
    Image.new("RGBA", (300, 200), "white").save(tmp_path / "empty.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    for name, said in (("empty", "no curve"), ("broken", "no readable picture")):
        with pytest.raises(InputError, match=said):
            read_curve(tmp_path / f"{name}.png")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    return folder, write_tiny_site(folder)


@pytest.fixture(scope="module")
def imported(site, tmp_path_factory) -> Bundle:
    out = tmp_path_factory.mktemp("bundle") / "site"
    assert main(["import-site", str(site[0]), "--out", str(out), "--quiet"]) == 0
    return Bundle.open(out)


def test_the_bundle_verifies_and_holds_every_word_in_context(imported):
    imported.verify()
    assert imported.n_factors == 532
    assert imported.layers == list(LAYERS)
    for layer in LAYERS:
        found = imported.examples(1, layer)
        assert len(found) == 6  # the exact duplicate among them
        first = SENTENCES[layer // 2 % 5]
        assert found["word"][0].endswith(first[1].strip()) or first[1] == "believ"
        assert found["activation"].tolist() == [6, 5, 4, 3, 2, 1]  # ranks, the strongest first
    assert not imported.abilities.activations


def test_one_text_is_stored_once_for_all_layers(imported):
    windows = set(imported.examples(0, 8)["window"])
    assert set(imported.examples(1, 8)["window"]) == windows
    # Each of five sentences, again where a page has it twice, and two long windows.
    assert imported.manifest["corpus"]["windows"] == 5 + 5 + 2


def test_the_curve_says_where_a_factor_peaks(imported, site):
    for factor, curve in site[1].items():
        found = imported.importance(factor)["importance"].to_numpy()
        np.testing.assert_allclose(found, (curve - curve.min()) / np.ptp(curve), atol=0.01)
        assert imported.factors["peak_layer"][factor] == LAYERS[int(curve.argmax())]


def test_the_lists_of_the_site_stand_beside_our_rule(imported):
    factors = imported.factors
    assert factors["listed"][[0, 1, 500, 528, 3]].tolist() == ["low", "mid", "high", "high", "mid"]
    assert factors["level"][[0, 1, 500]].tolist() == ["low", "mid", "high"]
    agreement = imported.manifest["website"]["agreement"]
    assert (agreement["low"], agreement["low_listed"]) == (1, 1)
    assert (agreement["high"], agreement["high_listed"]) == (2, 2)
    said = describe(imported.about)
    assert "1 of 1 low, 1 of 1 mid, 2 of 2 high factors of the lists peak where our rule" in said


def test_weights_of_the_long_factors_are_stored(imported):
    found = imported.saliency(500, 10)
    assert found["rank"].tolist() == [0, 1]
    tokens = imported.windows([imported.examples(500, 10)["window"][0]])["tokens"][0]
    weights = dict(zip(map(str.strip, tokens), found["weights"][0], strict=True))
    assert weights["tia"] == pytest.approx(-0.25, abs=1 / 255)
    assert found["samples"].tolist() == [0, 0]  # the site does not say how many


def test_the_notes_name_both_dictionaries_and_the_missing_layer(imported):
    notes = " ".join(imported.manifest["website"]["notes"])
    assert "Two dictionaries" in notes
    assert "Layer 6 was never published for factors 528 to 531" in notes
    assert imported.examples(528, 6).empty
    assert not any("d_528_l_6" in line for line in imported.manifest["website"]["missing"])


def test_a_missing_page_is_reported_and_the_others_are_kept(tmp_path, capsys):
    write_tiny_site(tmp_path / "site")
    pages = tmp_path / "site" / "sparse_code_data"
    (pages / "d_0_l_0.html").unlink()
    (pages / "d_0_l_2.html").write_text("<body></body>")
    (pages / "d_0_l_4.html").write_bytes(b"\xff\xfe\x00")
    whole = (pages / "d_1_l_0.html").read_text(encoding="utf-8")
    cut = whole.rindex("</text>", 0, whole.rindex("</text>")) - 1  # inside the fifth marked word
    (pages / "d_1_l_0.html").write_text(whole[:cut], encoding="utf-8")
    strange = (pages / "d_500_l_0.html").read_text(encoding="utf-8").replace("#ff3200", "red")
    (pages / "d_500_l_0.html").write_text(strange, encoding="utf-8")
    (tmp_path / "site" / "high_level.js").write_bytes(b"\xff\xfe\x00")
    picture = tmp_path / "site" / "sparse_code_img" / "d_0.png"
    Image.open(picture).resize((30, 20)).save(picture)
    (tmp_path / "site" / "mid_level.js").unlink()
    (tmp_path / "site" / "sparse_code_img" / "d_1.png").unlink()
    out = tmp_path / "out"
    assert main(["import-site", str(tmp_path / "site"), "--out", str(out), "--quiet"]) == 0
    assert "d_0_l_0.html: missing" in capsys.readouterr().err
    bundle = Bundle.open(out)
    bundle.verify()
    missing = "\n".join(bundle.manifest["website"]["missing"])
    for said in ("d_0_l_0.html: missing", "d_0_l_2.html: no example", "d_0_l_4.html:",
                 "d_1_l_0.html: 4 examples where the site has 200", "d_500_l_0.html: marks up",
                 "mid_level.js: missing", "high_level.js: missing", "d_1.png: missing",
                 "d_0.png: 30 × 20 pixels"):  # fmt: skip
        assert said in missing
    first = bundle.windows([bundle.examples(1, 0)["window"][0]])["tokens"][0]
    assert "".join(first).startswith("the crew left")  # nothing of the page's own marks
    assert main(["info", str(out)]) == 0
    assert "files of the website were not there" in capsys.readouterr().out
    assert [len(bundle.examples(0, layer)) for layer in LAYERS] == [0, 0, 0, 6, 6, 6]
    assert bundle.factors["peak_layer"][1] == -1  # its curve is not there


def test_a_folder_that_is_no_site_is_refused_and_nothing_is_written(tmp_path, capsys):
    (tmp_path / "empty" / "sparse_code_data").mkdir(parents=True)
    bad = tmp_path / "bad" / "sparse_code_data"
    bad.mkdir(parents=True)
    (bad / "d_0_l_0.html").write_text("<body></body>")
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.tex").write_text("years of work")
    write_tiny_site(tmp_path / "site")
    for folder, out, said in (
        ("nowhere", "out", "sparse_code_data"),
        ("empty", "out", "holds no page"),
        ("bad", "out", "none of its pages"),
        ("site", "taken", "something else"),
    ):
        arguments = ["import-site", str(tmp_path / folder), "--out", str(tmp_path / out), "--quiet"]
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert said in line
        assert not (tmp_path / "out").exists()
    assert [path.name for path in taken.iterdir()] == ["thesis.tex"]


@pytest.fixture
def dashboard(imported, monkeypatch):
    """Open a page of the dashboard on the imported site, with controls in its URL."""
    import opened_page
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(imported.path.parent))
    monkeypatch.delenv("TFACTORS_BUNDLE", raising=False)
    st.cache_resource.clear()

    def open_page(path: str, **query: str) -> tuple[AppTest, str]:
        app = opened_page.open_page(path, **query)
        assert not app.exception, path
        assert not app.error, path
        kinds = ("title", "subheader", "markdown", "caption", "info", "metric")
        parts = [
            str(getattr(e, "label", "")) + str(e.value) for k in kinds for e in getattr(app, k)
        ]
        parts += [re.sub(r"<style>.*?</style>|<[^>]+>", " ", e.proto.body) for e in app.get("html")]
        return app, re.sub(r"\s+", " ", " ".join(parts))

    return open_page


@pytest.mark.parametrize("path", sorted(path.name for path in (ROOT / "pages").glob("*.py")))
def test_every_page_works_on_the_site(dashboard, path):
    assert dashboard(f"pages/{path}")[1]


def test_the_factor_page_shows_ranks_and_the_published_level(dashboard):
    _, said = dashboard("pages/1_Factor.py", factor="1", layer="8")
    assert "listed as mid-level" in said
    assert "peaks at layer 8 of 12" in said
    assert "6 of the 6 on the website; the number is the rank there" in said
    assert "one a window" not in said  # a page has duplicates
    assert "activation 6.00" not in said
    assert "Density" not in said
    _, said = dashboard("pages/1_Factor.py", factor="500", layer="10")
    assert "column 70" in said


def test_a_page_that_was_never_published_says_so_and_not_that_the_factor_sleeps(dashboard):
    for factor, layer in (("528", "6"), ("2", "0")):
        _, said = dashboard("pages/1_Factor.py", factor=factor, layer=layer)
        assert f"no page of this factor at layer {layer}: the website never published" in said
        assert "No token of the corpus" not in said
        assert "is dead" not in said
    assert "picture of its curve is missing" in said
    _, said = dashboard("pages/1_Factor.py", factor="7", layer="0")
    assert "listed as low-level. The folder that was imported has no page of it" in said


def test_nothing_offers_to_sort_the_site_by_activations_that_nobody_knows(dashboard):
    app, _ = dashboard("pages/1_Factor.py", factor="1", layer="8")
    assert "Smallest activation" not in [slider.label for slider in app.slider]
    assert "Every token's activation" not in [toggle.label for toggle in app.toggle]
    for query in ("", "letter"):
        app, _ = dashboard("pages/4_Search.py", q=query)
        (table,) = [frame for frame in app.dataframe if "factor" in frame.value]
        shown = list(table.proto.column_order)
        assert "words" in shown
        assert not {"density", "sentence", "activation", "active", "importance"} & set(shown)
        if query:  # one example in six, two of them on the page that has a duplicate of it
            assert table.value["match"].max() == pytest.approx(2 / 6)
        else:
            unknown = table.value.set_index("factor").loc[2]
            assert unknown["curve"] is None
            assert pd.isna(unknown["peak"])
    _, said = dashboard("pages/9_Evidence.py")
    assert "the website never published one" in said


@pytest.mark.parametrize("part", ["layers", "context", "corpus", "similar"])
def test_every_part_of_the_factor_page_works_on_the_site(dashboard, part):
    _, said = dashboard("pages/1_Factor.py", factor="500", layer="10", part=part)
    if part in ("context", "similar"):
        assert "never published one" in said


def test_the_first_page_tells_the_notes(dashboard):
    _, said = dashboard("pages/0_Home.py")
    assert "Two dictionaries stand behind the one number box" in said
    assert "Layer 6 was never published" in said
