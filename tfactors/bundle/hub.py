"""Bundles on the Hugging Face hub: ``hf:owner/name`` wherever a bundle's folder is asked for.

Turns the name of a repository, of data sets or of models, into the folder of its files in the hub's
own cache: downloaded once, and every file checked against the manifest's SHA-256. Nothing but a
bundle's files is fetched; of ``hf:owner``, all bundles of a person or an organisation, the
manifests alone.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import Any

from tfactors.bundle.format import MANIFEST, BundleError, bundle_files
from tfactors.bundle.llm_labels import SEAL
from tfactors.bundle.manifest import Manifest, read_manifest
from tfactors.files import file_sha256

PREFIX = "hf:"
MOST_LISTED = 200
"""Repositories of one owner that are looked through, newest first."""

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


def bundles_of(owner: str) -> dict[str, Path]:
    """Return by ``hf:owner/name`` a folder with the manifest, and perhaps no more, of each bundle.

    Raises
    ------
    BundleError
        There is no such owner, the hub cannot be reached, or nothing of theirs is a bundle.
    """
    if not is_owner(owner):
        raise BundleError(f"{owner}: expected hf:owner, a person or an organisation of the hub")
    hub = _client(owner)
    asked: dict[str, Any] = {"author": owner.removeprefix(PREFIX), "expand": ["siblings"]}
    asked |= {"limit": MOST_LISTED, "sort": "last_modified"}
    found: dict[str, Path] = {}
    try:
        for kind, repositories in (
            ("dataset", hub.HfApi().list_datasets(**asked)),
            ("model", hub.HfApi().list_models(**asked)),
        ):
            for repository in repositories:
                files = {file.rfilename for file in repository.siblings or ()}
                if {MANIFEST, "importance.parquet"} <= files:  # others have a manifest.json too
                    path = hub.hf_hub_download(repository.id, MANIFEST, repo_type=kind)
                    found.setdefault(PREFIX + repository.id, Path(path).parent)
    except Exception as error:  # the hub's client raises what its network library does
        raise BundleError(f"{owner}: cannot be listed ({_reason(error)})") from error
    if not found:
        raise BundleError(f"{owner}: nothing that they share on the hub is a bundle")
    return found


def is_owner(source: str | Path) -> bool:
    """Return whether a source is ``hf:owner``, which names all bundles of an owner.

    >>> is_owner("hf:me"), is_owner("hf:me/words"), is_owner("artifacts")
    (True, False, False)
    """
    return re.fullmatch(rf"{PREFIX}\w[\w.-]*", str(source)) is not None


def is_whole(folder: Path) -> bool:
    """Return whether every file that the manifest of a folder names is there."""
    files = Manifest.of(read_manifest(folder)).files
    return all((folder / name).is_file() for name in files)


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
    hub = _client(PREFIX + name)
    try:
        for kind in ("dataset", "model"):
            try:
                return Path(hub.snapshot_download(name, repo_type=kind, allow_patterns=_FILES))
            except hub.errors.RepositoryNotFoundError:
                continue
    except Exception as error:  # the hub's client raises what its network library does
        raise BundleError(f"hf:{name}: cannot be fetched ({_reason(error)})") from error
    raise BundleError(f"hf:{name}: no such repository of data or models on the hub, or private")


def _client(source: str) -> ModuleType:
    """Return the hub's client, told to leave what goes wrong to us."""
    try:
        import huggingface_hub as hub
        from huggingface_hub.utils import logging
    except ImportError as error:
        raise BundleError(
            f"{source}: needs the package huggingface_hub; pip install huggingface_hub"
        ) from error
    logging.set_verbosity_error()
    return hub


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
