"""A bundle as a folder of pages, read without a browser: whole, small, closed, and safe."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import synthetic_bundle
from model_answers import put_labels
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest, write_table
from tfactors.cli import main
from tfactors.errors import InputError
from tfactors.portrait.notes_file import Note, Notes, to_json
from tfactors.publish import factor_page, indexes
from tfactors.publish.contents import Contents
from tfactors.publish.single_file import publish_factor, publish_level, publish_list
from tfactors.publish.site import publish_site

WORD = "</script><img/src=x/onerror=alert(1)>"
TITLE = "</title><script>alert(2)</script>\u202e"
VOID = {"meta", "link", "input", "br", "img"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose title, names, words and documents are markup."""
    folder = tmp_path_factory.mktemp("hostile") / "bundle"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_bundle, "HOSTILE", [WORD, *synthetic_bundle.HOSTILE[1:]])
        write_synthetic_bundle(folder, title=TITLE)
    return folder


@pytest.fixture(scope="module")
def site(hostile: Path) -> Path:
    folder = hostile.with_name("site")
    publish_site(Bundle.open(hostile), folder, progress=False)
    return folder


class Read(HTMLParser):
    """The tags, links, names and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(path.read_text("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID and tag not in ("circle", "path", "polygon", "polyline", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def addresses(self) -> list[str]:
        return [
            of[name] or ""
            for _, of in self.tags
            for name in ("href", "src", "action")
            if name in of
        ]

    @property
    def names(self) -> set[str | None]:
        return {of["id"] for _, of in self.tags if "id" in of}


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Read]:
    return {path: Read(path) for path in sorted(site.rglob("*.html"))}


def test_every_link_of_a_site_leads_to_a_file_of_it_and_to_a_name_there(
    pages: dict[Path, Read], site: Path
) -> None:
    assert len(pages) > 40
    broken = []
    for path, page in pages.items():
        for address in page.addresses:
            link = urlsplit(address)
            assert not link.scheme, f"{path.name}: {address}"
            assert not link.netloc, f"{path.name}: {address}"
            target = (path.parent / unquote(link.path)).resolve() if link.path else path
            named = not link.fragment or link.fragment in pages[target].names
            if not (target.is_file() and target.is_relative_to(site) and named):
                broken.append(f"{path.name}: {address}")
    assert broken == []


def test_every_page_has_a_language_a_title_and_lets_nothing_in(pages: dict[Path, Read]) -> None:
    for path, page in pages.items():
        tags = dict(page.tags)
        assert tags["html"]["lang"] == "en"
        assert page.open == [], path
        (policy,) = (of["content"] for tag, of in page.tags if of.get("http-equiv"))
        assert policy is not None
        assert policy.startswith("default-src 'none'")
        assert "unsafe-inline" not in policy.replace("style-src-attr 'unsafe-inline'", "")
        assert "http" not in policy
        for tag, attributes in page.tags:
            assert not [name for name in attributes if name.startswith("on")], path
            assert tag not in ("img", "iframe", "object", "base", "style"), path
        scripts = [of for tag, of in page.tags if tag == "script"]
        assert [of.get("src", "").endswith("site.js") for of in scripts] == [True], path


def test_hostile_words_labels_and_titles_are_text(pages: dict[Path, Read], site: Path) -> None:
    one = pages[site / "factors/1.html"]
    assert WORD in one.text
    assert one.text.count("</title><script>alert(2)</script>\ufffd") == 2  # the title and the foot
    for path in site.rglob("*"):
        if path.is_file():
            assert "\u202e" not in path.read_text("utf-8"), path
    for script in (site / "data").glob("*.js"):
        assert "<" not in script.read_text("ascii"), script
    assert "\\u003c/script>\\u003cimg/src=x" in (site / "data/names.js").read_text("ascii")


def test_a_factor_is_shown_at_every_layer_with_how_many_of_its_examples(
    pages: dict[Path, Read], site: Path, hostile: Path
) -> None:
    bundle = Bundle.open(hostile)
    for factor in range(0, bundle.n_factors, 7):
        text = pages[site / f"factors/{factor}.html"].text
        for layer in bundle.layers:
            stored = len(bundle.examples(factor, layer))
            at = text.partition(f"Where it is active at layer {layer}")[2]
            if not stored:
                assert bundle.abilities.nothing_at(layer) in at
                continue
            said = re.search(rf"(\d+) of the {stored} strongest are shown", at)
            assert said is not None
            assert 0 < int(said[1]) <= stored
        assert "Words by layer" in text
        assert "Similar factors" in text


def test_every_factor_stands_in_the_list_of_its_level(pages: dict[Path, Read], site: Path) -> None:
    listed = [
        address
        for path, page in pages.items()
        if path.parent.name == "levels"
        for address in page.addresses
        if "factors/" in address
    ]
    assert sorted(listed) == sorted(f"../factors/{factor}.html" for factor in range(40))


def test_pages_are_small(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files) < 100_000
    assert sum(path.stat().st_size for path in files) < 40 * 40_000


def test_the_same_bundle_gives_the_same_bytes(site: Path, hostile: Path, tmp_path: Path) -> None:
    publish_site(Bundle.open(hostile), tmp_path / "again", progress=False)
    first = {path.relative_to(site): path.read_bytes() for path in site.rglob("*.*")}
    again = {
        path.relative_to(tmp_path / "again"): path.read_bytes()
        for path in (tmp_path / "again").rglob("*.*")
    }
    assert first == again


def test_the_index_of_words_matches_as_the_search_of_the_dashboard_does(hostile: Path) -> None:
    from tfactors.app.views.search import factors_by_words

    bundle = Bundle.open(hostile)
    rows = indexes.word_rows(Contents.of(bundle))
    for word in ("river", "the", "😀"):
        ours = rows[rows["word"] == word]
        theirs = factors_by_words(bundle, [word])[0].head(len(ours))
        assert len(ours)
        assert ours["factor"].tolist() == theirs["factor"].tolist()
        assert ours["layer"].tolist() == theirs["at"].tolist()
        assert ours["match"].to_numpy() == pytest.approx(theirs["match"].to_numpy())


# --- where it is written ------------------------------------------------------------------------


def test_an_older_site_is_replaced_and_a_folder_with_something_else_is_not(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    small = tmp_path_factory.mktemp("small") / "bundle"
    bundle = Bundle.open(write_synthetic_bundle(small, factors=6, layers=2))
    folder = tmp_path / "site"
    folder.mkdir()
    publish_site(bundle, folder, progress=False)  # an empty one
    (folder / "factors/5.html").unlink()
    publish_site(bundle, folder, progress=False)
    assert (folder / "factors/5.html").is_file()
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"something else .*thesis\.tex"):
        publish_site(bundle, folder, progress=False)
    assert (folder / "thesis.tex").read_text() == "years of work"
    assert os.listdir(tmp_path) == ["site"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_site_that_is_interrupted_is_not_there(
    error: type[BaseException], hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> str:
        raise error

    monkeypatch.setattr(factor_page, "body", interrupted)
    with pytest.raises(error):
        publish_site(Bundle.open(hostile), tmp_path / "site", progress=False)
    assert os.listdir(tmp_path) == []


# --- bundles that hold less ---------------------------------------------------------------------


def test_a_bundle_that_an_older_tfactors_built_leaves_out_what_it_lacks(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    write_synthetic_bundle(folder, factors=12, older_rule=True, hostile=False)
    manifest = Bundle.open(folder).manifest
    for name in ("contexts", "samples", "neighbours", "vocabulary", "second_dictionary"):
        (folder / f"{name}.parquet").unlink()
        del manifest["files"][f"{name}.parquet"]
    write_manifest(folder, manifest)
    publish_site(Bundle.open(folder), tmp_path / "site", progress=False)
    page = Read(tmp_path / "site/factors/3.html")
    assert "usually active" in page.text  # the words that it answers to as a rule
    assert "Factors like it" in page.text
    assert "Factors that fire with it" not in page.text
    assert "By likeness" in Read(tmp_path / "site/Map.html").text


def test_the_map_has_the_names_of_its_largest_regions_as_text(tmp_path: Path) -> None:
    folder, name = tmp_path / "bundle", "<b>treaty</b>, britain"
    write_synthetic_bundle(folder, factors=12, hostile=False)
    bundle = Bundle.open(folder)
    write_table(folder, "regions.parquet", bundle.regions.assign(name=name))
    write_manifest(folder, bundle.manifest)
    publish_site(Bundle.open(folder), tmp_path / "site", progress=False)
    page = Read(tmp_path / "site/Map.html")
    assert "<b>treaty</b>," in page.text
    assert "britain" in page.text
    assert "Words on the map name its regions" in page.text
    (folder / "regions.parquet").unlink()
    manifest = bundle.manifest
    del manifest["files"]["regions.parquet"]
    write_manifest(folder, manifest)
    publish_site(Bundle.open(folder), tmp_path / "site", progress=False)
    page = Read(tmp_path / "site/Map.html")
    assert "By likeness" in page.text
    assert "britain" not in page.text


def test_the_website_of_2021_is_published_without_activations(tmp_path: Path) -> None:
    from tiny_site import write_tiny_site

    from tfactors.interchange.website_2021.site import import_site

    write_tiny_site(tmp_path / "website")
    import_site(tmp_path / "website", tmp_path / "bundle", show_progress=False)
    publish_site(Bundle.open(tmp_path / "bundle"), tmp_path / "site", progress=False)
    text = "".join(Read(path).text for path in (tmp_path / "site/factors").glob("*.html"))
    assert "on the website are shown; the number is the rank there" in text
    assert "Factors like it" not in text
    assert "This bundle has no map" in Read(tmp_path / "site/Map.html").text


def test_what_people_wrote_is_published_as_text(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    write_synthetic_bundle(folder, factors=12, hostile=False)
    bundle, label = Bundle.open(folder), "</h1><img src=x onerror=alert(1)>"
    written = Notes({3: Note(label, "<b>see 5</b>")}, {"<i>mine</i>": (3, 5)})
    (folder / "labels.json").write_text(to_json(written, bundle.title, bundle.fingerprint))
    publish_site(bundle, tmp_path / "site", progress=False)
    page = Read(tmp_path / "site/factors/3.html")
    assert label in page.text
    assert "<b>see 5</b>" in page.text
    assert "b" not in [tag for tag, of in page.tags if "style" not in of and "class" not in of]
    publish_list(bundle, "<i>mine</i>", tmp_path / "mine.html", progress=False)
    page = Read(tmp_path / "mine.html")
    assert "<i>mine</i>" in page.text
    assert "All 2 factors of the list." in page.text
    assert {"factor-3", "factor-5"} <= page.names
    with pytest.raises(InputError, match="has no list “yours”: “<i>mine</i>”"):
        publish_list(bundle, "yours", tmp_path / "yours.html")
    (folder / "labels.json").write_text(to_json(written, "another"))
    publish_site(bundle, tmp_path / "site", progress=False)
    assert "written about the bundle “another”" in Read(tmp_path / "site/index.html").text


def test_labels_by_a_language_model_stand_beside_the_names_as_text(tmp_path: Path) -> None:
    folder, label = tmp_path / "bundle", "<img src=x onerror=alert(1)> rivers"
    write_synthetic_bundle(folder, factors=12, hostile=False)
    put_labels(folder, {4: label})
    publish_site(Bundle.open(folder), tmp_path / "site", progress=False)
    page = Read(tmp_path / "site/factors/4.html")
    assert label in page.text
    assert "in 20 places not seen before: with this label 85%" in page.text
    assert "img" not in [tag for tag, _ in page.tags]
    assert "rivers" in (tmp_path / "site/data/names.js").read_text("ascii")
    assert "not seen before" not in Read(tmp_path / "site/factors/5.html").text


# --- one file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["factor", "level"])
def test_a_single_file_holds_all_it_needs(what: str, hostile: Path, tmp_path: Path) -> None:
    bundle, path = Bundle.open(hostile), tmp_path / "one.html"
    if what == "factor":
        publish_factor(bundle, 1, path)
    else:
        publish_level(bundle, "high", path, progress=False)
    page = Read(path)
    assert page.addresses
    assert all(address[0] == "#" and address[1:] in page.names for address in page.addresses)
    assert [tag for tag, _ in page.tags if tag in ("script", "img", "link")] == []
    assert "Where it is active at layer" in page.text
    assert WORD in page.text or what == "level"
    assert os.listdir(tmp_path) == ["one.html"]


def test_a_single_file_replaces_an_older_one_and_nothing_else(
    hostile: Path, tmp_path: Path
) -> None:
    bundle, page, mine = Bundle.open(hostile), tmp_path / "one.html", tmp_path / "thesis.html"
    mine.write_text("<!doctype html><title>My thesis</title>")
    page.touch()  # as mktemp leaves a file
    for factor in (1, 2):
        publish_factor(bundle, factor, page)
    assert "Factor 2" in Read(page).text
    for taken in (mine, hostile / "factors.parquet"):
        before = taken.read_bytes()
        with pytest.raises(InputError, match="is there already, and is no page that was published"):
            publish_factor(bundle, 1, taken)
        assert taken.read_bytes() == before


def test_the_command_says_in_one_line_what_it_cannot_write(
    hostile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    for options, said in (
        (["--factor", "99"], "this bundle has the factors 0 to 39"),
        ([], "holds something else than a published site (file)"),
        (["--level", "low"], "is a folder"),
    ):
        assert main(["publish", str(hostile), "--out", str(tmp_path / "taken"), *options]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert main(["publish", str(hostile), "--factor", "2", "--out", str(tmp_path / "2.html")]) == 0
    assert "2.html" in capsys.readouterr().out


def test_the_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["publish", "--help"])
    assert "example: tfactors publish artifacts/default --out site" in capsys.readouterr().out


@pytest.mark.process
def test_publishing_needs_neither_streamlit_nor_torch(hostile: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tfactors.bundle import Bundle\n"
        "from tfactors.publish.site import publish_site\n"
        f"publish_site(Bundle.open({str(hostile)!r}), Path({str(tmp_path / 'site')!r}), False)\n"
        "print({'streamlit', 'torch', 'transformers', 'altair'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
