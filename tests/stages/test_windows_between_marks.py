"""Windows between a model's own marks, from the command line to the bundle and out of it again."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_families import write_family
from tiny_model import SMALL, address_texts, write_tiny_bert

import tfactors as tf
from tfactors.bundle.summary import describe
from tfactors.cli import main
from tfactors.explain.encoder import FactorEncoder
from tfactors.model.hidden_states import load_model
from tfactors.portrait.origin import origin_facts
from tfactors.stages.settings import PRESETS, Settings

pytestmark = pytest.mark.model

BUILD = [
    "--preset", "quick", "--baseline", "none", "--scale", "none", "--factors", "48",
    "--penalty", "0.5", "--training-tokens", "1200", *SMALL,
]  # fmt: skip
# Short enough to be read between marks as well.
PLAIN = ("--no-marks", "--window-length", "158")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, a text, and what was learnt of both with marks and without."""
    folder = tmp_path_factory.mktemp("world")
    write_tiny_bert(folder / "bert")
    (folder / "text.txt").write_text(address_texts(1)[0], "utf-8")
    assert run(folder, "marked") == 0
    assert run(folder, "plain", *PLAIN) == 0
    return folder


def run(world: Path, out: str, *more: str, model: str = "bert") -> int:
    line = ["build", str(world / "text.txt"), "--model", str(world / model)]
    return main([*line, "--out", str(world / out), *BUILD, *more])


def imported(world: Path, dictionary: Path, out: Path, *more: str) -> tf.Bundle:
    line = ["import", str(dictionary), str(world / "text.txt"), "--model", str(world / "bert")]
    assert main([*line, "--out", str(out), *SMALL, *more]) == 0
    bundle = tf.Bundle.open(out)
    bundle.verify()
    return bundle


def check_activations(bundle: tf.Bundle, world: Path, marks: bool) -> None:
    """Compare the strongest activations with those of the model read so, and not the other way."""
    assert bundle.manifest["model"]["marks"] is marks
    of_bundle = FactorEncoder.from_bundle(bundle)
    missed = {True: 0.0, False: 0.0}
    for factor in bundle.factors.query("alive")["factor"].tolist()[:4]:
        layer = int(bundle.factors["peak_layer"][factor])
        found = bundle.examples(factor, layer, top=4)
        texts = list(bundle.windows(found["window"].tolist())["token_ids"])
        at = found["position"].tolist()
        np.testing.assert_allclose(
            of_bundle.activation(texts, at, factor, layer),
            found["activation"],
            atol=0.02,
            rtol=0.02,
        )
        for asked in missed:
            model = load_model(str(world / "bert"), marks=asked)
            states = model.hidden_states(texts, [layer], at)[0]
            codes = of_bundle.coder.encode(states, bundle.about.coding.penalty, 1e-5)
            off = np.abs(codes.toarray()[:, factor] - found["activation"]).max()
            missed[asked] = max(missed[asked], float(off))
    assert missed[marks] < 0.02 < missed[not marks]


@pytest.mark.parametrize(("name", "marks"), [("marked", True), ("plain", False)])
def test_a_bundle_says_how_its_windows_were_read_and_is_read_so(
    world: Path, name: str, marks: bool
) -> None:
    bundle = tf.Bundle.open(world / name)
    bundle.verify()
    assert bundle.manifest["settings"]["marks"] is marks
    check_activations(bundle, world, marks)
    # 254 tokens are more than the model of 160 reads; its marks are no tokens of the text.
    windows = bundle.windows(np.arange(bundle.manifest["corpus"]["windows"]))["token_ids"]
    assert bundle.manifest["corpus"]["window_length"] == 158
    special = load_model(str(world / "bert")).tokenizer.all_special_ids
    ids = np.concatenate(list(windows))
    assert not np.isin(ids, [i for i in special if i != 1]).any()  # an unknown word is 1
    said = describe(bundle.about), dict(origin_facts(bundle))["Windows"]
    assert [" marks" in text for text in said] == [marks, marks]


def test_a_model_without_marks_says_so_whatever_was_asked(world: Path) -> None:
    write_family("gpt2", world / "gpt2")
    assert run(world, "of-gpt2", "--marks", model="gpt2") == 0
    bundle = tf.Bundle.open(world / "of-gpt2")
    assert bundle.manifest["settings"]["marks"] is True
    assert bundle.manifest["model"]["marks"] is False
    assert bundle.manifest["corpus"]["window_length"] == 64


@pytest.mark.parametrize("form", ["safetensors", "saelens"])
def test_what_we_export_says_how_texts_were_read_and_an_import_reads_them_so(
    world: Path, form: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "dictionary.safetensors")
    assert main(["export", str(world / "marked"), "--format", form, "--out", out]) == 0
    bundle = imported(world, Path(out), tmp_path / "again")
    assert bundle.manifest["settings"]["marks"] is True
    check_activations(bundle, world, marks=True)


def test_a_reader_may_ask_for_another_reading_than_the_file(world: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "dictionary.safetensors")
    assert main(["export", str(world / "marked"), "--format", "safetensors", "--out", out]) == 0
    other = imported(world, Path(out), tmp_path / "other", "--no-marks")
    check_activations(other, world, marks=False)


def test_a_file_that_says_nothing_is_read_without_marks_unless_asked(
    world: Path, tmp_path: Path
) -> None:
    path = tmp_path / "atoms.npy"
    assert main(["export", str(world / "marked"), "--format", "npy", "--out", str(path)]) == 0
    like = ("--penalty", "0.5")
    check_activations(imported(world, path, tmp_path / "plain", *like), world, marks=False)
    marked = imported(world, path, tmp_path / "marked", *like, "--marks")
    check_activations(marked, world, marks=True)


def test_a_build_with_marks_does_not_go_on_with_one_without(
    world: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(world, "plain", *PLAIN[1:]) == 2
    assert "marks False there, True here" in capsys.readouterr().err
    assert run(world, "plain", *PLAIN) == 0


def test_a_record_from_before_there_were_marks_was_made_without() -> None:
    older = {k: v for k, v in Settings().to_json().items() if k != "marks"}
    assert not Settings().differences(older)
    assert Settings(marks=True).differences(older) == ["marks False there, True here"]
    assert [PRESETS[name].marks for name in ("default", "quick", "paper")] == [True, True, False]
    assert [PRESETS[name].window_length for name in ("default", "quick", "paper")] == [254, 254, 64]


def test_a_manifest_without_a_word_of_marks_is_of_a_bundle_without(world: Path) -> None:
    record = json.loads((world / "marked" / "manifest.json").read_text("utf-8"))
    assert tf.Bundle(world / "marked", record).about.model.marks
    del record["model"]["marks"]
    older = tf.Bundle(world / "marked", record)
    assert not older.about.model.marks
    assert [len(ids) for ids in FactorEncoder.from_bundle(older).model.marks] == [0, 0]


def test_the_help_shows_what_each_command_does_by_default(capsys: pytest.CaptureFixture) -> None:
    for command, shown in (("build", "True"), ("import", "False")):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert f"tokenizer puts around a text [{shown}]" in text
