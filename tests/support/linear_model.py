"""Models of which everything is known: each block is a linear map of its token and the one before.

A state is x_t A + x_{t-1} B behind the block, so what a factor was made from is a product of
matrices. They are modules as transformers makes them, without weights of their own to load.
"""

from types import SimpleNamespace

import numpy as np
import torch

from tfactors.coding.baseline import BaselineSums, TokenBaseline, fit_baseline
from tfactors.coding.solver import SparseCoder
from tfactors.coding.state_transform import StateTransform
from tfactors.explain.encoder import FactorEncoder
from tfactors.model.hidden_states import Model
from tfactors.model.proof import Proof

WORDS, WIDTH = 40, 12


class Block(torch.nn.Module):
    """x_t A + x_{t−1} B."""

    def __init__(self, here: np.ndarray, before: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("here", torch.from_numpy(here.astype(np.float32)))
        self.register_buffer("before", torch.from_numpy(before.astype(np.float32)))

    def forward(self, hidden_states: torch.Tensor, attention_mask=None) -> torch.Tensor:
        left = torch.nn.functional.pad(hidden_states, (0, 0, 1, 0))[:, :-1]
        return hidden_states @ self.here + left @ self.before


class LinearModel(torch.nn.Module):
    """Embeddings and blocks."""

    def __init__(self, blocks: list[Block]) -> None:
        super().__init__()
        self.config = SimpleNamespace(
            num_hidden_layers=len(blocks),
            hidden_size=WIDTH,
            max_position_embeddings=64,
            pad_token_id=0,
        )
        torch.manual_seed(0)
        self.words = torch.nn.Embedding(WORDS, WIDTH).requires_grad_(False)
        self.blocks = torch.nn.ModuleList(blocks)

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.words

    def forward(self, input_ids: torch.Tensor, attention_mask=None) -> tuple[torch.Tensor]:
        states = self.words(input_ids)
        for block in self.blocks:
            states = block(states, attention_mask=attention_mask)
        return (states,)


class CurvedBlock(Block):
    """Waves of the same, many along a line between two states."""

    def forward(self, hidden_states: torch.Tensor, attention_mask=None) -> torch.Tensor:
        return torch.sin(60 * super().forward(hidden_states))


def linear_encoder(
    here: np.ndarray,
    before: np.ndarray,
    own_part: bool = True,
    refit: bool = True,
    first: type[Block] = Block,
) -> FactorEncoder:
    """A model of two such blocks with a random dictionary, and what its words bring.

    ``first`` is the kind of the first block, if it is to be another one.
    """
    tokenizer = SimpleNamespace(
        model_max_length=64, pad_token_id=0, unk_token_id=1, mask_token_id=2, eos_token_id=3
    )
    module = LinearModel([first(here, before), Block(here, before)])
    proof = Proof(2, WIDTH, ("blocks",), positions=False, target_row=False)
    model = Model("linear", "0" * 64, module, tokenizer, "cpu", proof)
    atoms = np.random.default_rng(3).standard_normal((30, WIDTH)).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    layers = [0, 1, 2]
    baseline = _baseline(model, layers) if own_part else None
    transform = StateTransform(dict.fromkeys(layers, 1.5), baseline=baseline)
    return FactorEncoder(model, SparseCoder(atoms, refit=refit), transform, 0.3, tol=1e-6)


def _baseline(model: Model, layers: list[int]) -> TokenBaseline:
    random = np.random.default_rng(2)
    texts = [random.integers(0, WORDS, 20) for _ in range(60)]
    states = 1.5 * model.hidden_states(texts, layers)
    sums = BaselineSums.empty(np.arange(WORDS), 20, len(layers) * WIDTH)
    sums.add(sums.of_batch(states, np.concatenate(texts), np.tile(np.arange(20), len(texts))))
    return fit_baseline(sums, layers, model.unit_embeddings)
