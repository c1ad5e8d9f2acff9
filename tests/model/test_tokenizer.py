"""Tokenizers: pieces of slow ones laid along a text and proved; files that cannot be followed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import transformers
from tiny_families import write_family
from tiny_model import write_tiny_bert
from tiny_slow import AMINO_ACIDS, write_tiny_byt5, write_tiny_esm
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tqdm import tqdm

from tfactors.cli import main
from tfactors.model.hidden_states import NO_LENGTH_LIMIT, load_model
from tfactors.model.loading import ModelError, positions
from tfactors.model.marks import marks_of
from tfactors.model.tokenizer import SlowTokenizer, lay_along, load_tokenizer
from tfactors.stages.corpus import CorpusReader
from tfactors.stages.settings import Settings
from tfactors.text.windows import tokenize

pytestmark = pytest.mark.model

TEXT = "The Café's owner paid 1½ euros, naïvely.\nUnknownword ended it; Ωμέγα too."


def slices(pieces: list[str], text: str, unknown: str | None = None) -> list[str] | None:
    places = lay_along(pieces, text, unknown)
    return places and [text[start:stop] for start, stop in places]


@pytest.mark.parametrize(
    ("pieces", "text", "expected"),
    [
        (["a", "b", "c"], "a bc", ["a", "b", "c"]),
        (["▁Ei", "ne", "▁", "▁Zeile"], "Eine\nZeile", ["Ei", "ne", "\n", "Zeile"]),
        (["he", "##llo", ",", "you"], "Hello, YOU", ["He", "llo", ",", "YOU"]),
        (["hel@@", "lo", "you"], "hello you", ["hel", "lo", "you"]),
        (["hel", "lo</w>", "you</w>"], "hello you", ["hel", "lo", "you"]),
        (["cafe", "1", "⁄", "2"], "Café ½", ["Café", "½", "½", "½"]),
        (["a", " ", "b"], "a b", ["a", " ", "b"]),
        (["##", "##x"], "## ##x", ["##", "##x"]),  # the letters themselves, before any rule
        (["Ã", "©", "x"], "éx", ["é", "", "x"]),
        ([], "", []),
    ],
)
def test_pieces_are_laid_where_they_stand(pieces, text, expected) -> None:
    assert slices(pieces, text) == expected


@pytest.mark.parametrize(
    ("pieces", "text", "expected"),
    [
        (["the", "[UNK]", "fell"], "The Ωμέγα fell", ["The", "Ωμέγα", "fell"]),
        (["[UNK]", "[UNK]"], "Ωμέγα!", ["Ωμέγα", "!"]),
        (["a", "[UNK]"], "a bc d", None),  # one unknown word, and two are left
        (["the"], "they", None),
        (["they"], "the", None),
        (["teh"], "the", None),
    ],
)
def test_an_unknown_word_is_its_letters_and_what_does_not_add_up_is_none(
    pieces, text, expected
) -> None:
    assert slices(pieces, text, "[UNK]") == expected


def slow_tokenizers(folder: Path) -> dict[str, transformers.PreTrainedTokenizer]:
    """Slow tokenizers of transformers of each kind, with the letters of the text as vocabulary."""
    letters = sorted({letter for letter in TEXT.lower() if not letter.isspace()} - set("ωμέγα"))
    words = ["the", "owner", "##ly", "##ed", "end", "paid"]
    wordpiece = folder / "vocab.txt"
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[X_SEP]"]
    pieces = [*marks, *letters, *(f"##{letter}" for letter in letters), *words]
    wordpiece.write_text("\n".join(pieces), "utf-8")
    merges = folder / "bpe.codes"
    merges.write_text("o w 9\np a 8\n", "utf-8")
    bpe = folder / "bpe.txt"
    bpe.write_text("".join(f"{c} 1\n{c}@@ 1\n" for c in {*letters, *TEXT.split()[0]}), "utf-8")
    return {
        "wordpiece": transformers.ProphetNetTokenizer(str(wordpiece)),
        "subword-nmt": transformers.PhobertTokenizer(str(bpe), str(merges)),
        "bytes": transformers.ByT5Tokenizer(),
        "letters": transformers.CanineTokenizer(),
    }


@pytest.mark.parametrize("kind", ["wordpiece", "subword-nmt", "bytes", "letters"])
def test_every_kind_of_slow_tokenizer_gives_its_own_ids_and_the_letters_of_the_text(
    kind: str, tmp_path: Path
) -> None:
    slow = slow_tokenizers(tmp_path)[kind]
    ids, tokens, starts = tokenize(TEXT, SlowTokenizer(slow, kind))
    assert ids.tolist() == slow(TEXT, add_special_tokens=False)["input_ids"]
    assert "".join(tokens) == TEXT
    assert len(starts) == len(ids)


def test_wordpiece_says_what_the_fast_tokenizer_says(tmp_path: Path) -> None:
    slow = slow_tokenizers(tmp_path)["wordpiece"]
    fast = transformers.BertTokenizerFast(vocab=str(tmp_path / "vocab.txt"))
    for found, expected in zip(
        tokenize(TEXT, SlowTokenizer(slow, "slow")), tokenize(TEXT, fast), strict=True
    ):
        assert list(found) == list(expected)


def test_a_text_that_the_pieces_do_not_give_is_refused_in_one_line(tmp_path: Path) -> None:
    slow = slow_tokenizers(tmp_path)["wordpiece"]
    slow.tokenize = lambda text: ["end"]
    with pytest.raises(ModelError, match="do not give the text") as caught:
        tokenize(TEXT, SlowTokenizer(slow, "odd"))
    assert "\n" not in str(caught.value)


def test_the_name_of_a_special_token_is_letters_in_a_text(tmp_path: Path) -> None:
    model = load_model(str(write_tiny_esm(tmp_path / "esm")))
    special = {*model.tokenizer.all_special_ids} - {model.tokenizer.unk_token_id}
    ids, tokens, _ = tokenize("MK<mask>LL <cls>", model.tokenizer)
    assert not special & set(ids.tolist())
    assert "".join(tokens) == "MK<mask>LL <cls>"
    kept = model.tokenizer.encode_letters("MK<mask>LL", keep_mask=True)
    assert kept.ids[2] == model.tokenizer.mask_token_id


@pytest.mark.parametrize(
    ("write", "text"), [(write_tiny_esm, "MKTAYI AKQR"), (write_tiny_byt5, "é, a")]
)
def test_a_model_with_a_slow_tokenizer_reads_what_transformers_reads(
    write, text: str, tmp_path: Path
) -> None:
    folder = write(tmp_path / "model")
    model = load_model(str(folder), marks=True)
    ids, tokens, starts = tokenize(text, model.tokenizer)
    assert "".join(tokens) == text
    assert positions(str(folder), marks=True) in (None, model.max_length)
    given = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    before, after = (mark.tolist() for mark in model.marks)
    assert given["input_ids"][0].tolist() == [*before, *ids.tolist(), *after]
    auto = transformers.T5EncoderModel if write is write_tiny_byt5 else transformers.AutoModel
    states = auto.from_pretrained(folder).eval()(**given, output_hidden_states=True).hidden_states
    own = np.stack([layer[0].detach().numpy() for layer in states])
    own = own[:, len(before) : len(before) + len(ids)]
    np.testing.assert_allclose(model.hidden_states([ids], model.layers), own, atol=2e-5)
    if write is write_tiny_esm:  # each amino acid is a word of its own
        assert tokens == ["M", "K", "T", "A", "Y", "I", " A", "K", "Q", "R"]
        assert starts.all()


def test_a_bundle_of_a_model_with_a_slow_tokenizer(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    proteins = ["".join(random.choice(list(AMINO_ACIDS), 40)) for _ in range(12)]
    (tmp_path / "proteins.txt").write_text("\n\n".join(proteins), "utf-8")
    folder, out = write_tiny_esm(tmp_path / "esm"), tmp_path / "out"
    settings = "--preset quick --factors 12 --penalty 1 --training-tokens 300 --window-length 24"
    line = ["build", str(tmp_path / "proteins.txt"), "--model", str(folder), "--out", str(out)]
    assert main([*line, *settings.split(), "--importance-k", "10", "--quiet"]) == 0
    assert main(["verify", str(out)]) == 0


def test_ids_of_a_vocabulary_with_holes_are_counted(tmp_path: Path) -> None:
    vocabulary = {"<unk>": 0, "one": 7, "two": 900}
    inner = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    assert len(tokenizer) < 900
    (tmp_path / "text.txt").write_text("one two two " * 8, "utf-8")
    reader = CorpusReader(Settings(corpora=(str(tmp_path / "text.txt"),)), tokenizer, 12)
    assert list(reader.tables(tqdm(disable=True)))
    assert reader.token_counts[[0, 7, 900]].tolist() == [0, 8, 16]


def test_a_model_of_letters_is_refused_for_what_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "canine"
    transformers.CanineTokenizer().save_pretrained(folder)
    config = transformers.CanineConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        local_transformer_stride=8,
        num_hash_buckets=50,
    )
    transformers.CanineModel(config).save_pretrained(folder)
    with pytest.raises(ModelError, match="reads letters and shortens 4 of them to one state"):
        load_model(str(folder))


def test_a_pointer_in_place_of_the_tokenizer_is_named(tmp_path: Path) -> None:
    folder = write_tiny_byt5(tmp_path / "model")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 17082730\n"
    (folder / "tokenizer.json").write_text(pointer)
    with pytest.raises(ModelError, match="pointer that Git LFS left in place of the file of 17,"):
        load_model(str(folder))


@pytest.mark.parametrize("longest", [-1, 0, "512", None, 10**30])
def test_a_length_that_is_none_limits_nothing(longest: object, tmp_path: Path) -> None:
    folder = write_family("t5", tmp_path / "t5")
    settings = folder / "tokenizer_config.json"
    said = json.loads(settings.read_text("utf-8")) | {"model_max_length": longest}
    settings.write_text(json.dumps(said), "utf-8")
    model = load_model(str(folder))
    assert model.max_length == NO_LENGTH_LIMIT
    assert len(tokenize("A text of words. " * 40, model.tokenizer)[0]) > 100


def test_a_tokenizer_that_draws_its_pieces_reads_a_text_the_same_way_each_time(
    tmp_path: Path,
) -> None:
    folder = write_family("gpt2", tmp_path / "gpt2")
    expected = tokenize(TEXT, load_tokenizer(folder, "gpt2"))[0].tolist()
    parts = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    parts["model"]["dropout"] = 0.5
    (folder / "tokenizer.json").write_text(json.dumps(parts), "utf-8")
    drawing = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert len({tuple(drawing.encode(TEXT).ids) for _ in range(9)}) > 1
    assert tokenize(TEXT, load_tokenizer(folder, "gpt2"))[0].tolist() == expected


def test_a_tokenizer_that_fails_at_its_first_word_is_refused(tmp_path: Path) -> None:
    # Without its settings transformers takes the BPE of a BERT for a WordPiece.
    folder = write_tiny_bert(tmp_path / "model")
    write_family("gpt2", tmp_path / "gpt2")
    shutil.copy(tmp_path / "gpt2/tokenizer.json", folder)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match=r"cannot be loaded: WordPiece error: Missing .UNK.*; get"):
        load_model(str(folder))


def test_tokens_that_were_added_without_an_embedding_are_named(tmp_path: Path) -> None:
    folder = write_family("gpt2", tmp_path / "gpt2")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    number = len(tokenizer)
    tokenizer.add_tokens(["paid"])
    tokenizer.add_special_tokens({"bos_token": "<begin>"})
    tokenizer.save_pretrained(folder)
    model = load_model(str(folder))
    said = f"has embeddings for tokens 0 to {number - 1}, and no others; give it with the tokenizer"
    with pytest.raises(ModelError, match=f"token {number}: .* {said}"):
        model.hidden_states([tokenize("it was paid", model.tokenizer)[0]], [1])
    with pytest.raises(ModelError, match=f"token {number + 1}: .* {said}"):
        load_model(str(folder), bos=True)


def test_a_tokenizer_that_puts_marks_around_pairs_alone_says_so(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[EMPTY]\nword\n")
    tapas = SlowTokenizer(transformers.TapasTokenizer(str(tmp_path / "vocab.txt")), "tapas")
    assert tokenize("word word", tapas)[0].tolist() == [6, 6]
    with pytest.raises(ModelError, match=r"no marks around a text alone .* without --marks"):
        marks_of(tapas)
