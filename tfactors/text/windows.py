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
from collections import Counter
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
    is_saved_dataset,
    is_there,
    read_files,
    source_name,
)
from tfactors.text.lines import MARK
from tfactors.text.packaged_corpora import PACKAGED, PackagedCorpus
from tfactors.text.sentences import sentence_bounds
from tfactors.text.special_tokens import encode_letters
from tfactors.text.tables import replace_surrogates
from tfactors.text.word_breaks import is_unspaced, joins, mend_word_starts, parted, word_breaks

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
# How far around the end of a piece a word is looked for in scripts without blanks.
_LONGEST_LOOK = 200


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

    A folder is a data set, laid out as on the hub or saved by `Dataset.save_to_disk`; one of text
    files is given without ``--corpus``.

    >>> named_corpus("sotu"), named_corpus("wikitext:wikitext-2-v1")
    ('sotu', 'hf:wikitext:wikitext-2-v1')
    """
    path = Path(name)
    here = name in PACKAGED or (is_there(path) and path.is_file()) or is_saved_dataset(path)
    return name if here else PREFIX + name


def corpus_source(spec: str | Path) -> Source:
    """Return the name, licence and attribution of a packaged corpus or of the user's own text."""
    if str(spec) in PACKAGED:
        return PACKAGED[str(spec)].source
    if str(spec).startswith(PREFIX):
        return dataset_source(str(spec))
    name = source_name(Path(spec))
    return Source(name, name, licence="Licence not stated", attribution="")


def read_documents(
    spec: str | Path, column: str | None = None, left_out: Counter[str] | None = None
) -> Iterator[Document]:
    """Yield the documents of a packaged corpus, a file or a folder, one at a time.

    Parameters
    ----------
    spec : str or Path
        A name in `PACKAGED`, the path of a text file, of a table or of a folder of them (a folder
        named as a packaged corpus is: ``./sotu``), or ``hf:`` and the name of a data set
        (`tfactors.text.dataset_corpora`).
    column : str, optional
        The column that holds the text in tables; default ``text``.
    left_out : Counter, optional
        Is told how many files of a folder are not read, by what they are.

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
    if not str(spec).strip():  # a variable that was not set; its path would be the folder here
        raise CorpusError(f"{str(spec)!r}: no name of a text; give that of a file or a folder")
    if not is_there(path):
        raise CorpusError(
            f"{str(spec)[:200]}: no such file or folder, nor a packaged corpus "
            f"({', '.join(PACKAGED)})"
        )
    return read_files(path, column, left_out)


_SPACES = re.compile(r"\s+")


def normalize_spaces(text: str) -> str:
    r"""Return the text stripped, each run of white space one space, or one newline if it held one.

    A byte-order mark, which joined files bring along, is no letter of the text.

    >>> normalize_spaces("  A  title\n\n Text\tand more ")
    'A title\nText and more'
    """
    text = replace_surrogates(text).replace(MARK, "").strip()
    return _SPACES.sub(lambda run: "\n" if "\n" in run[0] else " ", text)


def tokenize(
    text: str, tokenizer: Any, keep_mask: bool = False
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return the ids, the slices of text and the word starts of a text of any length.

    Parameters
    ----------
    text : str
        Any text; its runs of white space are collapsed first (`normalize_spaces`).
    tokenizer : fast tokenizer of transformers
        No special tokens are added and nothing is cut off. Those that the text spells are read as
        its letters (`tfactors.text.special_tokens`).
    keep_mask : bool
        Whether a spelled mask stands for the mask token.

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
        SentencePiece knows only spaces, and would say “river,” where others say “river”. In scripts
        without blanks words begin where a dictionary says, and nothing inside a character starts
        one (`tfactors.text.word_breaks`).
    """
    return _tokenize_normalized(normalize_spaces(text), tokenizer, keep_mask)


def _tokenize_normalized(
    text: str, tokenizer: Any, keep_mask: bool = False
) -> tuple[np.ndarray, list[str], np.ndarray]:
    encoding = encode_letters(text, tokenizer, keep_mask)
    ids, words = encoding.ids, encoding.word_ids
    offsets = _without_empty_prefix(text, encoding)
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
        before != word or token[:1].isspace() or parted(text[edge - 1 : edge], token[:1])
        for (before, word), token, edge in zip(pairwise(words), tokens[1:], edges[1:], strict=True)
    ]
    mend_word_starts(text, edges, word_starts)
    return np.array(ids, np.int32), tokens, word_starts


def _without_empty_prefix(text: str, encoding: Any) -> list[tuple[int, int]]:
    """Return the place of each token, where SentencePiece's blank before the text has none.

    It claims the first letter, and the token that reads the letter would be left without it.
    Letters of ASCII are left as they were.
    """
    offsets = encoding.offsets
    if encoding.tokens[:1] == ["▁"] and offsets[1:] and offsets[1][0] == 0 and text[0] > "\x7f":
        offsets[0] = (0, 0)
    return offsets


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
    its full stop are parted; else the last word start decides, and a longer word is cut between
    characters.
    """
    lengths = range(window_length, MIN_WINDOW - 1, -1)
    spaces = (n for n in lengths if tokens[start + n][:1].isspace())
    if (length := next(spaces, 0)) > 3 * window_length // 4:
        return length
    if length := next((n for n in lengths if word_starts[start + n]), 0):
        return length
    whole_characters = (n for n in lengths if tokens[start + n] and not joins(tokens[start + n][0]))
    return next(whole_characters, window_length)


def _pieces(text: str) -> Iterator[str]:
    """Cut a long text before a paragraph, else before a word, else where it must be."""
    start = 0
    while len(text) - start > PIECE_LENGTH:
        half, full = start + PIECE_LENGTH // 2, start + PIECE_LENGTH
        stop = text.rfind("\n", half, full)
        stop = stop if stop > 0 else text.rfind(" ", half, full)
        stop = stop if stop > 0 else _last_break(text, full)
        yield text[start:stop]
        start = stop
    yield text[start:]


def _last_break(text: str, stop: int) -> int:
    """Return where the last word before a place ends, if its script writes no blanks."""
    start = max(0, stop - _LONGEST_LOOK)
    if not any(map(is_unspaced, text[start:stop])):
        return stop
    # Whether a word ends at the very end of a stretch, the stretch does not tell.
    inner = np.flatnonzero(word_breaks(text[start : stop + _LONGEST_LOOK])[1:-1]) + 1 + start
    return int(inner[inner <= stop].max(initial=0)) or stop


def held_out_windows(windows: int, seed: int) -> np.ndarray:
    """Return which windows are held out where documents are too few, (windows,) bool."""
    number = max(1, round(HELD_OUT_SHARE * windows)) if windows > 1 else 0
    held_out = np.zeros(windows, bool)
    held_out[np.random.default_rng([seed, 0]).permutation(windows)[:number]] = True
    return held_out
