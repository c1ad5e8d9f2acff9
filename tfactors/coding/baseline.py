"""The word's own share of a hidden state: what a token brings wherever it stands.

Turns a token and its place into a part of the state that its text has not made,

    x = b_l(w, p) + αΦ + ε,        b_l(w, p) = g_l + A_l e(w) + c(w) B_l + v_l(p)

with g the mean of the layer, e(w) the model's own input embedding of the token, at norm 1, A a
linear map of it, which also serves words that the text never had, c(w) B what the token's mean
adds to that, and v the part of the place. A place beyond the last known one takes the last one's.

The additive model is fitted by two rounds of backfitting to sums over the text. With n the tokens
of a kind, r the mean of their states less all the rest of b, and K = 2,

    A e + c B  ≈  A e + n / (n + K) · (r − A e)

so a rare token stays near what its embedding predicts, and a frequent one gets its own mean. The
codes c are of low rank, chosen with the weights √n, and stored as whole numbers times a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfactors.parallel import one_blas_thread
from tfactors.ragged import offsets

# States are summed as whole numbers of this size, so that no order of the sums changes a bit.
STEP = 2.0**-20
# K: what a mean is shrunk by, in tokens.
SHRINK = 2.0
# Of the ridge that gives A, relative to the mean square of an embedding's numbers.
RIDGE = 1e-2
ROUNDS = 2
# Numbers a token keeps of its own.
RANK = 448

Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TokenBaseline:
    """b(w, p) of every layer, D = layers · d numbers a token.

    Attributes
    ----------
    layers : tuple of int
        The layers, ascending.
    mean : (D,) float32
        g.
    prior : (e, D) float32
        A, one row a number of the input embedding.
    basis : (r, D) float32
        B.
    places : (P, D) float32
        v of places 0 … P − 1.
    token_ids : (T,) int32
        The tokens that have codes, ascending.
    codes : (T, r) int8
        c(w) in steps.
    steps : (T,) float32
        How long a step is.
    counts : (T,) int32
        How often the text had the token.
    embed : callable
        Token ids (n,) → the model's input embeddings at norm 1, (n, e).
    """

    layers: tuple[int, ...]
    mean: np.ndarray
    prior: np.ndarray
    basis: np.ndarray
    places: np.ndarray
    token_ids: np.ndarray
    codes: np.ndarray
    steps: np.ndarray
    counts: np.ndarray
    embed: Embed

    def own_part(
        self, token_ids: np.ndarray, places: np.ndarray, layers: Sequence[int]
    ) -> np.ndarray:
        """Return b of some tokens at some layers.

        Parameters
        ----------
        token_ids, places : (n,) integers
            The tokens, and where they stand, from 0.
        layers : sequence of int
            Of the baseline's.

        Returns
        -------
        (len(layers), n, d) float32
        """
        width = len(self.mean) // len(self.layers)
        kinds, which = np.unique(token_ids, return_inverse=True)
        embeddings, codes = self.embed(kinds), self._codes_of(kinds)
        at = np.minimum(places, len(self.places) - 1)
        own = np.empty((len(layers), len(token_ids), width), np.float32)
        for slot, layer in enumerate(layers):
            first = self.layers.index(layer) * width
            columns = slice(first, first + width)
            of_kind = embeddings @ self.prior[:, columns] + codes @ self.basis[:, columns]
            of_kind += self.mean[columns]
            np.add(of_kind[which], self.places[:, columns][at], out=own[slot])
        return own

    def mean_of(self, layer: int) -> np.ndarray:
        """Return g of a layer, (d,) float32."""
        width = len(self.mean) // len(self.layers)
        first = self.layers.index(layer) * width
        return self.mean[first : first + width]

    def _codes_of(self, kinds: np.ndarray) -> np.ndarray:
        """Return c(w) of tokens, (n, r) float32; 0 of one that the text did not have."""
        codes = np.zeros((len(kinds), len(self.basis)), np.float32)
        known, row = _rows_of(self.token_ids, kinds)
        codes[known] = self.codes[row] * self.steps[row, None]
        return codes


@dataclass
class BaselineSums:
    """What the fit needs of a text: sums of states by token and by place, exact in any order.

    Attributes
    ----------
    token_ids : (T,) int32
        The tokens that are summed, ascending; states of others are left out.
    by_token, by_place : (T, D), (P, D) int64
        Sums of states in steps of 2⁻²⁰.
    pairs : (T, P) int64
        How many tokens of a kind stood at a place.
    """

    token_ids: np.ndarray
    by_token: np.ndarray
    by_place: np.ndarray
    pairs: np.ndarray

    @classmethod
    def empty(cls, token_ids: np.ndarray, places: int, numbers: int) -> BaselineSums:
        """Return sums of nothing, of so many places and numbers D."""
        kinds = len(token_ids)
        return cls(
            np.asarray(token_ids, np.int32),
            np.zeros((kinds, numbers), np.int64),
            np.zeros((places, numbers), np.int64),
            np.zeros((kinds, places), np.int64),
        )

    def add(self, sums: BatchSums) -> None:
        """Take in the sums of a batch."""
        self.by_token[sums.rows] += sums.by_row
        self.by_place[: len(sums.by_place)] += sums.by_place
        np.add.at(self.pairs, sums.pairs, 1)

    def of_batch(self, states: np.ndarray, token_ids: np.ndarray, places: np.ndarray) -> BatchSums:
        """Return the sums of a batch of scaled states (layers, n, d); changes nothing here."""
        known, row = _rows_of(self.token_ids, token_ids)
        place, count = np.asarray(places, np.int64)[known], len(known)
        whole = np.rint(states[:, known].astype(np.float64) / STEP).astype(np.int64)
        whole = whole.transpose(1, 0, 2).reshape(count, self.by_token.shape[1])
        rows, by_row = _sum_by(row, whole)
        at, sums = _sum_by(place, whole)
        by_place = np.zeros((int(at[-1]) + 1 if count else 0, whole.shape[1]), np.int64)
        by_place[at] = sums
        return BatchSums(rows, by_row, by_place, (row, place))

    def merge(self, other: BaselineSums) -> None:
        """Take in the sums over another text, of the same tokens and places."""
        self.by_token += other.by_token
        self.by_place += other.by_place
        self.pairs += other.pairs

    def save(self, path: Path) -> None:
        """Write the sums to an .npz file."""
        with path.open("wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: Path) -> BaselineSums:
        """Read sums written by :meth:`save`."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(*(arrays[name] for name in cls.__dataclass_fields__))


@dataclass(frozen=True)
class BatchSums:
    """The sums of one batch: of the tokens at ``rows``, and of the places from 0 on."""

    rows: np.ndarray
    by_row: np.ndarray
    by_place: np.ndarray
    pairs: tuple[np.ndarray, np.ndarray]


def _rows_of(known: np.ndarray, token_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which of some tokens are among the known ones (ascending), and where they stand there.

    >>> _rows_of(np.array([3, 7]), np.array([7, 5, 3, 9]))
    (array([0, 2]), array([1, 0]))
    """
    found = np.flatnonzero(np.isin(token_ids, known))
    return found, np.searchsorted(known, np.asarray(token_ids)[found])


def _sum_by(keys: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct keys, ascending, and the sum of the rows of values of each."""
    order = np.argsort(keys, kind="stable")
    distinct, counts = np.unique(keys, return_counts=True)
    if not len(distinct):
        return distinct, values[:0]
    return distinct, np.add.reduceat(values[order], offsets(counts)[:-1], axis=0)


def fit_baseline(
    sums: BaselineSums,
    layers: Sequence[int],
    embed: Embed,
    rank: int = RANK,
    seed: int = 0,
) -> TokenBaseline:
    """Fit b to the sums over a text, by the model above.

    Parameters
    ----------
    sums : BaselineSums
        Over the training text.
    layers : sequence of int
        The layers whose states were summed.
    embed : callable
        Token ids (n,) → input embeddings at norm 1, (n, e).
    rank : int
        Numbers a token keeps, at most.
    seed : int
        Of the random directions in which the low rank is looked for.

    Returns
    -------
    TokenBaseline
    """
    from sklearn.utils.extmath import randomized_svd

    met = np.flatnonzero(sums.pairs.any(axis=1))
    token_ids, pairs = sums.token_ids[met], sums.pairs[met].astype(np.float64)
    count = pairs.sum(axis=1)
    width = sums.by_place.shape[1] // len(layers)
    numbers = width * len(layers)
    embeddings = embed(token_ids).astype(np.float64)
    mean = np.zeros(numbers, np.float32)
    prior = np.zeros((embeddings.shape[1], numbers), np.float32)
    places = np.zeros((len(sums.by_place), numbers), np.float32)
    rest = np.zeros((len(met), numbers), np.float32)
    spread = np.ones(numbers, np.float32)
    with one_blas_thread():
        for first in range(0, numbers, width):
            of_layer = slice(first, first + width)
            fit = _backfit(
                sums.by_token[met, of_layer] * STEP,
                sums.by_place[:, of_layer] * STEP,
                pairs,
                embeddings,
            )
            mean[of_layer], prior[:, of_layer], rest[:, of_layer], places[:, of_layer] = fit
            squares = np.einsum("td,td->t", rest[:, of_layer], rest[:, of_layer])
            spread[of_layer] = np.sqrt((count @ squares) / max(count.sum(), 1)) or 1.0
        rank = min(rank, *rest.shape)
        weight = np.sqrt(count, dtype=np.float32)[:, None]
        if rank:
            left, size, right = randomized_svd(
                rest * weight / spread, rank, n_iter=2, random_state=seed, flip_sign=True
            )
        else:
            left, size, right = np.zeros((len(met), 0)), np.zeros(0), np.zeros((0, numbers))
    codes, steps = quantized(left * size / weight, np.int8)
    return TokenBaseline(
        tuple(layers),
        mean,
        prior,
        (right * spread).astype(np.float32),
        places,
        token_ids.astype(np.int32),
        codes,
        steps,
        count.astype(np.int32),
        embed,
    )


def _backfit(
    by_token: np.ndarray, by_place: np.ndarray, pairs: np.ndarray, embeddings: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return g, A, what a token's mean adds to its prediction, and v, of one layer.

    Parameters
    ----------
    by_token, by_place : (T, d), (P, d) float64
        Sums of states.
    pairs : (T, P) float64
        How many tokens of a kind stood at a place.
    embeddings : (T, e) float64
        Of the tokens, at norm 1.
    """
    count, at_place = pairs.sum(axis=1)[:, None], pairs.sum(axis=0)[:, None]
    total = max(float(count.sum()), 1.0)
    mean = by_place.sum(axis=0) / total
    weight = count / (count + SHRINK)  # a kind counts about once: rare ones need the prediction
    with_constant = np.hstack([embeddings, np.ones((len(embeddings), 1))])
    gram = with_constant.T @ (with_constant * weight)
    ridge = RIDGE * np.trace(gram[:-1, :-1]) / max(embeddings.shape[1], 1)
    gram[np.arange(embeddings.shape[1]), np.arange(embeddings.shape[1])] += ridge
    gram[-1, -1] += np.finfo(np.float64).tiny
    place = np.zeros_like(by_place)
    for _ in range(ROUNDS):
        own = (by_token - count * mean - pairs @ place) / np.maximum(count, 1)
        slope = np.linalg.solve(gram, with_constant.T @ (own * weight))
        predicted = with_constant @ slope
        rest = weight * (own - predicted)
        place = by_place - at_place * mean - pairs.T @ (predicted + rest)
        place /= at_place + SHRINK
    return mean + slope[-1], slope[:-1], rest, place


def quantized(values: np.ndarray, kind: type[np.signedinteger]) -> tuple[np.ndarray, np.ndarray]:
    """Return each row as whole numbers of a type times a step.

    Parameters
    ----------
    values : (n, k) float
        Any finite numbers.
    kind : type
        ``np.int8`` or ``np.int16``.

    Returns
    -------
    codes : (n, k) of the type
        Whole numbers between -largest and largest of the type.
    steps : (n,) float32
        ``codes * steps[:, None]`` are the values, to half a step.

    Examples
    --------
    >>> codes, steps = quantized(np.array([[0.5, -1.0, 0.0]]), np.int8)
    >>> codes.tolist(), round(float(steps[0]), 6)
    ([[64, -127, 0]], 0.007874)
    """
    largest = np.iinfo(kind).max
    steps = (np.abs(values).max(axis=1, initial=0) / largest).astype(np.float32)
    safe = np.where(steps > 0, steps, 1)[:, None]
    return np.rint(values / safe).clip(-largest, largest).astype(kind), steps
