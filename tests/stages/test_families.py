"""Every family of models goes the same way, through the command line: text to bundle to answer."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tiny_families import CAUSAL, FAMILIES, write_family
from tiny_model import address_texts

import tfactors as tf
from tfactors.bundle.passages import passages_of
from tfactors.cli import main
from tfactors.display import passages
from tfactors.evaluate.evaluate import evaluate
from tfactors.explain.encoder import FactorEncoder
from tfactors.model.loading import ModelError

pytestmark = pytest.mark.model

SMALL = [
    "--preset", "quick", "--factors", "16", "--penalty", "0.2", "--max-tokens", "700",
    "--training-tokens", "350", "--window-length", "24", "--importance-k", "10",
    "--examples", "6", "--retention-examples", "2", "--saliency-examples", "1",
    "--saliency-others", "1",
    "--saliency-samples", "12", "--effect-examples", "2", "--quiet",
    "--meaning-contexts", "0",
]  # fmt: skip
# Marks of the tokenizers that no reader should meet.
MARKS = re.compile("##|[Ġ▁Ċ]|<unk>|<0x")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "address.txt"
    path.write_text(address_texts(1)[0][:4000], "utf-8")
    return path


@pytest.fixture(scope="module", params=FAMILIES)
def built(request, text: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    model, out = write_family(request.param, folder / "model"), folder / "bundle"
    assert main(["build", str(text), "--model", str(model), "--out", str(out), *SMALL]) == 0
    return request.param, out


def test_a_model_of_the_family_gives_a_bundle_that_verifies(built, capsys) -> None:
    family, folder = built
    assert main(["verify", str(folder)]) == 0
    bundle = tf.Bundle.open(folder)
    sizes = FAMILIES[family][0]
    blocks = next(n for key, n in sizes.items() if key.endswith("layers") or key == "n_layer")
    assert bundle.layers == list(range(1, blocks + 1))  # layer 0 knows no context
    assert bundle.width == 32
    assert bundle.manifest["model"]["causal"] == (family in CAUSAL)
    assert bundle.manifest["metrics"]["explained_variance"] > 0.1
    found = passages_of(bundle, bundle.examples(0, bundle.layers[-1], 3), words=None)
    unread = "which reads from left to right" in passages.legend(found)
    assert unread == (family in CAUSAL)


def test_a_model_that_cannot_run_on_gives_a_bundle_without_effects(
    text: Path, tmp_path: Path, capsys
) -> None:
    model, folder = write_family("flaubert", tmp_path / "model"), tmp_path / "bundle"
    capsys.readouterr()
    line = ["build", str(text), "--model", str(model), "--out", str(folder), *SMALL]
    assert main([*line, "--origin-examples", "1"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert all("cannot run on from hidden states that were changed" in line for line in said)
    assert [line.rpartition("; ")[2] for line in said] == [
        "the bundle holds no effects",
        "the bundle does not say what factors are made from",
    ]
    assert main(["verify", str(folder)]) == 0
    bundle = tf.Bundle.open(folder)
    assert bundle.effects().empty
    assert not bundle.abilities.effects
    assert not bundle.abilities.factor_origins
    assert bundle.manifest["origins"] == {"examples": 0}
    with pytest.raises(ModelError, match="cannot run on"):
        tf.intervene(bundle, "The people of the house", factor=0, layer=1, times=1, add=0.1)
    (section,) = evaluate(bundle, only=["fidelity"], show_progress=False)
    assert "Not measured" in section.findings[0]


def test_words_are_those_of_the_text(built, text: Path) -> None:
    _, folder = built
    bundle, written = tf.Bundle.open(folder), text.read_text("utf-8")
    windows = bundle.windows(np.arange(bundle.manifest["corpus"]["windows"]))
    read = "".join(token for tokens in windows["tokens"] for token in tokens)
    assert " ".join(written.split()).startswith(" ".join(read.split()))
    shown = {word for layer in bundle.layers for word in bundle.examples(0, layer)["word"]}
    shown |= {word for words in bundle.factors["words"] for word in words}
    assert "" not in shown
    for word in shown - {"¶", "␣"}:  # white space, where it is a token of its own
        assert word.casefold() in written.casefold()
        assert not MARKS.search(word)


def test_an_explanation_shows_a_causal_model_the_left_context_alone(built, capsys) -> None:
    family, folder = built
    bundle = tf.Bundle.open(folder)
    layer = bundle.layers[-1]
    example = next(e for c in range(16) for e in bundle.examples(c, layer, 1).itertuples())
    sentence = "".join(bundle.windows([example.window])["tokens"][0]).strip()
    options = ["--position", "9", "--factor", str(example.factor), "--layer", str(layer), "--json"]
    for method in ("lime", "occlusion"):
        line = ["explain", str(folder), sentence, "--method", method, "--samples", "12", *options]
        assert main(line) == 0
        found = json.loads(capsys.readouterr().out)
        assert not MARKS.search("".join(found["tokens"]))
        assert found["context"] == [0, 10 if family in CAUSAL else len(found["tokens"])]
        assert (family not in CAUSAL) or not any(found["weights"][10:])


def test_retention_on_request_is_that_of_the_bundle_at_the_peak(built, capsys) -> None:
    _, folder = built
    bundle = tf.Bundle.open(folder)
    factor = int(np.flatnonzero(bundle.factors["peak_layer"] > 0)[0])
    kept = bundle.retention(factor)
    number = str(bundle.manifest["importance"]["retention_examples"])
    line = ["retention", str(folder), "--factor", str(factor), "--examples", number, "--json"]
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layer"] == kept["layer"][0]
    stored = kept[kept["kind"] == "radius"].sort_values("radius")["retained"]
    np.testing.assert_allclose(list(found["curve"].values()), stored, atol=1e-3)
    assert main([*line, "--layer", "99"]) == 2
    assert "layer 99" in capsys.readouterr().err


def test_the_effect_of_removing_a_factor_is_measured_below_the_last_layer(built) -> None:
    _, folder = built
    bundle = tf.Bundle.open(folder)
    effects, below = bundle.effects(), bundle.importance().query("layer < @bundle.layers[-1]")
    strongest = below.loc[below.groupby("factor")["importance"].idxmax()].query("importance > 0")
    assert effects["factor"].tolist() == strongest["factor"].tolist()
    assert effects["layer"].tolist() == strongest["layer"].tolist()
    assert (effects["removed"] > 0).all()
    assert (effects["examples"] <= 2).all()


def test_what_is_retained_is_what_the_model_says_of_the_cut_text(built) -> None:
    family, folder = built
    bundle = tf.Bundle.open(folder)
    encoder = FactorEncoder.from_bundle(bundle)
    factor = int(np.flatnonzero(bundle.factors["peak_layer"] > 0)[0])
    layer = int(bundle.factors["peak_layer"][factor])
    curve = bundle.retention(factor).query("kind == 'radius'").set_index("radius")["retained"]
    shares = []
    for example in bundle.examples(factor, layer, top=2).itertuples():
        ids, at = bundle.windows([example.window])["token_ids"][0], example.position
        cut = ids[max(0, at - 2) : at + 1 if family in CAUSAL else at + 3]
        start = max(0, at - 2)
        left = encoder.activation([cut], [at - start], factor, layer, starts=[start])[0]
        shares.append(min(1, left / example.activation))
    assert curve[2] == pytest.approx(np.mean(shares), abs=0.02)
    if family in CAUSAL:  # and what follows the target would have changed nothing
        whole = encoder.activation([ids], [at], factor, layer)[0]
        assert whole == pytest.approx(
            encoder.activation([ids[: at + 1]], [at], factor, layer)[0], rel=0.01
        )
