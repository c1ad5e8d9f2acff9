"""Where the model of a bundle is: what a build notes of it, and how it is found again.

Turns the name that a build was given into what the manifest says of it, and that into the name to
load. A model of the hub or of an installed package is known by its name everywhere. A folder is
noted as it lies from the bundle, so that both can be moved together and the working directory does
not matter. Paths of the machine that built are not written into a bundle.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tfactors.model.loading import ModelError, local_folder

VARIABLE = "TFACTORS_MODEL"


def model_record(name: str, bundle: Path) -> dict[str, str]:
    """Return ``name`` and, of a local folder, ``folder``: the way to it from the bundle."""
    path = Path(name).expanduser()
    if len(name) >= 1024 or not path.is_dir():
        return {"name": name}
    record = {"name": shared_path(name)}
    model, start, home = path.resolve(), bundle.resolve(), Path.home()
    # The way into somebody's home from outside would tell whose it is.
    if home not in model.parents or home in start.parents:
        with suppress(ValueError):  # on another drive of Windows there is no way
            record["folder"] = Path(os.path.relpath(model, start)).as_posix()
    return record


def shared_path(name: str) -> str:
    """Return a path as a bundle may tell it: without the folders of the machine.

    >>> shared_path("models/tiny"), shared_path("/srv/models/tiny"), shared_path("../tiny")
    ('models/tiny', 'tiny', 'tiny')
    """
    path = Path(name).expanduser()
    return path.resolve().name if path.is_absolute() or ".." in path.parts else name


class RecordedModel(Protocol):
    """What a manifest says of where a model is: its name, and the way to a folder, or None."""

    @property
    def name(self) -> str:
        """As it was given to the build."""

    @property
    def folder(self) -> str | None:
        """The way from the bundle to a local model."""


def model_to_load(model: RecordedModel, bundle: Path) -> str:
    """Return the name or folder to load, from what the manifest of a bundle says of its model.

    That is the folder in the variable TFACTORS_MODEL, else the one noted in the manifest, else the
    name. What is found is only a place: the weights still have to be those of the manifest.

    Raises
    ------
    ModelError
        The model was a folder, and is not where it was.
    """
    if chosen := os.environ.get(VARIABLE):
        return chosen
    name, folder = model.name, model.folder
    if folder is None:
        return name
    if (beside := bundle.resolve() / folder).is_dir():
        return os.path.normpath(beside)
    if local_folder(name) is None:
        raise ModelError(
            f"model {name!r}: it was the folder {folder}, seen from the bundle, and is not there; "
            f"say where it is with {VARIABLE}=FOLDER"
        )
    return name
