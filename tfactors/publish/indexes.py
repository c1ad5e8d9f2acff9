"""What the pages of a site look up: names, curves, places and the index of words, as scripts.

A page that was opened from a folder may not fetch a file, but may load a script. So each index is a
script of one call, ``published("names", …)``, in plain ASCII. The index of words is in parts, each
of which holds the words with one hash: a search loads those of the words that were typed.
"""

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tfactors.publish import charts
from tfactors.publish.contents import LEVELS, Contents

# Factors that the index keeps of a word: those that match it best.
_FACTORS_A_WORD = 25
_BYTES_A_PART = 100_000


def script(name: str, value: Any) -> str:
    r"""Return the script that hands a value to the page.

    >>> script("names", ["</script>"])
    'published("names", ["\\u003c/script>"]);\n'
    """
    return f"published({_json(name)}, {_json(value)});\n"


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def names(contents: Contents, parts: int) -> str:
    """Return what a search by name needs: name, level and peak layer of every factor."""
    levels = [("", *LEVELS).index(str(level)) for level in contents.levels]
    peaks = [contents.peak(factor) for factor in range(contents.bundle.n_factors)]
    value = {
        "names": contents.names,
        "levels": levels,
        "peaks": peaks,
        "layers": contents.bundle.layers,
        "byModel": {str(at): given.label for at, given in contents.by_model.items()},
        "parts": parts,
    }
    return script("names", value)


def curves(contents: Contents) -> str:
    """Return the importance of every factor by layer, and the band of all, in thousandths."""
    overview = contents.overview
    band = overview.band[["low", "middle", "high"]].to_numpy()
    value = {
        "layers": contents.bundle.layers,
        "importance": np.round(overview.importance * 1000).astype(int).tolist(),
        "known": overview.has_curve.astype(int).tolist(),
        "band": np.round(band.T * 1000).astype(int).tolist(),
    }
    return script("curves", value)


def places(by_map: dict[str, list[tuple[int, int] | None]]) -> str:
    """Return where each factor stands on each map."""
    return script("map", {"side": charts.MAP_SIDE, **by_map})


def word_rows(contents: Contents) -> pd.DataFrame:
    """Return the factors that match each word best: word, factor, layer, match, occurrences.

    The match is that of the dashboard's search: the mean activation over all tokens of the word at
    the layer where that is largest, as a share of the factor's importance at its peak; of the 2021
    website the share of the factor's examples that mark the word.
    """
    bundle, overview = contents.bundle, contents.overview
    rows = pq.read_table(bundle.path / "words.parquet").to_pandas()
    column = np.searchsorted(bundle.layers, rows["layer"])
    if bundle.abilities.word_matches:
        whole = overview.importance.max(axis=1)[rows["factor"]] * rows["occurrences"]
        rows["match"] = rows["count"] * rows["mean_activation"] / whole
    else:  # the largest "activation" is the number of examples
        rows["match"] = rows["count"] / overview.maximum[rows["factor"], column]
    rows = rows.sort_values(["word", "match", "factor"], ascending=[True, False, True])
    rows = rows.drop_duplicates(["word", "factor"])
    rows = rows.groupby("word", sort=False).head(_FACTORS_A_WORD)
    return rows[["word", "factor", "layer", "match", "occurrences"]]


def word_parts(rows: pd.DataFrame) -> list[str]:
    """Return the index of words in parts; a word is in the part of its :func:`hash_of`."""
    entries = []
    for word, of in rows.groupby("word", sort=True):
        match = (of["match"] * 1000).round().astype(int)
        found = [list(row) for row in zip(of["factor"], of["layer"], match, strict=True)]
        entries.append([word, int(of["occurrences"].iloc[0]), found])
    texts = [_json(entry) for entry in entries]
    count = max(1, -(-sum(map(len, texts)) // _BYTES_A_PART))
    parts: list[list[str]] = [[] for _ in range(count)]
    for entry, text in zip(entries, texts, strict=True):
        parts[hash_of(str(entry[0])) % count].append(text)
    return [f'published("words-{at}", [{",".join(texts)}]);\n' for at, texts in enumerate(parts)]


def hash_of(word: str) -> int:
    """Return the number that a word's part is found by; ``site.js`` has the same.

    >>> hash_of("river")
    23316
    """
    value = 0
    for letter in word:
        value = (value * 31 + ord(letter)) % 65521
    return value
