"""Whether the hidden states of every family of text models are those that transformers gives.

    python benchmarks/families.py                          # all, in some minutes
    python benchmarks/families.py mamba xlnet              # these
    python benchmarks/families.py --table docs/reference/families.md

Of each family that transformers' AutoModel knows and that reads token ids alone, a tiny model with
random weights is made from its class of settings, saved, and opened by name. Its states at every
layer, of texts that share a call and of each alone, are compared with the reference: transformers'
own forward of the files, one text at a time, without padding. A model is right if no state is apart
by more than a ten-thousandth of its length, and running on from the states of every layer gives the
reference's last ones (or the model says that it can't); or it is refused in one line.
"""

import argparse
import copy
import dataclasses
import inspect
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

from tfactors.model.hidden_states import Model, load_model
from tfactors.model.loading import ModelError

VOCABULARY, WIDTH, LONGEST = 400, 32, 66
LENGTHS = (9, 30, 1, 17, 9, 4)
SAME = 1e-4
MOST_WEIGHTS = 30_000_000  # a tiny model has fewer; of some families no tiny one can be made

# Sizes by the names that classes of settings have for them.
SIZES: dict[str, Any] = {
    **dict.fromkeys(
        ("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size"), WIDTH
    ),
    **dict.fromkeys(("attention_hidden_size", "lru_width", "word_embed_proj_dim"), WIDTH),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_encoder_layers"), 2),
    **dict.fromkeys(("num_decoder_layers",), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_encoder_attention_heads", "num_decoder_attention_heads"), 4),
    **dict.fromkeys(("head_dim", "d_kv", "kv_channels", "attention_head_size", "v_head_dim"), 8),
    **dict.fromkeys(("intermediate_size", "n_inner", "hidden_dim", "ffn_dim", "d_ff"), 48),
    **dict.fromkeys(("ffn_hidden_size", "encoder_ffn_dim", "decoder_ffn_dim", "d_inner"), 48),
    **dict.fromkeys(("dim_ff", "intermediate_size_mlp", "feed_forward_size"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size"), 24),
    **dict.fromkeys(("shared_intermediate_size",), 24),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx"), LONGEST),
    **dict.fromkeys(("max_source_positions", "context_length"), LONGEST),
    **dict.fromkeys(("max_encoder_position_embeddings",), LONGEST),
    **dict.fromkeys(("max_decoder_position_embeddings",), LONGEST),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 4),
    **dict.fromkeys(("moe_num_experts",), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k", "num_key_value_heads"), 2),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "mamba_n_groups"), 1),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim", "rotary_dim"), 4),
    **dict.fromkeys(("mamba_d_state", "state_size", "mamba_dt_rank", "time_step_rank"), 4),
    **dict.fromkeys(("mamba_n_heads", "mamba_d_head", "mamba_chunk_size", "chunk_size"), 8),
    **dict.fromkeys(("index_head_dim", "linear_key_head_dim", "linear_value_head_dim"), 8),
    **dict.fromkeys(("index_n_heads", "linear_num_key_heads", "linear_num_value_heads"), 2),
    **dict.fromkeys(("vocab_size", "src_vocab_size", "tgt_vocab_size"), VOCABULARY),
    "vocab_size_per_layer_input": VOCABULARY,
    "hidden_size_per_layer_input": 8,
    "local_attention": 16,
    "index_topk": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
}
FOUR = {"num_hidden_layers": 4}  # of them some attend
EVERY_HEAD = {"num_key_value_heads": 4}  # attention to a latent state has no groups
TWO_KINDS = {"num_kv_shared_layers": 0, "layer_types": ["sliding_attention", "full_attention"]}
PLACES = {
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
}
HALF = {
    name: SIZES[name]
    for name in ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads")
} | {"num_key_value_heads": 2, "head_dim": 8, "vocab_size": VOCABULARY}
# What a family needs beside the sizes, or instead of them.
OWN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32"), EVERY_HEAD),
    **dict.fromkeys(("glm4_moe_lite", "glm_moe_dsa", "minicpm3", "mistral4"), EVERY_HEAD),
    **dict.fromkeys(("mistral_large4_text", "sarvam_mla", "youtu", "dots3_note_text"), EVERY_HEAD),
    "esmc": EVERY_HEAD,
    **dict.fromkeys(("lfm3", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next"), FOUR),
    **dict.fromkeys(("qwen2_vl_text", "qwen2_5_vl_text"), PLACES),
    **dict.fromkeys(("glm4v_text", "glm_image_text", "glm_ocr_text"), PLACES),
    "funnel": {"block_sizes": [1, 1], "num_hidden_layers": None},
    "bamba": {"num_hidden_layers": 3, "attn_layer_indices": [1]},
    "big_bird": {"block_size": 4, "num_random_blocks": 2},
    "bigbird_pegasus": {"block_size": 4, "num_random_blocks": 2},
    "falcon_h1": {"mamba_d_ssm": 64, "mamba_expand": 2},
    "fsmt": {"langs": ["en", "de"]},
    "gemma3n_text": TWO_KINDS | {"laurel_rank": 4, "activation_sparsity_pattern": [0.0, 0.0]},
    "gemma4_text": TWO_KINDS | {"global_head_dim": 8},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 8},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "jamba": {
        **{"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2},
        **{"expert_layer_offset": 1, "use_mamba_kernels": False},
    },
    "longcat_flash": EVERY_HEAD | {"head_dim": 4},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"]},
    "led": {"attention_window": [8, 8]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "lilt": {"hidden_size": 48},
    "longformer": {"attention_window": [8, 8], "max_position_embeddings": 68, "pad_token_id": 1},
    "luke": {"entity_vocab_size": 10, "entity_emb_size": 8},
    "mamba2": {"num_heads": 8, "n_groups": 1},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": {
        **{"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 8], "is_decoder": True},
        **{"attn_layers": ["local", "local"], "local_attn_chunk_length": 8},
        "max_position_embeddings": 64,
    },
    "rwkv": {"num_hidden_layers": 3},
    "t5gemma": {"encoder": HALF, "decoder": HALF},
    "xmod": {"default_language": "en_XX", "languages": ["en_XX"]},
    "zaya": {"num_experts_per_tok": 1},
}


class Verdict(NamedTuple):
    """What came of one family."""

    family: str
    kind: str  # right, refused, wrong, or not made
    apart: float = float("nan")  # largest deviation of a state, as a share of its length
    said: str = ""  # one line of a model that is refused, or what is wrong
    batches: str = ""
    runs_on: str = ""


def families() -> list[str]:
    """Return every family of AutoModel that reads token ids and nothing else."""
    chosen = []
    for family in MODEL_MAPPING_NAMES:
        try:
            kind = transformers.MODEL_MAPPING[transformers.CONFIG_MAPPING[family]]
            kind = kind[0] if isinstance(kind, tuple) else kind
            parameters = inspect.signature(kind.forward).parameters
        except Exception:  # a class whose own libraries are not here
            continue
        others = ("pixel", "image", "input_features", "input_values", "bbox", "audio", "speech")
        read = any(word in name for name in parameters for word in others)
        if kind.main_input_name == "input_ids" and "input_ids" in parameters and not read:
            chosen.append(family)
    return chosen


def random_model(family: str) -> torch.nn.Module:
    """Return a tiny model of a family, with random weights."""
    kind = transformers.CONFIG_MAPPING[family]
    renamed = getattr(kind, "attribute_map", None) or {}
    fields = {field.name for field in dataclasses.fields(kind)}
    fields |= {name for name, own in renamed.items() if own not in SIZES}
    settings = {name: size for name, size in SIZES.items() if name in fields}
    settings |= copy.deepcopy(OWN.get(family, {}))  # some classes write to what they are given
    settings = {name: size for name, size in settings.items() if size is not None}
    config = kind(**settings)
    config.architectures = config.architectures or []
    with torch.device("meta"):
        weights = transformers.AutoModel.from_config(config).num_parameters()
    if weights > MOST_WEIGHTS:
        raise ValueError(f"its smallest model has {weights:,} weights")
    torch.manual_seed(1)
    module = transformers.AutoModel.from_config(config).float()
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return module.eval()


def save(module: torch.nn.Module, folder: Path) -> None:
    """Save a model with a tokenizer of words that are numbers."""
    words = ["<pad>", "<s>", "<unk>", *map(str, range(VOCABULARY - 3))]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", model_max_length=64
    ).save_pretrained(folder)
    module.save_pretrained(folder)


def states_of_transformers(folder: Path, texts: list[np.ndarray]) -> list[np.ndarray]:
    """Return the states of each text, (layers, tokens, width), as transformers gives them."""
    module = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    module = module.get_encoder() if module.config.is_encoder_decoder else module
    states, asked = [], {"output_hidden_states": True}
    if "use_cache" in inspect.signature(module.forward).parameters:
        asked["use_cache"] = False
    with torch.inference_mode():
        for text in texts:
            answer = module(input_ids=torch.from_numpy(text[None]), **asked)
            own = np.stack([layer[0, : len(text)].numpy() for layer in answer.hidden_states])
            # State space models list what leaves a block, and leave the embeddings out.
            if type(module).__name__ in (
                "MambaModel",
                "FalconMambaModel",
                "Mamba2Model",
                "RwkvModel",
            ):
                first = module.get_input_embeddings()(torch.from_numpy(text[None])).numpy()
                own = np.concatenate([first, own[:-2], own[-1:]])
            states.append(own)
    return states


def apart(found: np.ndarray, expected: np.ndarray) -> float:
    """Return how far two sets of states are apart at most, as a share of their length."""
    if found.shape != expected.shape:
        return float("inf")
    lengths = np.maximum(np.linalg.norm(expected, axis=-1), 1e-6)
    return float((np.linalg.norm(found - expected, axis=-1) / lengths).max())


def compare(family: str, model: Model, folder: Path) -> Verdict:
    """Compare an opened model with its files as transformers reads them."""
    random = np.random.default_rng(0)
    lengths = [
        min(length, model.max_length) for length in (*LENGTHS, min(LONGEST, model.max_length))
    ]
    texts = [random.integers(10, VOCABULARY - 10, length) for length in lengths]
    own = states_of_transformers(folder, texts)
    found = model.hidden_states(texts, model.layers)
    deviations = [apart(found, np.concatenate(own, axis=1))]
    deviations += [
        apart(model.hidden_states([text], model.layers), states)
        for text, states in zip(texts, own, strict=True)
    ]
    last = np.concatenate(own, axis=1)[-1]
    try:
        deviations += [
            apart(model.last_states(texts, layer, states), last)
            for layer, states in enumerate(found[:-1])
        ]
        runs_on = "yes"
    except ModelError:
        runs_on = "says no"
    worst = max(deviations)
    batches = "any length" if model.proof.padding else "one length"
    batches = batches if model.proof.batches else "one text"
    kind = "right" if worst <= SAME else "wrong"
    return Verdict(family, kind, worst, "" if worst <= SAME else "states differ", batches, runs_on)


def verdict_on(family: str) -> Verdict:
    """Make a tiny model of a family, and compare it."""
    try:
        module = random_model(family)
    except Exception as error:  # settings of which no tiny model can be made
        return Verdict(family, "not made", said=_line(error))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            save(module, folder)
        except Exception as error:
            return Verdict(family, "not made", said=_line(error))
        try:
            model = load_model(name)
        except ModelError as error:
            said = str(error).replace(f"model {name!r}", "").lstrip(": ")
            return Verdict(family, "refused" if "\n" not in said else "wrong", said=said)
        except Exception as error:
            return Verdict(family, "wrong", said=_line(error))
        try:
            return compare(family, model, folder)
        except Exception as error:
            return Verdict(family, "wrong", said=_line(error))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:110]}"


def table(verdicts: list[Verdict]) -> str:
    """Return a page with a row for each family."""
    by_kind = {kind: [v for v in verdicts if v.kind == kind] for kind in ("right", "refused")}
    not_made = [v.family for v in verdicts if v.kind == "not made"]
    rows = [f"| {v.family} | {v.apart:.0e} | {v.batches} | {v.runs_on} |" for v in by_kind["right"]]
    refused = [f"| {v.family} | {v.said.replace('|', '/')} |" for v in by_kind["refused"]]
    return "\n".join(
        [
            "# Families of models",
            "",
            "What `python benchmarks/families.py --table docs/reference/families.md` found with "
            f"transformers {transformers.__version__}: a tiny",
            "random model of every family that its AutoModel knows and that reads text alone, "
            "compared with its own forward of",
            "one text at a time. A model is tried in the same way when it is opened "
            "([your model](../how_to/your_model.md)).",
            "",
            f"## {len(rows)} families are right",
            "",
            "*Apart* is the largest deviation of a state at any layer, as a share of its length: "
            "float32's rounding. *Share a batch*:",
            "texts of any length, or only of one, where padding would change states. *Runs on*: "
            "whether the network can go on from a",
            "changed state, which interventions, effects and fidelity need; where it can't, they "
            "say so. Mamba, Falcon-Mamba, Mamba-2 and",
            "RWKV leave the embeddings out of the states that they list; here they are layer 0, as "
            "everywhere.",
            "",
            "| family | apart | share a batch | runs on |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            f"## {len(refused)} are refused in one line",
            "",
            "| family | what is said |",
            "| --- | --- |",
            *refused,
            "",
            f"Of {len(not_made)} more no tiny model was made, so nothing is known of them before "
            "one is opened: ",
            ", ".join(not_made) + ".",
            "",
        ]
    )


def main() -> int:
    """Print a line for each family; return 1 if one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", help="all by default")
    parser.add_argument("--table", type=Path, help="write a page with the results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(50)
    transformers.logging.disable_progress_bar()
    verdicts = []
    for family in options.families or families():
        verdict = verdict_on(family)
        verdicts.append(verdict)
        numbers = f"{verdict.apart:.0e}  {verdict.batches}, runs on: {verdict.runs_on}"
        print(f"{family:<28} {verdict.kind:<9} {verdict.said or numbers}", flush=True)
    for kind in ("right", "refused", "wrong", "not made"):
        print(f"{kind}: {sum(v.kind == kind for v in verdicts)}")
    if options.table:
        options.table.write_text(table(verdicts), "utf-8")
    return int(any(v.kind == "wrong" for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
