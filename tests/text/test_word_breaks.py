"""A word is what a reader of its script calls one, whatever a tokenizer makes of it."""

import string

import numpy as np
import pytest
from test_windows import byte_level_bpe, llama_like_bpe, minilm, sentencepiece_unigram, wordpiece
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from tfactors.text.windows import document_windows, tokenize
from tfactors.text.word_breaks import word_breaks, words_of_text
from tfactors.text.words import word_at

pytestmark = pytest.mark.model

WORDS = {
    "今日は天気がいいので、公園を散歩した。": "今日 は 天気 が いい ので 、 公園 を 散歩 した 。",
    "我在北京大学学习，你呢？": "我在 北京 大学 学习 ， 你 呢 ？",
    "สวัสดีครับวันนี้อากาศดีมาก": "สวัสดี ครับ วัน นี้ อากาศ ดี มาก",
    "नमस्ते दुनिया, क्षत्रिय।": "नमस्ते दुनिया , क्षत्रिय ।",
    "می\u200cخواهم بروم مَرْحَبًا": "می\u200cخواهم بروم مَرْحَبًا",
    "한국어를 공부합니다.": "한국어를 공부합니다 .",
    "cafe\u0301 nai\u0308ve (re\u0301sume\u0301)": "cafe\u0301 nai\u0308ve ( re\u0301sume\u0301 )",
    "iPhoneを買う": "iPhone を 買う",
    "👩‍👩‍👧 👍🏽 1️⃣": "👩‍👩‍👧 👍🏽 1️⃣",
}


def words(text, tokenizer):
    _, tokens, starts = tokenize(text, tokenizer)
    return [word for i in np.flatnonzero(starts) if (word := word_at(tokens, starts, i)) != "␣"]


def characters():
    """A Unigram model of single characters, which knows no words at all."""
    from transformers import PreTrainedTokenizerFast

    letters = sorted({letter for text in WORDS for letter in text} - {" "})
    pieces = [("<unk>", 0.0), ("▁", -1.0), *((letter, -2.0) for letter in letters)]
    model = Tokenizer(models.Unigram(pieces, unk_id=0))
    model.pre_tokenizer = pre_tokenizers.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>")


@pytest.fixture(scope="module", params=[characters, byte_level_bpe], ids=lambda made: made.__name__)
def letters(request):
    return request.param()


@pytest.mark.parametrize("text", WORDS)
def test_words_are_those_of_a_reader(letters, text):
    assert words(text, letters) == WORDS[text].split(" ")


@pytest.mark.parametrize("text", WORDS)
def test_the_words_of_a_text_are_the_same_without_a_tokenizer(text):
    assert words_of_text(text) == WORDS[text].split(" ")


ENGLISH = "Don't “quote” the naïve café’s 3.14 foo_bar(x) – it’s e-mail, 1,000 U.S. dollars… ½ № ™"


@pytest.mark.parametrize(
    "maker", [minilm, wordpiece, byte_level_bpe, sentencepiece_unigram, llama_like_bpe]
)
def test_words_of_spaced_text_are_the_tokenizers(maker):
    """As they were before scripts without blanks were known."""
    tokenizer = maker()
    _, tokens, starts = tokenize(ENGLISH, tokenizer)
    told = tokenizer(ENGLISH, add_special_tokens=False).encodings[0].word_ids
    for i in range(1, len(tokens)):
        if tokens[i] and tokens[i - 1]:
            touching = tokens[i - 1][-1], tokens[i][0]
            left, right = (c in string.punctuation + "“”–…’" for c in touching)
            assert starts[i] == (told[i] != told[i - 1] or tokens[i][0] == " " or left != right)


def test_a_token_of_two_words_joins_them_and_no_word_is_cut():
    from transformers import PreTrainedTokenizerFast

    pieces = [
        ("<unk>", 0.0),
        ("▁", -1.0),
        ("今", -1.0),
        ("日は天", -1.0),
        ("気", -1.0),
        ("が", -1.0),
    ]
    model = Tokenizer(models.Unigram(pieces, unk_id=0))
    model.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>")
    assert words("今日は天気が", tokenizer) == ["今日は天気", "が"]


def test_two_tokens_of_many_words_are_not_joined_for_the_one_that_they_part():
    from transformers import PreTrainedTokenizerFast

    pieces = [(piece, -1.0) for piece in ("<unk>", "▁", "本を借りた。彼", "女は来た。", "彼")]
    model = Tokenizer(models.Unigram(pieces, unk_id=0))
    model.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model, unk_token="<unk>")
    assert words("本を借りた。彼女は来た。", tokenizer) == ["本を借りた。彼", "女は来た。"]
    assert words("彼女は来た。", tokenizer) == ["彼女は来た。"]


def test_the_blank_before_a_text_takes_no_letter_from_the_token_that_reads_it():
    _, tokens, starts = tokenize("川の", characters())
    assert tokens == ["", "川", "の"]
    assert starts.tolist() == [True, False, True]


def test_one_character_that_becomes_several_words_is_one_word():
    from transformers import PreTrainedTokenizerFast

    model = Tokenizer(models.WordPiece({"[UNK]": 0, ".": 1, "a": 2}, unk_token="[UNK]"))
    model.normalizer = normalizers.NFKC()
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model, unk_token="[UNK]")
    _, tokens, starts = tokenize("a…", tokenizer)
    assert tokens == ["a", "…", "", ""]
    assert starts.tolist() == [True, True, False, False]


def test_windows_of_a_script_without_blanks_end_between_words(letters):
    text = "今日は天気がいいので、公園を散歩した。" * 30
    whole = words(text, letters)
    windows = list(document_windows(0, text, letters, 32))
    cut = [word for window in windows for word in words("".join(window.tokens), letters)]
    assert len(windows) > 5
    assert cut == whole[: len(cut)]


def test_a_run_without_words_is_cut_between_characters():
    run = "a\u0301" * 3000
    for window in document_windows(0, run, byte_level_bpe(), 32):
        assert window.tokens[0][:1] == "a"


def test_breaks_are_counted_in_characters_also_beyond_the_first_plane():
    assert np.flatnonzero(word_breaks("😀今日😀は")).tolist() == [0, 1, 3, 4, 5]
    assert word_breaks("").tolist() == [True]
    assert word_breaks("\ud800今日").tolist() == [True, True, False, True]
