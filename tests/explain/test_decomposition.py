"""Codes of a text against scikit-learn's lasso on the hidden states of transformers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from sklearn.linear_model import Lasso
from tiny_encoder import FACTORS, tiny_encoder
from tiny_model import write_tiny_bert

import tfactors as tf
from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_dictionary
from tfactors.coding.state_transform import StateTransform
from tfactors.errors import InputError
from tfactors.explain.decomposition import decompose, read_text, take_apart
from tfactors.explain.encoder import FactorEncoder, tokenize_checked
from tfactors.model.loading import ModelError

pytestmark = pytest.mark.model

TEXT = "The  Constitution of the United States\nshall be an unbelievable success."


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> FactorEncoder:
    return tiny_encoder(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def bundle(encoder: FactorEncoder, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What a decomposition reads of a bundle: dictionary, labels, and a part of the manifest."""
    folder = tmp_path_factory.mktemp("bundle")
    write_dictionary(folder, encoder.coder.dictionary)
    made = Bundle(folder, manifest_of(encoder))
    made.factors = pd.DataFrame({"label": [f"label {c}" for c in range(FACTORS)]})
    return made


def manifest_of(encoder: FactorEncoder) -> dict:
    model = encoder.model
    return {
        "model": {"name": model.name, "sha256": model.sha256, "width": 32, "layers": [0, 1, 2],
                  "blocks": 2},
        "dictionary": {"factors": FACTORS},
        "coding": {"penalty": encoder.penalty, "tol": 1e-6,
                   "scale": {str(i): scale for i, scale in encoder.transform.scale.items()}},
    }  # fmt: skip


def test_codes_are_those_of_the_lasso_on_scaled_states(encoder: FactorEncoder) -> None:
    ids = np.arange(20, 32)
    module = transformers.AutoModel.from_pretrained(encoder.model.name).eval()
    with torch.inference_mode():
        output = module(torch.tensor(ids[None]), output_hidden_states=True)
    x = output.hidden_states[1][0].numpy().astype(np.float64) * encoder.transform.scale[1]
    atoms = encoder.coder.dictionary.astype(np.float64)
    lasso = Lasso(
        encoder.penalty / x.shape[1],
        fit_intercept=False,
        positive=True,
        tol=1e-12,
        max_iter=100_000,
    )
    expected = np.stack([lasso.fit(atoms.T, row).coef_ for row in x])
    np.testing.assert_allclose(encoder.encode([ids], 1).toarray(), expected, atol=2e-3)


def test_the_activation_of_one_factor_is_its_entry_of_the_codes(encoder: FactorEncoder) -> None:
    texts = [np.arange(20, 32), np.arange(50, 55)]
    codes = encoder.encode(texts, 2).toarray()
    rows = [3, 12 + 4]
    for factor in np.argsort(-codes[rows].sum(axis=0))[:8].tolist():
        found = encoder.activation(texts, [3, 4], factor, 2)
        np.testing.assert_allclose(found, codes[rows, factor], atol=1e-3)
    at = encoder.encode(texts, 2, positions=[3, 4]).toarray()
    np.testing.assert_allclose(at, codes[rows], atol=1e-3)


def test_a_decomposition_adds_up_to_the_hidden_states(
    encoder: FactorEncoder, bundle: Bundle
) -> None:
    result = decompose(bundle, TEXT, encoder=encoder)
    assert "".join(result.tokens["token"]) == " ".join(TEXT.split()).replace("s shall", "s\nshall")
    assert {"unbelievable", "Constitution"} <= set(result.tokens["word"])
    ids = result.tokens["token_id"].to_numpy()
    for layer, x in enumerate(encoder.states([ids], [0, 1, 2])):
        active = result.factors[result.factors["layer"] == layer]
        codes = np.zeros((len(ids), FACTORS))
        codes[active["position"], active["factor"]] = active["activation"]
        left = x - codes @ encoder.coder.dictionary
        rows = result.residuals[result.residuals["layer"] == layer]
        np.testing.assert_allclose(rows["residual"], np.linalg.norm(left, axis=1), rtol=1e-3)
        np.testing.assert_allclose(rows["norm"], np.linalg.norm(x, axis=1), rtol=1e-4)
        share = 1 - (left**2).sum(1) / (x**2).sum(1)
        np.testing.assert_allclose(rows["explained"], share, atol=1e-3)
        np.testing.assert_array_equal(rows["l0"], (codes > 0).sum(1))
    assert len(result.residuals) == 3 * len(ids)


def test_the_strongest_factor_of_a_token_comes_first(
    encoder: FactorEncoder, bundle: Bundle
) -> None:
    factors = decompose(bundle, TEXT, encoder=encoder).factors
    for _, active in factors.groupby(["layer", "position"]):
        assert active["activation"].is_monotonic_decreasing
    assert (factors["activation"] > 0).all()


def test_a_larger_penalty_leaves_fewer_factors_and_more_residual(
    encoder: FactorEncoder, bundle: Bundle
) -> None:
    few, many = (decompose(bundle, TEXT, penalty, encoder).residuals for penalty in (3.0, 0.5))
    assert few["l0"].mean() < many["l0"].mean()
    assert (few["residual"] > many["residual"]).all()


def test_a_penalty_that_nothing_exceeds_leaves_the_states_themselves(
    encoder: FactorEncoder, bundle: Bundle
) -> None:
    result = decompose(bundle, TEXT, 1e6, encoder)
    assert result.factors.empty
    np.testing.assert_allclose(result.residuals["explained"], 0, atol=1e-6)
    assert "0.0 active factors" in result.describe()


def test_codes_that_start_from_another_penalty_are_the_same_codes(
    encoder: FactorEncoder,
) -> None:
    read = read_text(TEXT, encoder)
    _, few = take_apart(read, encoder, 3.0)
    warm, _ = take_apart(read, encoder, 0.5, start=few)
    cold, _ = take_apart(read, encoder, 0.5)
    assert few.shape == (3 * len(read.tokens), encoder.n_factors)
    np.testing.assert_allclose(warm.residuals["residual"], cold.residuals["residual"], rtol=5e-3)
    both = warm.factors.merge(cold.factors, on=["layer", "position", "factor"], how="outer")
    both = both.fillna({"activation_x": 0.0, "activation_y": 0.0})
    # Two codes whose objectives differ by at most the tolerance.
    np.testing.assert_allclose(both["activation_x"], both["activation_y"], atol=0.1)


def test_the_public_name_loads_the_model_of_the_bundle(
    encoder: FactorEncoder, bundle: Bundle
) -> None:
    one, other = tf.decompose(bundle, TEXT), decompose(bundle, TEXT, encoder=encoder)
    assert one.penalty == other.penalty == encoder.penalty
    assert one.factors.equals(other.factors)


def test_a_decomposition_prints_as_json_and_as_text(encoder: FactorEncoder, bundle: Bundle) -> None:
    result = decompose(bundle, TEXT, encoder=encoder)
    read = json.loads(result.to_json())
    assert len(read["factors"]) == len(result.factors)
    assert read["tokens"][0]["word"] == "The"
    shown = result.describe([f"label{i}" for i in range(FACTORS)], layer=1, top=2)
    lines = shown.splitlines()
    assert lines[0].startswith("layer 1: ")
    assert len(lines) == 1 + len(result.tokens)
    assert all(line.count("label") <= 2 for line in lines)
    with pytest.raises(InputError, match="layer 7: expected one of 0, 1, 2"):
        result.describe(layer=7)


@pytest.mark.parametrize(
    ("text", "penalty", "said"),
    [
        ("", None, "no words"),
        (" \n ", None, "no words"),
        ("word " * 1000, None, "at most 160"),
        (TEXT, -1.0, "penalty"),
        (TEXT, float("nan"), "penalty"),
    ],
)
def test_a_text_or_penalty_that_cannot_be_used_gets_one_line(
    text: str, penalty: float | None, said: str, encoder: FactorEncoder, bundle: Bundle
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        decompose(bundle, text, penalty, encoder)
    assert "\n" not in str(caught.value)


def test_a_layer_or_factor_that_is_not_there_gets_one_line(encoder: FactorEncoder) -> None:
    texts = [np.arange(20, 32)]
    with pytest.raises(InputError, match="layer 9: expected one of 0, 1, 2"):
        encoder.encode(texts, 9)
    with pytest.raises(InputError, match="factor 60: expected 0 to 59"):
        encoder.activation(texts, [0], 60, 1)
    with pytest.raises(InputError, match="layer 1"):
        replace(encoder, transform=StateTransform({0: 1.0, 2: 1.0})).encode(texts, 1)


def test_another_model_under_the_same_name_is_refused(
    encoder: FactorEncoder, bundle: Bundle, tmp_path: Path
) -> None:
    other = write_tiny_bert(tmp_path / "other", seed=1)
    manifest = manifest_of(encoder)
    manifest["model"]["name"] = str(other)
    with pytest.raises(ModelError, match="the bundle was made with"):
        FactorEncoder.from_bundle(Bundle(bundle.path, manifest))


def test_a_mask_typed_in_a_text_is_one_and_other_special_tokens_are_letters(
    encoder: FactorEncoder,
) -> None:
    token_ids = tokenize_checked("The [MASK] of [PAD] and [SEP].", encoder.model)[0]
    tokenizer = encoder.model.tokenizer
    assert tokenizer.mask_token_id in token_ids
    assert not {tokenizer.pad_token_id, tokenizer.sep_token_id} & set(token_ids.tolist())
