"""A model's own marks: what its tokenizer puts before and after a text.

Most models were trained on texts between marks: [CLS] … [SEP] for BERT and its kin, <s> … </s> for
RoBERTa's, one mark before the text for many decoders, </s> behind it for T5; none for GPT-2.

    prefix · the ids of the text · suffix        as the tokenizer itself encodes the text

Autoencoders are mostly trained on texts behind the token that begins a text (BOS), whether the
tokenizer puts it there or not: `beginning_of`.
"""

from pathlib import Path
from typing import Any

import numpy as np

Marks = tuple[np.ndarray, np.ndarray]
NO_MARKS: Marks = (np.zeros(0, np.int64), np.zeros(0, np.int64))
_WORD = "word"


def marks_of(tokenizer: Any) -> Marks:
    """Return the ids that a tokenizer puts before and after a text; none where it adds nothing.

    Parameters
    ----------
    tokenizer : fast tokenizer of transformers
        A word is encoded with its special tokens and without; unless the one contains the other
        as it is, there are no marks.
    """
    plain = tokenizer(_WORD, add_special_tokens=False, verbose=False).encodings[0]
    marked = tokenizer(_WORD, verbose=False).encodings[0]
    # Not looked up by id: an unknown word may have the id of a mark.
    inside = np.flatnonzero(np.array(marked.special_tokens_mask) == 0)
    if not len(inside) or len(inside) == len(marked.ids):
        return NO_MARKS
    start, stop = int(inside[0]), int(inside[-1]) + 1
    if marked.ids[start:stop] != plain.ids:
        return NO_MARKS
    return np.array(marked.ids[:start], np.int64), np.array(marked.ids[stop:], np.int64)


def beginning_of(tokenizer: Any) -> Marks:
    """Return the id that begins a text (BOS) as the only mark; none where the tokenizer has none.

    Where a tokenizer has a token that ends a text and none that begins it (Qwen's), that one stands
    in for it, as TransformerLens does, with which most autoencoders are trained.
    """
    named = (tokenizer.bos_token_id, tokenizer.eos_token_id)
    first = next((number for number in named if number is not None), None)
    return NO_MARKS if first is None else (np.array([first], np.int64), NO_MARKS[1])


def number_of_marks(folder: Path) -> int:
    """Return how many marks a model's tokenizer.json puts around a text, without transformers.

    0 where there is no such file, or it cannot be read. ``Model.marks`` says it for certain.
    """
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        return int(Tokenizer.from_file(str(path)).num_special_tokens_to_add(False))
    except Exception:  # what tokenizers raises has no narrower class
        return 0
