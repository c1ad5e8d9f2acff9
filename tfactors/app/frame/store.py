"""Which bundles there are, the one that is open, and what every page needs of it.

Turns the artifacts folder, all bundles of an owner on the hub (``hf:owner``), or what
TFACTORS_BUNDLE names (a path or ``hf:owner/name``), into an open :class:`tfactors.bundle.Bundle`
and a small :class:`tfactors.portrait.overview.Overview` of all its factors. Each is made once and
shared by every session. A bundle is chosen by its name among those found, never by a path from the
outside.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import streamlit as st

from tfactors.bundle import Bundle, BundleError
from tfactors.bundle.hub import (
    PREFIX,
    bundle_folder,
    bundles_of,
    hub_name,
    is_owner,
    is_whole,
)
from tfactors.portrait.overview import Overview

# Two bundles are enough for one server to compare; a bundle holds its factor table in memory.
_OPEN_BUNDLES = 4


def artifacts_folder() -> Path:
    """Return the folder whose sub-folders are bundles: TFACTORS_ARTIFACTS, or ``artifacts/``.

    It may also be ``hf:owner``, which stands for the bundles of an owner on the hub.
    """
    if chosen := os.environ.get("TFACTORS_ARTIFACTS"):
        return Path(chosen)
    checkout = Path(__file__).resolve().parents[3] / "artifacts"
    return checkout if checkout.is_dir() else Path("artifacts")


def bundle_folders() -> dict[str, Path]:
    """Return the bundles there are by the name of their folder, the one to open first in front."""
    folder = artifacts_folder()
    if is_owner(folder):
        folders = _listed(str(folder))[0]
    else:
        folders = {path.parent.name: path.parent for path in sorted(folder.glob("*/manifest.json"))}
    first = "default"
    if chosen := os.environ.get("TFACTORS_BUNDLE"):
        path = _folder(chosen)
        first = hub_name(path) or path.resolve().name or chosen
        folders[first] = path
    return dict(sorted(folders.items(), key=lambda item: (item[0] != first, item[0])))


def _folder(chosen: str) -> Path:
    """Return the folder of the bundle that the environment names."""
    try:
        return _fetched(chosen) if chosen.startswith(PREFIX) else Path(chosen)
    except BundleError:
        return Path(chosen)  # opening it says what is wrong


def why_none() -> str | None:
    """Return why an owner of the hub has no bundles to show; None where that is not so."""
    folder = artifacts_folder()
    return _listed(str(folder))[1] if is_owner(folder) else None


@st.cache_resource(ttl="10m", show_spinner="Asking the Hugging Face hub for its bundles …")
def _listed(owner: str) -> tuple[dict[str, Path], str | None]:
    """Return the bundles of an owner, or why there are none; a new one shows within minutes."""
    try:
        return bundles_of(owner), None
    except BundleError as error:
        return {}, str(error)


@st.cache_resource(show_spinner="Fetching the bundle from the Hugging Face hub …")
def _fetched(source: str) -> Path:
    """Ask the hub once a server."""
    return bundle_folder(source)


def bundle_title(path: Path) -> str:
    """Return what a bundle calls itself, or the name of its folder when that cannot be read."""
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
        return str(manifest["title"]) or path.name
    except (OSError, ValueError, TypeError, KeyError):
        return path.name


def bundle_titles(folders: Mapping[str, Path]) -> dict[str, str]:
    """Return a title for each bundle by the name of its folder; no two are the same."""
    plain = {name: bundle_title(path) for name, path in folders.items()}
    counts = Counter(plain.values())
    return {name: f"{t} ({name})" if counts[t] > 1 else t for name, t in plain.items()}


def open_bundle(path: Path) -> Bundle:
    """Open a bundle, or hand out the open one when its manifest has not changed since.

    Of a bundle of the hub that was only listed, the tables are fetched.
    """
    stamp = manifest_stamp(path)
    if stamp and (name := hub_name(path)) and not _is_whole(str(path), stamp):
        path = _fetched(name)
        stamp = manifest_stamp(path)
    return _open(str(path), stamp) if stamp else Bundle.open(path)  # which says what is wrong


def manifest_stamp(path: Path) -> tuple[int, int] | None:
    """Return what changes when the manifest of a bundle does; None where it cannot be read."""
    try:
        stat = (path / "manifest.json").stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


@st.cache_resource(max_entries=_OPEN_BUNDLES, show_spinner=False)
def _is_whole(path: str, stamp: tuple[int, int]) -> bool:
    """Ask once, and not in every run of a page, which would read the manifest each time."""
    return is_whole(Path(path))


@st.cache_resource(max_entries=_OPEN_BUNDLES, show_spinner=False)
def _open(path: str, stamp: tuple[int, int]) -> Bundle:
    return Bundle.open(path)


def overview(bundle: Bundle) -> Overview:
    """Return the overview of an open bundle, read once."""
    return _overview(bundle.fingerprint, bundle)


@st.cache_resource(max_entries=_OPEN_BUNDLES, show_spinner=False)
def _overview(fingerprint: str, _bundle: Bundle) -> Overview:
    return Overview.of(_bundle)
