"""Turns a bundle with its model into evidence of how good it is: `tfactors evaluate`.

Evidence is measured on text that the dictionary has never seen. It comes in sections
(:mod:`tfactors.bundle.evidence`), each measured by one function of SECTIONS and written when it is
whole. So an evaluation that is interrupted goes on with the section it was in, and the same command
on an evaluated bundle does nothing. What cannot be measured, or says nothing of a bundle of few
tokens, is a section of one sentence that says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfactors.bundle import Bundle, evidence
from tfactors.bundle.evidence import Section
from tfactors.errors import InputError
from tfactors.evaluate import (
    agreement,
    fidelity,
    level_checks,
    origins,
    paper_checks,
    planted_factors,
    reconstruction,
    rival_dictionaries,
    word_senses,
)
from tfactors.evaluate.evaluation import Effort, Evaluation
from tfactors.evaluate.sample import TooLittleTextError

# What measures a section, by its name, in the order of `evidence.NAMES`.
SECTIONS: dict[str, Callable[[Evaluation], Section]] = {
    "reconstruction": reconstruction.measure,
    "fidelity": fidelity.measure,
    "controls": rival_dictionaries.measure,
    "stability": agreement.measure,
    "levels": level_checks.measure,
    "origins": origins.measure,
    "recovery": planted_factors.measure,
    "senses": word_senses.check_senses,
    "paper": paper_checks.check_paper,
}

TITLES = {
    "reconstruction": "Reconstruction",
    "fidelity": "Fidelity",
    "controls": "Controls",
    "stability": "Stability",
    "levels": "Levels",
    "origins": "Origins",
    "recovery": "Known truth",
    "senses": "Word senses",
    "paper": "The paper's other checks",
}
# What says something only of a dictionary that learnt from some text, and takes minutes.
OF_SOME_TEXT = ("controls", "recovery", "senses")
FEWEST_TOKENS = 1_000


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

    Parameters
    ----------
    bundle : Bundle
        What is measured.
    out : Path, optional
        Folder of the results, by default ``evidence`` in the bundle.
    only : sequence of str
        Sections to measure, again if need be; all that are not measured by default.
    show_progress : bool
        Whether progress bars are drawn.
    device : str
        Where the model runs.
    effort : Effort, optional
        How much text and time each section takes.
    **options
        For sections that take some: ``senses``, a file of labelled occurrences.

    Raises
    ------
    InputError
        A section that does not exist, a bundle that has no factors of its own to measure, or a
        folder that holds something else.
    """
    unknown = [name for name in only if name not in SECTIONS]
    if unknown:
        raise InputError(f"section {unknown[0]!r}: expected {', '.join(SECTIONS)}")
    if not bundle.abilities.evaluation:
        raise InputError("this bundle holds published examples only: there is nothing to measure")
    folder = out or evidence.folder_of(bundle.path)
    if out is not None:
        _check_free(Path(out))
    evidence.seal(folder)  # of an older tfactors, which did not
    evaluation = Evaluation(bundle, show_progress, device, effort or Effort(), options)
    for name, measure in SECTIONS.items():
        if only and name not in only:
            continue
        asked = name in only or (name == "senses" and options.get("senses"))
        if not asked and _is_measured(folder, name, bundle):
            continue
        start = time.monotonic()
        section = _not_measured(name, bundle) if not asked else None
        section = section or _section_of(name, measure, evaluation)
        seconds = round(time.monotonic() - start, 1)
        evidence.write_section(folder, replace(section, bundle=bundle.fingerprint, seconds=seconds))
    sections = evidence.read_all(folder)
    if sections:
        evidence.write_report(folder, bundle.title, sections)
    return sections


def _check_free(folder: Path) -> None:
    """Raise unless a folder is new, empty, or holds evidence: a report.md may be anybody's."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; give a folder for --out")
    held = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    ours = ("seals.json", *(f"{name}.json" for name in SECTIONS))
    mark = f'"{evidence.FORMAT}'.encode()
    if held and not any(mark in (folder / n).read_bytes()[:200] for n in held if n in ours):
        raise InputError(
            f"{folder}: holds something else ({held[0]}); give a new or empty folder for --out"
        )


def _not_measured(name: str, bundle: Bundle) -> Section | None:
    """Return a section that only says why it is not measured; None where it is to be."""
    tokens = bundle.about.corpus.tokens
    if name not in OF_SOME_TEXT or tokens >= FEWEST_TOKENS:
        return None
    return _empty(
        name,
        f"this bundle is made of {tokens:,} tokens, and it takes at least {FEWEST_TOKENS:,} to say "
        f"something; '--only {name}' measures it all the same",
    )


def _section_of(
    name: str, measure: Callable[[Evaluation], Section], evaluation: Evaluation
) -> Section:
    """Return a section as it is measured, or why there is no text to measure it on."""
    try:
        return measure(evaluation)
    except TooLittleTextError as error:
        return _empty(name, str(error))


def _empty(name: str, why: str) -> Section:
    return Section(name, TITLES[name], "", (f"Not measured: {why}.",), ())


def _is_measured(folder: Path, name: str, bundle: Bundle) -> bool:
    """Return whether a section was measured on this very bundle, and is as it was written."""
    try:
        section = evidence.read_section(folder, name)
    except InputError:
        return False
    measured = section is not None and section.bundle == bundle.fingerprint
    return measured and evidence.is_intact(folder, name)
