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

from tqdm import tqdm

from tfactors import evidence
from tfactors.bundle import Bundle
from tfactors.decomposition import FactorEncoder
from tfactors.errors import InputError
from tfactors.evidence import Section
from tfactors.run import replacing

SEED = 0


@dataclass
class Evaluation:
    """One evaluation: the bundle, its model, and what several sections need, made once."""

    bundle: Bundle
    show_progress: bool = True
    device: str = "cpu"
    options: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def encoder(self) -> FactorEncoder:
        """Model and dictionary together."""
        return FactorEncoder.from_bundle(self.bundle, self.device)

    def progress(self, total: float, what: str, unit: str) -> tqdm:
        """Open a progress bar that names what is measured."""
        return tqdm(
            total=total, desc=f"{what:<14}", unit=unit, unit_scale=True,
            disable=None if self.show_progress else True, dynamic_ncols=True,
        )  # fmt: skip


# What measures a section, by its name, in the order of `evidence.NAMES`.
SECTIONS: dict[str, Callable[[Evaluation], Section]] = {}


def evaluate(
    bundle: Bundle,
    out: Path | None = None,
    only: Sequence[str] = (),
    show_progress: bool = True,
    device: str = "cpu",
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
    evaluation = Evaluation(bundle, show_progress, device, options)
    for name, measure in SECTIONS.items():
        if only and name not in only:
            continue
        if not only and _is_measured(folder, name, bundle):
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
