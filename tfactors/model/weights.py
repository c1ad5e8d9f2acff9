"""Turns a model's folder into its weights by name. What is hashed is what is loaded.

The files are found here, checked by their headers, read, and hashed; transformers is given the
tensors and no path, so that it can't read any other file. Only safetensors count as weights: other
formats can run code when they are read.
"""

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PureWindowsPath
from typing import Any

from tfactors.files import stands_for_another
from tfactors.model.folder import ModelError, config_of, may_be_a_file
from tfactors.model.stand_ins import damage_of_weights, instead_of_weights

# What torch.compile and others put into the names of weights where they wrap a module.
_WRAPPERS = re.compile(r"_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.")
_PARALLEL = "module."  # of torch's DataParallel, before every name
_WHOLE = "give a model that was saved whole, in float32, float16 or bfloat16"


@dataclass(frozen=True)
class StoredTensor:
    """What the header of a file says of one tensor.

    Attributes
    ----------
    kind : str
        The type of its numbers, as safetensors calls it: ``F32``, ``BF16``.
    shape : tuple of int
        Its sizes.
    """

    kind: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def weight_files(folder: Path, name: str) -> list[Path]:
    """Return the safetensors files that a model is loaded from, each named below its folder.

    What is below it may be a link to a file elsewhere: people keep weights once and link to them.

    Raises
    ------
    ModelError
        There are none, one is missing or damaged, is no file that can be read, or is named by a
        path that leaves the folder.
    """
    files = _named_files(folder, name)
    for file in files:
        if not os.access(file, os.R_OK):
            raise ModelError(f"model {name!r}: {file.name} may not be read by this user")
    return files


def _named_files(folder: Path, name: str) -> list[Path]:
    """Return the files of weights that a folder names, or that are called as they are always."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    # config.json may name another file, which then goes before these two.
    if named := config_of(folder).get("transformers_weights"):
        file = _below(folder, named, name)
        if not _is_a_file(file):
            raise ModelError(f"model {name!r}: {named} is missing; get the model again")
        return _shards(folder, file, name) if file.suffix == ".json" else [file]
    if single.is_file():
        return [single]
    if index.is_file():
        return _shards(folder, index, name)
    raise ModelError(f"model {name!r}: {instead_of_weights(folder)}")


def _shards(folder: Path, index: Path, name: str) -> list[Path]:
    """Return the files that an index names, which may be in folders below the model's."""
    if pointer := stands_for_another(index):
        raise ModelError(f"model {name!r}: {pointer}")
    try:
        content = json.loads(index.read_text("utf-8-sig"), object_pairs_hook=_without_contradiction)
        shards = sorted(set(content["weight_map"].values()))
    except _ContradictionError as error:
        raise ModelError(
            f"model {name!r}: {index.name} says of {str(error)[:80]!r} twice, and differently, "
            "where it is; get it again"
        ) from error
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ModelError(f"model {name!r}: {index.name} is damaged; get it again") from error
    files = [_below(folder, shard, name) for shard in shards]
    missing = [shard for shard, file in zip(shards, files, strict=True) if not _is_a_file(file)]
    if missing or not files:
        lacking = missing[0] if missing else "every weight"
        raise ModelError(f"model {name!r}: {lacking} is missing; get the model again")
    return files


class _ContradictionError(ValueError):
    """A JSON object has a key twice, with different values."""


def _without_contradiction(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in pairs:
        if content.setdefault(key, value) != value:
            raise _ContradictionError(key)
    return content


def _below(folder: Path, file: Any, name: str) -> Path:
    """Return where a file of weights is that a model names.

    Raises
    ------
    ModelError
        Its name leaves the model's folder, or is of another kind than safetensors.
    """
    kinds = (".safetensors", ".safetensors.index.json")
    if not isinstance(file, str) or not file.endswith(kinds):
        raise ModelError(
            f"model {name!r}: expected weights in safetensors, and it names {str(file)[:80]!r}; "
            "other formats can run code, so save it again with save_pretrained of transformers"
        )
    if not may_be_a_file(file):
        raise ModelError(
            f"model {name!r}: it names weights {file[:80]!a}, which no file can be called; "
            "get the model again"
        )
    leaves = Path(file).is_absolute() or PureWindowsPath(file).drive
    if leaves or ".." in re.split(r"[/\\]", file):
        raise ModelError(
            f"model {name!r}: its weights {file[:80]!r} are named by a path that leaves the "
            "model's folder; put them into it, and their names below it into the index"
        )
    return folder / file


def _is_a_file(file: Path) -> bool:
    """Whether a path leads to an ordinary file; a link may lead to nothing, or to itself."""
    try:
        return file.is_file()
    except (OSError, RuntimeError):
        return False


def weights_sha256(files: Sequence[Path]) -> str:
    """Return the SHA-256 of one file; of several that of the lines ``digest  name``."""
    digests = []
    for file in files:
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    lines = [f"{digest}  {file.name}\n" for digest, file in zip(digests, files, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def stored_tensors(files: Sequence[Path], name: str) -> dict[str, StoredTensor]:
    """Return what the headers of some files say of their tensors; no weight is read.

    Raises
    ------
    ModelError
        A file is no whole safetensors file.
    """
    stored: dict[str, StoredTensor] = {}
    for file in files:
        if damage := damage_of_weights(file):
            raise ModelError(f"model {name!r}: {damage}")
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        for key, tensor in header.items():
            if key != "__metadata__":
                stored[key] = StoredTensor(tensor["dtype"], tuple(tensor["shape"]))
    return stored


def read_tensors(files: Sequence[Path], name: str) -> dict[str, Any]:
    """Return every tensor of some files by its name, without what wrappers put into the names.

    Raises
    ------
    ModelError
        Two files, or two names that mean the same, hold different numbers for one tensor.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Any] = {}
    for file in files:
        try:
            with safe_open(file, framework="pt") as content:
                for key in content.keys():  # noqa: SIM118 - the file is no mapping
                    tensor, plain = content.get_tensor(key), _WRAPPERS.sub("", key)
                    known = tensors.setdefault(plain, tensor)
                    if known is not tensor and not torch.equal(known, tensor):
                        raise ModelError(
                            f"model {name!r}: its weights hold {plain!r} twice, with different "
                            "numbers; get the model again"
                        )
        except SafetensorError as error:
            raise ModelError(f"model {name!r}: {file.name} is damaged; get it again") from error
    if tensors and all(key.startswith(_PARALLEL) for key in tensors):
        tensors = {key.removeprefix(_PARALLEL): tensor for key, tensor in tensors.items()}
    return tensors


def with_names_of(
    names: Collection[str], base: str, tensors: dict[str, Any], name: str
) -> dict[str, Any]:
    """Return tensors by a model's names for them, where another program put its own before all.

    A sentence encoder that was saved whole has ``0.auto_model.`` there, one of Lightning
    ``model.bert.``. Where a name is known nothing changes; what transformers knows, it does.

    Parameters
    ----------
    names : collection of str
        The model's.
    base : str
        What transformers itself takes away from the beginning of a name, or puts there.
    tensors : dict
        Tensors by the names in the files.
    name : str
        The model.

    Raises
    ------
    ModelError
        The files hold several such models.

    Examples
    --------
    >>> with_names_of(["wte", "h.0.w"], "transformer", {"net.wte": 1, "net.h.0.w": 2}, "a")
    {'wte': 1, 'h.0.w': 2}
    """
    known = {*names, *(f"{base}.{key}" for key in names)}
    known |= {key.removeprefix(f"{base}.") for key in names}
    if not known.isdisjoint(tensors):
        return tensors
    parts = zip(*(key.split(".")[:-1] for key in names), strict=False)
    shared = takewhile(lambda same: len(set(same)) == 1, parts)
    for own in dict.fromkeys(("", "".join(f"{part[0]}." for part in shared))):
        ends = {key.removeprefix(own) for key in names}
        prefixes = Counter(
            key[: at.end()]
            for key in tensors
            for at in re.finditer(r"\.", key)
            if key[at.end() :] in ends
        )
        most = max(prefixes.values(), default=0)
        likely = sorted(prefix for prefix, count in prefixes.items() if 2 * count > most)
        if len(likely) > 1:
            raise ModelError(
                f"model {name!r}: its weights hold several models ({', '.join(likely)[:80]}); "
                "save the one that is meant alone, with save_pretrained of transformers"
            )
        if likely:
            (prefix,) = likely
            return {
                own + key.removeprefix(prefix): tensor
                for key, tensor in tensors.items()
                if key.startswith(prefix)
            }
    return tensors


# Names of what programs that round weights to few bits keep beside them.
_OF_ROUNDING = re.compile(
    r"\.(SCB|qweight|qzeros|weight_scale(_inv)?|absmax|nested_absmax|quant_map|quant_state\.\w+)$"
)


# Of small parts that were trained beside weights and not merged into them, and of what is reckoned
# into weights at each pass (weight norm, pruning).
_OF_ADAPTER = re.compile(
    r"\.(lora|ia3|vera|lokr|hada|oft|boft|adaption)_\w+(\.|$)|\.(adapters|base_layer)\."
)
_OF_PARAMETRIZATION = re.compile(r"\.parametrizations\.|\.weight_(g|v|orig|mask)$")


def refuse_rounded(stored: dict[str, StoredTensor], name: str) -> None:
    """Raise ModelError for weights that are whole numbers: what they stand for is not said."""
    for key, tensor in stored.items():
        if key.endswith(".weight") and tensor.kind[:1] in "IU":
            raise ModelError(
                f"model {name!r}: {key[:80]!r} holds whole numbers ({tensor.kind}), as weights do "
                f"that were rounded to few bits; {_WHOLE}"
            )


def refuse_unread(passed_over: Iterable[str], name: str) -> None:
    """Raise ModelError if a tensor that a model does not read changes what the others mean.

    Parameters
    ----------
    passed_over : iterable of str
        Names of tensors in the files that the model did not take.
    name : str
        The model.
    """
    for key in passed_over:
        if _OF_ROUNDING.search(key):
            what = "a scale of weights that were rounded to few bits"
        elif _OF_ADAPTER.search(key):
            what = "an adapter's, which was not merged into the weights"
        elif _OF_PARAMETRIZATION.search(key):
            what = "a part of which a weight is reckoned anew at each pass"
        elif ".distance_embedding." in key:
            raise ModelError(
                f"model {name!r}: {key[:80]!r} in its weights is of relative positions "
                "(position_embedding_type), which this version of transformers does not read; give "
                "another model"
            )
        else:
            continue
        raise ModelError(f"model {name!r}: {key[:80]!r} in its weights is {what}; {_WHOLE}")
