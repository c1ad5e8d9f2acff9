"""Blind readings of factors: sheets for readers, and how often they agree with the rule of levels.

    python benchmarks/readings.py draw artifacts/default --out sheets
    python benchmarks/readings.py score sheets reader1.csv reader2.csv --json readings.json
    python benchmarks/readings.py draw artifacts/default --out fresh --seed 2 --today \
        --without docs/why/levels_read_in_context.tsv

``draw`` takes 30 living factors of each level by a seed and writes them in a random order under
numbers of their own: sheets/sheet.md with the twenty strongest contexts of each at its peak layer
and what the three levels mean, and nothing else; sheets/key.csv with what is asked for. A reader
answers one line a factor: number,level,pattern with the level low, mid, high or none (no pattern).
``score`` prints for each level how many have a pattern, how many of these agree with the rule, and
how often two readers agree. A factor has a pattern where a reader says so. ``--today`` gives each
factor its level by the rule of this version rather than of the bundle, and ``--without`` leaves out
the factors of a table of readings, on which that rule may have been set. ``--tinted`` shows what
the page of a factor shows: also at which other words it is active, where the bundle keeps that.
"""

import argparse
import json
from collections.abc import Mapping
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from tfactors.bundle import Bundle
from tfactors.bundle.passages import cut
from tfactors.describe.levels import Thresholds, levels_of
from tfactors.tables import RowError, read_table

LEVELS = ("low", "mid", "high")
EACH, CONTEXTS, WORDS = 30, 20, 22
TINTED = 1 / 3  # of the activation at the marked word
ASKED = """# Which pattern?

Each section shows twenty places in texts where one factor of a language model is most active; the
word at which it is stands in **⟦brackets⟧**. Say what they have in common, and of which kind it is:

- **low**: one word, or a few of one meaning, in one of its senses or uses
- **mid**: a pattern of the sentence that many different words can fill: a role, a construction, a
  kind of word, what stands before or after
- **high**: a long-range pattern: texts about one matter, of one kind or in one manner, at
  whichever word
- **none**: you see no pattern

Answer with one line for each section: number,level,"the pattern in a few words".
"""


ASKED_TINTED = """
In some of the places the factor's other words are marked as well: at words in *asterisks* it is a
third as active as at the word in brackets, or more.
"""


def draw(
    bundle: Bundle, seed: int, out: Path, today: bool, without: Path | None, tinted: bool
) -> None:
    """Write the sheet and the key."""
    factors = bundle.factors
    if today:
        factors = factors.assign(level=levels_of(factors, Thresholds()))
    factors = factors[factors["alive"]]
    if without:
        factors = factors[~factors["factor"].isin(pd.read_csv(without, sep="\t")["factor"])]
    random = np.random.default_rng(seed)
    drawn = [
        random.permutation(factors.loc[factors["level"] == level, "factor"].to_numpy())[:EACH]
        for level in LEVELS
    ]
    order = random.permutation(np.concatenate(drawn))
    chosen = factors.set_index("factor").loc[order]
    sections = [ASKED + ASKED_TINTED * tinted]
    for number, (factor, row) in enumerate(chosen.iterrows(), start=1):
        examples = bundle.examples(int(factor), int(row["peak_layer"]), CONTEXTS)
        known = bundle.contexts(int(factor), int(row["peak_layer"])) if tinted else pd.DataFrame()
        shown = contexts(bundle, examples, active_of(known))
        lines = [f"{i}. {line}" for i, line in enumerate(shown, start=1)]
        sections.append("\n".join([f"## {number}", "", *lines, ""]))
    out.mkdir(parents=True, exist_ok=True)
    (out / "sheet.md").write_text("\n".join(sections), "utf-8")
    columns = ["level", "peak_layer", "effective_words", "window_share", "label"]
    key = chosen[columns].reset_index().rename(columns={"index": "factor"})
    key.insert(0, "number", np.arange(1, len(key) + 1))
    key.to_csv(out / "key.csv", index=False)
    print(f"{out / 'sheet.md'}: {len(key)} factors, seed {seed}")


def active_of(contexts: pd.DataFrame) -> dict[int, set[int]]:
    """Return by the rank of an example the tokens where the factor is a third as active or more."""
    return {
        row.rank: set(row.positions[row.activations >= TINTED * max(row.activations)].tolist())
        for row in contexts.itertuples()
    }


def contexts(bundle: Bundle, examples: pd.DataFrame, active: Mapping[int, set[int]]) -> list[str]:
    """Return each example as a line of text around its marked word."""
    windows = bundle.windows(examples["window"].tolist())
    lines = []
    for example, window in zip(examples.itertuples(), windows.itertuples(), strict=True):
        edges = cut(window.word_starts, int(example.position), WORDS)
        at = active.get(example.rank, set())
        starts = [*np.flatnonzero(window.word_starts).tolist(), len(window.tokens)]
        words = [(a, b) for a, b in pairwise(starts) if at & set(range(a, b))]
        tokens = list(window.tokens)
        for a, b in words:
            if not a <= example.position < b:
                blank = len(tokens[a]) - len(tokens[a].lstrip())
                tokens[a] = f"{tokens[a][:blank]}*{tokens[a][blank:]}"
                tokens[b - 1] = f"{tokens[b - 1].rstrip()}*"
        before, marked, after = (joined(tokens[a:b]) for a, b in pairwise(edges))
        lines.append(f"{before.strip()} **⟦{marked.strip()}⟧**{after}")
    return lines


def joined(tokens: list[str]) -> str:
    """Return pieces of words as text."""
    return "".join(tokens).replace("\n", " ")


def answers_of(path: Path) -> list[tuple[int, str]]:
    """Return the level that a reader gave each section, however the table was saved."""
    return read_table(path, str(path), ("number", "level"), _answer)


def _answer(row: Mapping[str, str], _: int) -> tuple[int, str]:
    number, level = row["number"].strip(), row["level"].strip().lower()
    if not number.isdigit():
        raise RowError(f", column 'number': {number[:20]!r} is no number of a section")
    if level not in (*LEVELS, "none"):
        raise RowError(f", column 'level': {level[:20]!r}; expected {', '.join(LEVELS)} or none")
    return int(number), level


def score(folder: Path, answers: list[Path], out: Path | None) -> None:
    """Print how the readers agree with the rule and with each other."""
    key = pd.read_csv(folder / "key.csv").set_index("number")
    readers = {path.stem: pd.Series(dict(answers_of(path))) for path in answers}
    said = pd.DataFrame(readers).reindex(key.index)
    rows = []
    for level in LEVELS:
        of_level = said[key["level"] == level]
        for name, column in of_level.items():
            seen = column[column != "none"]
            rows.append(
                {
                    "level": level,
                    "reader": name,
                    "factors": len(column),
                    "with a pattern": len(seen) / len(column),
                    "of these as the rule": float((seen == level).mean()) if len(seen) else 0.0,
                }
            )
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format=lambda value: f"{value:.0%}"))
    for first, second in combinations(said, 2):
        print(f"{first} and {second} say the same of {(said[first] == said[second]).mean():.0%}")
    if out:
        every = key.join(said)
        out.write_text(json.dumps({"table": rows, "factors": every.to_dict("records")}, indent=1))


def main() -> None:
    """Draw sheets, or score answers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    drawing = actions.add_parser("draw")
    drawing.add_argument("bundle", type=Path)
    drawing.add_argument("--seed", type=int, default=0)
    drawing.add_argument("--out", type=Path, required=True)
    drawing.add_argument("--today", action="store_true")
    drawing.add_argument("--without", type=Path)
    drawing.add_argument("--tinted", action="store_true")
    scoring = actions.add_parser("score")
    scoring.add_argument("folder", type=Path)
    scoring.add_argument("answers", type=Path, nargs="+")
    scoring.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.action == "draw":
        bundle = Bundle.open(options.bundle)
        draw(bundle, options.seed, options.out, options.today, options.without, options.tinted)
    else:
        score(options.folder, options.answers, options.json)


if __name__ == "__main__":
    main()
