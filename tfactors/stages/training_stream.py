"""Turns windows in a shuffled order into batches of states, the same ones on every rank.

The states (n, d) of all layers of a stretch of windows are shuffled together; of each window only a
share of the tokens, drawn at random, is taken, so that few tokens come from many windows.

Under torchrun the windows go through the model in groups, each on one rank, ahead of the time when
they are wanted; a batch is then put together from the rows that each rank has. The groups, and so
every bit of the states, do not depend on the number of ranks, and neither do the weights (n,)
beside the states.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from tfactors.parallel import ahead
from tfactors.ragged import offsets
from tfactors.stages.run import Run

# Windows whose states are shuffled together before the dictionary learns from them.
WINDOWS_A_SHUFFLE = 64
# More of them where only a share of their tokens is taken, but no more than these.
MOST_WINDOWS_A_SHUFFLE = 512
# Windows that go through the model together, on one rank.
WINDOWS_A_GROUP = 16


@dataclass
class _Stretch:
    """The states of some windows, shuffled: where each row lies, and the rows that are here.

    Attributes
    ----------
    owner : (n,) int32
        The rank that has the row.
    place : (n,) int
        Which of that rank's rows it is.
    weights : (n,) float32
        The weight of each sample.
    states : (rows of this rank, d) float32
        The rows that this rank has.
    """

    owner: np.ndarray
    place: np.ndarray
    weights: np.ndarray
    states: np.ndarray


class TrainingStream:
    """What the dictionary learns from, stretch after stretch.

    Parameters
    ----------
    run : Run
        The build, with this process among its ranks.
    windows : (w,) array
        The windows in the order in which they are read.
    of_token : (vocabulary,) array
        The weight of a sample by the id of its token,
    of_layer : (layers,) array
        times that of its layer.
    share : float
        Of the tokens of each window, in 0 … 1.

    Attributes
    ----------
    stretches : int
        How many there are.
    """

    def __init__(
        self,
        run: Run,
        windows: np.ndarray,
        of_token: np.ndarray,
        of_layer: np.ndarray,
        share: float = 1.0,
    ) -> None:
        self._run, self._windows, self._share = run, windows, share
        self._of_token, self._of_layer = of_token, of_layer
        self._together = min(round(WINDOWS_A_SHUFFLE / share), MOST_WINDOWS_A_SHUFFLE)
        self.stretches = -(-len(windows) // self._together)

    def tokens(self, step: int, lengths: np.ndarray) -> int:
        """Return how many tokens a stretch takes; ``lengths`` (windows of the corpus,)."""
        return int(drawn(lengths[self._windows_of(step)], self._share).sum())

    def _windows_of(self, step: int) -> np.ndarray:
        return self._windows[step * self._together : (step + 1) * self._together]

    def batches(
        self, first: int, size: int
    ) -> Generator[Iterator[tuple[np.ndarray, np.ndarray]], None, None]:
        """Yield for each stretch from ``first`` on its batches of about ``size`` states.

        A batch is the states (n, d), and their weights (n,).
        """
        with closing(
            ahead(self._read_stretch, range(first, self.stretches), threads=1)
        ) as stretches:
            for _, stretch in stretches:
                yield self._batches_of(stretch, size)

    def _batches_of(self, stretch: _Stretch, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        count = len(stretch.owner)
        for part in np.array_split(np.arange(count), max(1, round(count / size))):
            yield self._assemble_batch(stretch, part), stretch.weights[part]

    def _assemble_batch(self, stretch: _Stretch, part: np.ndarray) -> np.ndarray:
        """Put a batch together from the rows that each rank has of it."""
        ranks, owner, place = self._run.ranks, stretch.owner[part], stretch.place[part]
        if ranks.size == 1:
            return stretch.states[place]
        batch = np.empty((len(part), self._run.model.width), np.float32)
        rows_here = stretch.states[place[owner == ranks.rank]]
        for rank, rows in enumerate(ranks.gather(rows_here.ravel())):
            batch[owner == rank] = rows.reshape(-1, batch.shape[1])
        return batch

    def _read_stretch(self, step: int) -> _Stretch:
        run, layers = self._run, len(self._run.layers)
        token_ids = list(run.files.windows(self._windows_of(step))["token_ids"])
        random = np.random.default_rng([run.settings.seed, 5, step])
        owner, place, weights, states = [], [], [], []
        rows_of_rank = np.zeros(run.ranks.size, np.int64)
        for number, start in enumerate(range(0, len(token_ids), WINDOWS_A_GROUP)):
            group = token_ids[start : start + WINDOWS_A_GROUP]
            ids = np.concatenate(group)
            taken = self._draw(random, group)
            # Another rank begins at each stretch, for the groups may not share out evenly.
            rank, rows = (step + number) % run.ranks.size, len(taken) * layers
            owner.append(np.full(rows, rank, np.int32))
            place.append(rows_of_rank[rank] + np.arange(rows))
            weight = np.outer(self._of_layer, self._of_token[ids[taken]])
            weights.append(weight.ravel().astype(np.float32))
            rows_of_rank[rank] += rows
            if rank == run.ranks.rank:
                states.append(run.states(group)[:, taken].reshape(rows, -1))
        order = np.random.default_rng([run.settings.seed, 3, step]).permutation(rows_of_rank.sum())
        states.append(np.empty((0, run.model.width), np.float32))  # a rank may have no group
        return _Stretch(
            np.concatenate(owner)[order],
            np.concatenate(place)[order],
            np.concatenate(weights)[order],
            np.concatenate(states),
        )

    def _draw(self, random: np.random.Generator, group: list[np.ndarray]) -> np.ndarray:
        """Return which tokens of a group of windows are taken, ascending."""
        lengths = np.array([len(ids) for ids in group])
        counts = drawn(lengths, self._share)
        parts = [
            start + np.sort(random.permutation(length)[:count])
            for start, length, count in zip(offsets(lengths), lengths, counts, strict=False)
        ]
        return np.concatenate(parts)


def drawn(lengths: np.ndarray, share: float) -> np.ndarray:
    """Return how many tokens are taken of windows of these lengths, (windows,) int64; at least one.

    >>> drawn(np.array([254, 8]), 0.25).tolist(), drawn(np.array([254, 8]), 1.0).tolist()
    ([64, 2], [254, 8])
    """
    return np.clip(np.rint(lengths * share).astype(np.int64), 1, lengths)
