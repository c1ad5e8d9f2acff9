"""Is it the context that a factor needs, or only some context? Controls of the levels' retention.

    python benchmarks/context_controls.py artifacts/default --factors 60 --json controls.json

Cutting context away leaves a short text, which the model may read unlike any other. Here the window
keeps its length, and the target its place; of the strongest examples at the peak layer, the share
of the activation is measured that is left (as in `tfactors.levels`, at most 1 each) when

    shuffled    the other words of the window stand in a random order
    own sentence, foreign rest   all but the target's sentence is another window's text
    own word, foreign rest       all but the target's word is another window's text
    foreign     the target's word is another one too: the window of another text at that place

beside `retained_sentence` and `retained_word` of the bundle, which cut. What the last line keeps is
what the place alone gives. Means over factors with their standard errors, by level.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from states import machine

import tfactors as tf
from tfactors.corpus import sentence_bounds
from tfactors.decomposition import FactorEncoder, activations_of

EXAMPLES, DRAWS = 5, 2
CONTROLS = ("shuffled", "own sentence, foreign rest", "own word, foreign rest", "foreign")


def word_groups(starts: np.ndarray) -> list[np.ndarray]:
    """Positions of each whole word of a window."""
    edges = np.unique(np.append(np.flatnonzero(starts), 0))
    return np.split(np.arange(len(starts)), edges[1:])


def shuffled(ids: np.ndarray, starts: np.ndarray, position: int, random) -> tuple[np.ndarray, int]:
    """The window with its other words in a random order; where the target stands then.

    The target's word keeps its rank among the words, and so about its place.
    """
    words = word_groups(starts)
    own = next(i for i, word in enumerate(words) if position in word)
    others = [words[i] for i in random.permutation(np.delete(np.arange(len(words)), own))]
    order = [*others[:own], words[own], *others[own:]]
    places = np.concatenate(order)
    return ids[places], int(np.flatnonzero(places == position)[0])


def controlled(window, position: int, other, random) -> list[tuple[np.ndarray, int]]:
    """The four texts of one example with the target's place in each."""
    ids, starts = np.asarray(window.token_ids), np.asarray(window.word_starts)
    foreign = np.resize(np.asarray(other.token_ids), len(ids))
    texts = [shuffled(ids, starts, position, random)]
    word = next(w for w in word_groups(starts) if position in w)
    for start, stop in (sentence_bounds(window.tokens, position), (word[0], word[-1] + 1)):
        text = foreign.copy()
        text[start:stop] = ids[start:stop]
        texts.append((text, position))
    return [*texts, (foreign, position)]


def measure(bundle: tf.Bundle, encoder: FactorEncoder, factors: list[int]) -> pd.DataFrame:
    """One row a factor: what each control leaves of its activation."""
    random = np.random.default_rng(0)
    texts, places, rows = [], [], []
    peak = bundle.factors["peak_layer"].to_numpy()
    for factor in factors:
        examples = bundle.examples(factor, int(peak[factor]), EXAMPLES)
        windows = bundle.windows(examples["window"].tolist())
        for example, window in zip(examples.itertuples(), windows.itertuples(), strict=True):
            for _ in range(DRAWS):
                drawn = random.integers(bundle.manifest["corpus"]["windows"])
                other = next(bundle.windows([int(drawn)]).itertuples())
                pairs = controlled(window, int(example.position), other, random)
                for control, (text, place) in zip(CONTROLS, pairs, strict=True):
                    texts.append(text)
                    places.append(place)
                    rows.append((factor, int(peak[factor]), control, example.activation))
    table = pd.DataFrame(rows, columns=["factor", "layer", "control", "full"])
    left = np.zeros(len(table))
    for layer, of_layer in table.groupby("layer"):
        at = of_layer.index.tolist()
        codes = encoder.encode(
            [texts[i] for i in at], int(layer), positions=[places[i] for i in at]
        )
        left[at] = activations_of(codes, np.arange(len(at)), of_layer["factor"].to_numpy())
    table["kept"] = np.minimum(1, left / table["full"])
    return table.pivot_table(index="factor", columns="control", values="kept")[list(CONTROLS)]


def main() -> None:
    """Measure, print a Markdown table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--factors", type=int, default=60, help="drawn at random, of all levels")
    parser.add_argument("--these", type=Path, help="a table with a column factor, to take instead")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    bundle = tf.Bundle.open(options.bundle)
    alive = bundle.factors[bundle.factors["level"] != ""]
    if options.these:
        factors = pd.read_csv(options.these, sep=None, engine="python", comment="#")["factor"]
        chosen = factors.astype(int).tolist()
    else:
        each = alive.groupby("level").sample(options.factors // 3, random_state=0)
        chosen = each["factor"].tolist()
    kept = measure(bundle, FactorEncoder.from_bundle(bundle), chosen)
    known = bundle.factors.set_index("factor").loc[kept.index]
    kept["retained_sentence"], kept["retained_word"] = known.retained_sentence, known.retained_word
    by = kept.groupby(known["level"])
    mean, error = by.mean(), by.sem()
    print("| kept | " + " | ".join(f"{at} ({len(by.get_group(at))})" for at in mean.index) + " |")
    print("|" + " --- |" * (1 + len(mean)))
    for name in kept.columns:
        cells = [f"{mean.loc[at, name]:.0%} ± {error.loc[at, name]:.0%}" for at in mean.index]
        print(f"| {name} | " + " | ".join(cells) + " |")
    if options.json:
        rows = kept.reset_index().assign(level=known["level"].to_numpy()).to_dict("records")
        result = {"machine": machine(), "examples": EXAMPLES, "draws": DRAWS, "factors": rows}
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
