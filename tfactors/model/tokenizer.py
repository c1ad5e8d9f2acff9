"""Turns a model's folder into its tokenizer, and says for each token where in the text it stands.

Most tokenizers have a fast version, which says so itself. The others (ESM-2's, ByT5's, some of
FairSeq's) give pieces alone. Here pieces are laid along the text by a rule that is proved on every
text: put together, without white space and what marks the ends of words, the pieces are the text.
A text of which no rule is true is refused.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from tfactors.files import stands_for_another
from tfactors.model.folder import ModelError

_FILES = ("*.json", "*.txt", "*.model")


def load_tokenizer(folder: Path, name: str) -> Any:
    """Return the tokenizer of a model: the fast one, or what lays a slow one's pieces along a text.

    Raises
    ------
    ModelError
        It is not there, or cannot be loaded.
    """
    from transformers import AutoTokenizer

    for pattern in _FILES:
        for file in sorted(folder.glob(pattern)):
            if pointer := stands_for_another(file):
                raise ModelError(f"model {name!r}: {pointer}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, use_fast=True, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # transformers raises many kinds, from many libraries
        reason = str(error).strip().split("\n")[0][:200]
        raise ModelError(f"model {name!r}: its tokenizer cannot be loaded: {reason}") from error
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # made up where the files are missing
        raise ModelError(f"model {name!r}: it has no tokenizer; add its tokenizer.json")
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return tokenizer if tokenizer.is_fast else SlowTokenizer(tokenizer, name)


@dataclass(frozen=True)
class LaidPieces:
    """What a fast tokenizer's encoding says of a text, of the pieces of a slow one.

    Attributes
    ----------
    ids, tokens : list
        The pieces' numbers, and what the tokenizer calls them.
    offsets : list of pairs
        Where in the text each begins and ends; (0, 0) of a mark around it.
    word_ids : list of int or None
        Which word each is of, None of a mark.
    special_tokens_mask : list of int
        1 of a mark, 0 of the text.
    """

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    word_ids: list[int | None]
    special_tokens_mask: list[int]


class SlowTokenizer:
    """A tokenizer without a fast version, called as one that has it.

    What is not said here is the tokenizer's own.
    """

    is_fast = False

    def __init__(self, tokenizer: Any, name: str) -> None:
        self._tokenizer, self._name = tokenizer, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what copying asks before there is anything to hand on
            raise AttributeError(name)
        return getattr(self._tokenizer, name)

    def __len__(self) -> int:
        return len(self._tokenizer)

    def __call__(self, text: str, add_special_tokens: bool = True, **_: Any) -> Any:
        """Return a BatchEncoding of one text, with `LaidPieces` as its only encoding.

        What the text spells are letters, also the name of a special token.
        """
        from transformers import BatchEncoding

        pieces = self.encode_letters(text)
        if add_special_tokens:
            pieces = self._between_marks(pieces)
        data = {"input_ids": pieces.ids, "offset_mapping": pieces.offsets}
        encodings: list[Any] = [pieces]
        return BatchEncoding(data, encoding=encodings, n_sequences=1)

    def encode_letters(self, text: str, keep_mask: bool = False) -> LaidPieces:
        """Return the pieces of a text in which no letters are taken for a special token.

        The text is given to the tokenizer in parts: a name that it spells is cut behind its first
        letter. With ``keep_mask`` that of the mask stands for the mask token.
        """
        names = self._special_names - ({self._tokenizer.mask_token} if keep_mask else set())
        spelled = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        cuts = [at.start() + 1 for at in re.finditer(spelled, text)] if spelled else []
        tokens: list[str] = []
        for start, stop in pairwise([0, *cuts, len(text)]):
            tokens += self._tokenizer.tokenize(text[start:stop])
        return self._encode(text, tokens)

    @cached_property
    def _special_names(self) -> set[str]:
        added = self._tokenizer.added_tokens_decoder.values()
        names = {token.content for token in added if token.special}
        return {name for name in {*names, *self._tokenizer.all_special_tokens} if len(name) > 1}

    def _encode(self, text: str, tokens: list[str]) -> LaidPieces:
        ids = self._tokenizer.convert_tokens_to_ids(tokens)
        if any(number is None for number in ids):
            lacking = tokens[ids.index(None)]
            raise ModelError(
                f"model {self._name!r}: its tokenizer has no number for {lacking[:40]!r}; give a "
                "model with a fast tokenizer (tokenizer.json)"
            )
        places = lay_along(tokens, text, self._tokenizer.unk_token)
        if places is None:
            raise ModelError(
                f"model {self._name!r} has no fast tokenizer (tokenizer.json), and the pieces of "
                f"its slow one do not give the text {text[:40]!r}; convert the tokenizer, or give "
                "another model"
            )
        # ESM's parts every letter from its neighbours, whatever stands between.
        alone = set(getattr(self._tokenizer, "unique_no_split_tokens", ()))
        words: list[int | None] = []
        word, before = 0, 0
        for (start, stop), token in zip(places, tokens, strict=True):
            gap = text[before:start]
            parted = any(letter.isspace() for letter in gap + text[start:stop][:1])
            if words and (parted or token in alone):
                word += 1
            words.append(word)
            before = stop
        return LaidPieces(ids, tokens, places, words, [0] * len(ids))

    def _between_marks(self, pieces: LaidPieces) -> LaidPieces:
        """Return pieces with what the tokenizer puts around a text."""
        marked = self._tokenizer.build_inputs_with_special_tokens(pieces.ids)
        first = next(
            (
                at
                for at in range(len(marked) - len(pieces.ids) + 1)
                if marked[at : at + len(pieces.ids)] == pieces.ids
            ),
            None,
        )
        if first is None or len(marked) == len(pieces.ids):
            return pieces
        after = len(marked) - first - len(pieces.ids)
        tokens = self._tokenizer.convert_ids_to_tokens(marked)
        return LaidPieces(
            marked,
            tokens,
            [(0, 0)] * first + pieces.offsets + [(0, 0)] * after,
            [None] * first + pieces.word_ids + [None] * after,
            [1] * first + pieces.special_tokens_mask + [1] * after,
        )


def lay_along(
    pieces: Sequence[str], text: str, unknown: str | None = None
) -> list[tuple[int, int]] | None:
    """Return where each piece stands in a text, by the first rule that gives all of the text.

    Parameters
    ----------
    pieces : sequence of str
        As a tokenizer calls them.
    text : str
        What it was given.
    unknown : str, optional
        What it calls a word that it does not know.

    Returns
    -------
    list of pairs, or None
        Start and stop of each; None where no rule gives the text.

    Examples
    --------
    >>> lay_along(["he", "##llo", "[UNK]"], "Hello Ωμέγα", "[UNK]")
    [(0, 2), (2, 5), (6, 11)]
    >>> lay_along(["▁on", "e"], "one"), lay_along(["on@@", "e"], "one"), lay_along(["two"], "one")
    ([(0, 2), (2, 3)], [(0, 2), (2, 3)], None)
    """
    for fold in (_as_it_is, _folded):
        letters = _Letters.of(text, fold)
        for surface_of in _RULES:
            places = _lay(pieces, surface_of, letters, unknown)
            if places is not None:
                return places
    return _lay_bytes(pieces, text)


_RULES: tuple[Callable[[str], str], ...] = (
    lambda piece: piece,
    lambda piece: piece.replace("▁", " "),  # SentencePiece: a blank
    lambda piece: piece.removeprefix("##"),  # WordPiece: goes on
    lambda piece: piece.removesuffix("@@"),  # BPE of subword-nmt: the word goes on
    lambda piece: piece.removesuffix("</w>"),  # BPE of GPT and XLM: the word ends
)


def _as_it_is(letter: str) -> str:
    return "" if letter.isspace() else letter


def _folded(letter: str) -> str:
    """Return what is left of a letter without case, accents and kinds of writing it."""
    plain = unicodedata.normalize("NFKD", letter.casefold())
    return "".join(
        part
        for part in plain.casefold()
        if not part.isspace() and unicodedata.category(part) not in ("Mn", "Cc", "Cf")
    )


@dataclass(frozen=True)
class _Letters:
    """A text without its white space, folded, and where in the text each letter is."""

    text: str
    fold: Callable[[str], str]
    folded: str
    places: list[int]

    @classmethod
    def of(cls, text: str, fold: Callable[[str], str]) -> _Letters:
        parts = [fold(letter) for letter in text]
        places = [at for at, part in enumerate(parts) for _ in part]
        return cls(text, fold, "".join(parts), places)

    def end_of_unknown(self, done: int) -> int:
        """Return behind which letter an unknown word ends that begins with one: or one mark."""
        if done == len(self.places):
            return done
        word = _WORD.match(self.text, self.places[done])
        end = word.end() if word else self.places[done] + 1
        while done < len(self.places) and self.places[done] < end:
            done += 1
        return done


def _lay(
    pieces: Sequence[str], surface_of: Callable[[str], str], letters: _Letters, unknown: str | None
) -> list[tuple[int, int]] | None:
    """Return where the pieces stand, if what they look like gives the text; None if it does not."""
    places: list[tuple[int, int]] = []
    done = stop = 0  # letters that are laid, and where the last of them ends in the text
    for piece in pieces:
        surface = surface_of(piece)
        wanted = "".join(map(letters.fold, surface))
        if letters.folded.startswith(wanted, done):
            end = done + len(wanted)
        elif piece == unknown:
            end = letters.end_of_unknown(done)
        else:
            return None
        if end > done:
            start, stop = letters.places[done], letters.places[end - 1] + 1
        elif surface and surface.isspace() and letters.text[stop : stop + 1].isspace():
            start, stop = stop, stop + 1  # a piece that is a blank
        else:
            start = stop
        places.append((start, stop))
        done = end
    return places if done == len(letters.places) else None


_WORD = re.compile(r"\w+|[^\w\s]")


def _lay_bytes(pieces: Sequence[str], text: str) -> list[tuple[int, int]] | None:
    """Return where pieces stand that are bytes of the text; of one letter the first holds it.

    A byte is written as the letter of its number, as ByT5's tokenizer does.
    """
    try:
        spelled = [piece.encode("latin-1") for piece in pieces]
    except UnicodeEncodeError:
        return None
    if b"".join(spelled) != text.encode():
        return None
    begins = list(accumulate((len(letter.encode()) for letter in text), initial=0))
    edges = list(accumulate(map(len, spelled), initial=0))
    at = [bisect_left(begins, edge) for edge in edges]
    return list(pairwise(at))
