"""Nothing that a bundle, a text or the name of a file holds acts on a terminal or a page."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from opened_page import html_of, open_page, words
from synthetic_bundle import write_synthetic_bundle

from tfactors.app.frame import shell
from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest
from tfactors.cli import main
from tfactors.display.text import as_html
from tfactors.explain.decomposition import Decomposition
from tfactors.explain.explanation import Explanation
from tfactors.explain.saliency_text import described
from tfactors.portrait import notes_file
from tfactors.visible import boxed, visible

ACTING = {
    "colour": "\x1b[31m",
    "CSI of C1": "\x9b2J",
    "link of OSC 8": "\x1b]8;;http://evil.invalid\x07click\x1b]8;;\x07",
    "title of OSC": "\x9d0;title\x9c",
    "carriage return": "left\rright",
    "backspace": "left\b\b\b\bright",
    "bell and delete": "\x07\x7f",
    "line separators": "\u2028\u2029",
    "override": "\u202egnihtemos\u202c",
    "embeddings": "\u202a\u202b\u202d",
    "isolates": "\u2066\u2067\u2068\u2069",
    "half a letter": "\udce9",
}
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
READABLE = [
    "שלום עולם",
    "السلام عليكم",
    "می\u200cخواهم",  # a joiner of Persian
    "עברית\u200f!",
    "e\u0301 👩\u200d👩\u200d👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "naïve 川",
]
ALL = " ".join(ACTING.values())
TEXT = ALL.replace(ACTING["half a letter"], "")  # which no table can hold, nor JSON in UTF-8


@pytest.mark.parametrize("acting", ACTING)
def test_letters_that_act_are_shown(acting: str) -> None:
    text = ACTING[acting]
    for shown in (visible(text), boxed(text), as_html(text), shell.plain_text(text)):
        assert not ACTS.search(shown)
        assert len(shown) >= len(text)
    assert not ACTS.search(notes_file.cleaned(text))


@pytest.mark.parametrize("text", READABLE)
def test_letters_of_all_scripts_stay_readable(text: str) -> None:
    assert visible(text) == boxed(text) == as_html(text) == text
    assert shell.plain_text(text).replace("\\", "").rstrip("\u200e") == text.rstrip("\u200e")


def test_what_a_text_is_made_of_is_printed_a_token_a_line_as_wide_as_tokens_are() -> None:
    tokens = ["He", " " + TEXT, "b" * 100_000, " left"]
    places = range(len(tokens))
    made = Decomposition(
        pd.DataFrame({"position": places, "token": tokens, "word": tokens, "token_id": 0}),
        pd.DataFrame({"layer": 0, "position": places, "factor": 1, "activation": 2.0}),
        pd.DataFrame({"layer": 0, "position": places, "explained": 0.5, "l0": 1}),
        1.0,
    )
    shown = made.describe(["", f"label {ALL}\nof two lines"])
    assert not ACTS.search(shown)
    head, *lines = shown.splitlines()
    assert head.startswith("layer 0: 50% explained")
    assert len(lines) == len(tokens)
    assert lines[0].startswith(f"  {'He':<24}   50%  1 label")
    assert len(shown) < 4000
    assert json.loads(made.to_json())["tokens"][2]["token"] == tokens[2]


def test_an_explanation_is_printed_a_token_a_line() -> None:
    tokens = ["He", " " + ALL, "b" * 100_000]
    weights = [1.0, 0.5, 0.0]
    shown = described(
        [Explanation(tokens, 1, 2, 3, "occlusion", *map(pd.Series, (weights, weights)), 1.0,
                     float("nan"), float("nan"), 4, 0, 0, (0, 3))]
    )  # fmt: skip
    assert not ACTS.search(shown)
    assert len(shown.splitlines()) == 3 + len(tokens)
    assert len(shown) < 2000


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A bundle whose title, source and licence act on whatever shows them."""
    folder = tmp_path / "bundles" / "default"
    write_synthetic_bundle(folder, factors=8, layers=2)
    manifest = Bundle.open(folder).manifest
    manifest["title"] = f"The title {TEXT}"
    manifest["corpus"]["sources"][0] |= {"title": f"A\nsource {TEXT}", "licence": TEXT}
    write_manifest(folder, manifest)
    return folder


def test_info_is_printed_in_letters_that_do_nothing_and_as_the_same_json(
    hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(hostile)]) == 0
    said = capsys.readouterr().out
    assert not ACTS.search(said)
    assert said.startswith("The title \\u001b[31m")
    assert "A\\u000asource" in said
    assert main(["info", str(hostile), "--json"]) == 0
    printed = capsys.readouterr().out
    assert not ACTS.search(printed)
    assert json.loads(printed) == json.loads((hostile / "manifest.json").read_text())


def test_a_mistake_is_told_in_letters_that_do_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(tmp_path / ALL)]) == 2
    with pytest.raises(SystemExit):
        main(["info", "bundle", f"--{ALL}"])
    said = capsys.readouterr().err
    assert not ACTS.search(said)
    assert len(said.splitlines()) == 2


def test_pages_show_a_title_and_a_label_in_letters_that_do_nothing(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(hostile.parent))
    label = {"label": "\u202egnihtemos \x1b[31m שלום", "note": "\u2067noted"}
    given = {"format": notes_file.FORMAT, "version": 1, "labels": {"3": label}}
    bound = {"bundle": "", "manifest_sha256": Bundle.open(hostile).fingerprint}
    (hostile / "labels.json").write_text(json.dumps(given | bound))
    for path, query in (("pages/0_Home.py", {}), ("pages/1_Factor.py", {"factor": "3"})):
        app = open_page(path, **query)
        assert not app.exception
        assert not ACTS.search(html_of(app))
        assert not ACTS.search(words(app))
    assert "\ufffdgnihtemos \ufffd[31m שלום" in html_of(app)


def test_one_place_turns_text_into_html() -> None:
    root = Path(__file__).resolve().parents[2]
    modules = [*(root / "tfactors").rglob("*.py"), *(root / "pages").glob("*.py")]
    users = {m.name for m in modules if re.search(r"\bhtml\.escape\(", m.read_text("utf-8"))}
    assert users == {"text.py"}
