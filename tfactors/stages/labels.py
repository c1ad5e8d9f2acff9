"""Turns kept codes and the text around them into a label for each factor.

The codes of a sample of the corpus propose, those of held-out tokens judge
(`tfactors.describe.names`); the strongest examples say what a factor's windows are about.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csc_array

from tfactors import ragged
from tfactors.describe import labels
from tfactors.describe.names import NAMELESS, NamedText, Namer
from tfactors.describe.text_words import TextWords
from tfactors.describe.token_slots import TokenSlots
from tfactors.describe.word_bags import WordBags, content_stems
from tfactors.files import replacing
from tfactors.stages.examples import examples_at_peaks, levels_of, peaks
from tfactors.stages.kept_codes import KeptCodes
from tfactors.stages.run import Run

# Examples of a factor that say what its windows are about; the rest of its list says little new.
EXAMPLES_A_LABEL = 60
WORDS_A_FACTOR = 10
# Windows of examples that are read at most, some 5 million tokens; then fewer examples a factor.
MOST_WINDOWS = 20_000


def label_factors(run: Run) -> dict[str, Any]:
    """Choose a label for each factor, and keep it with its scores and the factor's words."""
    peak, importance = peaks(run)
    words, examples = _examples(run, peak)
    high = levels_of(run).level == "high"
    namer = _namer(run, peak, examples)
    with run.progress(len(peak), "labels", "factor") as bar:
        rows = []
        for factor, frequent in enumerate(words):
            rows.append(
                namer.name(factor, importance[factor], frequent, bool(high[factor]))
                if frequent
                else NAMELESS
            )
            bar.update()
    chosen = pd.DataFrame(rows).assign(words=words)
    with replacing(run.work / "labels.parquet") as temporary:
        chosen.to_parquet(temporary)
    return {
        "active_share": labels.ACTIVE_SHARE,
        "f1": labels.GOOD_ENOUGH,
        "kinds": _counts(chosen["kind"]),
        "judges": _counts(chosen["judge"]),
    }


def _counts(column: pd.Series) -> dict[str, int]:
    return dict(sorted(Counter(value for value in column if value).items()))


def _examples(run: Run, peak: np.ndarray) -> tuple[list[list[str]], pd.DataFrame]:
    """Return the frequent words of each factor, and its examples that are not held out."""
    words: list[list[str]] = [[] for _ in peak]
    frames = []
    for frame in examples_at_peaks(run.files, peak, run.settings.examples):
        for factor, of_factor in frame.groupby("factor")["word"]:
            folded = Counter(word.casefold() for word in of_factor)
            words[factor] = [word for word, _ in folded.most_common(WORDS_A_FACTOR)]
        # What proposes a label must not be what judges it.
        frame = frame[~run.held_out[frame["window"]]]
        frames.append(frame.groupby("factor").head(EXAMPLES_A_LABEL))
    examples = pd.concat(frames, ignore_index=True)
    while examples["window"].nunique() > MOST_WINDOWS:
        examples = examples[examples["rank"] < examples["rank"].max()]
    return words, examples.reset_index(drop=True)


def _namer(run: Run, peak: np.ndarray, examples: pd.DataFrame) -> Namer:
    """Return what names factors: the sample without held-out windows, and the held-out text."""
    sample, held_out = KeptCodes.of_sample(run), KeptCodes.of_held_out(run)
    windows, positions = sample.places()
    proposing = ~run.held_out[windows]
    judged_windows, judged_positions = held_out.places()
    window = np.concatenate([windows[proposing], judged_windows]).astype(np.int64)
    position = np.concatenate([positions[proposing], judged_positions])
    text = TextWords.read(np.union1d(window, examples["window"]), run.files.windows)
    document = np.concatenate([f["document"].to_numpy() for f in run.files.iter_windows()])
    source_of_window = run.files.documents["source"].to_numpy()[document]
    tokens = TokenSlots.of(text, window, position, source_of_window)
    content, n = content_stems(text), int(proposing.sum())
    example_words = text.words_at(examples["window"].to_numpy(), examples["position"].to_numpy())
    of_sample = _at_peaks(run, sample, len(windows), peak)[np.flatnonzero(proposing)]
    of_judged = _at_peaks(run, held_out, len(judged_windows), peak)
    return Namer(
        NamedText.of(tokens.rows(slice(0, n)), of_sample, content),
        NamedText.of(tokens.rows(slice(n, None)), of_judged, content),
        content,
        WordBags(text, examples["window"].to_numpy(), example_words, content),
        examples["factor"].to_numpy(),
        examples["window"].to_numpy(),
    )


def _at_peaks(run: Run, codes: KeptCodes, n: int, peak: np.ndarray) -> csc_array:
    """Return the activation of every factor at its peak layer at n kept tokens, (n, m)."""
    m = len(peak)
    rows, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    activations = [np.zeros(0, np.float32)]
    for i, layer in enumerate(run.layers):
        of_layer = codes.codes(i, m)
        wanted = peak[of_layer.indices] == layer
        rows.append(ragged.owners(np.diff(of_layer.indptr))[wanted])
        columns.append(of_layer.indices[wanted])
        activations.append(of_layer.data[wanted])
    place = np.concatenate(rows), np.concatenate(columns)
    return csc_array((np.concatenate(activations), place), shape=(n, m))
