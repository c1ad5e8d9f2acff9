"""The tables of a bundle, each read from the row group or two that hold what is asked for.

Turns the folder of a bundle into small DataFrames, so that a page costs the same in a bundle of 500
factors and of 16,384. :mod:`tfactors.bundle.format` says what the files hold.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tfactors.bundle.files import BundleFiles
from tfactors.bundle.format import BASELINE_PARTS, LAYOUTS, SCHEMAS, BundleError, example_file
from tfactors.bundle.table import GROUPS_KEPT, frame_of
from tfactors.text.word_breaks import is_unspaced

# Row groups of the text that are searched at once: 2,048 windows.
GROUPS_AT_ONCE = 64


class BundleReader(BundleFiles):
    """What every table of a bundle says, by factor, layer, word or window.

    Threads may share one. It keeps in memory the tables of factors and documents and the
    dictionary, once asked for; treat what it returns as read-only. Every method raises BundleError,
    never an error of Arrow.
    """

    @cached_property
    def factors(self) -> pd.DataFrame:
        """One row a factor, the factor's number being its row.

        Columns factor, label, level, peak_layer, depth, retained_word, retained_sentence, reach,
        words (list of str), alive, stability, and of newer bundles label_kind, label_rule,
        label_judge, label_precision, label_recall, map_x, map_y, token_share, window_share,
        sentence_share, effective_words, effective_windows, which are missing values in others; so
        are word_elsewhere, sentence_elsewhere and same_place, which some older bundles have.
        """
        table = self._file("factors.parquet").read()
        if len(table) != self.n_factors:
            raise BundleError(
                f"factors.parquet: {len(table):,} rows, and the manifest says {self.n_factors:,} "
                "factors; rebuild the bundle"
            )
        for name in LAYOUTS["factors"].optional_columns:
            if name not in table.column_names:
                field = SCHEMAS["factors"].field(name)
                table = table.append_column(field, pa.nulls(len(table), field.type))
        frame = table.drop_columns(["words"]).to_pandas()
        frame["reach"] = frame["reach"].astype("Int16")
        frame["listed"] = self.about.listed_levels
        same: dict[str, str] = {}  # the words of all factors are few, and thousands of times
        words = [[same.setdefault(w, w) for w in own] for own in table.column("words").to_pylist()]
        frame.insert(frame.columns.get_loc("alive"), "words", words)
        return frame

    @cached_property
    def labels_and_words(self) -> tuple[list[str], list[list[str]]]:
        """The columns label and words of ``factors``, which pages ask for one factor at a time.

        To look up a column of a frame takes ten times as long as what is done with its value.
        """
        return self.factors["label"].fillna("").tolist(), self.factors["words"].tolist()

    @cached_property
    def documents(self) -> pd.DataFrame:
        """One row a document, its number being its row: source, title, year, held_out, tokens."""
        frame = self._file("documents.parquet").read().to_pandas()
        frame["year"] = frame["year"].astype("Int16")
        return frame

    @cached_property
    def dictionary(self) -> np.ndarray:
        """The atoms Φ, (m, d) float32, rows of unit norm; BundleError where there are none."""
        if not self.abilities.dictionary:
            raise BundleError(
                "this bundle holds no dictionary, only published examples; what needs the factors "
                "themselves takes a bundle that 'tfactors build' or 'tfactors import' made"
            )
        return self._atoms("dictionary.parquet")

    @property
    def second_dictionary(self) -> np.ndarray | None:
        """The atoms that another seed gave, (m, d) float32; None where that was not tried."""
        return self._atoms("second_dictionary.parquet") if self.abilities.second_seed else None

    def imported_tensors(self) -> dict[str, np.ndarray]:
        """Return what else the file of an imported dictionary held, float32, by name.

        Matrices have one row a factor; :mod:`tfactors.coding.imported_dictionary` says what they
        mean.
        """
        if not self.has("imported.parquet"):
            return {}
        found: dict[str, np.ndarray] = {}
        table = self._file("imported.parquet").read()
        for name in table.column("tensor").unique().to_pylist():
            rows = table.filter(pc.equal(table.column("tensor"), name)).column("values")
            values = rows.combine_chunks().flatten().to_numpy()
            if len(values) % len(rows):
                raise BundleError(f"imported.parquet: the rows of '{name}' differ in length")
            found[name] = values if len(rows) == 1 else values.reshape(len(rows), -1)
        return found

    def baseline(self) -> dict[str, np.ndarray]:
        """Return the arrays of what each token brings of its own.

        They are those of :class:`tfactors.coding.baseline.TokenBaseline`, which says what they
        mean.
        """
        table = self._file("baseline.parquet").read()
        numbers = self.width * len(self.layers)
        found: dict[str, np.ndarray] = {}
        for field, name in BASELINE_PARTS.items():
            rows = table.filter(pc.equal(table.column("part"), name))
            codes = _rows_of_lists("baseline.parquet", rows, numbers).astype(np.float32)
            found[field] = codes * rows.column("step").to_numpy()[:, None]
        if len(found["mean"]) != 1:
            raise BundleError("baseline.parquet: expected one row of 'mean'; rebuild the bundle")
        found["mean"] = found["mean"][0]
        tokens = self._file("baseline_tokens.parquet").read()
        rank = len(found["basis"])
        found["codes"] = _rows_of_lists("baseline_tokens.parquet", tokens, rank)
        for field, column in (("token_ids", "token_id"), ("steps", "step"), ("counts", "count")):
            found[field] = tokens.column(column).to_numpy()
        return found

    @property
    def imported(self) -> dict[str, Any] | None:
        """What the manifest says of an imported dictionary; None of one that was learnt here."""
        imported = self.about.dictionary.imported
        return asdict(imported) if imported else None

    def examples(self, factor: int, layer: int, top: int = 200) -> pd.DataFrame:
        """Return the words in context that activate a factor most at a layer, strongest first.

        Columns factor, layer, rank, window, position, word, activation; at most one row a window.
        """
        self._check(factor, layer)
        rows = self._file(example_file(layer)).where(int(factor))
        rows = rows.slice(0, min(top, rows.num_rows))
        at = pa.repeat(pa.scalar(int(layer), pa.int16()), rows.num_rows)
        return frame_of(rows.add_column(1, "layer", at))

    def examples_of(
        self, factors: Sequence[int], layers: Sequence[int], top: int = 200
    ) -> pd.DataFrame:
        """Return :meth:`examples` of several factors, each at a layer of its own, in that order.

        No row group is read twice, as it would be for every factor that has rows in it.
        """
        place = np.full(self.n_factors, len(factors))
        layer_of = np.full(self.n_factors, -1)
        for at, (factor, layer) in enumerate(zip(factors, layers, strict=True)):
            self._check(factor, layer)
            place[factor], layer_of[factor] = at, layer
        frames = [SCHEMAS["examples"].empty_table().to_pandas().assign(layer=np.int16(0))]
        for layer in np.unique(layer_of[layer_of >= 0]).tolist():
            file, wanted = self._file(example_file(layer)), np.flatnonzero(layer_of == layer)
            groups = {group for factor in wanted.tolist() for group in file.groups_with(factor)}
            for group in sorted(groups):
                table = file.read_groups([group])
                chosen = pc.and_(
                    pc.is_in(table.column("factor"), pa.array(wanted.astype(np.int32))),
                    pc.less(table.column("rank"), top),
                )
                frame = frame_of(table.filter(chosen))
                frames.append(frame.assign(layer=np.int16(layer)))
        frame = pd.concat(frames, ignore_index=True)
        frame.insert(1, "layer", frame.pop("layer"))
        order = np.argsort(place[frame["factor"]], kind="stable")
        return frame.iloc[order].reset_index(drop=True)

    def contexts(self, factor: int, layer: int) -> pd.DataFrame:
        """Return what a factor does at every token of the windows of its strongest examples.

        Columns rank (of :meth:`examples`), positions (int16 array), activations (float32 array):
        the factor is active at these tokens of the example's window, and at no other.
        """
        return self._of_factor("contexts.parquet", factor, layer)

    def samples(self, factor: int, layer: int) -> pd.DataFrame:
        """Return activations of a factor at a layer drawn at random, strongest first.

        Columns factor, layer, rank, window, position, word, activation, as in :meth:`examples`, and
        quantile: the share of the factor's activations at this layer that are at most as large.
        """
        rows = self._rows_of_factor("samples.parquet", factor, layer)
        of = pa.repeat(pa.scalar(int(factor), pa.int32()), rows.num_rows)
        at = pa.repeat(pa.scalar(int(layer), pa.int16()), rows.num_rows)
        return frame_of(rows.add_column(0, "factor", of).add_column(1, "layer", at))

    def neighbours(self, factor: int, kind: str = "cosine") -> pd.DataFrame:
        """Return the factors nearest to one, nearest first: columns rank, other, value.

        ``kind`` is "cosine" (value: cosine of the two atoms) or "together" (correlation of firing
        on held-out tokens at this factor's peak layer).
        """
        return self._of_kind("neighbours.parquet", factor, kind)

    def vocabulary(self, factor: int, kind: str = "input") -> pd.DataFrame:
        """Return the tokens of the model's vocabulary nearest to a factor: rank, token, value.

        ``kind`` is "input" (value: cosine with the input embedding), or "logit" and "logit_low"
        (the tokens whose logit the factor raises and lowers most), where the model has a head.
        """
        return self._of_kind("vocabulary.parquet", factor, kind)

    def importance(self, factor: int | None = None) -> pd.DataFrame:
        """Return layer, importance, density, maximum of a factor; of all, with column factor."""
        if factor is None:
            return self._file("importance.parquet").read().to_pandas()
        return self._of_factor("importance.parquet", factor)

    def histogram(self, factor: int, layer: int) -> np.ndarray:
        """Return how many tokens fall into each bin of :attr:`bin_edges`, (bins,) int32."""
        counts = self._of_factor("histograms.parquet", factor, layer)["counts"]
        return counts.iloc[0] if len(counts) else np.zeros(len(self.bin_edges) - 1, np.int32)

    def words(self, factor: int, layer: int) -> pd.DataFrame:
        """Return the words that a factor is active on at a layer, most frequent first.

        Columns word (casefolded), count, mean_activation, occurrences: ``count`` of the word's
        ``occurrences`` tokens activate the factor.
        """
        table = self._rows_of_factor("factor_words.parquet", factor, layer)
        return frame_of(table.sort_by([("count", "descending"), ("word", "ascending")]))

    def word_factors(self, word: str) -> pd.DataFrame:
        """Return the factors that are active on a word, in upper or lower case, at each layer.

        Columns factor, layer, count, mean_activation, occurrences as in :meth:`words`.
        """
        found = self._file("words.parquet").where(word.strip().casefold())
        return frame_of(found.drop_columns(["word"]))

    def words_around(self, word: str) -> list[str]:
        """Return the words of the index that hold this one, of a script without blanks, inside.

        Tokens of such a script may be longer than its words, and stand in the index whole. Where
        blanks part words there are none.
        """
        word = word.strip().casefold()
        if not word or not all(map(is_unspaced, word)):
            return []
        file = self._file("words.parquet")
        listed = file.read_groups(range(file.groups), ["word"]).column("word").unique()
        return listed.filter(pc.match_substring(listed, word)).to_pylist()

    def senses(self) -> pd.DataFrame:
        """Return the frequent words whose occurrences fall into groups, best separated first.

        Columns word (casefolded), layer (where the groups separate best), occurrences, groups,
        silhouette, chance (the silhouette where there are no groups to find); sorted by the
        difference of the two. No rows in a bundle that was built without.
        """
        frame = self._whole("senses.parquet").to_pandas()
        order = np.argsort(frame["chance"] - frame["silhouette"], kind="stable")
        return frame.iloc[order].reset_index(drop=True)

    def occurrences(self, word: str) -> pd.DataFrame:
        """Return occurrences of a word with their strongest factors, a row an occurrence and layer.

        Columns window, position, layer, factors (int32 array, strongest first), activations
        (float32 array, rounded to 8 binary digits); of some words only, see :meth:`senses`.
        """
        name = "occurrences.parquet"
        empty = SCHEMAS["occurrences"].empty_table()
        found = self._file(name).where(word.strip().casefold()) if self.has(name) else empty
        return frame_of(found.drop_columns(["word"]))

    def saliency(self, factor: int, layer: int, rank: int | None = None) -> pd.DataFrame:
        """Return the stored explanations of a factor's examples at a layer, or of one example.

        Columns rank, method, weights (float32 array, one a token of the window), score, samples,
        seed, and of newer bundles errors (as weights), activation, stability and agreement, which
        are missing (None, NaN) in older ones.
        """
        frame = self._of_factor("saliency.parquet", factor, layer)
        for name in LAYOUTS["saliency"].optional_columns:
            if name not in frame:
                frame[name] = None if name == "errors" else np.float32("nan")
        return frame if rank is None else frame[frame["rank"] == rank].reset_index(drop=True)

    def retention(self, factor: int) -> pd.DataFrame:
        """Return what is left of a factor's activation when the context is cut away.

        Columns layer, kind ("radius", "sentence" or "word"), radius (tokens on each side, -1 for
        the other kinds), retained (a share of the activation in full context).
        """
        return self._of_factor("retention.parquet", factor)

    def origins(self, factor: int) -> pd.DataFrame:
        """Return what a factor is made from at its peak layer, the largest share first.

        Columns rank, kind ("factor" or "word"), layer (of the source), source (its number, -1 of a
        word), word (casefolded, "" of a factor), offset, there, before, share, spread, found,
        examples: :mod:`tfactors.explain.factor_origins` says what they mean.
        """
        return self._of_factor("origins.parquet", factor)

    def feeds(self, factor: int) -> pd.DataFrame:
        """Return the other factors that one is among the sources of, the largest share first.

        Columns rank, layer (of the source), target (number of the factor that is made from it, at
        its own peak layer), and the rest as :meth:`origins`.
        """
        return self._of_factor("feeds.parquet", factor)

    def meanings(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what a search by meaning asks: factor, rank and bits of every vector.

        (n,) int32 ascending, (n,) int16 (of :meth:`examples` at the peak layer, -1: of the name)
        and (n, ⌈d / 8⌉) uint8, which :mod:`tfactors.describe.meanings` explains.
        """
        table = self._whole("meanings.parquet")
        columns = [table.column(name).to_numpy() for name in ("factor", "rank")]
        lists = table.column("bits").combine_chunks()
        width = -(-(self.about.meanings.width if self.about.meanings else 0) // 8)
        if not pc.all(pc.equal(pc.list_value_length(lists), width), min_count=0).as_py():
            raise BundleError(
                f"meanings.parquet: a row does not hold {width:,} bytes; rebuild the bundle"
            )
        return columns[0], columns[1], lists.flatten().to_numpy().reshape(len(table), width)

    @cached_property
    def regions(self) -> pd.DataFrame:
        """The parts of the map by likeness at every zoom, the largest of a zoom first.

        Columns zoom (0 is the coarsest), region (its number at that zoom), name ("" where its
        factors share nothing), shared, x, y, factors (array of numbers). None of an older bundle.
        """
        if not self.has("regions.parquet"):
            return SCHEMAS["regions"].empty_table().to_pandas()
        return self._file("regions.parquet").read().to_pandas()

    def effects(self, factor: int | None = None) -> pd.DataFrame:
        """Return what removing a factor does to the sentence embedding; of all without ``factor``.

        Columns (factor,) layer, examples, directions, removed, removed_error, random, random_error,
        ratio, ratio_error, above, elsewhere: :mod:`tfactors.explain.effects` says what they mean.
        No row for a factor that is active at no layer below the last.
        """
        if factor is not None:
            return self._of_factor("effects.parquet", factor)
        if not self.has("effects.parquet"):
            return SCHEMAS["effects"].empty_table().to_pandas()
        return self._file("effects.parquet").read().to_pandas()

    def windows(self, ids: Sequence[int] | np.ndarray, token_ids: bool = True) -> pd.DataFrame:
        """Return windows of text by number, a row each in the order given.

        Columns window, document, start, tokens (list of str), token_ids (int32 array; left out
        without ``token_ids``, which a quarter of the time goes into), word_starts (bool array).
        """
        wanted = np.asarray(ids, dtype=np.int64)
        file = self._file("windows.parquet")
        outside = wanted[(wanted < 0) | (wanted >= file.rows)]
        if len(outside):
            raise BundleError(f"window {outside[0]}: this bundle has windows 0 to {file.rows - 1}")
        size = LAYOUTS["windows"].rows
        groups, place = np.unique(wanted // size, return_inverse=True)
        columns = _window_columns(token_ids)
        if not len(groups):
            return file.read_groups([], columns).to_pandas()
        # A whole pass over the text would only push out what readers look at.
        read = file.recent if len(groups) < GROUPS_KEPT // 2 else file.read_groups
        table = read(groups.tolist(), columns).take(pa.array(place * size + wanted % size))
        frame = frame_of(table.drop_columns(["tokens"]))
        frame.insert(3, "tokens", table.column("tokens").to_pylist())
        return frame

    def warm_windows(self, ids: Sequence[int] | np.ndarray) -> None:
        """Read windows into memory, where :meth:`windows` without ``token_ids`` finds them.

        For another thread: most of the time Python is free meanwhile.
        """
        file = self._file("windows.parquet")
        groups = np.unique(np.asarray(ids, dtype=np.int64) // LAYOUTS["windows"].rows)
        known = groups[(groups >= 0) & (groups < file.groups)][: GROUPS_KEPT // 2]
        if len(known):
            file.recent(known.tolist(), _window_columns(token_ids=False))

    def windows_with(
        self, phrases: Sequence[Sequence[int]], most: int, seed: Sequence[int]
    ) -> list[int]:
        """Return windows, drawn at random, in which one of some sequences of tokens stands.

        Parameters
        ----------
        phrases : sequence of sequences of int
            Token ids in a row, at least one each.
        most : int
            Windows to return at most. Text is read until so many are found, all of it at most.
        seed : sequence of int
            Of the draw: the same for the same bundle.
        """
        file, rng = self._file("windows.parquet"), np.random.default_rng(list(seed))
        found: list[int] = []
        order = rng.permutation(file.groups).tolist()  # so that they are of all of the text
        for first in range(0, file.groups, GROUPS_AT_ONCE):
            groups = sorted(order[first : first + GROUPS_AT_ONCE])
            table = file.read_groups(groups, ["window", "token_ids"])
            lists = table.column("token_ids").combine_chunks()
            owners = np.repeat(
                table.column("window").to_numpy(), pc.list_value_length(lists).to_numpy()
            )
            ids = lists.flatten().to_numpy()
            hits = [owners[_starts_of(ids, owners, phrase)] for phrase in phrases]
            found += rng.permutation(np.unique(np.concatenate(hits))).tolist() if hits else []
            if len(found) >= most:
                break
        return found[:most]

    def iter_windows(self, batch: int = 1024, start: int = 0) -> Iterator[pd.DataFrame]:
        """Yield the windows from ``start`` on, ``batch`` at a time, as :meth:`windows` does."""
        count = self._file("windows.parquet").rows
        for first in range(start, count, batch):
            yield self.windows(np.arange(first, min(first + batch, count)))


def _starts_of(ids: np.ndarray, owners: np.ndarray, phrase: Sequence[int]) -> np.ndarray:
    """Return where a sequence of tokens begins that lies in one window.

    >>> _starts_of(np.array([4, 5, 4, 5]), np.array([0, 0, 0, 1]), [4, 5]).tolist()
    [0]
    """
    last = len(ids) - len(phrase) + 1
    if last <= 0:
        return np.zeros(0, np.int64)
    here = owners[:last] == owners[len(phrase) - 1 :]
    for offset, token in enumerate(phrase):
        here &= ids[offset : offset + last] == token
    return np.flatnonzero(here)


def _window_columns(token_ids: bool) -> list[str]:
    return [name for name in SCHEMAS["windows"].names if token_ids or name != "token_ids"]


def _rows_of_lists(name: str, table: pa.Table, length: int) -> np.ndarray:
    """Return the column ``codes`` of a table, (rows, length)."""
    lists = table.column("codes").combine_chunks()
    if not pc.all(pc.equal(pc.list_value_length(lists), length), min_count=0).as_py():
        raise BundleError(f"{name}: a row does not hold {length:,} codes; rebuild the bundle")
    return lists.flatten().to_numpy().reshape(len(table), length)
