"""Shows once, when a model is opened, that what is read of it is what it says itself.

    alone        the states of one text are those of the model's own forward
    together     so are those of texts of unequal lengths that share a batch
    running on   states put in at a layer, under the token ids of another text, give the last
                 states of the text that they are of

The model's own forward is transformers' own answer (``output_hidden_states``) to each text alone,
before a weight was packed. Of several ways to read a model the first that passes is taken; what no
way reads is refused, and a feature that a model cannot have is known to be missing.
"""

import inspect
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from tfactors.model.loading import ModelError
from tfactors.model.own_states import check_numbers, own_states, stacked_states
from tfactors.model.packed_linear import pack_linear_layers, unpack_linear_layers
from tfactors.model.tapped_blocks import form_of_answers, paths_of_blocks
from tfactors.model.target_row import has_target_row

# Of the texts that are read. The first is longer than two of the chunks of 64 that some models
# attend to; two are as long, and end with the same token. One more is half as long as the first:
# beside it in a batch, it is padded by a chunk.
LENGTHS = (130, 5, 5, 1)
_SHORT = slice(1, 4)
# Two states are the same up to this share of their length. Rounding makes some 1e-6 of it in
# float32; padding that is not masked makes a tenth or more.
SAME = 3e-4
SAME_IN_EPSILONS = 20  # of a number type with fewer digits
# A larger model reads no long text, and runs on from three layers only: a pass takes seconds.
MOST_WEIGHTS = 1_000_000_000

_PROVED: dict[str, "Proof"] = {}
_LOG = logging.getLogger("tfactors")


@dataclass(frozen=True)
class Proof:
    """How a model is read, and what it was shown to do.

    Attributes
    ----------
    blocks : int
        Hidden states after the embedding.
    width : int
        Numbers in each.
    path : tuple of str
        Where the list of blocks is at whose calls states are noted; empty where they are taken from
        what the model itself hands out after a whole pass.
    padding : bool
        Whether texts of unequal lengths can share a batch.
    batches : bool
        Whether texts of one length can.
    runs_on : bool
        Whether the network runs on from states that were changed.
    positions : bool
        Whether it can be told where a text starts.
    target_row : bool
        Whether the last block can be run for one position alone.
    packed : bool
        Whether its linear layers are packed.
    """

    blocks: int
    width: int
    path: tuple[str, ...] = ()
    padding: bool = True
    batches: bool = True
    runs_on: bool = True
    positions: bool = True
    target_row: bool = True
    packed: bool = False


class Reader(Protocol):
    """A model as it is opened with a proof; see `tfactors.model.hidden_states.Model`."""

    max_length: int

    def hidden_states(
        self,
        texts: Sequence[np.ndarray],
        layers: Sequence[int],
        positions: Sequence[int] | None = None,
        starts: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Return hidden states, (layers, rows, width)."""

    def last_states(
        self, texts: Sequence[np.ndarray], layer: int, states: np.ndarray
    ) -> np.ndarray:
        """Return the last states that come of states at a layer, (rows, width)."""


def proof_of(
    module: Any,
    name: str,
    sha256: str,
    ordinary_ids: np.ndarray,
    open_with: Callable[[Proof], Reader],
) -> Proof:
    """Return how a model is read, and pack its linear layers where that changes nothing.

    What was proved of the same weights, settings and device is remembered in the process.

    Parameters
    ----------
    module : torch Module
        The transformer, on its device.
    name : str
        What it is called in messages.
    sha256 : str
        Of its weights.
    ordinary_ids : (n,) integers
        Token ids that may stand in a text.
    open_with : callable
        Makes a reader of the module, without marks, of a proof.

    Raises
    ------
    ModelError
        Its states cannot be read.
    """
    parameter = next(module.parameters())
    settings = json.dumps(module.config.to_dict(), sort_keys=True, default=str)
    key = f"{sha256} {parameter.dtype} {parameter.device} {type(module).__name__} {settings}"
    large = sum(weight.numel() for weight in module.parameters()) > MOST_WEIGHTS
    longest = open_with(Proof(blocks=1, width=1)).max_length
    if longest < 1:
        raise ModelError(
            f"model {name!r}: it has no place for a token (max_position_embeddings in "
            "config.json); get the model again"
        )
    texts, others = _texts(ordinary_ids, longest, large)
    if key not in _PROVED:
        _PROVED[key] = _prove(module, name, texts, others, large, open_with)
        return _PROVED[key]
    own_states(module, name, texts[1])  # RWKV scales its weights at its first pass
    if _PROVED[key].packed:
        pack_linear_layers(module)
    return _PROVED[key]


def _texts(
    ordinary_ids: np.ndarray, longest: int, large: bool
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return texts to try a model with, and others of the same lengths, as token ids."""
    random = np.random.default_rng(0)
    longest = min(longest, 2 * LENGTHS[1] if large else LENGTHS[0])
    lengths = [*(min(length, longest) for length in LENGTHS), longest // 2 + 1]
    texts, others = (
        [random.choice(ordinary_ids, length).astype(np.int64) for length in lengths]
        for _ in range(2)
    )
    texts[2][-1] = texts[1][-1]
    return texts, others


def _prove(
    module: Any,
    name: str,
    texts: list[np.ndarray],
    others: list[np.ndarray],
    large: bool,
    open_with: Callable[[Proof], Reader],
) -> Proof:
    """Try the ways to read a model, and what it can do, on some texts."""
    own = [own_states(module, name, text) for text in texts]
    check_numbers(module, name, own)
    test = _Test(texts, others, own, _tolerance(module), open_with)
    packed = pack_linear_layers(module)
    if packed and not test.passes(own[1], stacked_states, module, texts[1]):
        unpack_linear_layers(module)
        packed = False
    first = Proof(len(own[0]) - 1, own[0].shape[2], packed=packed)
    proof = _way_to_read(module, name, first, test)
    proof = replace(proof, padding=test.together(proof, slice(None)))
    proof = replace(proof, batches=proof.padding or test.together(proof, slice(1, 3)))
    proof = replace(proof, positions=test.positions(proof, module))
    proof = replace(proof, target_row=test.target_row(proof, module))
    if not proof.path:
        return replace(proof, runs_on=False)
    layers = list(range(proof.blocks))
    if large and len(layers) > 3:
        layers = [0, proof.blocks // 2, proof.blocks - 1]
        _LOG.warning(
            "%s is large: its states were compared on texts of up to %d tokens, and running on "
            "from changed ones was tried at the layers %s alone",
            name,
            len(texts[0]),
            ", ".join(map(str, layers)),
        )
    return replace(proof, runs_on=test.runs_on(proof, layers, _all_skipped(module, proof, texts)))


def _way_to_read(module: Any, name: str, first: Proof, test: "_Test") -> Proof:
    """Return the first way to read a model that gives its own states of one text alone."""
    config = module.config
    lengths = {
        first.blocks,
        int(getattr(config, "num_hidden_layers", first.blocks)),
        # ALBERT runs each of its few groups of weights many times.
        int(getattr(config, "num_hidden_groups", first.blocks)),
    }
    for path in paths_of_blocks(module, lengths):
        proof = replace(first, path=path)
        if test.alone(proof):
            return proof
    # Else as the model hands them out, unless it counts them in a way of its own.
    if test.alone(first) and test.begins_with_embeddings():
        return first
    kind = type(module).__name__
    if not test.alone_again(module, name):
        reason = f"{kind} gives other states of a text each time (it draws random numbers)"
    else:
        reason = f"the hidden states of {kind} are not those of one block after another"
    raise ModelError(
        f"model {name!r}: {reason}; give an encoder such as BERT or a decoder such as GPT-2"
    )


def _all_skipped(module: Any, proof: Proof, texts: list[np.ndarray]) -> bool:
    """Whether every block can be skipped; see `tfactors.model.tapped_blocks.form_of_answers`."""
    import torch

    ids = torch.from_numpy(texts[0][None]).to(next(module.parameters()).device)
    try:
        with torch.inference_mode():
            forms = form_of_answers(module, proof.path, lambda copy: copy(input_ids=ids))
    except Exception:  # whatever the code of a model raises
        return False
    return None not in forms


def _tolerance(module: Any) -> float:
    """Return up to which share of its length a state counts as the same."""
    import torch

    digits = torch.finfo(next(module.parameters()).dtype).eps
    return SAME if digits < 1e-6 else SAME_IN_EPSILONS * digits


class _Test:
    """Texts, what a model itself says of each, and what is asked of a way to read it."""

    def __init__(
        self,
        texts: list[np.ndarray],
        others: list[np.ndarray],
        own: list[np.ndarray],
        tolerance: float,
        open_with: Callable[[Proof], Reader],
    ) -> None:
        self.texts, self.others, self.own = texts, others, own
        self.tolerance, self.open_with = tolerance, open_with

    def passes(self, expected: np.ndarray, read: Callable[..., np.ndarray], *asked: Any) -> bool:
        """Whether states (…, width) that are read, with what is asked, are those expected."""
        try:
            found = read(*asked)
        except ModelError:
            raise
        except Exception:  # whatever the code of a model raises
            return False
        if found.shape != expected.shape:
            return False
        lengths = np.linalg.norm(expected, axis=-1)
        apart = np.linalg.norm(found - expected, axis=-1)
        known = np.isfinite(lengths)
        if (np.isfinite(np.linalg.norm(found, axis=-1)) != known).any():
            return False
        return bool((apart <= self.tolerance * lengths + 1e-6)[known].all())

    def layers(self, proof: Proof) -> list[int]:
        return list(range(proof.blocks + 1))

    def alone(self, proof: Proof) -> bool:
        """Whether the states of one text, read alone, are its own.

        Mamba and RWKV leave the embeddings out of their own, and count the last block's output
        before the final norm instead. Then what enters the first block is layer 0 as everywhere.
        """
        reader = self.open_with(replace(proof, padding=False, batches=False))

        own, layers = self.own, self.layers(proof)
        if not self.passes(own[0], reader.hidden_states, self.texts[:1], layers):
            above = [np.concatenate([states[:-2], states[-1:]]) for states in own]
            if self.begins_with_embeddings() or not self.passes(
                above[0], reader.hidden_states, self.texts[:1], layers[1:]
            ):
                return False
            first = [reader.hidden_states([text], [0]) for text in self.texts]
            own = [np.concatenate(both) for both in zip(first, above, strict=True)]
        if not self.passes(own[1], reader.hidden_states, self.texts[1:2], layers):
            return False
        self.own = own
        return True

    def alone_again(self, module: Any, name: str) -> bool:
        """Whether a module says the same of a text when it is asked twice."""
        return self.passes(self.own[0], own_states, module, name, self.texts[0])

    def begins_with_embeddings(self) -> bool:
        """Whether layer 0 knows no context: the same for one token at one place in two texts."""
        one, other = (own[0, -1] for own in self.own[1:3])
        return self.passes(other, lambda: one)

    def together(self, proof: Proof, which: slice) -> bool:
        """Whether texts that share a batch have the states that each has alone."""
        reader = self.open_with(replace(proof, padding=True))
        expected = np.concatenate(self.own[which], axis=1)
        layers = self.layers(proof)
        return self.passes(expected, reader.hidden_states, self.texts[which], layers)

    def positions(self, proof: Proof, module: Any) -> bool:
        """Whether texts that start at place 0 are those that start nowhere in particular."""
        if "position_ids" not in inspect.signature(module.forward).parameters:
            return False
        reader, texts = self.open_with(proof), self.texts[_SHORT]
        expected, layers = np.concatenate(self.own[_SHORT], axis=1), self.layers(proof)
        starts = [0] * len(texts)
        return self.passes(expected, reader.hidden_states, texts, layers, None, starts)

    def target_row(self, proof: Proof, module: Any) -> bool:
        """Whether one position of each text has the state that it has among all."""
        if not any(map(has_target_row, module.modules())):
            return False
        reader, layers = self.open_with(proof), sorted({1, proof.blocks})
        texts = self.texts[_SHORT]
        places = [len(text) // 2 for text in texts]
        rows = [own[:, place] for own, place in zip(self.own[_SHORT], places, strict=True)]
        expected = np.stack(rows, axis=1)[layers]
        return all(
            self.passes(one[None], reader.hidden_states, texts, [layer], places)
            for layer, one in zip(layers, expected, strict=True)
        )

    def runs_on(self, proof: Proof, layers: list[int], all_skipped: bool) -> bool:
        """Whether running on from own states gives the own last ones, and nothing else does.

        Under other token ids that holds only where nothing of the text comes in beside the states.
        A model that looks at the ids in later blocks as well passes with its own, if the blocks
        below are skipped: then a residual that went around a block would be missing.
        """
        reader = self.open_with(proof)
        own = np.concatenate(self.own[_SHORT], axis=1)

        def all_run_on(texts: list[np.ndarray]) -> bool:
            return all(
                self.passes(own[-1], reader.last_states, texts, layer, own[layer])
                for layer in layers
            )

        return all_run_on(self.others[_SHORT]) or (
            all_skipped and proof.blocks > 1 and all_run_on(self.texts[_SHORT])
        )


def cannot_run_on(name: str) -> str:
    """Return what to say where a model is asked to run on and cannot."""
    return (
        f"{name}: cannot run on from hidden states that were changed (from its own it does not "
        "come to its own last ones), so what a factor does further up cannot be said of it"
    )


def ordinary_ids(tokenizer: Any, vocabulary: int) -> np.ndarray:
    """Return the ids of a vocabulary that stand for text, not for a mark."""
    special = set(tokenizer.all_special_ids) | set(getattr(tokenizer, "added_tokens_decoder", ()))
    ids = np.setdiff1d(np.arange(min(vocabulary, len(tokenizer))), list(special))
    return ids if len(ids) > 2 else np.arange(vocabulary)
