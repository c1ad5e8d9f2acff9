"""Texts of odd letters, words and names become bundles that hold what they say."""

import os
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_model import SMALL, write_tiny_bert

import tfactors as tf
from tfactors.cli import main
from tfactors.stages.survey import _word_table
from tfactors.text.words import LONGEST_WORD

pytestmark = pytest.mark.model

SENTENCE = "The clerk of the <s>Senate</s> gave a [MASK] and the [PAD] of \0 the states. "


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A bundle of a folder with all of it, and what was said on the way."""
    folder = tmp_path_factory.mktemp("odd")
    texts = folder / os.fsdecode(b"caf\xe9")
    texts.mkdir()
    rows = '{"text": "' + SENTENCE.replace("\0", "\\u0000") * 20 + '"}\n'
    (texts / "nul.jsonl").write_text(rows * 3)
    long = "x" * 5000
    (texts / os.fsdecode(b"na\xefve.txt")).write_text(f"The report is {long} of the year. " * 20)
    (texts / "japanese.txt").write_text("今日は天気がいいので、公園を散歩しました。" * 10, "utf-8")
    (texts / "photo.jpg").write_bytes(b"")
    model = write_tiny_bert(folder / "model")
    options = ["--out", str(folder / "bundle"), "--model", str(model), "--factors", "16"]
    more = ["--penalty", "0.3", "--no-stability", "--baseline", "none", *SMALL]
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("sys.stderr", SimpleNamespace(write=said.append, flush=lambda: None))
        status = main(["build", str(texts), *options, *more])
    assert status == 0
    return tf.Bundle.open(folder / "bundle"), "".join(said)


def test_the_bundle_holds_what_it_says(built):
    bundle, _ = built
    bundle.verify()
    assert {"caf\ufffd"} == {source.name for source in bundle.about.corpus.sources}


def test_no_letters_of_the_text_become_a_special_token(built):
    bundle, _ = built
    windows = bundle.windows(range(bundle.about.corpus.windows), token_ids=True)
    ids = set(np.concatenate(list(windows["token_ids"])).tolist())
    pad, unknown, *others = range(5)
    assert unknown in ids
    assert not ids & {pad, *others}


def test_what_was_left_out_is_told_in_one_line(built):
    assert "1 file left out (1 .jpg)" in built[1]


def test_a_word_of_thousands_of_letters_is_stored_by_its_first(built):
    bundle, _ = built
    found = bundle.word_factors("x" * LONGEST_WORD + "…")
    assert len(found)


def test_the_index_of_words_takes_memory_by_the_letters_there_are():
    vocabulary = [f"word{number}" for number in range(3000)] + ["a" * 200_000, "nul\0"]
    nothing = np.zeros(0, np.int64)
    layer = SimpleNamespace(words=lambda of_word, totals: (nothing,) * 4)
    state = SimpleNamespace(
        vocabulary=vocabulary, word_totals=np.ones(len(vocabulary)), states=[layer]
    )
    tracemalloc.start()
    _word_table(SimpleNamespace(layers=[0]), state)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6


def test_words_of_a_script_without_blanks_are_in_the_index_and_found_inside_longer_ones(built):
    bundle, _ = built
    assert len(bundle.word_factors("天気"))
    assert len(bundle.word_factors("公園"))
    assert "公園" in bundle.words_around("公")
    assert bundle.words_around("report") == []
