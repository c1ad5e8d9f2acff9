"""One activation in, a weight for every token of its context out: which words it depends on.

The explained scalar is f(s) = α_c(x_p), factor c at position p of layer l for the window s, with
some positions replaced by the unknown token (Yun et al. 2021, supplementary, algorithm 1).

LIME fits a linear model to f under random masks; masks, fit and standard errors are told in
`tfactors.explain.lime_fit`. Our masks always keep the target, whose own weight is what occlusion
gives it, and more of them are drawn until every standard error is at most 2.5 % of the activation;
those of ``recipe="2021"`` may leave anything out, and weigh the 30 tokens with the largest weights.

Occlusion: w_i = f(s) − f(s with position i replaced), exact, one forward pass a position.

A weight is *told from zero* (`Explanation.significant`) if |w| > 3 standard errors and |w| is at
least 10 % of the activation. Many targets are explained in one call: texts of like length fill the
model's batches, only the blocks up to their layer run, and targets at one token share every text.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.errors import InputError
from tfactors.explain.encoder import activations_of
from tfactors.explain.lime_fit import (
    correlation,
    draw_blocks,
    draw_masks,
    fit_lime,
    halves_agree,
    standard_errors,
)
from tfactors.text.words import spelled

if TYPE_CHECKING:
    from tfactors.bundle import Bundle
    from tfactors.explain.encoder import FactorEncoder


Progress = Callable[[int, int], None]

METHODS = ("lime", "occlusion")
SAMPLES = 1000
FEATURES = 30
# What a weight must exceed to be told from zero: standard errors, and a share of the activation.
ERRORS, SMALLEST_SHARE = 3.0, 0.1
# LIME stops when no standard error is larger than this share of the activation: a weight of the
# smallest share is then 4 errors away from zero. It looks after so many masks each time, and not
# before there are twice as many as tokens.
PRECISION, MASKS_A_ROUND, MASKS_A_TOKEN = 0.025, 48, 2
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
    precision: float = PRECISION,
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
        method, samples, seed, features, replacement, recipe, precision, radius, progress: see
            `explain_window`.

    Raises:
        InputError: a text, position, factor, layer or method that cannot be; one line.
        ModelError: the bundle's model cannot be loaded.
    """
    from tfactors.explain.encoder import encoder_of, tokenize_checked

    encoder = encoder or encoder_of(bundle)
    token_ids, tokens, _ = tokenize_checked(text, encoder.model)
    return explain_window(
        encoder, token_ids, position, factor, layer, method, samples, features, seed, replacement,
        progress, tokens=tokens, recipe=recipe, precision=precision, radius=radius,
    )  # fmt: skip


def told_from_zero(weights: np.ndarray, errors: np.ndarray, activation: float) -> np.ndarray:
    """Which weights can be told from zero: |w| > 3 errors, and at least 10 % of the activation.

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
    precision: float = PRECISION,
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
        samples: windows LIME draws at most, the original among them; held to 10 … 20,000.
        features: positions that LIME gives a weight; by default all but the target.
        seed: fixes the masks, and with them the explanation to the bit.
        replacement: token, or its id, that stands for a masked one; by default the unknown token.
        progress: called with (windows done, windows in all) after each chunk of at most 64; what
            it raises stops the work and reaches the caller.
        tokens: (t,) how the tokens are written; by default as the vocabulary has them.
        recipe: ``2021`` takes the masks, samples and features of the 2021 code.
        precision: LIME stops once no standard error is larger than this share of the activation;
            0 draws all samples.
        radius: show the model only so many tokens each side, positions kept; all by default. A
            causal model is shown nothing that follows the target.

    Raises:
        InputError: a position, factor, layer, method, recipe or replacement that cannot be.
    """
    target = Target(np.asarray(token_ids), position, factor, layer, radius)
    found = explain_many(
        encoder, [target], method, samples, features, seed, replacement, progress,
        recipe=recipe, precision=precision,
    )[0]  # fmt: skip
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
    precision: float = PRECISION,
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
    if not 0 <= precision < 1:
        raise InputError(f"precision {precision}: expected a share of the activation, 0 to below 1")
    masking_id = _replacement_id(encoder, replacement)
    samples = min(max(int(samples), FEWEST_SAMPLES), MOST_SAMPLES)
    masks = _Masks(method, samples, seed, recipe, precision)
    plans = [_planned(encoder, target, masks, masking_id) for target in targets]
    values = _activations(encoder, plans, precision, progress)
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
    precision: float


@dataclass(frozen=True)
class _Plan:
    """A target with the masked texts that may explain it.

    ``kept`` (samples, t') is over the positions in ``context``, and ``texts`` are its token ids.
    The first row is the window, and of our own masks for LIME the second the window without the
    target. ``whole`` says that all rows are run: they are all there are, or nothing else is asked.
    """

    target: Target
    context: tuple[int, int]
    kept: np.ndarray
    texts: np.ndarray
    all_masks: bool
    whole: bool

    def next_row(self, done: int) -> int:
        """Return the row to which to run before looking at the errors again."""
        least = max(MASKS_A_ROUND, MASKS_A_TOKEN * self.kept.shape[1])
        rows = len(self.kept) if self.whole else max(least, done + MASKS_A_ROUND)
        return min(rows, len(self.kept))

    def precise(self, values: np.ndarray, precision: float) -> bool:
        """Say whether the weights are known well enough by the rows that were run."""
        if len(values) == len(self.kept):
            return True
        own = self.target.position - self.context[0]
        free = np.delete(np.arange(self.kept.shape[1]), own)
        kept = np.delete(self.kept[: len(values)], 1, axis=0)
        errors = standard_errors(kept, np.delete(values, 1), free)
        return bool(errors.max() <= precision * values[0])


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
        kept = np.insert(kept, 1, np.arange(length) != position - start, axis=0)
    whole = all_masks or masks.recipe == "2021" or not masks.precision
    texts = np.where(kept, ids[start:stop], masking_id)
    return _Plan(target, (start, stop), kept, texts, all_masks, whole)


def _activations(
    encoder: "FactorEncoder",
    plans: Sequence[_Plan],
    precision: float,
    progress: Progress | None,
) -> list[np.ndarray]:
    """F of the masked windows of each plan, row by row, as far as they had to be run."""
    values = [np.zeros(0, np.float32) for _ in plans]
    known: list[dict[bytes, float]] = [{} for _ in plans]  # a text that occurs twice is run once
    pending, done = list(range(len(plans))), 0
    while pending:
        ends = {at: plans[at].next_row(len(values[at])) for at in pending}
        later = sum(len(plans[at].kept) - ends[at] for at in pending)
        done = _run_texts(encoder, plans, ends, known, done, later, progress)
        for at, end in ends.items():
            values[at] = np.array(
                [known[at][text.tobytes()] for text in plans[at].texts[:end]], np.float32
            )
        pending = [at for at in pending if not plans[at].precise(values[at], precision)]
        if progress is not None and later and not pending:
            progress(done, done)
    return values


def _run_texts(
    encoder: "FactorEncoder",
    plans: Sequence[_Plan],
    ends: dict[int, int],
    known: list[dict[bytes, float]],
    done: int,
    later: int,
    progress: Progress | None,
) -> int:
    """Run the texts of these plans up to these rows into ``known``; return how many are done."""
    jobs: dict[int, dict[tuple[int, int, bytes], list[int]]] = {}
    for at, end in ends.items():
        plan = plans[at]
        for text in dict.fromkeys(row.tobytes() for row in plan.texts[:end]):
            if text not in known[at]:
                of_layer = jobs.setdefault(plan.target.layer, {})
                key = (plan.context[0], plan.target.position, text)
                of_layer.setdefault(key, []).append(at)
    total = done + later + sum(map(len, jobs.values()))
    for layer, of_layer in jobs.items():
        wanted = list(of_layer.items())
        size = CHUNK if progress is not None else len(wanted)
        for begin in range(0, len(wanted), size):
            chunk = wanted[begin : begin + size]
            codes = encoder.encode(
                [np.frombuffer(text, plans[them[0]].texts.dtype) for (_, _, text), them in chunk],
                layer,
                positions=[target - start for (start, target, _), _ in chunk],
                starts=[start for (start, _, _), _ in chunk],
            )
            places = [(row, at) for row, (_, them) in enumerate(chunk) for at in them]
            rows, plan_of = np.array(places).T
            factors = np.array([plans[at].target.factor for at in plan_of])
            for (row, at), value in zip(places, activations_of(codes, rows, factors), strict=True):
                known[at][chunk[row][0][2]] = float(value)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
    return done


def _explanation(
    encoder: "FactorEncoder",
    plan: _Plan,
    values: np.ndarray,
    masks: _Masks,
    features: int | None,
    masking_id: int,
) -> Explanation:
    target, (start, stop) = plan.target, plan.context
    whole, runs = values[0], len(values)
    weights, errors = np.zeros((2, len(target.token_ids)), np.float32)
    inside, doubt = weights[start:stop], errors[start:stop]  # views: filled below
    score = stability = float("nan")
    if masks.method == "occlusion":
        inside[:] = values[0] - values[1:]
    else:
        kept, own = plan.kept[: len(values)], target.position - start
        fixed = masks.recipe is None
        if fixed:
            inside[own] = values[0] - values[1]
            kept, values = np.delete(kept, 1, axis=0), np.delete(values, 1)
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
        float(whole), score, stability, runs, masks.seed, masking_id,
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
