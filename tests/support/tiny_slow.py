"""Small, randomly initialised models whose tokenizers have no fast version, on disk."""

from pathlib import Path

import torch
import transformers

AMINO_ACIDS = "LAGVSERTIDPKQNFYMHWC"


def write_tiny_esm(folder: Path) -> Path:
    """Write an ESM-2 with the vocabulary of the real ones."""
    folder.mkdir()
    letters = ["<cls>", "<pad>", "<eos>", "<unk>", *AMINO_ACIDS, *"XBUZO.-", "<null_1>", "<mask>"]
    (folder / "vocab.txt").write_text("\n".join(letters), "utf-8")
    transformers.EsmTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.EsmConfig(
        vocab_size=len(letters),
        mask_token_id=len(letters) - 1,
        pad_token_id=1,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=66,
        position_embedding_type="rotary",
        token_dropout=True,
    )
    transformers.EsmModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def write_tiny_byt5(folder: Path) -> Path:
    """Write the encoder of a ByT5, whose tokens are bytes, saved without its decoder."""
    transformers.ByT5Tokenizer().save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"d_model": 32, "num_heads": 4, "d_kv": 8, "d_ff": 48, "num_layers": 2}
    config = transformers.T5Config(vocab_size=384, **sizes)
    transformers.T5EncoderModel(config).save_pretrained(folder)
    return folder
