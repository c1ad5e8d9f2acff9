"""What a text spells is letters, also where a special token is called so."""

import pytest
from test_windows import byte_level_bpe, llama_like_bpe, minilm, sentencepiece_unigram, wordpiece
from tokenizers import Tokenizer, models, pre_tokenizers

from tfactors.text.windows import normalize_spaces, tokenize

pytestmark = pytest.mark.model

MAKERS = [minilm, wordpiece, byte_level_bpe, sentencepiece_unigram, llama_like_bpe]
TEXT = (
    "It was <s>12</s> euros, see <mask> and [MASK]; [CLS] <unk> <pad> [SEP] <|endoftext|>"
    "<|im_start|>user says <think> so."
)


def with_special_tokens(maker):
    """The tokenizer with all that usual ones have: roles, tokens only added, and a plain one."""
    tokenizer = maker()
    roles = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}
    more = ["<|endoftext|>", "<|im_start|>"]
    tokenizer.add_special_tokens({**roles, "additional_special_tokens": more})
    tokenizer.add_tokens(["<think>"])
    return tokenizer


def special_ids(tokenizer):
    added = tokenizer.added_tokens_decoder.items()
    return {number for number, token in added if token.special} | set(tokenizer.all_special_ids)


def found(token_ids, tokenizer):
    """The special ids among some, but the one that stands for letters that are unknown."""
    return [i for i in token_ids if i in special_ids(tokenizer) - {tokenizer.unk_token_id}]


@pytest.fixture(scope="module", params=MAKERS, ids=lambda maker: maker.__name__)
def tokenizer(request):
    return with_special_tokens(request.param)


def test_special_tokens_spelled_in_a_text_are_letters(tokenizer):
    token_ids, tokens, _ = tokenize(TEXT, tokenizer)
    assert found(tokenizer(TEXT, add_special_tokens=False)["input_ids"], tokenizer)
    assert not found(token_ids.tolist(), tokenizer)
    assert "".join(tokens) == TEXT


@pytest.mark.parametrize("maker", [minilm, wordpiece, byte_level_bpe])
def test_they_are_the_letters_that_transformers_splits_them_into(maker):
    tokenizer = with_special_tokens(maker)
    split = tokenizer(TEXT, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenize(TEXT, tokenizer)[0].tolist() == split


def test_a_mask_that_someone_types_stays_one_and_nothing_else_does(tokenizer):
    token_ids, tokens, _ = tokenize(TEXT, tokenizer, keep_mask=True)
    assert found(token_ids.tolist(), tokenizer) == [tokenizer.mask_token_id]
    assert "".join(tokens) == TEXT


def test_an_added_token_that_is_not_special_stays_a_token(tokenizer):
    token_ids, _, _ = tokenize(TEXT, tokenizer)
    assert tokenizer.convert_tokens_to_ids("<think>") in token_ids


def test_ordinary_text_is_what_the_tokenizer_itself_makes_of_it(tokenizer):
    text = "The quick brown fox's lazy dogs; 3 < 4 > 2 [sic], a café in 東京."
    token_ids, _, _ = tokenize(text, tokenizer)
    assert token_ids.tolist() == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_pieces_of_a_unigram_model_that_are_called_so_are_not_taken_either():
    """The vocabularies of T5, XLM-R and ALBERT hold them as pieces that any text may use."""
    from transformers import PreTrainedTokenizerFast

    scored = {"<unk>": 0, "<s>": 0, "</s>": 0, "<pad>": 0, "▁": -2, "▁a": -1, "s": -3, "<": -3}
    scored |= {">": -3, "/": -4, "p": -4, "ad": -3}
    model = Tokenizer(models.Unigram(list(scored.items()), unk_id=0))
    model.pre_tokenizer = pre_tokenizers.Metaspace()
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model, **names)
    assert 3 in tokenizer("<pad>", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    token_ids, _, _ = tokenize("a <s>s</s> <pad> é", tokenizer)
    pieces = tokenizer.convert_ids_to_tokens(token_ids.tolist())
    assert pieces == ["▁a", *"▁<s>s</s>▁<p", "ad", ">", "▁", "<unk>"]


def test_a_word_that_is_called_so_is_unknown_to_a_vocabulary_of_words():
    from transformers import PreTrainedTokenizerFast

    words = models.WordLevel({"[UNK]": 0, "[CLS]": 1, "a": 2, "[MASK]": 3}, unk_token="[UNK]")
    model = Tokenizer(words)
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model, **names)
    assert tokenize("a [CLS] [MASK] [UNK] b", tokenizer)[0].tolist() == [2, 0, 0, 0, 0]
    assert tokenize("a [CLS] [MASK] [UNK] b", tokenizer, keep_mask=True)[0][2] == 3


def test_the_text_of_a_document_is_kept_with_its_special_tokens():
    _, tokens, _ = tokenize("  [CLS]  a\n[SEP] ", minilm())
    assert "".join(tokens) == normalize_spaces("[CLS] a\n[SEP]")
