"""Padding ids that there are not: what lies under a mask does not matter."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tiny_families import write_family

from tfactors.model.hidden_states import load_model
from tfactors.model.loading import ModelError, positions

pytestmark = pytest.mark.model

TEXTS = [np.arange(20, 20 + length) for length in (5, 17, 1, 9)]


def with_padding(family: str, padding: int | None, folder: Path) -> Path:
    """A model of which neither the config nor the tokenizer has a padding id that can be used."""
    write_family(family, folder)
    for file, key, value in (
        ("config.json", "pad_token_id", padding),
        ("tokenizer_config.json", "pad_token", None),
    ):
        content = json.loads((folder / file).read_text("utf-8"))
        (folder / file).write_text(json.dumps(content | {key: value}), "utf-8")
    return folder


@pytest.mark.parametrize("family", ["llama", "bert", "gpt2", "t5"])
@pytest.mark.parametrize("padding", [-1, None, 10_000, -100])
def test_a_padding_id_that_there_is_not_changes_nothing(
    family: str, padding: int | None, tmp_path: Path
) -> None:
    expected = load_model(str(write_family(family, tmp_path / "good")))
    model = load_model(str(with_padding(family, padding, tmp_path / "odd")))
    assert 0 <= model.unknown_id < model.vocabulary
    np.testing.assert_allclose(
        model.hidden_states(TEXTS, model.layers),
        expected.hidden_states(TEXTS, expected.layers),
        atol=2e-5,
    )


def test_a_padding_token_added_beyond_the_embeddings_changes_nothing(tmp_path: Path) -> None:
    folder = write_family("llama", tmp_path / "llama")
    expected = load_model(str(folder)).hidden_states(TEXTS, [0, 2])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "<new>"})
    assert tokenizer.pad_token_id == len(tokenizer) - 1
    tokenizer.save_pretrained(folder)
    np.testing.assert_allclose(
        load_model(str(folder)).hidden_states(TEXTS, [0, 2]), expected, atol=2e-5
    )


def test_a_model_that_counts_positions_from_its_padding_id_counts_them_as_transformers_does(
    tmp_path: Path,
) -> None:
    folder = with_padding("roberta", -1, tmp_path / "roberta")
    model, module = load_model(str(folder)), transformers.AutoModel.from_pretrained(folder).eval()
    own = [module(torch.tensor(text[None]))[0][0].detach().numpy() for text in TEXTS]
    found = model.hidden_states(TEXTS, [2], starts=[0] * len(TEXTS))[0]
    np.testing.assert_allclose(found, np.concatenate(own), atol=2e-5)
    assert model.max_length == positions(str(folder)) == 65


@pytest.mark.parametrize("padding", [None, 10_000])
def test_where_positions_cannot_be_counted_the_model_is_refused(
    padding: int | None, tmp_path: Path
) -> None:
    folder = with_padding("roberta", padding, tmp_path / "roberta")
    with pytest.raises(ModelError, match="counts positions from its padding id"):
        load_model(str(folder))
    assert positions(str(folder)) is not None  # what the dashboard asks raises nothing
