"""Sentence embeddings, against transformers' own answer; and which folders say how."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from tiny_families import write_family
from tiny_model import make_sentence_encoder, write_tiny_bert

from tfactors.model.folder import MINILM_PACKAGE, local_folder
from tfactors.model.hidden_states import ModelError
from tfactors.model.sentence_encoder import SentenceEncoder, pooling_of, sentence_model

pytestmark = pytest.mark.model

TEXTS = ["It rained all day.", "Blame", "He said that the river, which had risen, was calm."] * 2


def by_transformers(folder: Path, first: bool = False, longest: int = 256) -> np.ndarray:
    """Of each text alone, so that nothing is padded."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    module, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    found = []
    for text in TEXTS:
        read = tokenizer(text, return_tensors="pt", truncation=True, max_length=longest)
        with torch.inference_mode():
            states = module(**read).last_hidden_state[0]
        pooled = states[0] if first else states.mean(dim=0)
        found.append((pooled / pooled.norm()).numpy())
    return np.array(found)


def test_minilm_embeds_as_transformers_does() -> None:
    folder = local_folder(MINILM_PACKAGE)
    found = SentenceEncoder.load(MINILM_PACKAGE).embed(TEXTS)
    np.testing.assert_allclose(found, by_transformers(folder), atol=2e-6)


def test_a_folder_may_ask_for_the_first_state_and_for_fewer_tokens(tmp_path: Path) -> None:
    folder = write_tiny_bert(tmp_path / "bert")
    make_sentence_encoder(folder, pooling_mode_cls_token=True)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 6}')
    encoder = SentenceEncoder.load(str(folder))
    expected = by_transformers(folder, first=True, longest=6)
    np.testing.assert_allclose(encoder.embed(TEXTS), expected, atol=2e-6)
    assert encoder.tokens_of(TEXTS[2]) > encoder.longest == 6


def test_a_folder_may_ask_for_words_before_every_text_and_for_small_letters(tmp_path: Path) -> None:
    folder = make_sentence_encoder(write_family("gpt2", tmp_path / "gpt2"))
    plain = SentenceEncoder.load(str(folder))
    (folder / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    prompts = {"prompts": {"query": "Find: ", "other": "No: "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    asking = SentenceEncoder.load(str(folder))
    texts = [text.lower() for text in TEXTS]
    expected = plain.embed([f"find: {text}" for text in texts])
    np.testing.assert_allclose(asking.embed(TEXTS), expected, atol=1e-6)
    assert np.abs(plain.embed(TEXTS) - expected).max() > 0.01
    # What is left out of the mean is not known here.
    asked = {"pooling_mode_mean_tokens": True, "include_prompt": False}
    (folder / "1_Pooling/config.json").write_text(json.dumps(asked))
    assert pooling_of(str(folder)) == ""
    (folder / "config_sentence_transformers.json").write_text('{"default_prompt_name": null}')
    assert pooling_of(str(folder)) == "mean"


@pytest.mark.parametrize(
    ("modules", "config", "expected"),
    [
        (["Transformer", "Pooling"], {"pooling_mode_mean_tokens": True}, "mean"),
        (["Transformer", "Pooling", "Normalize"], {"pooling_mode": "cls"}, "first"),
        (["Transformer", "Pooling"], {"pooling_mode": "weightedmean"}, ""),
        (["Transformer", "Pooling"], {"pooling_mode_max_tokens": True}, ""),
        (["Transformer", "Pooling", "Dense"], {"pooling_mode_mean_tokens": True}, ""),
        (["Transformer", "Pooling"], [], ""),
        ("Transformer", {}, ""),
    ],
)
def test_only_what_is_known_counts_as_an_encoder(
    tmp_path: Path, modules: object, config: object, expected: str
) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "config.json").write_text("{}")
    paths = ["", "1_Pooling", "2", "3"]
    kinds = [{"type": f"a.{kind}", "path": p} for kind, p in zip(modules, paths, strict=False)]
    (tmp_path / "modules.json").write_text(json.dumps(kinds))
    (tmp_path / "1_Pooling/config.json").write_text(json.dumps(config))
    assert pooling_of(str(tmp_path)) == expected


def test_a_path_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = make_sentence_encoder(write_tiny_bert(tmp_path / "bert"))
    os.rename(folder / "1_Pooling", tmp_path / "1_Pooling")
    modules = (folder / "modules.json").read_text().replace("1_Pooling", "../1_Pooling")
    (folder / "modules.json").write_text(modules)
    assert pooling_of(str(folder)) == ""


def test_minilm_stands_in_for_a_model_that_embeds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = str(write_tiny_bert(tmp_path / "bert"))
    assert sentence_model(plain) == MINILM_PACKAGE
    with pytest.raises(ModelError, match="no sentence encoder"):
        SentenceEncoder.load(plain)
    monkeypatch.setattr("tfactors.model.sentence_encoder.MINILM_PACKAGE", "no-such-package")
    assert sentence_model(plain) is None
    assert sentence_model(str(make_sentence_encoder(tmp_path / "bert"))) == plain
