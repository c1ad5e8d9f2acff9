"""Words at which a factor is known to be silent: the near misses of its strongest examples.

Turns the strongest examples of a factor at a layer into the words of their windows at none of whose
tokens it is active. The bundle says of these windows at which tokens the factor is active, and so
where it is silent; of other windows it does not.
"""

from collections import defaultdict
from itertools import pairwise

import pandas as pd

from tfactors.bundle.reading import BundleReader
from tfactors.text.words import clipped, spelled, word_bounds

Place = tuple[int, int]  # window, position of the word's first token


def silent_words(
    bundle: BundleReader, factor: int, layer: int, examples: pd.DataFrame
) -> dict[str, list[Place]]:
    """Return where words stand at which the factor is silent, by the word, casefolded.

    Parameters
    ----------
    bundle : BundleReader
        The bundle.
    factor, layer : int
        Which factor, and where.
    examples : DataFrame
        Its strongest examples there, as :meth:`BundleReader.examples`.

    Returns
    -------
    dict of lists of (window, position)
        Windows in the order of the examples. Empty where the bundle does not say.
    """
    contexts = bundle.contexts(factor, layer)
    if contexts.empty:
        return {}
    window_of = dict(zip(examples["rank"].tolist(), examples["window"].tolist(), strict=True))
    active = {
        window_of[rank]: set(positions.tolist())
        for rank, positions in zip(contexts["rank"].tolist(), contexts["positions"], strict=True)
    }
    silent: dict[str, list[Place]] = defaultdict(list)
    for row in bundle.windows(list(active), token_ids=False).itertuples(index=False):
        for start, stop in pairwise(word_bounds(row.word_starts).tolist()):
            if active[row.window].isdisjoint(range(start, stop)):
                word = clipped(spelled("".join(row.tokens[start:stop]))).casefold()
                silent[word].append((int(row.window), int(start)))
    return dict(silent)
