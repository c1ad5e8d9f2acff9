"""Turns a model's name into its module, on its device and ready for inference, and its tokenizer.

Where the model is, `tfactors.model.folder` finds out; what its weights are,
`tfactors.model.weights`. transformers gets these as tensors, and no code of a model is run.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfactors.files import stands_for_another
from tfactors.model.folder import (
    MINILM_PACKAGE,
    PACKAGE_OF,
    ModelError,
    config_of,
    hub_folder,
    local_folder,
)
from tfactors.model.marks import marks_of, number_of_marks
from tfactors.model.memory import check_memory
from tfactors.model.precision import precision_of, torch_precision
from tfactors.model.stand_ins import is_adapter
from tfactors.model.tokenizer import load_tokenizer
from tfactors.model.weights import (
    StoredTensor,
    read_tensors,
    refuse_rounded,
    refuse_unread,
    stored_tensors,
    weight_files,
    weights_sha256,
)

__all__ = [
    "MINILM_PACKAGE",
    "PACKAGE_OF",
    "ModelError",
    "hub_folder",
    "load_transformer",
    "local_folder",
    "positions",
    "weight_files",
]

_LOG = logging.getLogger("tfactors")
KNOWN_SHA256 = {
    MINILM_PACKAGE: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}
# What every call of transformers is told: read what is here, and run no code of a model.
SAFE = {"local_files_only": True, "trust_remote_code": False}


def positions(name: str, marks: bool = False, bos: bool = False) -> int | None:
    """Return how many tokens of a text a model that is here reads at once, from its files alone.

    With ``marks`` those of its tokenizer take their places, with ``bos`` the one token that begins
    a text. None where config.json does not say.
    ``Model.max_length`` says it for certain, of a loaded model.
    """
    folder = local_folder(name) or hub_folder(name, download=False)
    config = config_of(folder)
    most = config.get("max_position_embeddings", config.get("n_positions"))
    if not isinstance(most, int) or most <= 0:
        return None
    # RoBERTa and its kin count positions from the one behind that of padding.
    kin = re.search("roberta|mpnet|camembert|longformer", str(config.get("model_type")))
    padding = config.get("pad_token_id", 1)
    most -= padding + 1 if kin and isinstance(padding, int) else 0
    if bos:
        return most - 1
    if marks and not (folder / "tokenizer.json").is_file():  # a slow one, which transformers reads
        return most - sum(map(len, marks_of(load_tokenizer(folder, name))))
    return most - number_of_marks(folder) if marks else most


def load_transformer(name: str, device: str, dtype: str = "float32") -> tuple[Any, Any, str]:
    """Return module and tokenizer of a model by name, and the SHA-256 of its weights.

    Parameters
    ----------
    name : str
        A folder, an installed package or a name on the hub.
    device : str
        As torch names it.
    dtype : str
        ``float32``, ``bfloat16``, ``float16``, or ``auto``: as it was saved.

    Raises
    ------
    ModelError
        The model cannot be found, loaded or used; one line.
    """
    folder = local_folder(name) or hub_folder(name)
    weights = weight_files(folder, name)
    if is_adapter(folder):
        _LOG.warning(
            "model %r: an adapter (adapter_config.json) lies beside its weights, and was left out; "
            "where it is meant, merge it with merge_and_unload() of peft and give what that saves",
            name,
        )
    known = KNOWN_SHA256.get(PACKAGE_OF.get(name, name))
    digest = weights_sha256(weights) if known else ""
    if digest != (known or ""):
        raise ModelError(
            f"model {name!r}: model.safetensors has sha256 {digest[:12]}…, expected "
            f"{str(known)[:12]}…; reinstall the package {PACKAGE_OF.get(name, name)}"
        )
    target, before = _device(device), _states_of_files(weights)
    with quiet_transformers():
        module = _load_module(folder, weights, name, target, dtype)
        tokenizer = load_tokenizer(folder, name)
    _check_module(module, name)
    module = module.eval().requires_grad_(False).to(target)
    for parameter in module.parameters():
        # What safetensors gives lies in the file: who writes to that would change the model.
        parameter.data = parameter.data.clone()
    # Last, because it reads every byte: a model that cannot be used is refused without the wait.
    digest = digest or weights_sha256(weights)
    if _states_of_files(weights) != before:
        raise ModelError(f"model {name!r}: its weights changed while they were read; try again")
    return module, tokenizer, digest


def _states_of_files(files: Sequence[Path]) -> list[tuple[int, int, int]]:
    """Return of each file which it is, how long and when it was written, to see a change since."""
    stats = [file.stat() for file in files]
    return [(stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats]


def _device(name: str) -> Any:
    """Return a device of torch that can be used here."""
    import torch

    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {name!r} cannot be used here; give 'cpu'") from error
    return device


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


def model_config(folder: Path, name: str) -> Any:
    """Return the config of a model, as transformers has it; a ModelError where it is none."""
    from transformers import AutoConfig

    if pointer := stands_for_another(folder / "config.json"):
        raise ModelError(f"model {name!r}: {pointer}")
    with _one_line(folder, name):
        config = AutoConfig.from_pretrained(folder, **SAFE)
    _make_padding_legal(config)
    return config


def module_of(
    auto: Any, config: Any, weights: Sequence[Path], name: str, precision: str
) -> tuple[Any, list[str]]:
    """Return a module of transformers with the weights of some files, and what they lack.

    Parameters
    ----------
    auto : class
        An ``AutoModel…`` of transformers.
    config : config of transformers
        From `model_config`.
    weights : sequence of Path
        From `weight_files`; no other file is read.
    name : str
        The model.
    precision : str
        In which the weights are held.

    Returns
    -------
    module : torch Module
    lacking : list of str
        Weights that the files do not hold, or hold in another shape; they are random numbers.
    """
    import torch

    with torch.device("meta"):  # only to learn its class, and which part of the config is its own
        empty = auto.from_config(config, trust_remote_code=False)
    module, report = type(empty).from_pretrained(
        None,
        config=config if type(config) is type(empty.config) else empty.config,
        state_dict=read_tensors(weights, name),
        dtype=torch_precision(precision),
        ignore_mismatched_sizes=True,  # told below, by name
        output_loading_info=True,
        **SAFE,
    )
    refuse_unread(report["unexpected_keys"], name)
    mismatched = {str(key) for key, *_ in report["mismatched_keys"]}
    return module, sorted({*report["missing_keys"], *mismatched})


@contextmanager
def _one_line(folder: Path, name: str) -> Iterator[None]:
    """Turn whatever a damaged config or weight file makes transformers raise into one line."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200]
        if "auto_map" in config_of(folder):
            reason = (
                "it brings code of its own (auto_map in config.json), and no model's code is run "
                "here; give a model that transformers knows by itself"
            )
        raise ModelError(f"model {name!r} cannot be loaded: {reason}") from error


def _load_module(folder: Path, weights: Sequence[Path], name: str, target: Any, dtype: str) -> Any:
    """Return the body of a model with every weight from the files."""
    from transformers import MODEL_FOR_TEXT_ENCODING_MAPPING, AutoModel, AutoModelForTextEncoding

    stored = stored_tensors(weights, name)
    precision = precision_of(dtype, ((t.kind, t.numbers) for t in stored.values()))
    config = model_config(folder, name)
    both = bool(config.is_encoder_decoder)
    check_memory(stored, precision, name, target, skip="decoder." if both else None)
    refuse_rounded(stored, name)
    # T5 has a class for its encoder half alone; of other pairs the encoder is taken out below.
    encoder: Any = MODEL_FOR_TEXT_ENCODING_MAPPING.get(type(config), None)
    half = encoder is not None and (both or encoder.__name__ in (config.architectures or []))
    config.is_encoder_decoder = both and not half  # T5Gemma's encoder asks for it to be said
    auto = AutoModelForTextEncoding if half else AutoModel
    with _one_line(folder, name):
        module, lacking = module_of(auto, config, weights, name, precision)
        module = _encoder_of(module) if both and not half else module
    # transformers fills what a file lacks with random numbers; only the unused pooler may be so.
    lacking = [key for key in lacking if "pooler" not in key]
    if lacking:
        raise ModelError(
            f"model {name!r}: the weights do not fit config.json ({len(lacking)} tensors, first "
            f"{lacking[0]}); get the model again"
        )
    _check_range(module, stored, precision, name)
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


def _make_padding_legal(config: Any) -> None:
    """Forget a padding id that no table of embeddings has, so that the table can be made.

    What lies under a mask does not matter; `Model` pads with an id that there is.
    """
    padding, size = getattr(config, "pad_token_id", None), getattr(config, "vocab_size", None)
    if isinstance(padding, int) and isinstance(size, int) and not -size <= padding < size:
        config.pad_token_id = None


def _check_range(
    module: Any, stored: Mapping[str, StoredTensor], precision: str, name: str
) -> None:
    """Raise ModelError for weights that float16 has no numbers for."""
    if precision != "float16" or all(tensor.kind == "F16" for tensor in stored.values()):
        return
    for key, weight in module.named_parameters():
        if not weight.isfinite().all():
            raise ModelError(
                f"model {name!r}: {key} has weights beyond the numbers of float16; give --dtype "
                "bfloat16 or float32"
            )


def _check_module(module: Any, name: str) -> None:
    """Raise ModelError for a module that is no text model."""
    if hasattr(module.config, "downsampling_rate"):  # CANINE
        raise ModelError(
            f"model {name!r}: {type(module).__name__} reads letters and shortens "
            f"{module.config.downsampling_rate} of them to one state inside, so its hidden states "
            "belong to no token; give a model that keeps a state for each token"
        )
    embeddings = getattr(module, "embeddings", None)
    from_padding = hasattr(embeddings, "position_embeddings")  # RoBERTa and its kin
    if from_padding and getattr(embeddings, "padding_idx", 0) is None:
        raise ModelError(
            f"model {name!r}: {type(module).__name__} counts positions from its padding id, and "
            "config.json has none, or one that its vocabulary has not; set pad_token_id there"
        )
    try:
        vocabulary_of(module)
    except (NotImplementedError, AttributeError) as error:
        raise ModelError(
            f"model {name!r}: {type(module).__name__} reads no text, or has no embedding for each "
            "of its tokens; give one that does"
        ) from error
