"""The masked texts of some targets, and the activation of each target under every one of them.

Turns a target into texts in which another token stands for some of its tokens, and runs them
through the model row by row, until the weights are known well enough. Texts of like length fill the
model's batches, only the blocks up to the target's layer run, and targets at one token share every
text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfactors.errors import InputError
from tfactors.explain.encoder import activations_of
from tfactors.explain.explanation import Target
from tfactors.explain.lime_fit import standard_errors
from tfactors.explain.masks import draw_blocks, draw_masks, single_masks
from tfactors.explain.saliency_settings import SaliencySettings

if TYPE_CHECKING:
    from tfactors.explain.encoder import FactorEncoder


Progress = Callable[[int, int], None]

# LIME looks at its errors after so many masks each time, and not before there are twice as many as
# tokens.
MASKS_A_ROUND, MASKS_A_TOKEN = 48, 2
# Masked windows between two calls of progress: often enough to stop a page within a second.
CHUNK = 64


@dataclass(frozen=True)
class MaskedTexts:
    """A target with the masked texts that may explain it.

    Attributes
    ----------
    target : Target
        What is explained.
    context : (int, int)
        [start, stop) of the positions that the model is shown, t' of them.
    masks : (samples, t') bool
        True = kept. The first row is the window. Where ``keeps_target``, the second is
        the window without the target.
    token_ids : (samples, t') integers
        The texts under these masks.
    all_masks : bool
        Whether these are all masks there are, so that nothing is left to chance.
    keeps_target : bool
        Whether all masks but the second keep the target, as our own for LIME do.
    whole : bool
        Whether all rows are run: they are all there are, or nothing else is asked.
    """

    target: Target
    context: tuple[int, int]
    masks: np.ndarray
    token_ids: np.ndarray
    all_masks: bool
    keeps_target: bool
    whole: bool

    @property
    def place(self) -> int:
        """Where in the context the target stands."""
        return self.target.position - self.context[0]

    def next_row(self, done: int) -> int:
        """Return the row to which to run before looking at the errors again."""
        least = max(MASKS_A_ROUND, MASKS_A_TOKEN * self.masks.shape[1])
        rows = len(self.masks) if self.whole else max(least, done + MASKS_A_ROUND)
        return min(rows, len(self.masks))

    def samples_to_fit(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what LIME fits: masks (n, t'), values (n,), and the places that get a weight.

        A target that all other masks keep has no part in it, and neither has the row without it.
        """
        masks, places = self.masks[: len(values)], np.arange(self.masks.shape[1])
        if not self.keeps_target:
            return masks, values, places
        return np.delete(masks, 1, axis=0), np.delete(values, 1), np.delete(places, self.place)

    def is_precise(self, values: np.ndarray, precision: float) -> bool:
        """Return whether the weights are known well enough by the rows that were run."""
        if len(values) == len(self.masks):
            return True
        errors = standard_errors(*self.samples_to_fit(values))
        return bool(errors.max() <= precision * values[0])


def mask_target(
    encoder: "FactorEncoder", target: Target, settings: SaliencySettings, masking_id: int
) -> MaskedTexts:
    """Draw the masked texts of a target.

    Parameters
    ----------
    encoder : FactorEncoder
        The model and its dictionary.
    target : Target
        What is explained.
    settings : SaliencySettings
        How masks are drawn, checked.
    masking_id : int
        Id of the token that stands for a masked one.

    Raises
    ------
    InputError
        A position, radius, layer or factor that cannot be.
    """
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
    length, all_masks, keeps_target = stop - start, settings.method == "occlusion", False
    if settings.method == "occlusion":
        masks = single_masks(length)
    elif settings.recipe == "2021":
        masks = draw_masks(length, settings.samples, settings.seed)
    else:
        masks, all_masks = draw_blocks(length, position - start, settings.samples, settings.seed)
        masks = np.insert(masks, 1, np.arange(length) != position - start, axis=0)
        keeps_target = True
    whole = all_masks or settings.recipe == "2021" or not settings.precision
    token_ids = np.where(masks, ids[start:stop], masking_id)
    return MaskedTexts(target, (start, stop), masks, token_ids, all_masks, keeps_target, whole)


def activations_under_masks(
    encoder: "FactorEncoder",
    masked: Sequence[MaskedTexts],
    precision: float,
    progress: Progress | None,
) -> list[np.ndarray]:
    """Return the activations of each target under its masks, as far as they had to be run.

    Parameters
    ----------
    encoder : FactorEncoder
        The model and its dictionary.
    masked : sequence of MaskedTexts
        The targets with their texts.
    precision : float
        A target is done once no standard error is larger than this share of its activation.
    progress : callable, optional
        Called with (texts done, texts in all) after each chunk.

    Returns
    -------
    list of (rows,) float32, one a target, its first rows
    """
    runs = _Runs(encoder, masked, progress)
    values = [np.zeros(0, np.float32) for _ in masked]
    pending = list(range(len(masked)))
    while pending:
        ends = {at: masked[at].next_row(len(values[at])) for at in pending}
        later = sum(len(masked[at].masks) - ends[at] for at in pending)
        runs.run_until(ends, later)
        for at, end in ends.items():
            values[at] = runs.values_of(at, end)
        pending = [at for at in pending if not masked[at].is_precise(values[at], precision)]
        if progress is not None and later and not pending:
            progress(runs.done, runs.done)
    return values


class _Text(NamedTuple):
    """A text that the model is asked for, once for all targets at its position."""

    start: int  # position id of its first token
    position: int  # of the target, in the window
    token_bytes: bytes


class _Runs:
    """The masked texts that have been run; one that occurs twice in a target is run once."""

    def __init__(
        self, encoder: "FactorEncoder", masked: Sequence[MaskedTexts], progress: Progress | None
    ) -> None:
        self.done = 0
        self._encoder, self._masked, self._progress = encoder, masked, progress
        self._activations: list[dict[bytes, float]] = [{} for _ in masked]

    def values_of(self, at: int, end: int) -> np.ndarray:
        """Return the activations of one target under its first masks, (end,) float32."""
        texts = self._masked[at].token_ids[:end]
        return np.array([self._activations[at][text.tobytes()] for text in texts], np.float32)

    def run_until(self, ends: dict[int, int], later: int) -> None:
        """Run the texts of some targets up to these rows; ``later`` more may follow."""
        jobs = self._jobs_of_layers(ends)
        total = self.done + later + sum(map(len, jobs.values()))
        for layer, targets_of in jobs.items():
            texts = list(targets_of)
            size = CHUNK if self._progress is not None else len(texts)
            for begin in range(0, len(texts), size):
                chunk = texts[begin : begin + size]
                self._run_chunk(layer, chunk, [targets_of[text] for text in chunk])
                self.done += len(chunk)
                if self._progress is not None:
                    self._progress(self.done, total)

    def _jobs_of_layers(self, ends: dict[int, int]) -> dict[int, dict[_Text, list[int]]]:
        """Return, layer by layer, the texts that are not known yet, each with its targets."""
        jobs: dict[int, dict[_Text, list[int]]] = {}
        for at, end in ends.items():
            masked = self._masked[at]
            for token_bytes in dict.fromkeys(row.tobytes() for row in masked.token_ids[:end]):
                if token_bytes not in self._activations[at]:
                    of_layer = jobs.setdefault(masked.target.layer, {})
                    text = _Text(masked.context[0], masked.target.position, token_bytes)
                    of_layer.setdefault(text, []).append(at)
        return jobs

    def _run_chunk(self, layer: int, texts: list[_Text], targets: list[list[int]]) -> None:
        """Run some texts at once, and note the activation of each of their targets."""
        codes = self._encoder.encode(
            [
                np.frombuffer(text.token_bytes, self._masked[targets_of[0]].token_ids.dtype)
                for text, targets_of in zip(texts, targets, strict=True)
            ],
            layer,
            positions=[text.position - text.start for text in texts],
            starts=[text.start for text in texts],
        )
        rows, asked = np.array(
            [(row, at) for row, targets_of in enumerate(targets) for at in targets_of]
        ).T
        factors = np.array([self._masked[at].target.factor for at in asked])
        values = activations_of(codes, rows, factors)
        for row, at, value in zip(rows, asked, values, strict=True):
            self._activations[at][texts[row].token_bytes] = float(value)
