"""A small, randomly initialised BERT on disk, with the commonest words of real text.

Its states mean nothing, but it is a real model of transformers with safetensors: for tests of the
pipeline, where what the states mean does not matter and seconds do.
"""

import re
from collections import Counter
from pathlib import Path

from tfactors.text.windows import read_documents

VOCABULARY = 800


# Options of a build or an import that is done in seconds.
SMALL = [
    "--max-tokens", "1500", "--examples", "20", "--retention-examples", "1",
    "--saliency-examples", "0", "--saliency-others", "0", "--effect-examples", "0", "--quiet",
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
