"""The most memory that reading a corpus and surveying it take, while the corpus grows tenfold.

    python benchmarks/memory.py --tokens 300000

A random model of two blocks and random words drawn as often as words are (Zipf's law), so that
millions of tokens take minutes; the corpus is written to a .jsonl file first, a document a line.
Each size runs in a process of its own, of which the operating system says the peak.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers

from tfactors.bundle.writing import write_dictionary
from tfactors.stages.corpus import estimate_scale, read_corpus
from tfactors.stages.run import Run
from tfactors.stages.settings import with_changes
from tfactors.stages.survey import survey_corpus

WIDTH, FACTORS, VOCABULARY = 64, 256, 30_000
WORDS_A_DOCUMENT = 1000


def write_model(folder: Path) -> None:
    """Write a random BERT of two blocks that has a token for every word."""
    folder.mkdir()
    words = [f"word{i}" for i in range(VOCABULARY)]
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", *words]) + "\n", "utf-8")
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY + 2,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=128,
        initializer_range=0.2,
    )
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def write_corpus(path: Path, tokens: int) -> None:
    """Write documents of random words, a line each."""
    random = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(tokens // WORDS_A_DOCUMENT):
            words = random.zipf(1.2, WORDS_A_DOCUMENT) % VOCABULARY
            file.write(json.dumps({"text": " ".join(f"word{i}" for i in words)}) + "\n")


def measure_memory(folder: Path, corpus: Path) -> None:
    """Survey a corpus with a random dictionary; print what the process needed at most, in MB."""
    settings = with_changes(
        "default", corpora=(str(corpus),), model=str(folder / "model"), factors=FACTORS
    )
    run = Run(folder / corpus.stem, settings, show_progress=False)
    run.work.mkdir(parents=True)
    peaks = []
    atoms = np.random.default_rng(1).standard_normal((FACTORS, WIDTH)).astype(np.float32)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    for name, stage in (
        ("corpus", read_corpus),
        ("scale", estimate_scale),
        ("survey", survey_corpus),
    ):
        if name == "survey":
            write_dictionary(run.folder, atoms)
        run.finish(name, {"notes": stage(run)})
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    tokens = run.marker("corpus")["notes"]["tokens"]
    print(json.dumps({"tokens": tokens, "corpus": peaks[0], "survey": peaks[2]}))


def main() -> None:
    """Measure a corpus and one ten times as long."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=300_000, help="of the shorter corpus")
    parser.add_argument("--survey", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.survey:
        measure_memory(*options.survey)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder, "model"))
        for factor in (1, 10):
            corpus = Path(folder, f"corpus{factor}.jsonl")
            write_corpus(corpus, factor * options.tokens)
            line = [sys.executable, __file__, "--survey", folder, str(corpus)]
            memory = json.loads(subprocess.check_output(line, text=True))
            print(
                f"{memory['tokens']:>10,} tokens, {corpus.stat().st_size / 1e6:.1f} MB of text: "
                f"{memory['corpus']:.0f} MB when read, {memory['survey']:.0f} MB when surveyed"
            )


if __name__ == "__main__":
    main()
