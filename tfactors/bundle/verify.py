"""Checking a bundle: is every byte the one that was written, does every row mean something?

Reads a whole folder, and raises one BundleError where something is wrong: it names the file, the
column and the row (counted from 0). First the seals: the manifest against its own checksum, every
file against the manifest's SHA-256, and at last evidence and labels by language models against
their own. Between them what a checksum cannot know, because a writer can be wrong: order and ranges
(:mod:`tfactors.bundle.verify_rows`), and that the tables agree with one another
(:mod:`tfactors.bundle.verify_tables`).
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tfactors.bundle import evidence, evidence_seals, llm_labels
from tfactors.bundle.card import CARD
from tfactors.bundle.format import (
    MANIFEST,
    PEOPLES_LABELS,
    BundleError,
    bundle_files,
    is_optional,
)
from tfactors.bundle.manifest import Manifest, Seal, read_manifest
from tfactors.bundle.verify_tables import Tables
from tfactors.errors import InputError
from tfactors.files import file_sha256

# Files that operating systems leave in any folder that someone has looked into.
_HARMLESS = {".DS_Store", "Thumbs.db", "desktop.ini"}
# What may lie in the folder and is no table.
_EVIDENCE = [*evidence.FILES, evidence_seals.FILE]
_BESIDE = {
    *(MANIFEST, CARD, PEOPLES_LABELS, llm_labels.TABLE, llm_labels.SEAL),
    *(f"{evidence.FOLDER}/{name}" for name in _EVIDENCE),
}


def verify(folder: Path, progress: Callable[[str, int, int], None] | None = None) -> None:
    """Check that a folder holds a whole, unchanged and consistent bundle.

    Parameters
    ----------
    folder : Path
        The bundle's folder.
    progress : callable, optional
        Is given the file, the steps that are done and all steps, before each step and at the end.

    Raises
    ------
    BundleError
        Names the first thing that is wrong.
    """
    manifest = Manifest.of(read_manifest(folder))
    known = bundle_files(manifest.model.layers)
    names = [name for name in known if name in manifest.files or not is_optional(name)]
    _check_names(folder, manifest, names)
    steps: list[tuple[str, Callable[[], None]]]
    steps = [(name, partial(_check_seal, folder, name, manifest.files[name])) for name in names]
    # What stands beside the tables is read in a moment, the rows of the tables in a minute.
    if evidence.folder_of(folder).exists():
        steps.append((evidence.FOLDER, partial(_check_evidence, folder)))
    if llm_labels.is_there(folder):
        steps.append((llm_labels.TABLE, partial(llm_labels.check, folder, manifest)))
    steps += Tables(folder, manifest).checks()
    for done, (name, check) in enumerate(steps):
        if progress:
            progress(name, done, len(steps))
        check()
    if progress:
        progress("", len(steps), len(steps))


def _check_names(folder: Path, manifest: Manifest, expected: list[str]) -> None:
    """Raise unless manifest, folder and format name the same files."""
    files = manifest.files
    for name in files:
        if name not in expected:
            inside = (folder / name).resolve().is_relative_to(folder.resolve())
            why = "is no file of a bundle" if inside else "lies outside the bundle's folder"
            raise BundleError(f"{MANIFEST}: '{name}' {why}; rebuild the bundle")
    for name in expected:
        if name not in files:
            raise BundleError(f"{MANIFEST}: 'files' does not name {name}; rebuild the bundle")
        if not (folder / name).is_file():
            raise BundleError(f"{name}: missing; restore or rebuild the bundle")
    for base, _, found in os.walk(folder):
        for file in found:
            name = (Path(base) / file).relative_to(folder).as_posix()
            if name not in expected and name not in _BESIDE and file not in _HARMLESS:
                raise BundleError(f"{name}: not part of the bundle; move it elsewhere")


def _check_evidence(folder: Path) -> None:
    """Raise unless what was measured on the bundle is what was written, and can be read."""
    try:
        evidence.check(evidence.folder_of(folder))
    except InputError as error:
        raise BundleError(str(error)) from error


def _check_seal(folder: Path, name: str, seal: Seal) -> None:
    """Raise unless a file holds the bytes for which the manifest was written."""
    if file_sha256(folder / name) != seal.sha256:
        raise BundleError(
            f"{name}: changed since it was written (its SHA-256 is not the manifest's); "
            "restore or rebuild the bundle"
        )
