"""The strongest examples of a factor lined up by their marked words, as a table of HTML."""

from collections.abc import Iterable, Sequence

import pandas as pd

from tfactors.bundle import Bundle
from tfactors.describe import lined_up
from tfactors.describe.lined_up import WordShare
from tfactors.display import passages

_RANKS = ("Commonest word", "Next", "Next but one")


def shares(bundle: Bundle, examples: pd.DataFrame) -> list[WordShare]:
    """Return the words at each place before and after, of examples strongest first."""
    windows = bundle.windows(examples["window"].to_list(), token_ids=False)
    return lined_up.shares_by_offset(
        lined_up.words_around(tokens, word_starts, int(position))
        for tokens, word_starts, position in zip(
            windows["tokens"], windows["word_starts"], examples["position"], strict=True
        )
    )


def table_html(shares: Iterable[WordShare]) -> str:
    """Return the table of :func:`lined_up.shares_by_offset`, a column an offset, as HTML.

    A word that stands in one example only is common in none, and left out.
    """
    offsets = range(-lined_up.REACH, lined_up.REACH + 1)
    repeated = [word for word in shares if word.count > 1]
    columns = [[word for word in repeated if word.offset == at] for at in offsets]
    heads = "".join(f'<th scope="col"{_self(at)}>{_offset(at)}</th>' for at in offsets)
    rows = []
    for rank, name in enumerate(_RANKS):
        cells = "".join(
            f"<td{_self(at)}{_cell(column, rank, at)}</td>"
            for at, column in zip(offsets, columns, strict=True)
        )
        row = "tf-next" if rank else "tf-first"
        head = f'<th scope="row" class="tf-row"><span class="tf-unseen">{name}</span></th>'
        rows.append(f'<tr class="{row}">{head}{cells}</tr>')
    return (
        '<div class="tf-lined" role="group" tabindex="0" aria-label="Words around it, by place">'
        f'<table><thead><tr><td class="tf-row"></td>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _self(offset: int) -> str:
    return "" if offset else ' class="tf-self"'


def _offset(offset: int) -> str:
    """Return the head of a column: a number to see, words to hear."""
    if not offset:
        return "the word"
    side = "before" if offset < 0 else "after"
    sign = "−" if offset < 0 else "+"
    return (
        f'<span aria-hidden="true">{sign}{abs(offset)}</span>'
        f'<span class="tf-unseen">{abs(offset)} {side}</span>'
    )


def _cell(column: Sequence[WordShare], rank: int, offset: int) -> str:
    """Return what a cell holds, from the end of its opening tag on."""
    if rank >= len(column):
        return ">" if rank else '><small class="tf-sub">all differ</small>'
    found = column[rank]
    word = passages.escape(found.word)
    share = f"{found.share:.0%}"
    of = f' title="{word}: {found.count} of {found.examples} examples"'
    if rank:
        return f"{of}><bdi>{word}</bdi> <small>{share}</small>"
    marked = word if offset else f"<mark>{word}</mark>"
    return (
        f'{of} style="--w:{found.share:.3f}"><bdi>{marked}</bdi>'
        f'<span class="tf-share">{share}</span>'
    )
