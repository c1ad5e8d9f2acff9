"""Turns reconstructed states, put back into the network at layer l, into what is left at its end.

At each layer every hidden state x of held-out windows is replaced by x̂ = αΦ (back in the model's
own units), by the layer's mean state, or by zero, and the blocks above run on. What comes out is
measured by

    cosine = mean over windows of e·ê / ‖e‖‖ê‖     e, ê: mean of the last states, before, after
    recovered = (L_ablated − L_x̂) / (L_ablated − L)     L: mean loss of the language-model head

the second for models saved with a head: of the next token, or of masked tokens (15 %, the same
ones in every run).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfactors import ragged
from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.evaluate.evaluation import Evaluation
from tfactors.evaluate.sample import interval
from tfactors.explain.read_states import tokens_and_places
from tfactors.model.language_head import language_head
from tfactors.model.proof import cannot_run_on

MASKED = 0.15
WITH = {"reconstruction": "its reconstruction", "mean": "the layer's mean", "zero": "zero"}


class LayerLosses(NamedTuple):
    """Losses of the head in nats with one layer replaced, and the shares that are recovered."""

    layer: str
    untouched: float  # of the model as it is
    reconstruction: float
    mean: float
    zero: float
    recovered: float | None  # of what zeros lose
    recovered_mean: float | None  # of what the layer's mean loses


def measure(evaluation: Evaluation) -> Section:
    """Measure what the network makes of reconstructed states, layer by layer."""
    encoder, sample = evaluation.encoder, evaluation.held_out_for_fidelity
    model, texts = encoder.model, sample.texts
    if not model.runs_on:
        return _section([f"Not measured. {cannot_run_on(model.name)}."], [])
    head, saved_as = language_head(model.name, evaluation.device, model.dtype)
    asked, targets = _questions(evaluation, texts, saved_as) if head else (texts, None)
    lengths = [len(text) for text in texts]
    starts = ragged.offsets(lengths)[:-1]
    number = np.bincount(sample.group_of_text)
    own_last = model.hidden_states(texts, [model.blocks])[0]
    own_loss = _loss(head, model.hidden_states(asked, [model.blocks])[0], targets)
    rows: list[tuple] = []
    losses: list[LayerLosses] = []
    with evaluation.progress(len(encoder.layers), "fidelity", "layer") as bar:
        for layer in encoder.layers:
            for name, states in _replacements(evaluation, texts, layer).items():
                last = model.last_states(texts, layer, states)
                cosine = _cosine(_means(own_last, starts), _means(last, starts))
                sums = np.bincount(sample.group_of_text, cosine)
                rows.append((str(layer), WITH[name], float(cosine.mean()), *interval(sums, number)))
            if head:
                losses_with = {
                    name: _loss(head, model.last_states(asked, layer, states), targets)
                    for name, states in _replacements(evaluation, asked, layer).items()
                }
                losses.append(_layer_losses(layer, own_loss, **losses_with))
            bar.update(1)
    cosines = {layer: cosine for layer, by, cosine, *_ in rows if by == WITH["reconstruction"]}
    worst = min(cosines, key=cosines.__getitem__)
    findings = [
        "With the reconstruction put in, the sentence embedding keeps a cosine of "
        f"{cosines[worst]:.3f} (layer {worst}) to {max(cosines.values()):.3f} with its own.",
    ]
    tables = [
        Table(
            "Sentence embedding after a layer was replaced",
            f"Held-out text: {sample.described}. The embedding is the mean of a window's last "
            "hidden states.",
            (
                Column("layer", "Layer", "text", "Hidden state that was replaced"),
                Column("by", "Replaced by", "text"),
                Column("cosine", "Cosine", "number", "Mean over windows of e·ê / (‖e‖‖ê‖)"),
                Column("low", "from", "number", "95% interval, documents drawn anew 1,000 times"),
                Column("high", "to", "number", "Upper end of the interval"),
            ),
            tuple(rows),
            Chart("layer", "cosine", "by", low="low", high="high"),
        )
    ]
    if head and targets is not None:
        recovered = {row.layer: row.recovered for row in losses if row.recovered is not None}
        if recovered:
            least = min(recovered, key=recovered.__getitem__)
            findings.append(
                f"Of the loss that zeros cause, reconstructions recover at least "
                f"{recovered[least]:.1%} (layer {least})."
            )
        tables.append(_loss_table(losses, saved_as, len(targets[0])))
    else:
        findings.append(
            f"The model was saved as {saved_as or 'a body alone'}, without a language-model head: "
            "the loss recovered cannot be measured."
        )
    return _section(findings, tables)


def _section(findings: list[str], tables: list[Table]) -> Section:
    return Section(
        "fidelity",
        "Fidelity",
        "Every hidden state of one layer is replaced by what its factors give back, and the rest "
        "of the network runs on. What comes out says whether what the factors leave over matters.",
        tuple(findings),
        tuple(tables),
    )


def _loss_table(losses: list[LayerLosses], saved_as: str, count: int) -> Table:
    task = "of the next token" if not saved_as.endswith("ForMaskedLM") else "of masked tokens"
    formula = "(L ablated − L reconstruction) / (L ablated − L)"
    return Table(
        "Loss of the language-model head after a layer was replaced",
        f"Mean cross-entropy {task} in nats, {count:,} tokens of the same windows; head of "
        f"{saved_as}.",
        (
            Column("layer", "Layer", "text", "Hidden state that was replaced"),
            Column("own", "Untouched", "number", "L of the model as it is"),
            Column("reconstruction", "Reconstruction", "number", "L with x̂ in the place of x"),
            Column("mean", "Mean", "number", "L with the layer's mean in the place of x"),
            Column("zero", "Zero", "number", "L with zeros in the place of x"),
            Column("recovered", "Recovered from zero", "share", formula),
            Column("recovered_mean", "Recovered from mean", "share", formula),
        ),
        tuple(map(tuple, losses)),
        Chart("layer", "recovered"),
    )


def _replacements(
    evaluation: Evaluation, texts: list[np.ndarray], layer: int
) -> dict[str, np.ndarray]:
    """Return what takes the place of the raw states of a layer, (tokens, d) each, by its name."""
    encoder = evaluation.encoder
    raw = encoder.model.hidden_states(texts, [layer])
    # A state that is coded at length √d goes back to the length it had.
    scale = encoder.transform.multipliers(raw, [layer])[0]
    middle = encoder.transform.means(raw)[0]  # and to the mean that it had
    whole = (raw[0] - middle) * scale
    where = tokens_and_places(encoder.model, texts)
    own = encoder.transform.own_part(*where, [layer])
    own = np.zeros(whole.shape, np.float32) if own is None else own
    states = (whole - own).reshape(whole.shape)
    codes = encoder.coder.encode(states, encoder.penalty, encoder.tol)
    rebuilt = (codes @ encoder.coder.dictionary + own).reshape(whole.shape) / scale + middle
    mean = np.broadcast_to(whole.mean(axis=0), whole.shape) / scale + middle
    return {
        "reconstruction": rebuilt.astype(np.float32),
        "mean": mean.astype(np.float32),
        "zero": np.zeros_like(rebuilt, np.float32),
    }


def _questions(
    evaluation: Evaluation, texts: list[np.ndarray], saved_as: str
) -> tuple[list[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the texts that the head is asked about, and the rows and tokens it should say."""
    flat = np.concatenate(texts)
    starts = ragged.offsets([len(text) for text in texts])
    if not saved_as.endswith("ForMaskedLM"):
        rows = np.setdiff1d(np.arange(len(flat)), starts[1:] - 1)
        return texts, (rows, flat[rows + 1])
    tokenizer = evaluation.encoder.model.tokenizer
    hidden = tokenizer.mask_token_id
    hidden = evaluation.encoder.model.unknown_id if hidden is None else hidden
    chosen = np.random.default_rng(0).random(len(flat)) < MASKED
    asked = np.where(chosen, hidden, flat).astype(flat.dtype)
    rows = np.flatnonzero(chosen)
    return np.split(asked, starts[1:-1]), (rows, flat[rows])


def _loss(
    head: Callable | None, last: np.ndarray, targets: tuple[np.ndarray, np.ndarray] | None
) -> float:
    """Return the mean cross-entropy of the head, in nats, at the rows that are asked for."""
    if head is None or targets is None:
        return float("nan")
    rows, wanted = targets
    total = 0.0
    for first in range(0, len(rows), 512):
        logits = head(last[rows[first : first + 512]]).astype(np.float64)
        top = logits.max(axis=1, keepdims=True)
        norm = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
        total += float((norm - logits[np.arange(len(logits)), wanted[first : first + 512]]).sum())
    return total / max(len(rows), 1)


def _layer_losses(
    layer: int, untouched: float, reconstruction: float, mean: float, zero: float
) -> LayerLosses:
    """Return the losses of a layer with the shares recovered; None where nothing was lost."""
    recovered, recovered_mean = (
        (ablated - reconstruction) / (ablated - untouched) if ablated != untouched else None
        for ablated in (zero, mean)
    )
    return LayerLosses(str(layer), untouched, reconstruction, mean, zero, recovered, recovered_mean)


def _means(last: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the mean state of each text, (texts, d); ``starts`` (texts,) are their first rows."""
    lengths = np.diff([*starts, len(last)])
    return np.add.reduceat(last, starts, axis=0, dtype=np.float64) / lengths[:, None]


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cosines of the rows of two matrices (n, d), (n,); 0 for a row of zeros."""
    both = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(axis=1), both, out=np.zeros(len(a)), where=both > 0)
