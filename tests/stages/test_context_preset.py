"""What presets of context ask for beside b: refitted codes, balanced layers, some of the text.

From the command line to the bundle, and out of it again.
"""

from pathlib import Path

import numpy as np
import pytest
from tiny_model import SMALL, address_texts, write_tiny_bert

import tfactors as tf
from tfactors.app.views.home import coding_sentence
from tfactors.bundle.summary import describe
from tfactors.cli import main
from tfactors.explain.encoder import FactorEncoder
from tfactors.portrait.origin import origin_facts
from tfactors.stages.settings import PRESETS

pytestmark = pytest.mark.model

QUICK = ["--preset", "quick", "--factors", "48", "--training-tokens", "1200"]
BUILD = [*QUICK, "--baseline", "none", "--penalty", "0.5"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a text, and a bundle of each kind of codes."""
    folder = tmp_path_factory.mktemp("world")
    write_tiny_bert(folder / "bert")
    (folder / "text.txt").write_text(address_texts(1)[0], "utf-8")
    line = ["build", str(folder / "text.txt"), "--model", str(folder / "bert"), *SMALL]
    for name in ("refit", "no-refit"):
        assert main([*line, *BUILD, f"--{name}", "--out", str(folder / name)]) == 0
    of_context = [*QUICK, "--penalty", "0.2", "--baseline-tokens", "600"]
    assert main([*line, *of_context, "--out", str(folder / "context")]) == 0
    return folder


def test_presets_of_context_are_refitted_and_that_of_2021_is_not() -> None:
    assert [PRESETS[name].refit for name in ("default", "quick", "paper")] == [True, True, False]


def test_a_refitted_bundle_has_the_same_dictionary_and_explains_more(world: Path) -> None:
    refitted, shrunk = tf.Bundle.open(world / "refit"), tf.Bundle.open(world / "no-refit")
    refitted.verify()
    assert (refitted.about.coding.refit, shrunk.about.coding.refit) == (True, False)
    assert (refitted.dictionary == shrunk.dictionary).all()
    explained = [b.about.metrics.explained_variance for b in (refitted, shrunk)]
    assert explained[0] > explained[1] + 0.01
    assert refitted.about.metrics.l0 <= shrunk.about.metrics.l0
    for layer in refitted.about.metrics.layers:
        assert layer.duality_gap <= refitted.about.coding.tol  # of the codes that chose
    higher = [b.importance()["maximum"].to_numpy() for b in (refitted, shrunk)]
    assert higher[0].mean() > higher[1].mean()


def test_of_a_text_the_rest_is_at_right_angles_to_every_factor_in_the_code(world: Path) -> None:
    bundle = tf.Bundle.open(world / "refit")
    encoder = FactorEncoder.from_bundle(bundle)
    text = "The Congress shall have power to lay and collect taxes."
    token_ids = tf.decompose(bundle, text).tokens["token_id"].to_numpy()
    for layer in encoder.layers:
        z = encoder.states([token_ids], [layer])[0]
        codes = encoder.encode([token_ids], layer)
        rest = z - codes @ encoder.coder.dictionary
        for row in range(len(z)):
            atoms = encoder.coder.dictionary[codes[[row]].indices]
            assert np.abs(atoms @ rest[row]).max(initial=0) < 1e-3


def test_pages_and_info_say_that_codes_are_refitted(world: Path) -> None:
    for name, refitted in (("refit", True), ("no-refit", False)):
        bundle = tf.Bundle.open(world / name)
        assert ("refitted" in describe(bundle.about)) is refitted
        assert ("refitted" in dict(origin_facts(bundle))["Codes"]) is refitted
        assert ("least squares" in coding_sentence(bundle)) is refitted


@pytest.mark.parametrize("form", ["safetensors", "saelens"])
def test_what_we_export_says_so_and_an_import_refits(
    world: Path, form: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "dictionary.safetensors")
    assert main(["export", str(world / "refit"), "--format", form, "--out", out]) == 0
    line = ["import", out, str(world / "text.txt"), "--model", str(world / "bert"), *SMALL]
    for more, refit in ([], True), (["--no-refit"], False):
        folder = tmp_path / f"again-{refit}"
        assert main([*line, "--layers", "1", "2", "--out", str(folder), *more]) == 0
        again = tf.Bundle.open(folder)
        again.verify()
        assert again.about.coding.refit is refit


def test_own_parts_may_be_fitted_to_a_part_of_the_text(world: Path) -> None:
    about = tf.Bundle.open(world / "context").about
    assert 600 <= about.baseline.states < 600 + about.corpus.window_length
    assert PRESETS["quick"].baseline_tokens < PRESETS["quick"].max_tokens
    assert PRESETS["default"].baseline_tokens == 0  # all of it


def test_a_layer_with_more_to_explain_weighs_less_and_none_more_than_one(world: Path) -> None:
    bundle = tf.Bundle.open(world / "context")
    encoder, windows = FactorEncoder.from_bundle(bundle), bundle.windows(np.arange(8))
    states = encoder.states(list(windows["token_ids"]), bundle.layers)
    energy = (states.astype(np.float64) ** 2).mean(axis=(1, 2))
    expected = np.minimum(1, np.median(energy) / energy)
    found = bundle.about.dictionary.layer_weights
    assert found == pytest.approx(expected, rel=0.1)
    assert min(found) < max(found) == 1
    assert tf.Bundle.open(world / "refit").about.dictionary.layer_weights
    assert [PRESETS[name].balance for name in ("default", "quick", "paper")] == [True, True, False]
