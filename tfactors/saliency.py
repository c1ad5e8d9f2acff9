"""One activation in, a weight for every token of its context out: which words it depends on.

The explained scalar is f(s) = α_c(x_p), factor c at position p of layer l for the window s, with
some positions replaced by the unknown token (Yun et al. 2021, supplementary, algorithm 1).

LIME: the first sample is the window itself; each other one masks k ~ U{1 … t} positions. With the
mask z ∈ {0, 1}ᵗ (1 = kept) and its cosine distance D = 100·(1 − √(kept/t)) to the window,

    w = argmin_w  Σ π(z) (f(z) − w₀ − wᵀz)² + ‖w‖²,    π(z) = √exp(−D²/25²),

over the features chosen by a first ridge (the largest weights of all positions; for six or fewer,
forward selection). Kernel, selection and ridge are the `lime` package's own.

Occlusion: w_i = f(s) − f(s with position i replaced), exact, one forward pass a position.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.errors import InputError

if TYPE_CHECKING:
    from tfactors.bundle import Bundle
    from tfactors.decomposition import FactorEncoder

Progress = Callable[[int, int], None]

METHODS = ("lime", "occlusion")
SAMPLES = 1000
FEATURES = 30
# Fewer samples than positions leave the ridge to guess; more than the upper bound is a mistake.
FEWEST_SAMPLES, MOST_SAMPLES = 10, 20_000
KERNEL_WIDTH = 25.0
# Masked windows between two calls of progress: often enough to stop a page within a second.
CHUNK = 64


@dataclass(frozen=True)
class Recipe:
    """Constants of a published LIME procedure."""

    samples: int
    features: int


RECIPES = {"2021": Recipe(samples=2001, features=30)}


@dataclass(frozen=True)
class Explanation:
    """Which tokens of a window one activation depends on.

    Attributes:
        tokens: (t,) as the reader wrote them.
        position, factor, layer: what is explained.
        method: ``lime`` or ``occlusion``.
        weights: (t,) float32, in units of the activation; positive: the token supports it; 0 where
            LIME did not select the position.
        activation: f of the window itself; 0 says that the factor is silent there.
        score: weighted R² of LIME's linear model; NaN for occlusion, which fits none.
        samples: windows that were run (LIME: drawn), the original among them.
        seed: of LIME's masks.
        replacement: token id that stood for a masked token.
        context: [start, stop) of the positions that the model saw; outside it weights are 0.
    """

    tokens: list[str]
    position: int
    factor: int
    layer: int
    method: str
    weights: np.ndarray
    activation: float
    score: float
    samples: int
    seed: int
    replacement: int
    context: tuple[int, int]

    def _repr_html_(self) -> str:
        from tfactors.notebook import explanation_html

        return explanation_html(self)

    def to_json(self) -> str:
        """Return all fields as one JSON object; a score of NaN is null."""
        fields: dict[str, Any] = asdict(self)
        fields["weights"] = [round(float(weight), 6) for weight in self.weights]
        fields["score"] = None if np.isnan(self.score) else self.score
        return json.dumps(fields, ensure_ascii=False)


def explain(
    bundle: "Bundle",
    text: str,
    position: int,
    factor: int,
    layer: int,
    method: str = "lime",
    samples: int = SAMPLES,
    seed: int = 0,
    *,
    features: int = FEATURES,
    replacement: int | str | None = None,
    recipe: str | None = None,
    encoder: "FactorEncoder | None" = None,
    progress: Progress | None = None,
) -> Explanation:
    """Say which words of a text the activation of one factor at one token depends on.

    Args:
        bundle: names the model, and holds the dictionary, the scales and λ.
        text: the context, at most as many tokens as the model reads at once.
        position: the token, counted from 0, whose activation is explained.
        factor: which factor.
        layer: which hidden state.
        encoder: made with `FactorEncoder.from_bundle`; give it to many calls to load the model
            only once.
        method, samples, seed, features, replacement, recipe, progress: see `explain_window`.

    Raises:
        InputError: a text, position, factor, layer or method that cannot be; one line.
        ModelError: the bundle's model cannot be loaded.
    """
    from tfactors.decomposition import encoder_of, tokenize_checked

    encoder = encoder or encoder_of(bundle)
    token_ids, tokens, _ = tokenize_checked(text, encoder.model)
    return explain_window(
        encoder, token_ids, position, factor, layer, method, samples, features, seed, replacement,
        progress, tokens=tokens, recipe=recipe,
    )  # fmt: skip


def explain_window(
    encoder: "FactorEncoder",
    token_ids: np.ndarray,
    position: int,
    factor: int,
    layer: int,
    method: str = "lime",
    samples: int = SAMPLES,
    features: int = FEATURES,
    seed: int = 0,
    replacement: int | str | None = None,
    progress: Progress | None = None,
    *,
    tokens: Sequence[str] | None = None,
    recipe: str | None = None,
    radius: int | None = None,
) -> Explanation:
    """Explain one activation in a window of token ids.

    Args:
        encoder: model, dictionary, scales and λ.
        token_ids: (t,) the window.
        position: the target, 0 … t − 1.
        factor: which factor.
        layer: which hidden state; only the blocks up to it run.
        method: ``lime``, or ``occlusion`` (exact leave-one-out; t + 1 windows, no samples).
        samples: windows LIME draws, the original among them; held to 10 … 20,000.
        features: positions that LIME gives a weight.
        seed: fixes the masks, and with them the explanation to the bit.
        replacement: token, or its id, that stands for a masked one; by default the unknown token.
        progress: called with (windows done, windows in all) after each chunk of at most 64; what
            it raises stops the work and reaches the caller.
        tokens: (t,) how the tokens are written; by default as the vocabulary has them.
        recipe: ``2021`` takes samples and features of the 2021 code.
        radius: show the model only so many tokens each side, positions kept; all by default. A
            causal model is shown nothing that follows the target.

    Raises:
        InputError: a position, factor, layer, method, recipe or replacement that cannot be.
    """
    ids = np.asarray(token_ids)
    if method not in METHODS:
        raise InputError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    if recipe is not None:
        if recipe not in RECIPES:
            raise InputError(f"recipe {recipe!r}: expected one of {', '.join(RECIPES)}")
        samples, features = RECIPES[recipe].samples, RECIPES[recipe].features
    if not 0 <= position < len(ids):
        raise InputError(f"position {position}: the text has tokens 0 to {len(ids) - 1}")
    if features < 1 or (radius is not None and radius < 0):
        raise InputError(f"features {features}, radius {radius}: expected 1 or more, 0 or more")
    encoder.check(layer, factor)
    masking_id = _replacement_id(encoder, replacement)
    start = 0 if radius is None else max(0, position - radius)
    stop = len(ids) if radius is None else min(len(ids), position + radius + 1)
    if encoder.model.causal:  # what follows cannot matter
        stop = position + 1

    def run(kept: np.ndarray) -> np.ndarray:
        return _activations(
            encoder, ids[start:stop], kept, masking_id, position - start, factor, layer, start,
            progress,
        )  # fmt: skip

    length = stop - start
    if method == "occlusion":
        kept = np.vstack([np.ones(length, bool), ~np.eye(length, dtype=bool)])
        values = run(kept)
        inside, score = values[0] - values[1:], float("nan")
    else:
        kept = draw_masks(length, min(max(int(samples), FEWEST_SAMPLES), MOST_SAMPLES), seed)
        values = run(kept)
        inside, score = fit_lime(kept, values, features, seed)
    weights = np.zeros(len(ids), np.float32)
    weights[start:stop] = inside
    if tokens is None:
        tokens = encoder.model.tokenizer.convert_ids_to_tokens(ids.tolist())
    return Explanation(
        list(tokens), int(position), int(factor), int(layer), method, weights, float(values[0]),
        score, len(kept), int(seed), masking_id, (start, stop),
    )  # fmt: skip


def draw_masks(length: int, samples: int, seed: int) -> np.ndarray:
    """Masks of LIME's samples, (samples, length) bool, True = kept; the first keeps everything.

    The others mask k ~ U{1 … length} positions each, drawn without replacement.
    """
    random = np.random.default_rng(seed)
    masked = random.integers(1, length + 1, size=(samples - 1, 1))
    rank = random.random((samples - 1, length)).argsort(axis=1).argsort(axis=1)
    return np.vstack([np.ones(length, bool), rank >= masked])


def fit_lime(
    kept: np.ndarray, values: np.ndarray, features: int = FEATURES, seed: int = 0
) -> tuple[np.ndarray, float]:
    """Fit LIME's weighted ridge to the values of masked windows.

    Args:
        kept: (samples, t) bool, the first row all True.
        values: (samples,) f of each.
        features: how many positions get a weight.
        seed: of lime's own solver.

    Returns:
        weights (t,) float32, 0 where not selected; the weighted R² of the fit.
    """
    from lime.lime_base import LimeBase

    base = LimeBase(_proximity, random_state=seed)
    _, chosen, score, _ = base.explain_instance_with_data(
        kept.astype(np.float64), np.asarray(values, np.float64)[:, None], _distances(kept),
        label=0, num_features=features,
    )  # fmt: skip
    weights = np.zeros(kept.shape[1], np.float32)
    for feature, weight in chosen:
        weights[feature] = weight
    return weights, float(score)


def _distances(kept: np.ndarray) -> np.ndarray:
    """100 × cosine distance of each mask to the mask that keeps everything."""
    return 100 * (1 - np.sqrt(kept.mean(axis=1)))


def _proximity(distances: np.ndarray) -> np.ndarray:
    return np.sqrt(np.exp(-(distances**2) / KERNEL_WIDTH**2))


def _activations(
    encoder: "FactorEncoder",
    ids: np.ndarray,
    kept: np.ndarray,
    masking_id: int,
    position: int,
    factor: int,
    layer: int,
    start: int,
    progress: Progress | None,
) -> np.ndarray:
    """F of each masked window; a mask that occurs twice, or changes no id, is run once."""
    texts, row_of = np.unique(np.where(kept, ids, masking_id), axis=0, return_inverse=True)
    values = np.empty(len(texts), np.float32)
    for begin in range(0, len(texts), CHUNK):
        chunk = list(texts[begin : begin + CHUNK])
        values[begin : begin + len(chunk)] = encoder.activation(
            chunk, [position] * len(chunk), factor, layer, starts=[start] * len(chunk)
        )
        if progress is not None:
            progress(begin + len(chunk), len(texts))
    return values[row_of.ravel()]


def _replacement_id(encoder: "FactorEncoder", replacement: int | str | None) -> int:
    tokenizer = encoder.model.tokenizer
    if replacement is None:
        return encoder.model.unknown_id
    if isinstance(replacement, str):
        vocabulary = tokenizer.get_vocab()
        if replacement not in vocabulary:
            raise InputError(
                f"replacement {replacement!r} is no token of the model; expected one such as "
                f"{tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)!r}"
            )
        return int(vocabulary[replacement])
    if not 0 <= replacement < len(tokenizer):
        raise InputError(f"replacement {replacement}: expected a token id below {len(tokenizer):,}")
    return int(replacement)
