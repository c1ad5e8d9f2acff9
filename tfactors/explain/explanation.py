"""The question which tokens an activation depends on, and its answer.

Turns weights with their standard errors into what a reader asks of them: which can be told from
zero, how far two explanations agree, a picture for a notebook, JSON. A weight is *told from zero*
(`Explanation.significant`) if |w| > 3 standard errors and |w| is at least 10 % of the activation.
`tfactors.explain.saliency` finds the weights.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfactors.explain.lime_fit import correlation
from tfactors.text.words import spelled

# What a weight must exceed to be told from zero: standard errors, and a share of the activation.
ERRORS, SMALLEST_SHARE = 3.0, 0.1


@dataclass(frozen=True)
class Target:
    """One activation to explain: a factor at a position of a window, and how much of it is seen.

    Attributes
    ----------
    token_ids : (t,) integers
        The window.
    position : int
        The token whose activation is explained, 0 … t − 1.
    factor, layer : int
        Which factor, and at which hidden state; only the blocks up to it run.
    radius : int, optional
        Show the model only so many tokens each side, positions kept; all by default. A causal model
        is shown nothing that follows the target.
    tokens : (t,) strings, optional
        How the tokens are written; by default as the vocabulary has them.
    """

    token_ids: np.ndarray
    position: int
    factor: int
    layer: int
    radius: int | None = None
    tokens: Sequence[str] | None = None


@dataclass(frozen=True)
class Explanation:
    """Which tokens of a window one activation depends on.

    Attributes
    ----------
    tokens : (t,) strings
        The tokens as the reader wrote them.
    position, factor, layer : int
        What is explained.
    method : str
        ``lime`` or ``occlusion``.
    weights : (t,) float32
        In units of the activation. Positive: the token supports it. 0 where LIME did not select the
        position.
    errors : (t,) float32
        Standard errors of the weights; 0 where nothing is left to chance, as in occlusion.
    activation : float
        The activation in the window itself; 0 says that the factor is silent there.
    score : float
        Weighted R² of LIME's linear model; NaN for occlusion, which fits none.
    stability : float
        Correlation of the weights that two halves of LIME's masks give. NaN where there is nothing
        to compare, 1 where all masks were run.
    samples : int
        Windows that were run (LIME: drawn), the original among them.
    seed : int
        Seed of LIME's masks.
    replacement : int
        Id of the token that stood for a masked one.
    context : (int, int)
        [start, stop) of the positions that the model saw; outside it weights are 0.
    unmasked : tuple of int
        The positions there whose token is itself the one that stands for a masked one, such as a
        letter that the model does not know: no mask changes them, and their 0 says nothing.
    """

    tokens: list[str]
    position: int
    factor: int
    layer: int
    method: str
    weights: np.ndarray
    errors: np.ndarray
    activation: float
    score: float
    stability: float
    samples: int
    seed: int
    replacement: int
    context: tuple[int, int]
    unmasked: tuple[int, ...] = ()

    @property
    def significant(self) -> np.ndarray:
        """Which weights can be told from zero, (t,) bool; see the head of this module."""
        return told_from_zero(self.weights, self.errors, self.activation)

    def agreement(self, other: "Explanation") -> float:
        """Return the correlation of two maps of one activation where both looked.

        The target itself is left out.
        """
        start = max(self.context[0], other.context[0])
        stop = min(self.context[1], other.context[1])
        places = np.delete(np.arange(start, stop), self.position - start)
        return correlation(self.weights[places], other.weights[places])

    def _repr_html_(self) -> str:
        from tfactors.display import notebook, passages

        at, word = self.position, spelled(self.tokens[self.position])
        passage = passages.Passage(self.tokens, at, at + 1, self.activation, "", word, self.weights)
        title = (
            f"Factor {self.factor} at layer {self.layer} on “{word}”: "
            f"activation {self.activation:.2f} ({self.method})"
        )
        return notebook.framed(title, passages.texts([passage], max(self.activation, 0.0)))

    def to_json(self) -> str:
        """Return all fields as one JSON object; NaN is null."""
        fields: dict[str, Any] = asdict(self)
        fields["weights"] = [round(float(weight), 6) for weight in self.weights]
        fields["errors"] = [round(float(error), 6) for error in self.errors]
        fields["significant"] = self.significant.tolist()
        for name in ("score", "stability"):
            fields[name] = None if np.isnan(fields[name]) else fields[name]
        return json.dumps(fields, ensure_ascii=False)


def told_from_zero(weights: np.ndarray, errors: np.ndarray, activation: float) -> np.ndarray:
    """Return which weights can be told from zero.

    These are the ones with |w| > 3 errors and at least 10 % of the activation.

    Parameters
    ----------
    weights, errors : (t,) arrays
        Weights and their standard errors, in units of the activation.
    activation : float
        The activation that is explained.

    Returns
    -------
    (t,) bool

    Examples
    --------
    >>> told_from_zero(np.array([3.0, 3.0, 0.2]), np.array([0.5, 1.5, 0.0]), 10.0)
    array([ True, False, False])
    """
    size = np.abs(weights)
    return (size > ERRORS * errors) & (size >= SMALLEST_SHARE * activation) & (size > 0)
