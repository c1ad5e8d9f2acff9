"""`tfactors evaluate` on a small model: every section, every control, and what is read back."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from scipy.sparse import csr_array
from tiny_model import address_texts, write_tiny_bert

import tfactors as tf
from tfactors.bundle import evidence
from tfactors.bundle.evidence import Chart, Column, Section, Table
from tfactors.cli import main
from tfactors.coding.solver import SparseCoder
from tfactors.describe.stability import match
from tfactors.errors import InputError
from tfactors.evaluate import labelled_senses, rival_dictionaries
from tfactors.evaluate.agreement import compare_levels
from tfactors.evaluate.evaluate import SECTIONS, evaluate
from tfactors.evaluate.evaluation import Effort, Evaluation
from tfactors.evaluate.level_checks import SAYS
from tfactors.evaluate.planted_factors import plant
from tfactors.evaluate.reconstruction import quality
from tfactors.evaluate.rival_dictionaries import (
    OURS,
    RANDOM,
    REFITTED,
    SAME,
    TOPK,
    TOPK_WHOLE,
    WHOLE,
)
from tfactors.evaluate.sample import draw, interval
from tfactors.evaluate.topk_autoencoder import TopKAutoencoder
from tfactors.stages.build import build
from tfactors.stages.settings import Settings, with_changes

pytestmark = pytest.mark.model

LITTLE = Effort(
    tokens=400, rival_tokens=200, fidelity_tokens=400, training_tokens=1500, least_seconds=0.3,
    level_tokens=1500, planted_atoms=60, planted_samples=1500, planted_seconds=0.1, origins=6,
    origin_texts=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tf.Bundle:
    """A bundle of a tiny BERT that was saved with its masked-LM head."""
    folder = tmp_path_factory.mktemp("evaluated")
    model = write_tiny_bert(folder / "model")
    torch.manual_seed(0)
    body = transformers.BertModel.from_pretrained(model, add_pooling_layer=False)
    whole = transformers.BertForMaskedLM(body.config)
    whole.bert.load_state_dict(body.state_dict())
    whole.save_pretrained(model)
    (folder / "texts").mkdir()
    for number, text in enumerate(address_texts(25)):
        (folder / "texts" / f"{number:02d}.txt").write_text(text[:6000], "utf-8")
    settings = with_changes(
        "quick",
        corpora=(str(folder / "texts"),),
        model=str(model),
        factors=48,
        penalty=1.0,
        training_tokens=8_000,
        stability=True,
        window_length=40,
        scale="unit",
        baseline="none",
        refit=False,
        meaning_contexts=0,
    )
    return build(folder / "bundle", settings, show_progress=False)


@pytest.fixture(scope="module")
def of_context(bundle: tf.Bundle, tmp_path_factory: pytest.TempPathFactory) -> tf.Bundle:
    """The same less what each token brings of its own."""
    settings = replace(
        Settings.from_json(bundle.manifest["settings"]),
        scale="state",
        baseline="token",
        refit=True,
        penalty=0.2,
        stability=False,
        model=str(bundle.path.parent / "model"),
        corpora=(str(bundle.path.parent / "texts"),),
    )
    folder = tmp_path_factory.mktemp("of_context") / "bundle"
    return build(folder, settings, show_progress=False)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the labelled words that come along, one of three labels: all eleven take longer.

    And a third of which one label is left; the table is saved as Excel saves Unicode text.
    """
    head, *lines = labelled_senses.SHIPPED.read_text("utf-8").splitlines()
    kept = [line for line in lines if line.split("\t")[1] in ("march", "order")]
    kept += [line for line in lines if line.split("\t")[1::2] == ["left", "other"]]
    path = tmp_path_factory.mktemp("labelled") / "two.tsv"
    path.write_text("\n".join([head, *kept]) + "\n", "utf-16", newline="\r\n")
    return path


@pytest.fixture(scope="module")
def sections(bundle: tf.Bundle, labelled: Path) -> dict[str, Section]:
    found = evaluate(bundle, show_progress=False, effort=LITTLE, senses=labelled)
    return {s.name: s for s in found}


def rows(table: Table) -> list[dict]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def test_every_section_is_measured_and_a_second_run_changes_nothing(bundle, sections):
    assert set(sections) >= set(SECTIONS) - {"paper"}
    folder = evidence.folder_of(bundle.path)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert main(["evaluate", str(bundle.path), "--quiet"]) == 0
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")} == before
    assert "Reconstruction" in (folder / evidence.REPORT).read_text("utf-8")
    bundle.verify()


def test_every_labelled_word_is_told_in_every_way_at_every_layer(bundle, labelled, sections):
    section = sections["senses"]
    by_word, by_layer = (rows(table) for table in section.tables)
    assert [row["word"] for row in by_word] == ["march", "order"]
    assert by_word[1]["labels"] == "command 10, condition 32, purpose 39"
    assert "141 labelled occurrences of 2 words" in section.tables[0].sample
    for row in by_word:
        assert 0 <= row["low"] <= row["one"] <= row["high"] <= 1
        mine = [r for r in by_layer if r["word"] == row["word"]]
        assert len(mine) == 5 * len(bundle.layers)
        best = max(r["f1"] for r in mine if r["method"] == "one factor")
        there = next(r for r in mine if r["method"] == "one factor" and r["layer"] == row["best"])
        assert (there["f1"], there["factor"]) == (best, row["factor"])
        assert 0 <= int(row["factor"]) < bundle.n_factors
    # Always “purpose”: F₁ is 2 · 39 / (81 + 39) of that label, 0 of the others.
    assert by_word[1]["majority"] == pytest.approx(2 * 39 / 120 / 3)
    assert "median" in section.findings[0]
    left_out = "Left out, since there is nothing to tell: “left” has one label or one"
    assert section.findings[-1].startswith(left_out)


def test_every_number_has_a_definition_a_sample_and_a_place_in_the_report(sections, bundle):
    report = (evidence.folder_of(bundle.path) / evidence.REPORT).read_text("utf-8")
    for section in sections.values():
        assert section.findings
        for table in section.tables:
            assert table.sample
            assert table.title in report
            for column in table.columns:
                assert column.meaning or column.form == "text", column


def test_reconstruction_at_the_bundle_s_penalty_is_near_what_the_build_found(sections, bundle):
    table, _ = sections["reconstruction"].tables
    found = rows(table)
    assert len(found) == 8 * (len(bundle.layers) + 1)
    mine = next(row for row in found if row["layer"] == "all" and row["penalty"] == 1.0)
    metrics = bundle.manifest["metrics"]
    assert mine["explained"] == pytest.approx(metrics["explained_variance"], abs=0.05)
    assert mine["low"] <= mine["explained"] <= mine["high"]
    assert mine["norm_ratio"] < 1
    assert mine["gap"] < 1e-3
    pooled = [row for row in found if row["layer"] == "all"]
    assert all(a["l0"] > b["l0"] for a, b in pairwise(pooled))
    assert all(a["explained"] > b["explained"] for a, b in pairwise(pooled))


def test_explained_variance_is_0_for_the_mean_1_for_a_copy_and_knows_no_batches():
    x = np.random.default_rng(0).normal(3.0, 2.0, (90, 5)).astype(np.float32)
    codes, groups = csr_array((90, 4), dtype=np.float32), np.repeat(np.arange(9), 10)
    mean = np.tile(x.mean(axis=0), (90, 1))
    for grouped in (None, groups):
        assert quality(x, mean, codes, grouped).explained == pytest.approx(0, abs=1e-5)
        assert quality(x, x, codes, grouped).explained == 1
        half = quality(x, (x + mean) / 2, codes, grouped).explained
        assert half == pytest.approx(0.75, abs=1e-5)


def test_what_a_token_brings_counts_in_what_is_explained_and_is_put_back(of_context):
    evaluation = Evaluation(of_context, False, effort=LITTLE)
    found = rows(SECTIONS["reconstruction"](evaluation).tables[0])
    metrics, penalty = of_context.manifest["metrics"], of_context.manifest["coding"]["penalty"]
    mine = next(r for r in found if r["layer"] == "all" and r["penalty"] == penalty)
    assert mine["explained"] == pytest.approx(metrics["explained_variance"], abs=0.05)
    assert mine["explained"] > metrics["explained_context"] + 0.1
    replaced = rows(SECTIONS["fidelity"](evaluation).tables[0])
    by_name = {row["by"]: row for row in replaced if row["layer"] == "1"}
    assert by_name["its reconstruction"]["cosine"] > by_name["the layer's mean"]["cosine"]


def test_a_sure_number_has_a_narrow_interval_and_a_shaky_one_a_wide_one():
    rng = np.random.default_rng(0)
    narrow = interval(rng.normal(5, 0.1, 50), np.full(50, 10.0))
    wide = interval(rng.normal(5, 3.0, 50), np.full(50, 10.0))
    assert narrow[0] <= 0.5 <= narrow[1]
    assert narrow[1] - narrow[0] < 0.1 * (wide[1] - wide[0])


def test_held_out_text_and_training_text_share_no_window(bundle):
    mine, other = draw(bundle, 10**6, 0), draw(bundle, 10**6, 0, held_out=False)
    assert not set(mine.windows) & set(other.windows)
    assert len(mine) + len(other) == bundle.manifest["corpus"]["tokens"]
    assert len(mine) == bundle.manifest["corpus"]["held_out_tokens"]


def test_the_true_states_put_back_change_nothing_and_zeros_lose_the_most(sections, bundle):
    """A dictionary of ± coordinates and next to no penalty gives every state back whole."""
    whole = Evaluation(bundle, False, effort=LITTLE)
    d = bundle.width
    atoms = np.concatenate([np.eye(d), -np.eye(d)]).astype(np.float32)
    coder = SparseCoder(atoms)
    whole.encoder = replace(whole.encoder, coder=coder, penalty=0.01)
    section = SECTIONS["fidelity"](whole)
    for row in rows(section.tables[0]):
        if row["by"] == "its reconstruction":
            assert row["cosine"] == pytest.approx(1, abs=1e-3)
    for row in rows(section.tables[1]):
        assert row["recovered"] == pytest.approx(1, abs=0.02)
    ours = rows(sections["fidelity"].tables[0])
    by = {(row["layer"], row["by"]): row["cosine"] for row in ours}
    assert by["2", "its reconstruction"] > by["2", "zero"]


def test_ours_beats_random_directions_and_every_control_is_there(sections):
    found = [row for row in rows(sections["controls"].tables[0]) if row["layer"] == "all"]
    at = {row["method"]: row["explained"] for row in found if row["terms"] == 8}
    assert len(at) == 9
    assert at[SAME] > at[RANDOM]
    assert at[TOPK] > at[RANDOM]
    assert max(at, key=lambda name: at[name] if name.startswith("ours") else -9) == REFITTED
    assert all(0 <= row["l0"] <= 24 for row in found if row["terms"] <= 16)


def test_with_an_own_part_both_methods_stand_side_by_side_on_the_whole_state(of_context):
    effort = replace(LITTLE, least_seconds=2.0)
    evaluation = Evaluation(of_context, show_progress=False, effort=effort)
    section = rival_dictionaries.measure(evaluation)
    sides, table = (rows(found) for found in section.tables)
    x, b = (part[:, : effort.rival_tokens] for part in evaluation.parts)
    for at, layer in enumerate(evaluation.encoder.layers):
        whole = (x + b)[at].astype(np.float64)
        left, spread = ((whole - b[at]) ** 2).sum(), ((whole - whole.mean(axis=0)) ** 2).sum()
        row = next(row for row in sides if row["layer"] == str(layer))
        assert row["word"] == pytest.approx(1 - left / spread, rel=1e-6)
    names = [column.label for column in section.tables[0].columns[2:]]
    assert names == [OURS, SAME, WHOLE, TOPK, TOPK_WHOLE]
    k = 8 if evaluation.states.shape[2] // 2 < 16 else 16
    for row in sides:
        for i, name in enumerate(names):
            same = next(
                found["explained"]
                for found in table
                if (found["layer"], found["method"], found["terms"]) == (row["layer"], name, k)
            )
            assert row[f"method{i}"] == same
    pooled = sides[0]
    assert pooled["layer"] == "all"
    assert pooled["method0"] > pooled["word"]
    assert "The word itself explains" in section.findings[-1]


def test_the_autoencoder_finds_planted_atoms_and_uses_at_most_k(sections):
    problem = plant(20, 16, 3000, seed=3)
    model = TopKAutoencoder(20, 4).fit(problem.samples, 2.0)
    codes = model.encode(problem.fresh)
    assert codes.shape == (2000, 20)
    assert np.diff(codes.indptr).max() <= 4
    assert codes.data.min() > 0
    assert np.allclose(np.linalg.norm(model.dictionary, axis=1), 1, atol=1e-5)
    error = ((problem.fresh - model.decode(codes)) ** 2).sum()
    assert error < 0.8 * ((problem.fresh - problem.fresh.mean(axis=0)) ** 2).sum()


def test_planted_atoms_are_unit_unequally_frequent_and_recovered_by_themselves():
    problem = plant(80, 32, 2000)
    assert np.allclose(np.linalg.norm(problem.atoms, axis=1), 1, atol=1e-5)
    assert problem.counts[:20].sum() > 1.5 * problem.counts[-20:].sum()
    assert np.linalg.norm(problem.samples, axis=1).mean() == pytest.approx(np.sqrt(32), rel=0.02)
    assert (match(problem.atoms, problem.atoms[::-1])[1] > 0.9).all()


def test_recovery_is_given_for_ours_the_autoencoder_and_scikit_learn(sections):
    found = rows(sections["recovery"].tables[0])
    assert {row["width"] for row in found} == {"256", "768"}
    for part in ("ours", "TopK", "scikit-learn"):
        assert sum(row["method"].startswith(part) for row in found) >= 2
    assert all(0 <= row["found"] <= 1 for row in found)


def test_factors_come_back_more_often_than_random_directions_do(sections, bundle):
    back = rows(sections["stability"].tables[0])
    share = {(row["against"], row["above"]): row["matched"] for row in back}
    assert share["the other seed", 0.5] > share["random directions", 0.5]
    note = bundle.manifest["stability"]["matched"]
    assert share["the other seed", 0.9] == pytest.approx(note["0.9"])
    pairs = rows(sections["stability"].tables[2])
    assert all(0 <= row["same_level"] <= 1 and row["pairs"] > 0 for row in pairs)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (("format",), "other", "tfactors-evidence"),
        (("version",), 2, "upgrade"),
        (("name",), "fidelity", "is named"),
        (("seconds",), -1, "seconds"),
        (("findings",), "text", "findings"),
        (("tables", 0, "rows", 0), [1], "columns"),
        (("tables", 0, "rows", 0, 2), "<script>", "l0 is no number"),
        (("tables", 0, "rows", 0, 2), True, r"'tables\[0\]\.rows\[0\]\[2\]' is True; expected int"),
        (("tables", 0, "columns", 1, "form"), "html", "form"),
        (("tables", 0, "columns", 1, "name"), "a b", "is 'a b'; expected a name"),
        (("tables", 0, "chart", "y"), "nothing", "no column"),
        (("title",), "x" * 3000, "title"),
    ],
)
def test_a_file_that_was_tampered_with_is_refused_in_one_line(
    sections, bundle, tmp_path, path, value, problem
):
    content = json.loads((bundle.path / "evidence" / "reconstruction.json").read_text("utf-8"))
    at = content
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    (tmp_path / "reconstruction.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=problem) as raised:
        evidence.read_section(tmp_path, "reconstruction")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, '{"a": NaN}', "null"])
def test_what_is_no_json_is_refused_too(tmp_path: Path, text: str):
    (tmp_path / "fidelity.json").write_text(text)
    with pytest.raises(InputError, match="fidelity"):
        evidence.read_section(tmp_path, "fidelity")


def test_text_of_a_section_stays_text_in_the_report():
    table = Table("a|b", "*n*", (Column("x", "<b>"),), ((1.0,),), Chart("x", "x"))
    section = Section("paper", "# T", "about", ("<script>",), (table,))
    report = evidence.markdown("title", [section])
    assert "<script>" not in report.replace("\\<", "")
    assert "| \\<b\\> |" in report


def test_an_unknown_section_is_an_error_of_one_line(bundle, capsys):
    assert main(["evaluate", str(bundle.path), "--only", "luck"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_levels_of_two_seeds_are_compared_with_chance_and_with_a_bundle_of_the_same_rule_alone():
    first = pd.DataFrame({"peak": [1, 1, 2, 2], "level": ["low", "mid", "mid", ""]})
    second = pd.DataFrame({"peak": [1, 2, 2, 2], "level": ["low", "mid", "low", "mid"]})
    built = np.array(["low", "high", "mid", "mid"])
    found = compare_levels(0.7, first, second, built)
    assert (found.pairs, found.same_peak, found.near_peak) == (3, pytest.approx(2 / 3), 1)
    assert (found.same_level, found.as_built) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert found.chance == pytest.approx(1 / 3 * 2 / 3 + 2 / 3 * 1 / 3)
    assert compare_levels(0.7, first, second, None).as_built is None


def test_more_is_left_of_an_activation_the_less_of_its_text_is_exchanged(sections, bundle):
    table = sections["levels"].tables[0]
    found = {row["text"]: row for row in rows(table)}
    levels = [level for level in ("low", "mid", "high") if (bundle.factors["level"] == level).any()]
    for level in levels:
        sentence, word, none = (found[SAYS[kind]][level] for kind in ("sentence", "word", "none"))
        assert 1 >= sentence > none >= 0
        assert sentence >= word - 0.05
        own = bundle.factors[bundle.factors["level"] == level]
        assert str(min(len(own), 20)) in table.sample
    finding = next(f for f in sections["levels"].findings if "peak at layer 0" in f)
    assert float(re.search(r"their words keep ([\d.]+)% in another text", finding)[1]) > 99
