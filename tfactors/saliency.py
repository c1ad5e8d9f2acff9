"""One activation in, a weight for every token of its context out: which words it depends on.

The explained scalar is f(s) = α_c(x_p), factor c at position p of layer l for the window s, with
some positions replaced by the unknown token (Yun et al. 2021, supplementary, algorithm 1).

LIME fits a linear model to f under random masks; masks, fit and standard errors are told in
`tfactors.lime_fit`. Our masks always keep the target, whose own weight is what occlusion gives it;
those of ``recipe="2021"`` may leave anything out, and weigh the 30 tokens with the largest weights.

Occlusion: w_i = f(s) − f(s with position i replaced), exact, one forward pass a position.

A weight is *told from zero* (`Explanation.significant`) if |w| > 3 standard errors and |w| is at
least 5 % of the activation. Many targets are explained in one call: texts of like length fill the
model's batches, only the blocks up to their layer run, and targets at one token share every text.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.decomposition import activations_of
from tfactors.errors import InputError
from tfactors.lime_fit import (
    correlation,
    draw_blocks,
    draw_masks,
    fit_lime,
    halves_agree,
    standard_errors,
)

if TYPE_CHECKING:
    from tfactors.bundle import Bundle
    from tfactors.decomposition import FactorEncoder

Progress = Callable[[int, int], None]

METHODS = ("lime", "occlusion")
SAMPLES = 1000
FEATURES = 30
# What a weight must exceed to be told from zero: standard errors, and a share of the activation.
ERRORS, SMALLEST_SHARE = 3.0, 0.05
# Fewer samples than positions leave the ridge to guess; more than the upper bound is a mistake.
FEWEST_SAMPLES, MOST_SAMPLES = 10, 20_000
# Masked windows between two calls of progress: often enough to stop a page within a second.
CHUNK = 64


@dataclass(frozen=True)
class Recipe:
    """Constants of a published LIME procedure."""

    samples: int
    features: int


RECIPES = {"2021": Recipe(samples=2001, features=FEATURES)}


@dataclass(frozen=True)
class Explanation:
    """Which tokens of a window one activation depends on.

    Attributes:
        tokens: (t,) as the reader wrote them.
        position, factor, layer: what is explained.
        method: ``lime`` or ``occlusion``.
        weights: (t,) float32, in units of the activation; positive: the token supports it; 0 where
            LIME did not select the position.
        errors: (t,) float32, standard errors of the weights; 0 where nothing is left to chance, as
            in occlusion.
        activation: f of the window itself; 0 says that the factor is silent there.
        score: weighted R² of LIME's linear model; NaN for occlusion, which fits none.
        stability: correlation of the weights that two halves of LIME's masks give; NaN where
            there is nothing to compare, 1 where all masks were run.
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
    errors: np.ndarray
    activation: float
    score: float
    stability: float
    samples: int
    seed: int
    replacement: int
    context: tuple[int, int]

    @property
    def significant(self) -> np.ndarray:
        """Which weights can be told from zero, (t,) bool; see the head of this module."""
        return told_from_zero(self.weights, self.errors, self.activation)

    def agreement(self, other: "Explanation") -> float:
        """Correlation of two maps of one activation where both looked, the target left out."""
        start = max(self.context[0], other.context[0])
        stop = min(self.context[1], other.context[1])
        places = np.delete(np.arange(start, stop), self.position - start)
        return correlation(self.weights[places], other.weights[places])

    def _repr_html_(self) -> str:
        from tfactors.notebook import explanation_html

        return explanation_html(self)

    def to_json(self) -> str:
        """Return all fields as one JSON object; NaN is null."""
        fields: dict[str, Any] = asdict(self)
        fields["weights"] = [round(float(weight), 6) for weight in self.weights]
        fields["errors"] = [round(float(error), 6) for error in self.errors]
        fields["significant"] = self.significant.tolist()
        for name in ("score", "stability"):
            fields[name] = None if np.isnan(fields[name]) else fields[name]
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
    features: int | None = None,
    replacement: int | str | None = None,
    recipe: str | None = None,
    radius: int | None = None,
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
        method, samples, seed, features, replacement, recipe, radius, progress: see
            `explain_window`.

    Raises:
        InputError: a text, position, factor, layer or method that cannot be; one line.
        ModelError: the bundle's model cannot be loaded.
    """
    from tfactors.decomposition import encoder_of, tokenize_checked

    encoder = encoder or encoder_of(bundle)
    token_ids, tokens, _ = tokenize_checked(text, encoder.model)
    return explain_window(
        encoder, token_ids, position, factor, layer, method, samples, features, seed, replacement,
        progress, tokens=tokens, recipe=recipe, radius=radius,
    )  # fmt: skip


def told_from_zero(weights: np.ndarray, errors: np.ndarray, activation: float) -> np.ndarray:
    """Which weights can be told from zero: |w| > 3 errors, and at least 5 % of the activation.

    >>> told_from_zero(np.array([3.0, 3.0, 0.2]), np.array([0.5, 1.5, 0.0]), 10.0)
    array([ True, False, False])
    """
    size = np.abs(weights)
    return (size > ERRORS * errors) & (size >= SMALLEST_SHARE * activation) & (size > 0)


@dataclass(frozen=True)
class Target:
    """One activation to explain: a factor at a position of a window, and how much of it is seen."""

    token_ids: np.ndarray
    position: int
    factor: int
    layer: int
    radius: int | None = None


def explain_window(
    encoder: "FactorEncoder",
    token_ids: np.ndarray,
    position: int,
    factor: int,
    layer: int,
    method: str = "lime",
    samples: int = SAMPLES,
    features: int | None = None,
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
        features: positions that LIME gives a weight; by default all but the target.
        seed: fixes the masks, and with them the explanation to the bit.
        replacement: token, or its id, that stands for a masked one; by default the unknown token.
        progress: called with (windows done, windows in all) after each chunk of at most 64; what
            it raises stops the work and reaches the caller.
        tokens: (t,) how the tokens are written; by default as the vocabulary has them.
        recipe: ``2021`` takes the masks, samples and features of the 2021 code.
        radius: show the model only so many tokens each side, positions kept; all by default. A
            causal model is shown nothing that follows the target.

    Raises:
        InputError: a position, factor, layer, method, recipe or replacement that cannot be.
    """
    target = Target(np.asarray(token_ids), position, factor, layer, radius)
    found = explain_many(
        encoder, [target], method, samples, features, seed, replacement, progress, recipe=recipe
    )[0]
    return found if tokens is None else replace(found, tokens=list(tokens))


def explain_many(
    encoder: "FactorEncoder",
    targets: Sequence[Target],
    method: str = "lime",
    samples: int = SAMPLES,
    features: int | None = None,
    seed: int = 0,
    replacement: int | str | None = None,
    progress: Progress | None = None,
    *,
    recipe: str | None = None,
) -> list[Explanation]:
    """Explain many activations, each as `explain_window` would; far cheaper than one by one.

    Targets at one token of one window, in as much context, share every masked text.
    """
    if method not in METHODS:
        raise InputError(f"method {method!r}: expected one of {', '.join(METHODS)}")
    if recipe is not None:
        if recipe not in RECIPES:
            raise InputError(f"recipe {recipe!r}: expected one of {', '.join(RECIPES)}")
        samples, features = RECIPES[recipe].samples, RECIPES[recipe].features
    if features is not None and features < 1:
        raise InputError(f"features {features}: expected 1 or more")
    masking_id = _replacement_id(encoder, replacement)
    samples = min(max(int(samples), FEWEST_SAMPLES), MOST_SAMPLES)
    masks = _Masks(method, samples, seed, recipe)
    plans = [_planned(encoder, target, masks, masking_id) for target in targets]
    values = _activations(encoder, plans, progress)
    return [
        _explanation(encoder, plan, value, masks, features, masking_id)
        for plan, value in zip(plans, values, strict=True)
    ]


@dataclass(frozen=True)
class _Masks:
    """How masks are drawn."""

    method: str
    samples: int
    seed: int
    recipe: str | None


@dataclass(frozen=True)
class _Plan:
    """A target with the masked texts that explain it.

    ``kept`` (samples, t') is over the positions in ``context``; the last row is the window without
    the target, where ``exact_target`` says so. ``texts`` are the distinct ones, row by row.
    """

    target: Target
    context: tuple[int, int]
    kept: np.ndarray
    all_masks: bool
    texts: np.ndarray
    row_of: np.ndarray


def _planned(encoder: "FactorEncoder", target: Target, masks: _Masks, masking_id: int) -> _Plan:
    ids, position = np.asarray(target.token_ids), target.position
    if not 0 <= position < len(ids):
        raise InputError(f"position {position}: the text has tokens 0 to {len(ids) - 1}")
    if target.radius is not None and target.radius < 0:
        raise InputError(f"radius {target.radius}: expected 0 or more")
    encoder.check(target.layer, target.factor)
    start = 0 if target.radius is None else max(0, position - target.radius)
    stop = len(ids) if target.radius is None else min(len(ids), position + target.radius + 1)
    if encoder.model.causal:  # what follows cannot matter
        stop = position + 1
    length, all_masks = stop - start, masks.method == "occlusion"
    if masks.method == "occlusion":
        kept = np.vstack([np.ones(length, bool), ~np.eye(length, dtype=bool)])
    elif masks.recipe == "2021":
        kept = draw_masks(length, masks.samples, masks.seed)
    else:
        kept, all_masks = draw_blocks(length, position - start, masks.samples, masks.seed)
        kept = np.vstack([kept, np.arange(length) != position - start])
    texts, row_of = np.unique(
        np.where(kept, ids[start:stop], masking_id), axis=0, return_inverse=True
    )
    return _Plan(target, (start, stop), kept, all_masks, texts, row_of.ravel())


def _activations(
    encoder: "FactorEncoder", plans: Sequence[_Plan], progress: Progress | None
) -> list[np.ndarray]:
    """F of each masked window of each plan; a text that occurs twice is run once."""
    values = [np.empty(len(plan.texts), np.float32) for plan in plans]
    done, total = 0, 0
    jobs: dict[int, dict[tuple[int, int, bytes], list[tuple[int, int]]]] = {}
    for at, plan in enumerate(plans):
        of_layer = jobs.setdefault(plan.target.layer, {})
        for row, text in enumerate(plan.texts):
            key = (plan.context[0], plan.target.position, text.tobytes())
            of_layer.setdefault(key, []).append((at, row))
    total = sum(map(len, jobs.values()))
    for layer, of_layer in jobs.items():
        wanted = list(of_layer.items())
        size = CHUNK if progress is not None else len(wanted)
        for begin in range(0, len(wanted), size):
            chunk = wanted[begin : begin + size]
            first = [plans[places[0][0]].texts[places[0][1]] for _, places in chunk]
            codes = encoder.encode(
                first, layer, positions=[target - start for (start, target, _), _ in chunk],
                starts=[start for (start, _, _), _ in chunk],
            )  # fmt: skip
            places = [(row, at, text) for row, (_, them) in enumerate(chunk) for at, text in them]
            rows, plan_of, text_of = np.array(places).T
            factors = np.array([plans[at].target.factor for at in plan_of])
            active = activations_of(codes, rows, factors)
            for at, text, value in zip(plan_of, text_of, active, strict=True):
                values[at][text] = value
            done += len(chunk)
            if progress is not None:
                progress(done, total)
    return [value[plan.row_of] for plan, value in zip(plans, values, strict=True)]


def _explanation(
    encoder: "FactorEncoder",
    plan: _Plan,
    values: np.ndarray,
    masks: _Masks,
    features: int | None,
    masking_id: int,
) -> Explanation:
    target, (start, stop) = plan.target, plan.context
    weights, errors = np.zeros((2, len(target.token_ids)), np.float32)
    inside, doubt = weights[start:stop], errors[start:stop]  # views: filled below
    score = stability = float("nan")
    if masks.method == "occlusion":
        inside[:] = values[0] - values[1:]
    else:
        kept, own = plan.kept, target.position - start
        fixed = masks.recipe is None
        if fixed:
            inside[own] = values[0] - values[-1]
            kept, values = kept[:-1], values[:-1]
        free = np.delete(np.arange(stop - start), own) if fixed else np.arange(stop - start)
        if free.size:
            found, score = fit_lime(kept[:, free], values, features or free.size, masks.seed)
            inside[free] = found
            chosen = free[found != 0]
            if not plan.all_masks:
                doubt[:] = standard_errors(kept, values, chosen)
            stability = 1.0 if plan.all_masks else halves_agree(kept, values, free)
    return Explanation(
        encoder.model.tokenizer.convert_ids_to_tokens(np.asarray(target.token_ids).tolist()),
        int(target.position), int(target.factor), int(target.layer), masks.method, weights, errors,
        float(values[0]), score, stability, len(plan.kept), masks.seed, masking_id,
        plan.context,
    )  # fmt: skip


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
