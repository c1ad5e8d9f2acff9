"""Turns a batch that every rank holds into its codes, solved by all ranks together.

Each rank solves some of the solver's blocks of rows and sends their codes to all others; a batch
with fewer blocks than there are ranks is solved by each for itself. As the blocks are whole, the
codes are those of one process to the bit, and so is the dictionary that is learnt from them.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from tfactors.coding.solver import FEWER_ROWS, SparseCoder, codes_of_rows
from tfactors.ranks import Ranks


class SharedCoder(SparseCoder):
    """A coder of samples that every rank holds: each solves its share, all get all codes.

    Parameters
    ----------
    dictionary : (m, d) array
        The same on every rank, one atom a row, unit norm.
    ranks : Ranks
        This process among the others.
    """

    def __init__(self, dictionary: np.ndarray, ranks: Ranks) -> None:
        super().__init__(dictionary)
        self._ranks = ranks

    def encode(
        self,
        X: np.ndarray,
        penalty: float | np.ndarray,
        tol: float = 1e-3,
        start: csr_array | None = None,
    ) -> csr_array:
        """Return codes (n, m) of X (n, d), one penalty for all; else as `SparseCoder.encode`."""
        size, rank = self._ranks.size, self._ranks.rank
        blocks = -(-len(X) // FEWER_ROWS)
        if size == 1 or blocks < size:
            return super().encode(X, penalty, tol, start)
        edges = [min(len(X), FEWER_ROWS * (blocks * i // size)) for i in range(size + 1)]
        rows = slice(edges[rank], edges[rank + 1])
        share = super().encode(X[rows], penalty, tol, None if start is None else start[rows])
        counts = np.diff(share.indptr).astype(np.int32)
        parts = self._ranks.gather(
            np.concatenate([counts, share.indices.astype(np.int32), share.data.view(np.int32)])
        )
        pieces: list[list[np.ndarray]] = [[], [], []]
        for part, first, last in zip(parts, edges, edges[1:], strict=False):
            entries = (len(part) - (last - first)) // 2
            cuts = np.split(part, [last - first, last - first + entries])
            for piece, cut in zip(pieces, cuts, strict=True):
                piece.append(cut)
        counts, indices, data = map(np.concatenate, pieces)
        return codes_of_rows(counts, indices, data.view(np.float32), len(self.dictionary))
