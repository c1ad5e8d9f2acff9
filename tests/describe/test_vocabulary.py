"""Tokens near a factor: by the embeddings it reads, and by the logits it raises and lowers."""

import numpy as np
import pytest
import torch
import transformers
from random_atoms import unit_atoms
from tiny_families import write_family
from tiny_model import write_tiny_bert

from tfactors.describe import vocabulary
from tfactors.model.hidden_states import load_model
from tfactors.model.language_head import language_head

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(str(write_tiny_bert(tmp_path_factory.mktemp("model") / "tiny")))


def test_tokens_are_written_as_a_reader_would(model):
    tokens = vocabulary.readable_tokens(model.tokenizer, model.vocabulary)
    assert len(tokens) == model.vocabulary
    ids = model.tokenizer.convert_tokens_to_ids(["[CLS]", "[UNK]", "the", "##s", ","])
    assert [tokens[i] for i in ids] == ["", "", "the", "…s", ","]


def test_the_nearest_token_of_an_embedding_is_its_own(model):
    tokens = vocabulary.readable_tokens(model.tokenizer, model.vocabulary)
    embeddings = vocabulary.input_embeddings(model)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    wanted = model.tokenizer.convert_tokens_to_ids(["the", "and", "[CLS]"])
    table = vocabulary.near_input(embeddings[wanted], model, tokens)[0].to_pandas()
    assert len(table) == 3 * vocabulary.TOKENS
    first = table[table["rank"] == 0]
    assert first["token"].tolist()[:2] == ["the", "and"]
    np.testing.assert_allclose(first["value"][:2], 1, rtol=1e-5)
    assert "" not in set(table["token"])  # [CLS] is no text


def test_tokens_of_a_byte_level_vocabulary_show_what_goes_on_inside_a_word(tmp_path):
    model = load_model(str(write_family("gpt2", tmp_path)))
    tokens = vocabulary.readable_tokens(model.tokenizer, model.vocabulary)
    raw = model.tokenizer.convert_ids_to_tokens(list(range(model.vocabulary)))
    assert tokens[raw.index("Ġthe")] == "the"
    assert tokens[raw.index("ing")] == "…ing"
    assert tokens[raw.index("<unk>")] == ""


def test_the_lowest_values_come_first_where_they_are_what_counts():
    values = np.array([[3.0, -2.0, 0.5, -9.0]], np.float32)
    table = vocabulary.table("logit_low", values, 7, ["a", "b", "c", ""]).to_pandas()
    assert table["token"].tolist() == ["b", "c", "a"]
    assert table["value"].tolist() == [-2.0, 0.5, 3.0]
    assert table["factor"].tolist() == [7, 7, 7]


KINDS = {
    "gpt2": "GPT2LMHeadModel",
    "bert": "BertForMaskedLM",
    "distilbert": "DistilBertForMaskedLM",
    "electra": "ElectraForMaskedLM",
    "modernbert": "ModernBertForMaskedLM",
    "roberta": "RobertaForMaskedLM",
    "gpt_neox": "GPTNeoXForCausalLM",
    "llama": "LlamaForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "opt_of_one_width": "OPTForCausalLM",  # which calls the decoder in its body
    "xlnet": "XLNetLMHeadModel",  # which asks for what its body remembers
}


@pytest.fixture(scope="module", params=KINDS)
def with_head(request, tmp_path_factory):
    """A model saved whole, and what it gives itself."""
    folder = write_family(request.param, tmp_path_factory.mktemp(request.param))
    config = transformers.AutoConfig.from_pretrained(folder)
    torch.manual_seed(3)
    kind = KINDS[request.param]
    model = getattr(transformers, kind)(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder, model, kind


def test_the_head_of_a_model_that_was_saved_whole_gives_the_logits_of_its_last_states(with_head):
    folder, whole, kind = with_head
    head, saved_as = language_head(str(folder))
    assert saved_as == kind
    ids = np.array([5, 9, 30, 7])
    states = load_model(str(folder)).hidden_states([ids], [2])[0]
    with torch.inference_mode():
        expected = whole(input_ids=torch.from_numpy(ids[None]))["logits"][0].numpy()
    np.testing.assert_allclose(head(states), expected, rtol=1e-4, atol=1e-5)


def test_the_logits_that_a_factor_raises_and_lowers_are_those_of_the_head(with_head):
    folder, *_ = with_head
    model, (head, _) = load_model(str(folder)), language_head(str(folder))
    tokens = vocabulary.readable_tokens(model.tokenizer, model.vocabulary)
    atoms = unit_atoms(np.random.default_rng(0), 3, model.width)
    tables = vocabulary.near_logits(atoms, 5.0, head, tokens)
    up, down = (table.to_pandas() for table in tables)
    assert up["kind"].unique().tolist() == ["logit"]
    assert down["kind"].unique().tolist() == ["logit_low"]
    change = head(5 * atoms) - head(0 * atoms)
    for factor in range(3):
        mine, low = up[up["factor"] == factor], down[down["factor"] == factor]
        legible = np.array([bool(token) for token in tokens])
        np.testing.assert_allclose(
            mine["value"], np.sort(change[factor][legible])[::-1][:10], rtol=1e-5
        )
        np.testing.assert_allclose(low["value"], np.sort(change[factor][legible])[:10], rtol=1e-5)


def test_the_head_of_a_decoder_says_nothing_of_an_encoder(tmp_path):
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 500}
    sizes |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
    folder = write_family("gpt2", tmp_path)
    transformers.BartForConditionalGeneration(
        transformers.BartConfig(**sizes, encoder_ffn_dim=48, decoder_ffn_dim=48)
    ).save_pretrained(folder)
    assert language_head(str(folder)) == (None, "BartForConditionalGeneration")


def test_a_body_without_a_head_has_no_logits(model):
    assert language_head(model.name) == (None, "BertModel")
