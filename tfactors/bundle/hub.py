"""Bundles on the Hugging Face hub: ``hf:owner/name`` wherever a bundle's folder is asked for.

Turns the name of a repository, of data sets or of models, into the folder of its files in the hub's
own cache: downloaded once, and every file checked against the manifest's SHA-256. Nothing but a
bundle's files is fetched.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tfactors.bundle.format import BundleError, bundle_files
from tfactors.bundle.llm_labels import SEAL
from tfactors.bundle.manifest import Manifest, read_manifest
from tfactors.files import file_sha256

PREFIX = "hf:"
_FILES = [
    *("manifest.json", "labels.json", SEAL),
    *("*.parquet", "examples/*.parquet", "evidence/*"),
]


def bundle_folder(source: str | Path) -> Path:
    """Return the folder of a bundle, fetched from the hub where the source is ``hf:owner/name``.

    Raises
    ------
    BundleError
        There is no such repository, it cannot be reached, or a file is not the manifest's.
    """
    if not str(source).startswith(PREFIX):
        return Path(source)
    name = str(source).removeprefix(PREFIX)
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        raise BundleError(f"{source}: expected hf:owner/name, a repository of the hub")
    folder = _fetched(name)
    if not (folder / "manifest.json").is_file():
        raise BundleError(
            f"{source}: holds no manifest.json, so it is no bundle; upload what is in the folder "
            "that 'tfactors build' writes"
        )
    manifest = Manifest.of(read_manifest(folder))
    known = bundle_files(manifest.model.layers)
    for file, seal in manifest.files.items():
        if file not in known or not (folder / file).is_file():
            raise BundleError(f"{source}: lacks {file}; upload the whole bundle again")
        if file_sha256(folder / file) != seal.sha256:
            raise BundleError(
                f"{source}: {file} is not the file of the manifest (its SHA-256 differs); upload "
                "the bundle again, or clear the hub's cache"
            )
    return folder


def hub_name(source: Path) -> str | None:
    """Return the ``hf:owner/name`` of a bundle that was given so, or by its folder in the cache.

    >>> hub_name(Path("/cache/datasets--me--words/snapshots/0a1b"))
    'hf:me/words'
    """
    if str(source).startswith(PREFIX):
        return str(source)
    kind, _, name = source.parent.parent.name.partition("--")
    if source.parent.name == "snapshots" and kind in ("datasets", "models"):
        return PREFIX + name.replace("--", "/", 1)
    return None


def spoken_name(folder: Path) -> str:
    """Return what a command line calls a bundle: its name on the hub, or the end of its path.

    >>> spoken_name(Path("/home/me/artifacts/default"))
    'artifacts/default'
    """
    return hub_name(folder) or shlex.quote(f"{folder.parent.name}/{folder.name}")


def _fetched(name: str) -> Path:
    """Return the folder of a repository in the cache: of a data set, else of a model."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import RepositoryNotFoundError
        from huggingface_hub.utils import logging
    except ImportError as error:
        raise BundleError(
            f"hf:{name}: needs the package huggingface_hub; pip install huggingface_hub"
        ) from error
    logging.set_verbosity_error()  # what goes wrong is told by our errors
    try:
        for kind in ("dataset", "model"):
            try:
                return Path(snapshot_download(name, repo_type=kind, allow_patterns=_FILES))
            except RepositoryNotFoundError:
                continue
    except Exception as error:  # the hub's client raises what its network library does
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BundleError(f"hf:{name}: cannot be fetched ({reason})") from error
    raise BundleError(f"hf:{name}: no such repository of data or models on the hub, or private")
