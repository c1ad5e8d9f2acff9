"""A tiny BERT with a random dictionary, and windows of real text: for tests of what uses them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tiny_families import write_family
from tiny_model import address_texts, write_tiny_bert

from tfactors.coding.baseline import BaselineSums, fit_baseline
from tfactors.coding.solver import SparseCoder
from tfactors.coding.state_transform import StateTransform
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.read_states import tokens_and_places
from tfactors.model.hidden_states import layer_scales, load_model
from tfactors.text.windows import document_windows

FACTORS = 60


def tiny_encoder(folder: Path, blocks: int = 2, penalty: float = 0.7) -> FactorEncoder:
    """A model of ``blocks`` blocks with hidden states of 32 numbers, and 60 random atoms."""
    write_tiny_bert(folder, blocks=blocks)
    model = load_model(str(folder))
    atoms = np.random.default_rng(0).standard_normal((FACTORS, model.width)).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    text = np.arange(5, 105)
    norms = np.linalg.norm(model.hidden_states([text], model.layers), axis=2).mean(axis=1)
    scale = dict(zip(model.layers, layer_scales(norms, model.width).tolist(), strict=True))
    return FactorEncoder(model, SparseCoder(atoms), StateTransform(scale), penalty, tol=1e-6)


def causal_encoder(folder: Path) -> FactorEncoder:
    """A GPT-2 of two blocks, at scales of our own, and 60 random atoms."""
    write_family("gpt2", folder)
    model = load_model(str(folder))
    atoms = np.random.default_rng(0).standard_normal((FACTORS, model.width)).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    transform = StateTransform({0: 20.0, 1: 10.0, 2: 5.0})
    return FactorEncoder(model, SparseCoder(atoms), transform, 0.3, tol=1e-6)


def encoder_with_own_part(
    folder: Path, marks: bool = False, blocks: int = 2, normed: bool = False
) -> FactorEncoder:
    """A tiny model with a baseline fitted to random windows of its own, and a random dictionary.

    Its states have length √d each, or are ``normed`` as a layer norm does.
    """
    model = load_model(str(write_tiny_bert(folder, blocks=blocks)), marks=marks)
    layers = list(range(1, blocks + 1))
    scaled = StateTransform(dict.fromkeys(layers, 1.0), by_length=not normed, normed=normed)
    random = np.random.default_rng(1)
    texts = [random.integers(5, 700, 20) for _ in range(300)]
    states = model.hidden_states(texts, layers)
    scaled.scale_states(states, layers)
    token_ids, places = tokens_and_places(model, texts)
    sums = BaselineSums.empty(np.arange(5, 600), 20, len(layers) * model.width)
    sums.add(sums.of_batch(states, token_ids, places))
    baseline = fit_baseline(sums, layers, model.unit_embeddings)
    atoms = np.random.default_rng(5).standard_normal((FACTORS, model.width)).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    transform = replace(scaled, baseline=baseline)
    return FactorEncoder(model, SparseCoder(atoms), transform, 0.05, tol=1e-6)


def tiny_windows(encoder: FactorEncoder, number: int = 12, length: int = 40) -> pd.DataFrame:
    """The first windows of an address, as `Bundle.windows` gives them."""
    windows = document_windows(0, address_texts(1)[0], encoder.model.tokenizer, length)
    rows = [vars(window) | {"window": i} for i, window in zip(range(number), windows, strict=False)]
    return pd.DataFrame(rows)


def top_examples(
    encoder: FactorEncoder, windows: pd.DataFrame, layer: int, top: int = 3
) -> pd.DataFrame:
    """The largest activations of every factor at a layer: factor, layer, window, position, …"""
    codes = encoder.encode(list(windows["token_ids"]), layer).toarray()
    lengths = [len(ids) for ids in windows["token_ids"]]
    window = np.repeat(windows["window"].to_numpy(), lengths)
    position = np.concatenate([np.arange(length) for length in lengths])
    rows = []
    for factor in range(codes.shape[1]):
        for row in np.argsort(-codes[:, factor], kind="stable")[:top]:
            if codes[row, factor] > 0:
                rows.append((factor, layer, window[row], position[row], codes[row, factor]))
    return pd.DataFrame(rows, columns=["factor", "layer", "window", "position", "activation"])
