"""What a published page asks of a bundle: its text in memory, its factors at a glance, their names.

Turns a bundle into a :class:`Contents`, which every page is made from. A site reads the windows of
thousands of lists, all over the corpus, so the text is read once and stays packed in memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa

from tfactors.bundle import Bundle, BundleError
from tfactors.bundle.format import SCHEMAS
from tfactors.bundle.llm_labels import ModelLabel
from tfactors.bundle.table import TableFile
from tfactors.portrait import model_label, names, notes_file, showcase
from tfactors.portrait.level_rule import levels_in_force
from tfactors.portrait.notes_file import Note, Notes
from tfactors.portrait.overview import Overview
from tfactors.portrait.selected import Selected, peak_layer, select

LEVELS = ("low", "mid", "high")
# Factors worth a click of each level.
_BEST = 20


class _LastGroups(TableFile):
    """A table that is asked for factor after factor, and keeps the row groups it read last."""

    _last: tuple[tuple[object, ...], pa.Table] | None = None

    def read_groups(self, groups: Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
        """Return these row groups, from memory where they are those of the last call."""
        key = (tuple(groups), None if columns is None else tuple(columns))
        if self._last is None or self._last[0] != key:
            self._last = (key, super().read_groups(groups, columns))
        return self._last[1]


class TextInMemory(Bundle):
    """A bundle whose text is read once and whole."""

    @classmethod
    def of(cls, bundle: Bundle) -> "TextInMemory":
        """Return the same bundle, reading its text when it is first asked for."""
        return cls(bundle.path, bundle.manifest)

    def _file(self, name: str) -> TableFile:
        if name not in self._files:
            super()._file(name)  # checks its size
            self._files[name] = _LastGroups(self.path, name, self.width)
        return self._files[name]

    @cached_property
    def _text(self) -> pa.Table:
        columns = [name for name in SCHEMAS["windows"].names if name != "token_ids"]
        file = self._file("windows.parquet")
        return file.read_groups(range(file.groups), columns).combine_chunks()

    def windows(self, ids: Sequence[int] | np.ndarray, token_ids: bool = True) -> pd.DataFrame:
        """Return windows of text by number, as a bundle does; never their token ids."""
        wanted = np.asarray(ids, dtype=np.int64)
        outside = wanted[(wanted < 0) | (wanted >= len(self._text))]
        if len(outside):
            raise BundleError(f"window {outside[0]}: this bundle has {len(self._text)} windows")
        table = self._text.take(pa.array(wanted))
        frame = table.drop_columns(["tokens"]).to_pandas()
        frame.insert(3, "tokens", table.column("tokens").to_pylist())
        return frame


@dataclass(frozen=True)
class Contents:
    """A bundle as its pages see it.

    Attributes
    ----------
    bundle : Bundle
        The bundle.
    overview : Overview
        All of its factors at a glance.
    levels : (m,) str
        The level of each factor, "" for none.
    words : list of lists of str
        What each factor is called by: what people wrote, else its label or words.
    notes : Notes
        What people wrote, in the file beside the bundle.
    by_model : mapping of ModelLabel
        What a language model called each factor, of those that it was asked about.
    notice : str or None
        What is wrong or uncertain about the files of labels.
    """

    bundle: Bundle
    overview: Overview
    levels: np.ndarray
    words: list[list[str]]
    notes: Notes
    by_model: Mapping[int, ModelLabel]
    notice: str | None

    @classmethod
    def of(cls, bundle: Bundle) -> "Contents":
        """Read what every page needs of a bundle."""
        notes, notice = notes_file.read_file(
            bundle.path / notes_file.FILE, bundle.title, bundle.n_factors, bundle.fingerprint
        )
        words = [names.own_words(bundle, factor) for factor in range(bundle.n_factors)]
        for factor, note in notes.notes.items():
            if note.label:
                words[factor] = [note.label]
        levels = levels_in_force(bundle.factors, bundle.about.importance.thresholds)
        by_model, left_out = model_label.labels_beside(bundle)
        notice = " ".join(filter(None, (notice, left_out))) or None
        return cls(bundle, Overview.of(bundle), levels, words, notes, by_model, notice)

    @cached_property
    def names(self) -> list[str]:
        """Each factor's number and words in one short line."""
        return [names.short_name(factor, words) for factor, words in enumerate(self.words)]

    @cached_property
    def best(self) -> dict[str, list[int]]:
        """The factors worth a click, of each level that has any."""
        return showcase.factors_by_level(self.bundle, self.overview, _BEST)

    @cached_property
    def listed(self) -> dict[str, list[int]]:
        """The factors of each level, and those of none under "", the most important first."""
        order = np.argsort(-self.overview.importance.max(axis=1), kind="stable")
        if not self.bundle.abilities.heights:  # of curves without a common scale
            order = np.arange(self.bundle.n_factors)
        found = {level: order[self.levels[order] == level].tolist() for level in (*LEVELS, "")}
        return {level: members for level, members in found.items() if members}

    def note(self, factor: int) -> Note:
        """Return what people wrote about a factor; empty where they wrote nothing."""
        return self.notes.notes.get(factor, Note())

    def select(self, factor: int, layer: int | None = None) -> Selected:
        """Return a factor at a layer, by default its peak."""
        return select(self.bundle, self.overview, factor, layer)

    def peak(self, factor: int) -> int:
        """Return the layer where a factor is most important; the first one for a dead factor."""
        return peak_layer(self.bundle, factor)

    def similar(self, factor: int, count: int) -> list[tuple[int, float]]:
        """Return the nearest factors by the cosine of their atoms; none without a dictionary."""
        if not self.bundle.abilities.dictionary:
            return []
        atoms = self.bundle.dictionary
        cosine = atoms @ atoms[factor]
        order = np.argsort(-cosine, kind="stable")
        nearest = order[order != factor][:count]
        return [(int(at), float(cosine[at])) for at in nearest]

    def together(self, factor: int, count: int) -> list[tuple[int, float]]:
        """Return the factors that fire with a factor most often, and the correlation."""
        rows = self.bundle.neighbours(factor, "together").head(count)
        return list(zip(rows["other"].astype(int), rows["value"].astype(float), strict=True))
