"""`tfactors evaluate`: how good a bundle is, measured on text that its dictionary has never seen.

In goes a bundle with its model; out come the sections of :mod:`tfactors.evidence`, each measured by
one function of SECTIONS and written when it is whole. So an evaluation that is interrupted goes
on with the section it was in, and the same command on an evaluated bundle does nothing. A section
is random only by `SEED`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from tqdm import tqdm

from tfactors import (
    agreement,
    evidence,
    fidelity,
    level_checks,
    paper_checks,
    planted_factors,
    reconstruction,
    rival_dictionaries,
    sense_test,
)
from tfactors.bundle import Bundle
from tfactors.decomposition import FactorEncoder
from tfactors.errors import InputError
from tfactors.evaluation_sample import Sample, draw
from tfactors.evidence import Section
from tfactors.run import replacing
from tfactors.sparse_coding import SparseCoder

SEED = 0
ROWS = 8192  # states coded for all penalties at a time


@dataclass(frozen=True)
class Effort:
    """How much text and time each section takes; the default ends in some 12 minutes on 2 cores."""

    tokens: int = 6_000  # held out, for reconstruction and controls
    rival_tokens: int = 2_500  # of these for controls, which code them many times
    fidelity_tokens: int = 6_000
    training_tokens: int = 30_000  # for controls that have to be trained
    least_seconds: float = 25.0  # of training of the autoencoder
    level_tokens: int = 40_000  # of the whole corpus, for the levels of both seeds
    planted_atoms: int = 3_000
    planted_samples: int = 50_000
    planted_seconds: float = 12.0


@dataclass
class Evaluation:
    """One evaluation: the bundle, its model, and what several sections need, made once."""

    bundle: Bundle
    show_progress: bool = True
    device: str = "cpu"
    effort: Effort = field(default_factory=Effort)
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = SEED

    @cached_property
    def encoder(self) -> FactorEncoder:
        """Model and dictionary together."""
        return FactorEncoder.from_bundle(self.bundle, self.device)

    @cached_property
    def held_out(self) -> Sample:
        """Text that the dictionary never saw."""
        return draw(self.bundle, self.effort.tokens, self.seed)

    @cached_property
    def held_out_for_fidelity(self) -> Sample:
        """The same, as much as the network has to run on."""
        return draw(self.bundle, self.effort.fidelity_tokens, self.seed)

    @cached_property
    def text_for_levels(self) -> Sample:
        """Text of the whole corpus but what is held out."""
        return draw(self.bundle, self.effort.level_tokens, self.seed, held_out=False)

    @cached_property
    def states(self) -> np.ndarray:
        """Scaled states of the held-out text, (layers, n, d)."""
        return self.encoder.states(self.held_out.texts, self.encoder.layers)

    @property
    def training_states(self) -> np.ndarray:
        """Scaled states of text that was not held out, of all layers, (n, d)."""
        sample = draw(self.bundle, self.effort.training_tokens, self.seed, held_out=False)
        states = self.encoder.states(sample.texts, self.encoder.layers)
        return states.reshape(-1, states.shape[2])

    def codes(self, X: np.ndarray, penalties: Sequence[float]) -> list[csr_array]:
        """Codes (n, m) of states X (n, d) for each penalty; of an autoencoder's encoder its own."""
        from scipy.sparse import vstack

        encoder, coder, found = self.encoder, self.encoder.coder, []
        for first in range(0, len(X), ROWS):
            part = X[first : first + ROWS]
            if isinstance(coder, SparseCoder):
                found.append(coder.path(part, penalties, encoder.tol))
            else:
                found.append([coder.encode(part, encoder.penalty, encoder.tol)])
        return [csr_array(vstack(codes, format="csr")) for codes in zip(*found, strict=True)]

    def progress(self, total: float, what: str, unit: str) -> tqdm:
        """Open a progress bar that names what is measured."""
        return tqdm(
            total=total, desc=f"{what:<14}", unit=unit, unit_scale=True,
            disable=None if self.show_progress else True, dynamic_ncols=True,
        )  # fmt: skip


# What measures a section, by its name, in the order of `evidence.NAMES`.
SECTIONS: dict[str, Callable[[Evaluation], Section]] = {
    "reconstruction": reconstruction.measure,
    "fidelity": fidelity.measure,
    "controls": rival_dictionaries.measure,
    "stability": agreement.measure,
    "levels": level_checks.measure,
    "recovery": planted_factors.measure,
    "senses": sense_test.check_senses,
    "paper": paper_checks.check_paper,
}


def evaluate(
    bundle: Bundle,
    out: Path | None = None,
    only: Sequence[str] = (),
    show_progress: bool = True,
    device: str = "cpu",
    effort: Effort | None = None,
    **options: Any,
) -> list[Section]:
    """Measure the sections that are not measured yet, and return all.

    ``out`` is the folder of the results, by default ``evidence`` in the bundle; ``only`` names the
    sections to measure, again if need be; ``options`` are for sections that take some.

    Raises
    ------
    InputError
        A section that does not exist, or a bundle that has no factors of its own to measure.
    """
    unknown = [name for name in only if name not in SECTIONS]
    if unknown:
        raise InputError(f"section {unknown[0]!r}: expected {', '.join(SECTIONS)}")
    if bundle.ranked:
        raise InputError("this bundle holds published examples only: there is nothing to measure")
    folder = out or evidence.folder_of(bundle.path)
    evaluation = Evaluation(bundle, show_progress, device, effort or Effort(), options)
    for name, measure in SECTIONS.items():
        if only and name not in only:
            continue
        asked = name in only or (name == "senses" and options.get("senses"))
        if not asked and _is_measured(folder, name, bundle):
            continue
        start = time.monotonic()
        section = measure(evaluation)
        seconds = round(time.monotonic() - start, 1)
        evidence.write_section(folder, replace(section, bundle=bundle.fingerprint, seconds=seconds))
    sections = evidence.read_all(folder)
    if sections:
        with replacing(folder / evidence.REPORT) as path:
            path.write_text(evidence.markdown(bundle.title, sections), "utf-8")
    return sections


def _is_measured(folder: Path, name: str, bundle: Bundle) -> bool:
    try:
        found = evidence.read_section(folder, name)
    except InputError:
        return False
    return found is not None and found.bundle == bundle.fingerprint
