"""Says in one line what a folder or a file holds in place of a model, and what to do about it.

People give what they have: an adapter, a pointer that Git LFS left, a checkpoint in another
format, a download that was cut. Only names, sizes and first bytes are looked at here.
"""

import json
from pathlib import Path
from typing import Any

from tfactors.files import odd_path, stands_for_another

_LARGEST_HEADER = 100_000_000  # bytes; safetensors itself reads no larger one
_SHORT = 1000  # bytes; what an error page or a link that became text has at most
_SAVE_AGAIN = "save it again with save_pretrained of transformers"
_MADE_FROM = "get the model that it was made from"
_PICKLED = "pickled by PyTorch: reading it can run code, so " + _SAVE_AGAIN

# What a file in another format is called by its name, and what to do with it.
_OTHER_FORMATS = {
    "openvino_*.bin": f"of OpenVINO, a program without layers to read: {_MADE_FROM}",
    "model.bin": f"of CTranslate2, or pickled by PyTorch: {_MADE_FROM}",
    "*.bin": _PICKLED,
    "*.pt": _PICKLED,
    "*.pth": _PICKLED,
    "*.ckpt": _PICKLED,
    "*.h5": f"of TensorFlow: load it with transformers before 5 (from_tf=True) and {_SAVE_AGAIN}",
    "*.ckpt.index": "of TensorFlow 1: convert it with transformers, and save it as safetensors",
    "*.msgpack": f"of Flax: load it with transformers before 5 (from_flax=True) and {_SAVE_AGAIN}",
    "*.gguf": f"of llama.cpp, with rounded weights: {_MADE_FROM}",
    "*.onnx": f"of ONNX, a program without layers to read: {_MADE_FROM}",
    "*.tflite": f"of TensorFlow Lite, a program without layers to read: {_MADE_FROM}",
    "*.mlpackage": f"of Core ML, a program without layers to read: {_MADE_FROM}",
    "*.ot": f"of Rust: {_MADE_FROM}",
    "*.npz": f"of NumPy, as MLX keeps weights: {_MADE_FROM}",
    "*.keras": f"of Keras: {_MADE_FROM}",
    "*.nemo": f"of NeMo: convert it with NeMo, and {_SAVE_AGAIN}",
    "*.safetensors.*z*": "packed: unpack it, and call it model.safetensors",
    "*.zip": "packed: unpack it",
    "*.tar*": "packed: unpack it",
    "*.distcp": f"a part of a distributed checkpoint of PyTorch: gather it, and {_SAVE_AGAIN}",
    "*.dvc": "a pointer of DVC: run 'dvc pull' in its folder",
    "*.incomplete": "a download that was not finished: get the model again",
    "*.part": "a download that was not finished: get the model again",
    "*.crdownload": "a download that was not finished: get the model again",
}
_FIRST_BYTES = {
    b"PK\x03\x04": "pickled by PyTorch (or zipped), whatever its name says",
    b"\x80\x02": "pickled by PyTorch, whatever its name says",
    b"GGUF": "in the GGUF format of llama.cpp, whatever its name says",
    b"\x89HDF": "in the HDF5 format of TensorFlow, whatever its name says",
    b"\x1f\x8b": "compressed (gzip); unpack it",
    b"<!DO": "a web page and not the file that it links to; get the model again",
    b"<htm": "a web page and not the file that it links to; get the model again",
    b"/ann": "a pointer of git-annex; run 'git annex get' in its folder",
}
_NO_WEIGHTS = {"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth"}
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "spiece.model")


def instead_of_a_model(file: Path) -> str:
    """Return what to say of a file that was given as a model."""
    for pattern in ("*.gguf", "*.onnx"):
        if file.match(pattern):
            return f"a file {_OTHER_FORMATS[pattern]}, and give its folder"
    return "a file; give the folder that holds config.json"


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter of PEFT with its weights."""
    weights = ("adapter_model.safetensors", "adapter_model.bin")
    return (folder / "adapter_config.json").is_file() and any(
        (folder / file).is_file() for file in weights
    )


def instead_of_config(folder: Path) -> str:
    """Return what a folder without config.json is, and what to do."""
    if (folder / "adapter_config.json").is_file():
        return _of_adapter(folder)
    if (folder / "model_index.json").is_file():
        return "the folder is a pipeline of diffusers; give one that holds a text model alone"
    if snapshots := _with_config(folder / "snapshots", "*"):
        return f"the folder is one of the hub's cache; give snapshots/{snapshots[-1].name} in it"
    if checkpoints := _with_config(folder, "checkpoint-*"):
        last = max(checkpoints, key=lambda path: (len(path.name), path.name))
        return f"the folder holds checkpoints of a training; give one of them, such as {last.name}"
    if (folder / "params.json").is_file():
        return (
            "the folder has no config.json: params.json is of its maker's own format; get the "
            "model in the format of transformers"
        )
    if (folder / "modules.json").is_file() and (below := _with_config(folder, "*")):
        names = " or ".join(path.name for path in below[:3])
        return f"the folder is of sentence-transformers; give the one of its transformer: {names}"
    if other := _other_format(folder):
        return f"the folder has no config.json; {other}"
    found = "a tokenizer alone" if any((folder / file).is_file() for file in _TOKENIZER) else ""
    below = _with_config(folder, "*")
    found = found or (f"a folder with one, {below[0].name}; perhaps that is meant" if below else "")
    return (
        f"the folder has no config.json{f', but {found}' if found else ''}; give a folder that "
        "save_pretrained of transformers wrote, or a model's name"
    )


def instead_of_weights(folder: Path) -> str:
    """Return what a folder with a config.json has in place of model.safetensors, and what to do."""
    if (folder / "adapter_config.json").is_file():
        return _of_adapter(folder)
    expected = "expected model.safetensors, found "
    if (wrong := folder / "model.safetensors").is_symlink() or wrong.exists():
        what = "a folder" if wrong.is_dir() else "a link to nothing"
        what = what if wrong.is_dir() or not wrong.exists() else "no ordinary file"
        return f"model.safetensors is {what}; get the model again, with the files themselves"
    if variant := _first(folder, "model.*.safetensors"):
        return (
            f"{expected}{variant.name}, a variant of it; copy it to model.safetensors where the "
            "variant is meant, else get model.safetensors too"
        )
    if variant := _first(folder, "model.safetensors.index.*.json"):
        return (
            f"{expected}{variant.name}, the index of a variant; copy it to "
            "model.safetensors.index.json where the variant is meant, else get the other too"
        )
    if others := sorted(file.name for file in folder.glob("*.safetensors")):
        index = " and no index" if len(others) > 1 else ""
        return (
            f"{expected}{others[0]}{index}; get the model again, or rename the file where it holds "
            "all of the weights"
        )
    if other := _other_format(folder):
        return f"{expected}{other}"
    return f"{expected}no weights; get the model again, with all of its files"


def _of_adapter(folder: Path) -> str:
    base = _json(folder / "adapter_config.json").get("base_model_name_or_path")
    of = f" of {str(base)[:80]!r}" if base else ""
    return (
        f"the folder holds an adapter (PEFT){of} and no whole model; merge it with "
        "merge_and_unload() of peft, save that with save_pretrained, and give its folder"
    )


def _other_format(folder: Path) -> str:
    """Return the first file in another format, and what it is; "" where there is none."""
    for depth in ("", "*/"):
        for pattern, what in _OTHER_FORMATS.items():
            for file in sorted(folder.glob(depth + pattern)):
                if file.name not in _NO_WEIGHTS:
                    return f"{file.relative_to(folder).as_posix()}, which is {what}"
    return ""


def _first(folder: Path, pattern: str) -> Path | None:
    return min(folder.glob(pattern), default=None)


def _with_config(folder: Path, pattern: str) -> list[Path]:
    """Return the folders below a folder that hold the config.json of a model."""
    configs = folder.glob(f"{pattern}/config.json")
    return sorted(path.parent for path in configs if "model_type" in _json(path))


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def damage_of_weights(file: Path) -> str | None:
    """Return what a file of weights is instead of whole safetensors; None where it is that."""
    if odd := odd_path(file):
        return odd
    size = file.stat().st_size
    if not size:
        return f"{file.name} is empty; get the model again"
    if pointer := stands_for_another(file):
        return pointer
    if text := _text_of(file, size):
        return f"{file.name} holds no weights but the text {text[:60]!r}; get the model again"
    with file.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if length > _LARGEST_HEADER or len(start) < 8:
            for first, what in _FIRST_BYTES.items():
                if start.startswith(first):
                    return f"{file.name} is {what}"
            return f"{file.name} is no safetensors file; get the model again"
        header = stream.read(length)
    if len(header) == length:
        try:
            named = json.loads(header).items()
            tensors = [tensor for name, tensor in named if name != "__metadata__"]
        except (ValueError, AttributeError, RecursionError):
            tensors = [None]
        if not all(map(_describes_a_tensor, tensors)):
            return f"{file.name} is no safetensors file, or damaged; get the model again"
        ends = [tensor["data_offsets"][1] for tensor in tensors]
        whole = 8 + length + max(ends, default=0)
    else:
        whole = 8 + length
    if size < whole:
        return (
            f"{file.name} ends after {size:,} of at least {whole:,} bytes, as a download does that "
            "was cut; get the model again"
        )
    return None


def _text_of(file: Path, size: int) -> str:
    """Return the text that a short file is: an error, a path that was a link; "" if it is none."""
    try:
        text = file.read_text("utf-8-sig") if size <= _SHORT else ""
    except ValueError:
        return ""
    page = text.lstrip().lower().startswith(("<!do", "<htm"))  # which the first bytes say better
    shown = " ".join(text.split())
    return shown if not page and shown.isprintable() else ""


def _describes_a_tensor(said: Any) -> bool:
    """Return whether that is what the header of a safetensors file says of a tensor."""
    if not isinstance(said, dict):
        return False
    shape, offsets = said.get("shape"), said.get("data_offsets")
    if not (isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2):
        return False
    numbers = all(type(number) is int and number >= 0 for number in [*shape, *offsets])
    return numbers and isinstance(said.get("dtype"), str)
