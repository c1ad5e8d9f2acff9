"""Whether the tables of a bundle agree with one another, row by row.

Reads the tables in a bundle's folder, and raises an error that names the first row which cannot be
true. They are checked in an order in which each can be held against those before it: the text
first, then what the factors do over the corpus, then the examples, which must stand where they say,
in the order of their activations. Of the text only its distinct words stay in memory.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfactors import ragged
from tfactors.bundle.format import MANIFEST, SCHEMAS, BundleError, example_file
from tfactors.bundle.verify_optional import check_errors, check_labels_and_map, optional_checks
from tfactors.bundle.verify_rows import (
    RANKS,
    ROUNDING,
    OpenTables,
    Part,
    first_letters,
    ranked_place,
)
from tfactors.describe.levels import OlderThresholds, levels_of
from tfactors.text.words import LONGEST_WORD, spelled

_UNIT_NORM = 1e-4  # how far the norm of a float32 atom may be from 1
_SUMMED = 1e-3  # relative: a mean of up to millions of activations, added up in float32
_COUNTED_IN = 2.0**-24  # absolute: what the activations on a word are counted in, at least one


class Tables(OpenTables):
    """The tables of a bundle, checked in an order in which each may use the ones before it."""

    # Which factors have an atom of zeros, (m,) bool; None where no dictionary was published.
    without_atom: np.ndarray | None = None

    def checks(self) -> list[tuple[str, Callable[[], None]]]:
        """Return the name of each file with the function that checks its rows."""
        return [
            ("documents.parquet", self.check_documents),
            ("windows.parquet", self.check_windows),
            *self._of_present("dictionary.parquet", self.check_dictionary),
            *self._of_present("imported.parquet", self.check_imported),
            ("importance.parquet", self.check_importance),
            ("factors.parquet", self.check_factors),
            ("histograms.parquet", self.check_histograms),
            ("retention.parquet", self.check_retention),
            ("saliency.parquet", self.check_saliency),
            *((example_file(at), partial(self.check_examples, at)) for at in self.layers),
            ("words.parquet", self.check_words),
            ("factor_words.parquet", self.check_factor_words),
            *optional_checks(self),
        ]

    def check_documents(self) -> None:
        """Documents are numbered, and come from the sources that the manifest names."""
        sources = [source.name for source in self.about.corpus.sources]
        tokens, origin = [], []
        for part in self.parts("documents.parquet"):
            _require_numbered(part, "document")
            known = pc.is_in(part.array("source"), pa.array(sources, pa.string()))
            part.require(known, "source", "is none of the manifest's sources")
            part.require(part["tokens"] >= 0, "tokens", "is not a count")
            tokens.append(part["tokens"])
            origin.append(part.array("source").to_numpy(zero_copy_only=False))
        self.document_tokens = _joined(tokens, np.int64)
        self.source_of_document = _joined(origin, object)
        self._require_count(
            "corpus.documents", self.about.corpus.documents, len(self.document_tokens)
        )

    def check_windows(self) -> None:
        """Windows are numbered, in the order of their text, and as long as their documents say."""
        longest = self.about.corpus.window_length
        lengths: list[np.ndarray] = []
        words: list[pa.Array] = []
        word_numbers: list[np.ndarray] = []
        document, stop, n_words = -1, 0, 0
        seen = np.zeros(len(self.document_tokens), np.int64)
        for part in self.parts("windows.parquet"):
            _require_numbered(part, "window")
            length = part.lengths("tokens")
            for column in ("token_ids", "word_starts"):
                same = part.lengths(column) == length
                part.require(same, column, "is not as long as tokens")
            part.require(length > 0, "tokens", "is empty")
            part.require(length <= longest, "tokens", f"is longer than {longest} tokens")
            known = (part["document"] >= 0) & (part["document"] < len(seen))
            part.require(known, "document", f"is none of the documents 0 to {len(seen) - 1:,}")
            before = np.concatenate([[document], part["document"][:-1]])
            part.require(part["document"] >= before, "document", "is before the last one")
            ends = np.concatenate([[stop], (part["start"] + length)[:-1]])
            apart = part["start"] >= np.where(part["document"] == before, ends, 0)
            part.require(apart, "start", "is inside the window before")
            document, stop = int(part["document"][-1]), int(part["start"][-1] + length[-1])
            np.add.at(seen, part["document"], length)
            lengths.append(length)
            in_part, of_token = _words(part, length)
            word_numbers.append(of_token + n_words)
            words.append(in_part)
            n_words += len(in_part)
        for row in np.flatnonzero(seen != self.document_tokens)[:1]:
            raise BundleError(
                f"documents.parquet: column 'tokens' row {row:,}: {self.document_tokens[row]}, and "
                f"the document's windows hold {seen[row]}; rebuild the bundle"
            )
        self.offsets = ragged.offsets(_joined(lengths, np.int64))
        self._require_count("corpus.windows", self.about.corpus.windows, len(self.offsets) - 1)
        self._require_count("corpus.tokens", self.about.corpus.tokens, int(self.offsets[-1]))
        self._check_sources()
        coded = pa.chunked_array(words, pa.string()).dictionary_encode().unify_dictionaries()
        code_of_word = _joined([chunk.indices.to_numpy() for chunk in coded.chunks], np.int32)
        self.vocabulary = _stripped(coded.chunk(0).dictionary) if words else _stripped(pa.array([]))
        self.word_of_token = code_of_word[_joined(word_numbers, np.int64)]

    def check_dictionary(self) -> None:
        """Atoms are numbered and have norm 1, or 0 where a factor of an imported one is dead."""
        rows, blank = 0, []
        for part in self.parts("dictionary.parquet"):
            _require_numbered(part, "factor")
            atoms = part.array("atom").flatten().to_numpy().reshape(len(part), -1)
            norm = np.linalg.norm(atoms.astype(np.float64), axis=1)
            blank.append((norm == 0) & (self.about.dictionary.imported is not None))
            part.require((np.abs(norm - 1) <= _UNIT_NORM) | blank[-1], "atom", "has not norm 1")
            rows += len(part)
        self._require_count("dictionary.factors", self.factors, rows)
        self.without_atom = np.concatenate(blank)

    def check_imported(self) -> None:
        """Tensors are whole: numbered rows of one length, and every factor has one in a matrix.

        Only where a factor is dead may there be what is not a finite number.
        """
        dead = self.without_atom
        assert dead is not None  # checked before
        rows: dict[str, list[int]] = {}
        for part in self.parts("imported.parquet"):
            lengths = part.lengths("values")
            for at, name in enumerate(part.array("tensor").to_pylist()):
                known = rows.setdefault(name, [0, lengths[at]])
                if part["row"][at] != known[0]:
                    part.fail("row", at, "does not follow the row before")
                if lengths[at] != known[1]:
                    part.fail("values", at, f"has not {known[1]} numbers, as the rows before")
                known[0] += 1
                values = part.table["values"][at].values.to_numpy(zero_copy_only=False)
                if np.isfinite(values).all():
                    continue
                row = part["row"][at]
                mine = dead[row : row + 1] if name.startswith("W_") else dead
                if name == "b_dec" or not (np.isfinite(values) | _never(name, values) | mine).all():
                    part.fail("values", at, "is not a finite number, and its factor is not dead")
        for name, (count, _) in rows.items():
            if count not in (1, self.factors):
                raise BundleError(
                    f"imported.parquet: '{name}' has {count} rows; expected 1 or {self.factors}, "
                    "one a factor; import the dictionary again"
                )

    def check_importance(self) -> None:
        """Every factor has a row at every layer; importance ≤ maximum, and 0 where it is silent."""
        found: dict[str, list[np.ndarray]] = {"importance": [], "density": [], "maximum": []}
        for part in self.parts("importance.parquet"):
            self._require_grid(part)
            for column in found:
                part.require(part[column] >= 0, column, "is negative")
                found[column].append(part[column])
            part.require(part["density"] <= 1, "density", "is more than 1")
            bound = part["maximum"] * (1 + ROUNDING)
            low = self.published | (part["importance"] <= bound)
            part.require(low, "importance", "exceeds maximum {maximum}")
            silent = (part["density"] == 0) == (part["maximum"] == 0)
            part.require(silent, "density", "does not go with maximum {maximum}")
        self._require_all("importance.parquet", found["density"])
        self.importance, self.density, self.maximum = (
            np.concatenate(found[name]).reshape(self.shape) for name in found
        )

    def check_factors(self) -> None:
        """Factors are numbered, and their levels follow from their other numbers."""
        blocks = max(self.about.model.blocks, 1)
        retained = []
        rows = 0
        for part in self.parts("factors.parquet"):
            _require_numbered(part, "factor")
            mine = slice(part.first_row, part.first_row + len(part))
            alive, peak, depth = part["alive"].astype(bool), part["peak_layer"], part["depth"]
            active = self.maximum[mine].max(axis=1) > 0
            part.require(alive == active, "alive", "does not go with importance.parquet")
            if self.without_atom is not None:
                directed = ~(alive & self.without_atom[mine])
                part.require(directed, "alive", "is true of a factor whose atom is zeros")
            placed = alive & ((self.importance[mine].max(axis=1) > 0) | (not self.published))
            part.require(placed | (peak == -1), "peak_layer", "is not -1, and the factor is dead")
            part.require(~placed | np.isin(peak, self.layers), "peak_layer", "is not a layer")
            column = np.searchsorted(self.layers, peak).clip(0, len(self.layers) - 1)
            here = np.take_along_axis(self.importance[mine], column[:, None], 1)[:, 0]
            highest = ~placed | (here >= self.importance[mine].max(axis=1))
            part.require(highest, "peak_layer", "is not where importance is largest")
            deep = ~placed | (np.abs(depth - peak / blocks) < 1e-9)
            part.require(deep, "depth", f"is not peak_layer {{peak_layer}} / {blocks} blocks")
            for name in ("retained_word", "retained_sentence"):
                part.require(np.isnan(part[name]) | (part[name] >= 0), name, "is negative")
            check_labels_and_map(part)
            level = np.where(alive, self._listed(self._levels(part), mine), "").tolist()
            same = pc.equal(part.array("level"), pa.array(level, pa.string()))
            part.require(same, "level", "is not the level that its rule gives")
            older = isinstance(self.about.importance.thresholds, OlderThresholds)
            given = ~alive | (np.array(level) != "") | self.published | (not older)
            part.require(given, "level", "is missing")
            reach, stability = part["reach"].astype(np.float64), part["stability"]
            part.require(np.isnan(reach) | (reach >= 0), "reach", "is negative")
            part.require(~(np.abs(stability) > 1 + ROUNDING), "stability", "is outside -1 to 1")
            retained.append(np.stack([part["retained_sentence"], part["retained_word"]], axis=1))
            rows += len(part)
        self._require_count("dictionary.factors", self.factors, rows)
        self.retained = np.concatenate(retained)

    def _levels(self, part: Part) -> np.ndarray:
        """Return levels by the rule of the bundle, which needs some of the optional columns."""
        thresholds = self.about.importance.thresholds
        asked_by = "window_share"
        needed = ["effective_words", "effective_windows", "window_share"]
        if isinstance(thresholds, OlderThresholds):
            asked_by = "word_share"
            needed = ["same_place", "sentence_elsewhere", "word_elsewhere"]
            if thresholds.word_share is None:
                needed = []
        for name in needed:
            if name not in part.table.column_names:
                raise BundleError(
                    f"factors.parquet has no column '{name}', which the manifest's "
                    f"importance.levels.{asked_by} asks for; rebuild the bundle"
                )
        return levels_of(part.table.drop_columns(["words"]).to_pandas(), thresholds)

    def _listed(self, level: np.ndarray, mine: slice) -> np.ndarray:
        """Return levels by rule, or as the 2021 website lists them where it does."""
        listed = np.array(self.about.listed_levels)[mine]
        return np.where(listed != "", listed, level)

    def check_histograms(self) -> None:
        """Every factor has a histogram at every layer, of as many tokens as density says."""
        bins = len(self.about.histogram.edges) - 1
        tokens = int(self.offsets[-1])
        rows = []
        for part in self.parts("histograms.parquet"):
            self._require_grid(part)
            part.require(part.lengths("counts") == bins, "counts", f"has not {bins} bins")
            counts = part.array("counts").flatten().to_numpy().reshape(len(part), bins)
            part.require((counts >= 0).all(axis=1), "counts", "holds a negative count")
            rows.append(part["layer"])
            at = np.arange(part.first_row, part.first_row + len(part))
            active = self.density.ravel()[at].astype(np.float64) * tokens
            near = np.abs(counts.sum(axis=1) - active) <= 0.5 + tokens * 1e-6
            part.require(near, "counts", "does not add up to density · tokens")
        self._require_all("histograms.parquet", rows)

    def check_retention(self) -> None:
        """Retained shares are of a known kind and are those of factors.parquet."""
        for part in self.parts("retention.parquet"):
            kind = part.array("kind")
            known = pc.is_in(kind, pa.array(["radius", "sentence", "word"]))
            part.require(known, "kind", "is none of radius, sentence, word")
            of_radius = pc.equal(kind, "radius").to_numpy(zero_copy_only=False)
            fits = np.where(of_radius, part["radius"] >= 0, part["radius"] == -1)
            part.require(fits, "radius", "does not go with kind {kind}")
            part.require(part["retained"] >= 0, "retained", "is negative")
            word = pc.equal(kind, "word").to_numpy(zero_copy_only=False).astype(int)
            stated = self.retained[part["factor"], word]
            differ = np.abs(part["retained"] - stated) > ROUNDING
            part.require(of_radius | ~differ, "retained", "is not what factors.parquet says")

    def check_saliency(self) -> None:
        """Explanations are noted by layer, to be held against the examples they explain."""
        found = []
        for part in self.parts("saliency.parquet"):
            part.require(part["samples"] >= 0, "samples", "is not a count")
            check_errors(part)
            rows = np.arange(part.first_row, part.first_row + len(part))
            columns = [part["layer"], ranked_place(part), part.lengths("weights"), rows]
            found.append(np.stack([column.astype(np.int64) for column in columns], axis=1))
        self.explained = np.concatenate(found) if found else np.zeros((0, 4), np.int64)

    def check_examples(self, layer: int) -> None:
        """Examples are ranked by activation, stand where they say, and lead up to the maximum."""
        name = example_file(layer)
        most = self.about.importance.examples
        windows = len(self.offsets) - 1
        maximum = self.maximum[:, self.layers.index(layer)]
        seen = np.zeros(self.factors, bool)
        explained = self.explained[self.explained[:, 0] == layer]
        matched = np.zeros(len(explained), bool)
        for part in self.parts(name):
            factor, window, activation = part["factor"], part["window"], part["activation"]
            first = np.searchsorted(factor, factor)
            rank = np.arange(len(part)) - first
            part.require(part["rank"] == rank, "rank", "is not one more than the rank before")
            part.require(rank < most, "rank", f"is not below the {most} examples of a factor")
            inside = (window >= 0) & (window < windows)
            part.require(inside, "window", f"is none of the windows 0 to {windows - 1:,}")
            length = np.diff(self.offsets)[window]
            fits = (part["position"] >= 0) & (part["position"] < length)
            if not fits.all():
                row = int(np.argmin(fits))
                part.fail("position", row, f"is outside the window of {length[row]} tokens")
            part.require(activation > 0, "activation", "is not above 0")
            falls = (rank == 0) | (activation <= np.concatenate([[0], activation[:-1]]))
            part.require(falls, "activation", "is larger than the one ranked before")
            top = maximum[factor]
            near = (rank > 0) | (np.abs(activation - top) <= ROUNDING * top)
            part.require(near, "activation", "is not the maximum in importance.parquet")
            key = factor.astype(np.int64) * windows + window
            once = np.zeros(len(part), bool)
            once[np.unique(key, return_index=True)[1]] = True
            part.require(once, "window", "is in this factor's list already")
            token = self.word_of_token[self.offsets[window] + part["position"]]
            written = self.vocabulary.take(pa.array(token))
            same = pc.equal(written, first_letters(part.array("word")))
            part.require(same, "word", "is not the word at position {position}")
            seen[factor] = True
            if "contexts.parquet" in self.about.files:
                self.top_examples.note(layer, part)
            matched |= _explains(part, length, explained)
        for factor in np.flatnonzero((maximum > 0) & ~seen)[:1]:
            raise BundleError(f"{name}: factor {factor} is active and has no example; rebuild it")
        for place, row in explained[~matched][:1, [1, 3]]:
            raise BundleError(
                f"saliency.parquet: column 'rank' row {row:,}: {place % RANKS} is no example of "
                f"factor {place // RANKS} at layer {layer}; rebuild the bundle"
            )

    def check_words(self) -> None:
        """Words are casefolded and counted as the windows hold them."""
        folded = [word.casefold()[:LONGEST_WORD] for word in self.vocabulary.to_pylist()]
        names = sorted(set(folded))
        number = {name: at for at, name in enumerate(names)}
        of_word = np.array([number[name] for name in folded], np.int64)
        totals = np.bincount(of_word[self.word_of_token], minlength=len(names))
        for part in self.parts("words.parquet"):
            known = pc.index_in(first_letters(part.array("word")), pa.array(names, pa.string()))
            part.require(known.is_valid(), "word", "does not occur, casefolded, in the windows")
            total = totals[known.to_numpy(zero_copy_only=False)]
            part.require(part["occurrences"] == total, "occurrences", "is not the word's count")
            counted = (part["count"] >= 1) & (part["count"] <= part["occurrences"])
            part.require(counted, "count", "is not between 1 and occurrences")
            top = self.maximum[part["factor"], np.searchsorted(self.layers, part["layer"])]
            mean = part["mean_activation"]
            inside = (mean > 0) & (mean <= top * (1 + _SUMMED) + _COUNTED_IN)
            part.require(inside, "mean_activation", "is not between 0 and the factor's maximum")

    def check_factor_words(self) -> None:
        """The word index by factor holds the rows of the one by word."""
        tables = [
            pa.concat_tables([SCHEMAS[name].empty_table(), *self._tables(f"{name}.parquet")])
            for name in ("words", "factor_words")
        ]
        order = [(key, "ascending") for key in ("factor", "layer", "word")]
        by_word = tables[0].sort_by(order).select(tables[1].column_names)
        if not by_word.equals(tables[1]):
            raise BundleError(
                "factor_words.parquet: its rows are not those of words.parquet; rebuild the bundle"
            )

    def _of_present(
        self, name: str, check: Callable[[], None]
    ) -> list[tuple[str, Callable[[], None]]]:
        """Return the check of a file that the bundle may do without, if it has the file."""
        return [(name, check)] if name in self.about.files else []

    def _tables(self, name: str) -> Iterator[pa.Table]:
        return (part.table for part in self.parts(name))

    def _check_sources(self) -> None:
        """The manifest counts the documents and tokens of each source rightly."""
        for source in self.about.corpus.sources:
            mine = self.source_of_document == source.name
            counts = {"documents": int(mine.sum()), "tokens": int(self.document_tokens[mine].sum())}
            for name, count in counts.items():
                if getattr(source, name) != count:
                    raise BundleError(
                        f"{MANIFEST}: source '{source.name}' has {name} {getattr(source, name)}, "
                        f"and documents.parquet {count:,}; rebuild the bundle"
                    )

    def _require_grid(self, part: Part) -> None:
        """Raise unless the rows are every factor at every layer, in order."""
        row = np.arange(part.first_row, part.first_row + len(part))
        here = (part["factor"] == row // len(self.layers)) & (
            part["layer"] == np.array(self.layers)[row % len(self.layers)]
        )
        part.require(here, "layer", "follows a gap: every factor has a row at every layer")

    def _require_all(self, name: str, columns: list[np.ndarray]) -> None:
        """Raise unless a table of every factor at every layer is complete."""
        rows, expected = sum(map(len, columns)), self.factors * len(self.layers)
        if rows != expected:
            raise BundleError(
                f"{name}: {rows:,} rows; expected {expected:,}, one a factor and layer; rebuild it"
            )

    def _require_count(self, path: str, given: int, count: int) -> None:
        """Raise unless a number of the manifest is what its table holds."""
        if given != count:
            raise BundleError(
                f"{MANIFEST}: '{path}' is {given}, and the table holds {count:,}; rebuild the "
                "bundle"
            )


def _explains(part: Part, length: np.ndarray, explained: np.ndarray) -> np.ndarray:
    """Mark the explanations of examples in this part; raise if one has too many weights."""
    place = ranked_place(part)
    row = np.searchsorted(place, explained[:, 1]).clip(max=len(part) - 1)
    found = place[row] == explained[:, 1]
    for at in np.flatnonzero(found & (length[row] != explained[:, 2]))[:1]:
        raise BundleError(
            f"saliency.parquet: column 'weights' row {explained[at, 3]:,}: {explained[at, 2]} "
            f"weights for a window of {length[row[at]]} tokens; rebuild the bundle"
        )
    return found


def _words(part: Part, length: np.ndarray) -> tuple[pa.Array, np.ndarray]:
    """Return the words of some windows in order, and for each token the number of its word.

    The tokens of a word are neighbours, so a word is one slice of the bytes of all tokens.
    """
    tokens = part.array("tokens").flatten()
    begins = part.array("word_starts").flatten().to_numpy(zero_copy_only=False).copy()
    begins[ragged.offsets(length)[:-1]] = True  # no word goes on from one window into the next
    _, positions, text = tokens.buffers()
    offsets = np.frombuffer(positions, np.int32)[tokens.offset :][: len(tokens) + 1]
    at = np.append(np.flatnonzero(begins), len(tokens))
    words = pa.StringArray.from_buffers(
        len(at) - 1, pa.py_buffer(np.ascontiguousarray(offsets[at])), text
    )
    return words, np.cumsum(begins) - 1


def _stripped(words: pa.Array) -> pa.Array:
    return first_letters(pa.array([spelled(word) for word in words.to_pylist()], pa.string()))


def _joined(arrays: list[np.ndarray], kind: Any) -> np.ndarray:
    return np.concatenate([*arrays, np.zeros(0, kind)]).astype(kind)


def _never(name: str, values: np.ndarray) -> np.ndarray:
    """Return which numbers of an encoder say that a factor never fires."""
    return values == {"threshold": np.inf, "b_enc": -np.inf, "b_gate": -np.inf}.get(name, np.nan)


def _require_numbered(part: Part, column: str) -> None:
    number = np.arange(part.first_row, part.first_row + len(part))
    part.require(part[column] == number, column, "is not the number of its row")
