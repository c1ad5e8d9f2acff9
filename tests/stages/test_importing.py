"""A dictionary from elsewhere becomes a bundle, and leaves it again with the same bits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tiny_autoencoders import weights, write_dictionary_learning, write_saelens
from tiny_model import address_texts, write_tiny_bert

import tfactors as tf
from tfactors.cli import main
from tfactors.explain.encoder import FactorEncoder
from tfactors.interchange.dictionaries import read_dictionary
from tfactors.model.hidden_states import load_model
from tfactors.model.location import model_to_load

pytestmark = pytest.mark.model

D, LAYER = 32, 1
FORM = "topk"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """A folder with a model, a text, and raw hidden states of that model."""
    folder = tmp_path_factory.mktemp("world")
    write_tiny_bert(folder / "model", width=D)
    (folder / "text.txt").write_text(address_texts(1)[0], encoding="utf-8")
    model = load_model(str(folder / "model"))
    ids = np.random.default_rng(0).integers(5, model.vocabulary, 3000).reshape(-1, 100)
    np.save(folder / "states.npy", model.hidden_states(list(ids), [LAYER])[0])
    return folder


def principal(states: np.ndarray) -> dict[str, torch.Tensor]:
    """Weights whose codes give the states back: both directions of every principal axis."""
    mean = states.mean(axis=0)
    axes = np.linalg.svd(states - mean, full_matrices=False)[2]
    both = torch.from_numpy(np.concatenate([axes, -axes]).astype(np.float32))
    return {"W_enc": both, "W_dec": 1.5 * both, "b_dec": torch.from_numpy(mean)}


def autoencoder(form: str, states: np.ndarray) -> dict[str, torch.Tensor]:
    w = weights(form, 2 * D, D) | principal(states)
    return {n: v if n in ("W_enc", "W_dec", "b_dec") else 0.01 * v for n, v in w.items()}


def run_import(world: Path, dictionary: Path, out: Path, *more: str) -> int:
    return main([
        "import", str(dictionary), str(world / "text.txt"), "--model", str(world / "model"),
        "--out", str(out), "--quiet", "--max-tokens", "2500", "--retention-examples", "1",
        "--saliency-examples", "0", "--saliency-others", "0", "--effect-examples", "0",
        "--origin-examples", "0", "--examples", "20", "--meaning-contexts", "0", *more,
    ])  # fmt: skip


@pytest.fixture(scope="module")
def imported(world) -> tuple[Path, tf.Bundle]:
    """The folder of an autoencoder of SAELens, and the bundle over it."""
    w = autoencoder(FORM, np.load(world / "states.npy"))
    source = write_saelens(world / "sae", FORM, w)
    assert run_import(world, source, world / "sae-bundle") == 0
    return source, tf.Bundle.open(world / "sae-bundle")


def test_a_survey_with_the_encoder_of_an_autoencoder_verifies_and_says_how(imported):
    _, bundle = imported
    bundle.verify()
    assert bundle.coding_method == "encoder"
    assert bundle.layers == [LAYER]
    record = bundle.manifest["dictionary"]["imported"]
    assert (record["format"], record["form"]) == ("saelens", FORM)
    assert bundle.manifest["dictionary"]["proof"]["explained"] > 0.2
    assert bundle.manifest["metrics"]["layers"][0]["duality_gap"] is None
    assert bundle.manifest["metrics"]["explained_variance"] > 0.2


def test_activations_are_those_of_the_encoder(imported):
    from tiny_autoencoders import codes

    source, bundle = imported
    w = {n: torch.from_numpy(v) for n, v in load_file(source / "sae_weights.safetensors").items()}
    w["W_enc"] = w["W_enc"].T
    model = load_model(model_to_load(bundle.about.model, bundle.path))
    for factor in bundle.factors.loc[bundle.factors["alive"], "factor"].tolist()[:3]:
        found = bundle.examples(factor, LAYER, top=4)
        windows = bundle.windows(found["window"].tolist())
        states = model.hidden_states(
            list(windows["token_ids"]), [LAYER], positions=found["position"].tolist()
        )
        expected = codes(FORM, w, states[0])[:, factor]
        np.testing.assert_allclose(found["activation"], expected, rtol=1e-3, atol=1e-3)


def test_a_text_is_taken_apart_with_the_encoder_and_without_a_penalty(imported):
    _, bundle = imported
    encoder = FactorEncoder.from_bundle(bundle)
    made = tf.decompose(bundle, "The state of the union.", encoder=encoder)
    assert len(made.factors)
    assert made.residuals["explained"].max() > 0.2
    with pytest.raises(tf.InputError, match="have none"):
        tf.decompose(bundle, "The state of the union.", penalty=1.0, encoder=encoder)


@pytest.fixture(scope="module")
def published(world) -> Path:
    """A dictionary as the 2021 code leaves it: width × factors, unit columns, raw states."""
    learner = tf.DictionaryLearner(64, 0.3, random_state=0, epochs=2)
    learner.fit(np.load(world / "states.npy"))
    np.save(world / "reg0.3_d64_epoch2.npy", np.ascontiguousarray(learner.components_.T))
    return world / "reg0.3_d64_epoch2.npy"


@pytest.fixture(scope="module")
def coded(world, published) -> tf.Bundle:
    """The bundle over it, at the embeddings and one more layer, with a little of every stage."""
    every = ("--saliency-others", "1", "--effect-examples", "1", "--origin-examples", "1")
    assert run_import(world, published, world / "npy-bundle", "--layers", "0", "1", *every) == 0
    return tf.Bundle.open(world / "npy-bundle")


def test_a_2021_dictionary_is_surveyed_with_exact_codes(coded, published):
    coded.verify()
    assert len(coded.effects())
    assert sum(len(coded.origins(factor)) for factor in range(coded.n_factors))
    assert coded.coding_method == "solver"
    assert coded.manifest["coding"]["penalty"] == 0.3
    assert set(coded.scale.values()) == {1.0}
    gaps = [row["duality_gap"] for row in coded.manifest["metrics"]["layers"]]
    assert max(gaps) < 1e-3
    proof = coded.manifest["dictionary"]["proof"]
    assert proof["explained"] > proof["limit"] > 0
    np.testing.assert_array_equal(coded.dictionary, np.load(published).T)


def test_a_2021_dictionary_comes_back_with_the_same_bytes(coded, published, tmp_path):
    out = tmp_path / "again.npy"
    assert main(["export", str(coded.path), "--format", "npy", "--out", str(out)]) == 0
    assert out.read_bytes() == published.read_bytes()


def test_a_dictionary_without_an_encoder_goes_to_saelens_and_back(coded, tmp_path):
    out = tmp_path / "sae"
    assert main(["export", str(coded.path), "--format", "saelens", "--out", str(out)]) == 0
    tensors = load_file(out / "sae_weights.safetensors")
    np.testing.assert_array_equal(tensors["W_dec"], coded.dictionary)
    # One step of the solver: a stand-in, which says of itself that it is one.
    np.testing.assert_array_equal(tensors["W_enc"], coded.dictionary.T)
    assert (tensors["b_enc"] == np.float32(-0.3)).all()
    again = read_dictionary(out, D)
    assert (again.origin.form, again.origin.penalty) == ("dictionary", 0.3)
    np.testing.assert_array_equal(again.atoms, coded.dictionary)


def test_nothing_is_overwritten_by_an_export(coded, tmp_path, capsys):
    taken = tmp_path / "taken.npy"
    taken.write_text("years of work")
    assert main(["export", str(coded.path), "--format", "npy", "--out", str(taken)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert taken.read_text() == "years of work"


def mistakes(world: Path, published: Path) -> dict[str, tuple[Path, list[str], str]]:
    """For each mistake: the dictionary, more options, and what the one line must say."""
    states = np.load(world / "states.npy")
    square = tf.DictionaryLearner(D, 0.3, random_state=0, epochs=4).fit(states)
    np.save(world / "square.npy", square.components_)  # atoms in rows; the format has columns
    noise = np.random.default_rng(1).normal(size=(D, 64)).astype(np.float32)
    np.save(world / "noise.npy", noise / np.linalg.norm(noise, axis=0))
    np.save(world / "wide.npy", np.eye(D + 1, dtype=np.float32))
    stranger = write_saelens(world / "stranger", "topk", weights("topk", 64, D))
    silent = write_dictionary_learning(world / "silent", "topk", autoencoder("topk", states))
    (silent / "config.json").write_text("{}")
    good = world / "standard"
    write_saelens(good, "standard", autoencoder("standard", states))
    whole = principal(states)  # relu(z + 30) = z + 30: one direction of an axis is enough
    enc, dec = whole["W_enc"][:D], whole["W_dec"][:D]
    w = {
        "W_enc": enc.T.contiguous(),
        "W_dec": dec,
        "b_enc": 30 - enc @ whole["b_dec"],
        "b_dec": whole["b_dec"] - 30 * dec.sum(dim=0),
    }
    turned = write_saelens(world / "turned", "standard", w, apply_b_dec_to_input=False)
    nowhere = write_saelens(
        world / "nowhere", "standard", w, metadata={"hook_name": "hook_pos_embed"}
    )
    square_noise = world / "square-noise.npy"
    np.save(square_noise, np.linalg.qr(noise[:, :D])[0])
    return {
        "transposed": (world / "square.npy", [], "W_dec transposed it does, so its orientation"),
        "an encoder transposed": (turned, [], "with W_enc transposed it does, so its orientation"),
        "square and another model's": (square_noise, [], "check model, layer and scale, and the"),
        "another model's": (world / "noise.npy", [], "check model, layer and scale"),
        "another's encoder": (stranger, [], "does not reconstruct"),
        "another width": (world / "wide.npy", [], f"have {D} numbers"),
        "no layer": (silent, ["--form", "topk"], "does not say which hidden state"),
        "no hidden state": (nowhere, [], "was trained on 'hook_pos_embed', which names no hidden"),
        "no encoder": (published, ["--coding", "encoder"], "has no encoder"),
        "a penalty": (good, ["--penalty", "1"], "--penalty"),
        "no penalty": (good, ["--coding", "solver"], "--penalty"),
        "another scale": (good, ["--scale", "unit"], "was trained with none"),
    }


def test_what_does_not_fit_is_refused_and_nothing_is_written(world, published, tmp_path, capsys):
    for mistake, (path, more, said) in mistakes(world, published).items():
        assert run_import(world, path, tmp_path / "out", *more) == 2, mistake
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, mistake
        assert said in lines[0], (mistake, lines[0])
        assert not (tmp_path / "out").exists(), mistake


def test_exact_codes_over_the_decoder_of_an_autoencoder(world, tmp_path):
    w = autoencoder("standard", np.load(world / "states.npy"))
    source = write_saelens(tmp_path / "sae", "standard", w)
    exact = ("--coding", "solver", "--penalty", "0.2", "--max-tokens", "600")
    assert run_import(world, source, tmp_path / "b", *exact) == 0
    bundle = tf.Bundle.open(tmp_path / "b")
    bundle.verify()
    assert bundle.coding_method == "solver"
    assert bundle.manifest["metrics"]["layers"][0]["duality_gap"] < 1e-3
    assert bundle.manifest["metrics"]["explained_variance"] > 0.2
