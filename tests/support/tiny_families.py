"""Small, randomly initialised models of every family, on disk with a tokenizer of their kind.

The tokenizers are trained on real text: WordPiece, byte-level BPE, Unigram and the BPE of
SentencePiece, each with the normalisation, the mark for a space and the special tokens of the
models that use it, and with the marks that they put around a text.
"""

from functools import cache
from pathlib import Path

import torch
import transformers
from tiny_model import address_texts
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

BASE = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
}
RELATIVE = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "type_vocab_size": 0,
    "position_biased_input": False,
}
DEBERTA_V3 = {"position_buckets": 16, "share_att_key": True, "norm_rel_ebd": "layer_norm"}
FEW_KEYS = {"num_key_value_heads": 2}
PAIR = {"d_model": 32, "num_heads": 4, "d_kv": 8, "d_ff": 48, "num_layers": 2}

# model type of transformers -> its sizes and its kind of tokenizer
FAMILIES = {
    "bert": (BASE, "wordpiece"),
    "roberta": (BASE | {"max_position_embeddings": 65}, "bpe"),
    "distilbert": (
        {"n_layers": 2, "dim": 32, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 64},
        "wordpiece",
    ),
    "albert": (BASE | {"num_hidden_layers": 3, "embedding_size": 16}, "unigram"),
    "electra": (BASE | {"embedding_size": 16}, "wordpiece"),
    "mpnet": (BASE | {"max_position_embeddings": 66}, "wordpiece"),
    "deberta": (BASE | RELATIVE, "bpe"),
    "deberta-v2": (BASE | RELATIVE | DEBERTA_V3, "unigram"),
    "modernbert": (BASE | {"global_attn_every_n_layers": 2, "local_attention": 16}, "bpe"),
    "xlm-roberta": (BASE | {"max_position_embeddings": 65}, "unigram"),
    "gpt2": ({"n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 64}, "bpe"),
    "gpt_neox": (BASE, "bpe"),
    "llama": (BASE | FEW_KEYS, "llama"),
    "qwen2": (BASE | FEW_KEYS, "bpe"),
    "qwen3": (BASE | FEW_KEYS | {"head_dim": 8}, "bpe"),
    "t5": (PAIR | {"num_decoder_layers": 1}, "unigram"),
}
# Families whose blocks, padding or weights are not handled as BERT's are, and so are proved.
SPARSE = {"block_size": 4, "num_random_blocks": 1} | BASE
UNLIKE_BERT = {
    "xlnet": ({"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}, "unigram"),
    "fnet": (BASE, "unigram"),
    "mobilebert": (BASE | {"intra_bottleneck_size": 16, "embedding_size": 16}, "wordpiece"),
    "convbert": (BASE | {"embedding_size": 16}, "wordpiece"),
    "flaubert": ({"emb_dim": 32, "n_layers": 2, "n_heads": 4, "pad_index": 0}, "bpe"),
    "xlm": ({"emb_dim": 32, "n_layers": 2, "n_heads": 4, "pad_index": 0}, "bpe"),
    "mamba": ({"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}, "bpe"),
    "rwkv": ({"hidden_size": 32, "num_hidden_layers": 2, "rescale_every": 1}, "bpe"),
    "longformer": (BASE | {"attention_window": [8, 8]}, "bpe"),
    "fsmt": (
        {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 48}
        | {"decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 48}
        | {"langs": ["en", "de"], "max_position_embeddings": 64},
        "bpe",
    ),
    "ibert": (BASE | {"max_position_embeddings": 65}, "bpe"),
    # Attends to the 12 strongest of all places before one.
    "deepseek_v32": (
        {name: size for name, size in BASE.items() if name != "max_position_embeddings"}
        | {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 4, "qk_rope_head_dim": 4}
        | {"v_head_dim": 8, "num_key_value_heads": 4, "n_routed_experts": 4, "n_group": 1}
        | {"topk_group": 1, "moe_intermediate_size": 24, "num_experts_per_tok": 2}
        | {"index_topk": 12, "index_head_dim": 8, "index_n_heads": 2}
        | {"max_position_embeddings": 64},
        "bpe",
    ),
    # Its first chunk attends to its last one, which is padding where a longer text is beside it.
    "reformer_of_chunks": (
        {"hidden_size": 32, "num_attention_heads": 4, "attention_head_size": 8}
        | {"axial_pos_shape": [8, 8], "axial_pos_embds_dim": [16, 16]}
        | {"attn_layers": ["local", "local"], "local_attn_chunk_length": 16}
        | {"feed_forward_size": 48, "max_position_embeddings": 64},
        "bpe",
    ),
    "opt_of_one_width": (
        BASE | {"word_embed_proj_dim": 32, "ffn_dim": 48, "max_position_embeddings": 64},
        "bpe",
    ),
    "openai-gpt": ({"n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 64}, "bpe"),
}
# What cannot be read, or only in part.
HARD = {
    "big_bird": (SPARSE, "unigram"),
    "reformer": (
        {"hidden_size": 32, "num_attention_heads": 4, "attention_head_size": 8, "num_buckets": 2}
        | {"axial_pos_shape": [8, 8], "axial_pos_embds_dim": [16, 16], "is_decoder": True}
        | {"attn_layers": ["lsh", "lsh"], "lsh_attn_chunk_length": 16, "feed_forward_size": 48},
        "unigram",
    ),
    "funnel": (
        {"block_sizes": [1, 1], "num_decoder_layers": 1, "d_model": 32, "n_head": 4}
        | {"d_head": 8, "d_inner": 48},
        "wordpiece",
    ),
    "opt": (BASE | {"word_embed_proj_dim": 16, "ffn_dim": 48}, "bpe"),
    "long_bert": (BASE | {"num_hidden_layers": 5}, "wordpiece"),
    "xlnet_for_pairs": (
        {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48, "bi_data": True},
        "unigram",
    ),
    "mpt": ({"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 20}, "bpe"),
    "led": (
        {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 48}
        | {"decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 48}
        | {"attention_window": [8, 8], "max_encoder_position_embeddings": 30},
        "bpe",
    ),
    "llava": (
        {
            "text_config": {
                "model_type": "llama",
                **BASE,
                **FEW_KEYS,
                "rope_parameters": {
                    **{"rope_type": "longrope", "rope_theta": 1e4, "factor": 4.0},
                    **{"short_factor": [1.0] * 4, "long_factor": [1.0, 2.0, 4.0, 8.0]},
                    "original_max_position_embeddings": 28,
                },
            },
            "vision_config": {
                **{"model_type": "clip_vision_model", "hidden_size": 32, "image_size": 16},
                **{"intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4},
                **{"patch_size": 8, "projection_dim": 16},
            },
        },
        "bpe",
    ),
}
KIND_OF = {
    "reformer_of_chunks": "reformer",
    "long_bert": "bert",
    "opt_of_one_width": "opt",
    "xlnet_for_pairs": "xlnet",
}
CAUSAL = {"gpt2", "gpt_neox", "llama", "qwen2", "qwen3"}
SIZES = FAMILIES | UNLIKE_BERT | HARD
# What their tokenizers put before and after a text, by the name that transformers has for each.
CLS_SEP = {"cls_token": "[CLS]", "sep_token": "[SEP]"}
ROBERTA = {"cls_token": "<s>", "sep_token": "</s>"}
MARKS: dict[str, dict[str, str]] = {
    **dict.fromkeys(("bert", "distilbert", "albert", "electra"), CLS_SEP),
    **dict.fromkeys(("deberta", "deberta-v2", "modernbert"), CLS_SEP),
    **dict.fromkeys(("roberta", "mpnet", "xlm-roberta"), ROBERTA),
    "llama": {"bos_token": "<s>"},
    "t5": {"eos_token": "</s>"},
}


def random_module(family: str, vocabulary: int) -> torch.nn.Module:
    """A model of the family whose biases and norms are not the identity either."""
    torch.manual_seed(1)
    sizes = SIZES[family][0] | {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 0}
    if family == "fsmt":
        sizes |= {"src_vocab_size": vocabulary, "tgt_vocab_size": vocabulary}
    if "text_config" in sizes:
        sizes["text_config"] = sizes["text_config"] | {"vocab_size": vocabulary}
        sizes["image_token_index"] = vocabulary - 1
    config = transformers.AutoConfig.for_model(KIND_OF.get(family, family), **sizes)
    if family == "funnel":
        config.architectures = ["FunnelModel"]
    config.cls_token_id = config.sep_token_id = 0  # ModernBERT's lie beyond a small vocabulary
    module = transformers.AutoModel.from_config(config)
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return module


def write_family(family: str, folder: Path) -> Path:
    """Write model and tokenizer as ``save_pretrained`` does."""
    marks = MARKS.get(family, {})
    fast = Tokenizer.from_str(trained(SIZES[family][1], tuple(marks.values())))
    if marks:
        before = [token for name, token in marks.items() if name in ("cls_token", "bos_token")]
        after = [token for token in marks.values() if token not in before]
        fast.post_processor = processors.TemplateProcessing(
            single=[*before, "$A", *after],
            special_tokens=[(token, fast.token_to_id(token)) for token in marks.values()],
        )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=fast,
        unk_token="<unk>",
        pad_token="<pad>",
        model_max_length=64,
        **marks,
    )
    tokenizer.save_pretrained(folder)
    random_module(family, len(tokenizer)).save_pretrained(folder)
    return folder


@cache
def trained(kind: str, marks: tuple[str, ...]) -> str:
    """A tokenizer of the kind, trained on an address, as the text of its file."""
    special = {"special_tokens": ["<pad>", "<unk>", *marks], "show_progress": False}
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=400, **special)
    elif kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, **special)
    elif kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=400, unk_token="<unk>", **special)
    else:  # Llama's: nothing tells words apart but the mark that stands for a space
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
        spaces = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        tokenizer.normalizer = normalizers.Sequence(spaces)
        tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
        trainer = trainers.BpeTrainer(vocab_size=400, **special)
    tokenizer.train_from_iterator([address_texts(1)[0]], trainer)
    if kind == "llama":
        tokenizer.pre_tokenizer = None
    return tokenizer.to_str()
