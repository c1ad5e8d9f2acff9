"""One activation becomes a weight for every token of its context: which words it depends on.

The explained scalar is f(s) = α_c(x_p), factor c at position p of layer l for the window s, with
some positions replaced by the unknown token (Yun et al. 2021, supplementary, algorithm 1).

LIME fits a linear model to f under random masks. `tfactors.explain.masks` tells the masks, and
`tfactors.explain.lime_fit` the fit and its standard errors. Our masks always keep the target, whose
own weight is what occlusion gives it. More of them are drawn until every standard error is at most
2.5 % of the activation. Those of ``recipe="2021"`` may leave anything out, and weigh the 30 tokens
with the largest weights.

Occlusion: w_i = f(s) − f(s with position i replaced), exact, one forward pass a position.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfactors.errors import InputError
from tfactors.explain.explanation import Explanation, Target
from tfactors.explain.lime_fit import fit_lime, halves_agree, standard_errors
from tfactors.explain.masked_texts import (
    MaskedTexts,
    Progress,
    activations_under_masks,
    mask_target,
)
from tfactors.explain.saliency_settings import PRECISION, SAMPLES, SaliencySettings

if TYPE_CHECKING:
    from tfactors.bundle import Bundle
    from tfactors.explain.encoder import FactorEncoder


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

    Parameters
    ----------
    bundle : Bundle
        Names the model, and holds the dictionary, the scales and λ.
    text : str
        The context, at most as many tokens as the model reads at once.
    position : int
        The token, counted from 0, whose activation is explained.
    factor, layer : int
        Which factor, and at which hidden state.
    method : str
        ``lime``, or ``occlusion`` (exact leave-one-out; t + 1 windows, no samples).
    samples : int
        Windows that LIME draws at most, the original among them; held to 10 … 20,000.
    seed : int
        Fixes the masks, and with them the explanation to the bit.
    features : int, optional
        Positions that LIME gives a weight; by default all but the target.
    replacement : int or str, optional
        Token, or its id, that stands for a masked one; by default the unknown token.
    recipe : str, optional
        ``2021`` takes the masks, samples and features of the 2021 code.
    precision : float
        LIME stops once no standard error is larger than this share of the activation; 0 draws all
        samples.
    radius : int, optional
        Show the model only so many tokens each side, positions kept; all by default. A causal model
        is shown nothing that follows the target.
    encoder : FactorEncoder, optional
        Made with `FactorEncoder.from_bundle`; give it to many calls to load the model only once.
    progress : callable, optional
        Called with (windows done, windows in all) after each chunk of at most 64. What it raises
        stops the work and reaches the caller.

    Raises
    ------
    InputError
        A text, position, factor, layer or method that cannot be; one line.
    ModelError
        The bundle's model cannot be loaded.
    """
    from tfactors.explain.encoder import encoder_of, tokenize_checked

    encoder = encoder or encoder_of(bundle)
    token_ids, tokens, _ = tokenize_checked(text, encoder.model)
    settings = SaliencySettings(method, samples, features, seed, replacement, recipe, precision)
    target = Target(token_ids, position, factor, layer, radius, tokens)
    return explain_target(encoder, target, settings, progress)


def explain_target(
    encoder: "FactorEncoder",
    target: Target,
    settings: SaliencySettings | None = None,
    progress: Progress | None = None,
) -> Explanation:
    """Explain one activation in a window of token ids; arguments as of `explain_many`."""
    return explain_many(encoder, [target], settings, progress)[0]


def explain_many(
    encoder: "FactorEncoder",
    targets: Sequence[Target],
    settings: SaliencySettings | None = None,
    progress: Progress | None = None,
) -> list[Explanation]:
    """Explain many activations, each as `explain_target` would; far cheaper than one by one.

    Targets at one token of one window, in as much context, share every masked text.

    Parameters
    ----------
    encoder : FactorEncoder
        Model, dictionary, scales and λ.
    targets : sequence of Target
        What is explained.
    settings : SaliencySettings, optional
        How; the same for all.
    progress : callable, optional
        Called with (windows done, windows in all) after each chunk of at most 64. What it raises
        stops the work and reaches the caller.

    Raises
    ------
    InputError
        A position, factor, layer, method, recipe or replacement that cannot be.
    """
    settings = (settings or SaliencySettings()).checked()
    masking_id = _masking_id(encoder, settings.replacement)
    masked = [mask_target(encoder, target, settings, masking_id) for target in targets]
    values = activations_under_masks(encoder, masked, settings.precision, progress)
    return [
        _weigh_tokens(encoder, texts, of_masks, settings, masking_id)
        for texts, of_masks in zip(masked, values, strict=True)
    ]


def _weigh_tokens(
    encoder: "FactorEncoder",
    masked: MaskedTexts,
    values: np.ndarray,
    settings: SaliencySettings,
    masking_id: int,
) -> Explanation:
    """Return the explanation that the activations (rows,) under the masks give."""
    target, (start, stop) = masked.target, masked.context
    weights, errors = np.zeros((2, len(target.token_ids)), np.float32)
    inside, doubt = weights[start:stop], errors[start:stop]  # views: filled below
    score = stability = float("nan")
    if settings.method == "occlusion":
        inside[:] = values[0] - values[1:]
    else:
        if masked.keeps_target:
            inside[masked.place] = values[0] - values[1]
        masks, fitted, places = masked.samples_to_fit(values)
        if places.size:
            fit, score = fit_lime(
                masks, fitted, settings.features or places.size, settings.seed, places
            )
            inside[places] = fit[places]
            if masked.all_masks:
                stability = 1.0
            else:
                doubt[:] = standard_errors(masks, fitted, places[fit[places] != 0])
                stability = halves_agree(masks, fitted, places)
    tokens = target.tokens
    if tokens is None:
        ids = np.asarray(target.token_ids).tolist()
        tokens = encoder.model.tokenizer.convert_ids_to_tokens(ids)
    return Explanation(
        tokens=list(tokens),
        position=int(target.position),
        factor=int(target.factor),
        layer=int(target.layer),
        method=settings.method,
        weights=weights,
        errors=errors,
        activation=float(values[0]),
        score=score,
        stability=stability,
        samples=len(values),
        seed=settings.seed,
        replacement=masking_id,
        context=masked.context,
        unmasked=tuple(at for at in range(start, stop) if target.token_ids[at] == masking_id),
    )


def _masking_id(encoder: "FactorEncoder", replacement: int | str | None) -> int:
    """Return the id of the token that stands for a masked one.

    Raises
    ------
    InputError
        The model has no such token.
    """
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
