"""Encodes text as its letters, also where it spells a special token.

``<s>12</s>`` on a web page is struck-out text, and ``[MASK]`` in a paper is a word. A tokenizer
takes either for the token of that name, which no text of the model's training held there. Where it
has done so, the text is encoded anew by a copy of the tokenizer in which special tokens have names
that no text spells.
"""

import json
from functools import lru_cache
from typing import Any

# Unicode promises that no text holds this character.
_NO_LETTER = "\U0010ffff"


def encode_letters(text: str, tokenizer: Any, keep_mask: bool = False) -> Any:
    """Return the encoding of a text in which no letters are taken for a special token.

    Parameters
    ----------
    text : str
        Any text; nothing of it is cut off and no marks are put around it.
    tokenizer : fast tokenizer of transformers
        Its added tokens that are not special are words like others, and stay.
    keep_mask : bool
        Whether the spelled mask stands for the mask token, as it does where someone typed it.

    Returns
    -------
    tokenizers.Encoding
        Of ordinary text the tokenizer's own.
    """
    if not tokenizer.is_fast:  # one of `tfactors.model.tokenizer`, which lays pieces along the text
        return tokenizer.encode_letters(text, keep_mask)
    encoding = tokenizer(
        text, add_special_tokens=False, return_attention_mask=False, verbose=False
    ).encodings[0]
    special = _special_tokens(tokenizer)
    if keep_mask:
        special.pop(tokenizer.mask_token_id, None)
    if not any(
        token in special and not _stands_for_unknown(text[slice(*place)], token, tokenizer)
        for token, place in zip(encoding.ids, encoding.offsets, strict=True)
    ):
        return encoding
    return _without_names(tokenizer, keep_mask).encode(text, add_special_tokens=False)


def _special_tokens(tokenizer: Any) -> dict[int, str]:
    """Return the special tokens by their ids: those with a part to play, and those only added."""
    added = tokenizer.added_tokens_decoder.items()
    return {
        **{number: token.content for number, token in added if token.special},
        **dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True)),
    }


def _stands_for_unknown(letters: str, token: int, tokenizer: Any) -> bool:
    """Whether a token is the one for unknown letters, and these are not its name."""
    name = tokenizer.unk_token
    return token == tokenizer.unk_token_id and letters.strip().casefold() != name.casefold()


@lru_cache(maxsize=4)
def _without_names(tokenizer: Any, keep_mask: bool) -> Any:
    """Return a copy of a tokenizer's Rust part with special tokens that no text spells.

    Their ids stay, so that what stands for unknown letters does so in the copy.
    """
    from tokenizers import Tokenizer

    names = set(_special_tokens(tokenizer).values())
    if keep_mask:
        names.discard(tokenizer.mask_token)
    new_names = {name: f"{_NO_LETTER}{name}" for name in names}
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    model = parts["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {new_names.get(piece, piece): at for piece, at in model["vocab"].items()}
    else:  # Unigram: piece and score
        model["vocab"] = [[new_names.get(piece, piece), score] for piece, score in model["vocab"]]
    if model.get("unk_token"):
        model["unk_token"] = new_names.get(model["unk_token"], model["unk_token"])
    if model.get("merges"):  # pairs, in older files joined by a blank
        pairs = (m.split(" ") if isinstance(m, str) else m for m in model["merges"])
        model["merges"] = [pair for pair in pairs if not {*pair, "".join(pair)} & names]
    for token in parts["added_tokens"]:
        token["content"] = new_names.get(token["content"], token["content"])
    copy = Tokenizer.from_str(json.dumps(parts))
    copy.no_truncation()
    copy.no_padding()
    return copy
