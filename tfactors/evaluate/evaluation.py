"""Turns a bundle into what the sections of the evidence are measured on.

That is its model, texts that its dictionary has never seen, their hidden states and codes, each
made when the first section asks for it. A section is random only by `SEED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from tqdm import tqdm

from tfactors.bundle import Bundle
from tfactors.coding.solver import SparseCoder
from tfactors.evaluate.sample import Sample, draw
from tfactors.explain.encoder import FactorEncoder

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
    origins: int = 200  # activations a pair of layers that are attributed
    origin_texts: int = 20  # texts that these are of; of one in each the sources are taken away
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
    def parts(self) -> tuple[np.ndarray, np.ndarray | None]:
        """What is coded of the held-out text, and what each token brings of its own, or None.

        Both are (layers, n, d).
        """
        return self.encoder.parts(self.held_out.texts, self.encoder.layers)

    @property
    def states(self) -> np.ndarray:
        """What is coded of the held-out text, (layers, n, d)."""
        return self.parts[0]

    def training_parts(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Return z and own part, as `parts`, of text that was not held out, both (n, d).

        The states of all layers are shuffled.
        """
        sample = draw(self.bundle, self.effort.training_tokens, self.seed, held_out=False)
        states, own = self.encoder.parts(sample.texts, self.encoder.layers)
        width = states.shape[2]
        order = np.random.default_rng(self.seed).permutation(states.size // width)
        states = states.reshape(-1, width)[order]
        return states, None if own is None else own.reshape(-1, width)[order]

    def codes(self, X: np.ndarray, penalties: Sequence[float]) -> list[csr_array]:
        """Return the codes (n, m) of states X (n, d) for each penalty.

        Of an autoencoder's own encoder, which knows no penalty, there is one matrix.
        """
        from scipy.sparse import vstack

        encoder, coder, parts = self.encoder, self.encoder.coder, []
        for first in range(0, len(X), ROWS):
            part = X[first : first + ROWS]
            if isinstance(coder, SparseCoder):
                parts.append(coder.path(part, penalties, encoder.tol))
            else:
                parts.append([coder.encode(part, encoder.penalty, encoder.tol)])
        return [csr_array(vstack(codes, format="csr")) for codes in zip(*parts, strict=True)]

    def progress(self, total: float, section: str, unit: str) -> tqdm:
        """Open a progress bar that names the section that is measured."""
        return tqdm(
            total=total,
            desc=f"{section:<14}",
            unit=unit,
            unit_scale=True,
            disable=None if self.show_progress else True,
            dynamic_ncols=True,
        )
