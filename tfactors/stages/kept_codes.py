"""Turns the codes of the survey's batches into codes of chosen tokens, kept on disk.

Each batch becomes one small file. Read back, they are one layer's codes of all chosen tokens at
once, with the window and the position of each. Neighbours that fire together and the precision and
recall of labels are measured on held-out tokens, from which the dictionary has not learnt; what
decides a factor on windows drawn from the whole corpus, because what a few documents are about is
seldom among the held-out ones; the senses of words on the occurrences that were drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array, vstack

from tfactors.errors import InputError
from tfactors.files import replacing
from tfactors.stages.run import Run
from tfactors.survey.occurrences import draw_occurrences

# Enough for shares of a percent, and some 100 MB in all for a model of 6 blocks.
MOST_TOKENS = 150_000
# What a rare matter is called takes more windows, some 400 MB; the first of them are those above.
MOST_TOKENS_FOR_NAMES = 600_000


def chosen_windows(
    among: np.ndarray, lengths: np.ndarray, seed: int, most_tokens: int = MOST_TOKENS
) -> np.ndarray:
    """Return which of some windows are kept, (windows,) bool: all, or some of very many.

    Those of fewer tokens are among those of more.
    """
    windows = np.random.default_rng([seed, 4]).permutation(np.flatnonzero(among))
    windows = windows[np.cumsum(lengths[windows]) <= most_tokens]
    chosen = np.zeros(len(among), bool)
    chosen[windows] = True
    return chosen


class KeptCodes:
    """A folder with one file for each batch that held some of the chosen windows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of_held_out(cls, run: Run) -> KeptCodes:
        """Return the codes that the survey of a build keeps of held-out tokens."""
        return cls(run.work / "held_out_codes")

    @classmethod
    def of_sample(cls, run: Run) -> KeptCodes:
        """Return the codes that the survey of a build keeps of windows of the whole corpus."""
        return cls(run.work / "sample_codes")

    def save(self, windows: np.ndarray, positions: np.ndarray, codes: Sequence[csr_array]) -> None:
        """Keep the codes (n, m) of some tokens, a matrix a layer; saving them again is harmless."""
        self._folder.mkdir(exist_ok=True)
        if not len(windows):
            return
        arrays: dict[str, Any] = {"windows": windows, "positions": positions}
        for i, matrix in enumerate(codes):
            arrays |= {f"indptr{i}": matrix.indptr, f"indices{i}": matrix.indices}
            arrays |= {f"data{i}": matrix.data}
        with replacing(self._folder / f"{windows[0]:09d}.npz") as path, path.open("wb") as file:
            np.savez(file, **arrays)

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Return window and position of every token, (n,) each, in the order of the corpus."""
        windows, positions = [np.zeros(0, np.int32)], [np.zeros(0, np.int16)]
        for path in self._files():
            with np.load(path, allow_pickle=False) as arrays:
                windows.append(arrays["windows"])
                positions.append(arrays["positions"])
        return np.concatenate(windows), np.concatenate(positions)

    def codes(self, layer_index: int, factors: int) -> csr_array:
        """Return the codes of every token at one layer, (n, factors)."""
        parts = [csr_array((0, factors), dtype=np.float32)]
        for path in self._files():
            with np.load(path, allow_pickle=False) as arrays:
                columns = (arrays[f"{name}{layer_index}"] for name in ("data", "indices", "indptr"))
                parts.append(csr_array(tuple(columns), shape=(len(arrays["windows"]), factors)))
        return csr_array(vstack(parts, format="csr"))

    @property
    def begun(self) -> bool:
        """Whether a survey has kept codes here, be it of no token."""
        return self._folder.is_dir()

    def _files(self) -> list[Path]:
        if not self._folder.is_dir():
            raise InputError(
                f"{self._folder.parent.parent}: was begun by an older tfactors, which kept "
                f"no {self._folder.name.replace('_', ' ')}; remove the folder and build again"
            )
        return sorted(self._folder.glob("*.npz"))


class DrawnOccurrences:
    """The draw of one build, by window, and the codes that the survey keeps of it."""

    def __init__(self, run: Run) -> None:
        tokens = int(run.load_array("lengths").sum())
        window, position = draw_occurrences(run.files.iter_windows(), tokens)
        self._places = window * (1 << 16) + position
        self._codes = occurrence_codes(run)

    def save(self, windows: np.ndarray, positions: np.ndarray, codes: list[Any]) -> None:
        """Keep the codes of those tokens of a batch that were drawn, a matrix a layer."""
        rows = np.flatnonzero(
            np.isin(windows.astype(np.int64) * (1 << 16) + positions, self._places)
        )
        self._codes.save(windows[rows], positions[rows], [c[rows] for c in codes])


def occurrence_codes(run: Run) -> KeptCodes:
    """Return the codes that the survey of a build keeps of occurrences of words."""
    return KeptCodes(run.work / "occurrence_codes")
