"""The gallery: every bundle there is, found, opened, taken along, and the broken ones named."""

import shutil
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from opened_page import open_page, words
from synthetic_bundle import write_synthetic_bundle

from tfactors.app.frame import controls
from tfactors.portrait import gallery

PAGE = controls.GALLERY_PAGE.path


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bundles, the last of them without a manifest that can be read."""
    folder = tmp_path_factory.mktemp("shelf")
    for name, title in (("letters", "Letters *by* <b>hand</b>"), ("recipes", "Recipes")):
        write_synthetic_bundle(
            folder / name, factors=6, layers=2, windows=20, examples=3, title=title
        )
    shutil.copytree(folder / "recipes", folder / "torn")
    (folder / "torn/manifest.json").write_text("{")
    return folder


@pytest.fixture(autouse=True)
def _reads_the_shelf(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(shelf))


def opening_links(**query: str) -> dict[str, str]:
    """By its label the name of the bundle that each card's link opens."""
    links = [link.proto for link in open_page(PAGE, **query).get("page_link")]
    cards = [link for link in links if link.icon == ":material/folder_open:"]
    return {link.label: parse_qs(link.query_string)["bundle"][0] for link in cards}


def test_a_card_for_every_bundle_opens_it() -> None:
    assert list(opening_links().values()) == ["letters", "recipes"]
    # What a title holds is shown, and acts on nothing.
    assert next(iter(opening_links())) == r"Letters \*by\* \<b\>hand\</b\>"


def test_a_card_says_what_the_manifest_says(shelf: Path) -> None:
    about = gallery.Entry.of("recipes", shelf / "recipes").about
    assert about is not None
    said = words(open_page(PAGE, find="recipes")).replace("\\", "")
    for fact in (
        f"{about.corpus.tokens:,} tokens",
        f"{about.dictionary.factors:,}; λ = {about.coding.penalty:g}",
        f"explained variance {about.metrics.explained_variance:.3f}",
        about.corpus.sources[0].licence,
    ):
        assert fact in said


def test_one_that_cannot_be_read_is_named_and_harms_no_other() -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "manifest.json" in app.error[0].value.replace("\\", "")
    assert "3 bundles" in words(app)


def test_the_search_is_part_of_the_link_and_says_when_nothing_fits() -> None:
    assert list(opening_links(find="RECIPES").values()) == ["recipes"]
    assert "1 of 3 bundles" in words(open_page(PAGE, find="recipes made"))
    assert "Nothing here says that" in words(open_page(PAGE, find="<script>"))


def test_the_table_has_a_row_for_each(shelf: Path) -> None:
    entries = [gallery.Entry.of(name, shelf / name) for name in ("letters", "torn")]
    table = gallery.table(entries).set_index("name")
    assert table.loc["letters", "factors"] == 6
    assert table.loc["letters", "wrong"] == ""
    assert "manifest.json" in table.loc["torn", "wrong"]
    assert table.loc["letters", "megabytes"] > 0
