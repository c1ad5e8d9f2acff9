"""From text to bundle through the command line, and through ten kills."""

import json
import random
import shutil
import signal
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from new_processes import contents, processes, run_apart
from tiny_model import address_texts, make_sentence_encoder, write_tiny_bert

import tfactors as tf
from tfactors.describe.levels import LOW_WORDS, Thresholds
from tfactors.errors import InputError
from tfactors.stages.build import build
from tfactors.stages.settings import PRESETS, Settings, with_changes

pytestmark = pytest.mark.model

KILLS = 10


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_sentence_encoder(write_tiny_bert(tmp_path_factory.mktemp("model") / "tiny-bert"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    for number, text in enumerate(address_texts(25)):
        (folder / f"address {number:02d}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def settings(model, texts) -> Settings:
    return with_changes(
        "quick", corpora=(str(texts),), model=str(model), factors=64, penalty=0.3,
        max_tokens=10_000, training_tokens=5_000, saliency_examples=1,
        saliency_samples=30, saliency_others=2, stability=True, effect_examples=2,
        origin_examples=3,
    )  # fmt: skip


@pytest.fixture(scope="module")
def small(settings) -> Settings:
    """Less of everything, for what is built many times; windows enough for many steps."""
    return replace(
        settings, window_length=40, max_tokens=5_000, training_tokens=3_000, factors=24,
        saliency_samples=12, saliency_others=1, effect_examples=1, retention_examples=1,
        origin_examples=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def once(small, tmp_path_factory) -> dict[str, str]:
    """What an undisturbed build of it leaves: the checksum of every file."""
    folder = tmp_path_factory.mktemp("once") / "bundle"
    build_apart(folder, small)
    return contents(folder)


@pytest.fixture(scope="module")
def built(settings, tmp_path_factory) -> tf.Bundle:
    folder = tmp_path_factory.mktemp("out") / "bundle"
    build_apart(folder, settings)
    return tf.Bundle.open(folder)


def build_apart(folder: Path, settings: Settings, cores: int = 2) -> None:
    """Build in a process of its own, as people do, with so many cores."""
    run_apart(build_with, folder, settings, cores)


def build_with(folder: Path, settings: Settings, cores: int) -> None:
    from tfactors import parallel
    from tfactors.coding import learner, solver

    for module in (parallel, solver, learner):
        module.cores = lambda: cores
    torch.set_num_threads(cores)
    build(folder, settings, show_progress=False)


def test_a_build_ends_with_a_bundle_that_verifies_and_nothing_else(built):
    built.verify()
    assert not list(built.path.glob(".build"))
    assert set(contents(built.path)) == {*built.manifest["files"], "manifest.json", "README.md"}


def test_the_codes_of_the_bundle_are_those_of_its_model_and_dictionary(built, settings):
    from tfactors.explain.encoder import FactorEncoder

    encoder = FactorEncoder.from_bundle(built)
    alive = built.factors.loc[built.factors["alive"], "factor"].tolist()[:5]
    for factor in alive:
        layer = int(built.factors["peak_layer"][factor])
        examples = built.examples(factor, layer, top=8)
        windows = built.windows(examples["window"].tolist())
        found = encoder.activation(
            list(windows["token_ids"]), examples["position"].tolist(), factor, layer
        )
        np.testing.assert_allclose(found, examples["activation"], rtol=0.02, atol=0.02)
        assert (np.diff(examples["activation"]) <= 0).all()
        assert examples["window"].is_unique


def test_a_factor_is_as_steady_as_its_likeness_to_the_nearest_factor_of_another_seed(built):
    first, second, note = built.dictionary, built.second_dictionary, built.manifest["stability"]
    stability, alive = built.factors["stability"], built.factors["alive"]
    cosine = (first @ second.T)[alive]
    assert np.allclose(stability[alive], cosine.max(axis=1), atol=1e-5)
    assert np.isnan(stability[~alive]).all()
    assert 0.3 < stability.mean() < 0.999, "neither chance nor a copy"
    assert note["seed"] == 1
    assert (
        0
        <= note["matched"]["0.9"]
        <= note["matched"]["0.7"]
        <= (first @ second.T > 0.7).mean() * 64
    )


def test_what_decides_a_factor_is_told_by_all_its_activations(built):
    """The corpus is smaller than the sample, so the shares are of every token."""
    from tfactors.explain.encoder import FactorEncoder
    from tfactors.survey.window_tokens import WindowTokens

    encoder = FactorEncoder.from_bundle(built)
    windows = built.windows(np.arange(built.about.corpus.windows))
    tokens = WindowTokens.of(windows)
    table = pd.DataFrame({"window": tokens.windows, "word": tokens.words})
    table["token"] = np.concatenate(windows["token_ids"].to_list())
    table["word"] = table["word"].str.casefold()
    layer = built.layers[-1]
    codes = encoder.encode(list(windows["token_ids"]), layer).toarray()
    factors = built.factors[built.factors["peak_layer"] == layer]
    assert len(factors) > 5
    for row in factors.itertuples():
        table["a"] = codes[:, row.factor].astype(float)
        for share, group in ((row.token_share, "token"), (row.window_share, "window")):
            # By the covariance of a token with the mean of the others of its group.
            of_group = table.groupby(group)["a"]
            size = of_group.transform("size")
            kept = size > 1
            others = ((of_group.transform("sum") - table["a"]) / (size - 1))[kept]
            mean, variance = table["a"][kept].mean(), table["a"][kept].var(ddof=0)
            expected = ((table["a"][kept] * others).mean() - mean**2) / variance
            assert share == pytest.approx(np.clip(expected, 0, 1), abs=3e-3)
        # Words are of the 200 strongest examples, of which a window has one.
        best = table.sort_values("a", ascending=False, kind="stable").drop_duplicates("window")
        for number, group, of in (
            (row.effective_words, "word", best.head(200)),
            (row.effective_windows, "window", table),
        ):
            p = of.groupby(group)["a"].sum() / of["a"].sum()
            p = p[p > 0]
            assert number == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=5e-3)


def test_at_the_embeddings_word_and_sentence_decide_everything(settings, built, tmp_path):
    embeddings = {"layers": (0,), "scale": "unit", "baseline": "none", "stability": False}
    bundle = build(tmp_path / "b", replace(settings, **embeddings), show_progress=False)
    shares = bundle.factors[bundle.factors["alive"]][["token_share", "sentence_share"]]
    assert len(shares) > 3
    np.testing.assert_allclose(shares["sentence_share"], 1, atol=5e-3)
    assert (built.factors["sentence_share"].dropna().between(0, 1)).all()


def test_a_factor_has_a_level_where_its_numbers_are_known(built):
    few = built.factors["effective_words"] <= LOW_WORDS
    known = few | built.factors[["effective_words", "window_share"]].notna().all(axis=1)
    assert ((built.factors["level"] != "") == known).all()
    assert built.about.importance.thresholds == Thresholds()


def test_what_factors_are_made_from_is_below_them_and_turned_round(built):
    peak, lowest = built.factors["peak_layer"], built.layers[0]
    made_from = {factor: built.origins(factor) for factor in built.factors["factor"]}
    for factor, rows in made_from.items():
        assert len(rows) <= 21
        assert (rows["layer"] == peak[factor] - 1).all()
        assert (rows["examples"] <= 3).all()
        assert len(rows) == 0 or peak[factor] > lowest
    sources = pd.concat(rows.assign(factor=factor) for factor, rows in made_from.items())
    assert set(sources["kind"]) == {"factor", "word"}
    assert sources["factor"].nunique() > (peak > lowest).sum() / 2
    asked = int(sources["source"][sources["kind"] == "factor"].mode()[0])
    into = sources[(sources["source"] == asked) & (sources["factor"] != asked)]
    assert sorted(built.feeds(asked)["target"]) == sorted(into["factor"])
    assert built.about.settings["origin_examples"] == 3
    assert built.manifest["origins"]["examples"] > 0


def test_names_and_contexts_are_embedded_by_the_own_model_that_embeds_sentences(built, settings):
    from tfactors.bundle.passages import texts_around
    from tfactors.describe.meanings import NAME, name_to_embed, packed
    from tfactors.model.sentence_encoder import SentenceEncoder

    about = built.about.meanings
    assert (about.sha256, about.width) == (built.about.model.sha256, built.width)
    factor, rank, bits = built.meanings()
    assert set(factor) == set(built.factors.index[built.factors["alive"]])
    encoder = SentenceEncoder.load(settings.model)
    for at in np.flatnonzero(rank == NAME)[:3]:
        text = name_to_embed(built.factors["label"][factor[at]])
        assert (packed(encoder.embed([text]))[0] == bits[at]).mean() > 0.8  # but for rounding
    for at in np.flatnonzero(rank == 2)[:3]:
        examples = built.examples(factor[at], int(built.factors["peak_layer"][factor[at]]))
        text = texts_around(built, examples.iloc[[2]], about.words)[0]
        assert examples["word"][2] in text
        assert (packed(encoder.embed([text]))[0] == bits[at]).mean() > 0.8
    signs = 2.0 * np.unpackbits(bits, axis=1, count=about.width) - 1
    asked = encoder.embed([text])[0]
    means = {one: signs[factor == one].mean(axis=0) for one in set(factor)}
    near = {one: mean @ asked / np.linalg.norm(mean) for one, mean in means.items()}
    found = tf.search_by_meaning(built, text, top=3)
    assert found["factor"].tolist() == sorted(near, key=near.__getitem__, reverse=True)[:3]


@pytest.mark.parametrize("later", ["origin_examples", "meaning_contexts"])
def test_a_build_that_knew_no_later_setting_is_not_refused(small, later):
    record = small.to_json()
    here, name = record.pop(later), later.replace("_", "-")
    assert small.differences(record) == []
    assert small.differences(record | {later: 9}) == [f"{name} 9 there, {here} here"]


def test_a_kept_build_that_knew_no_later_stage_goes_on_to_the_same_bytes(
    once, small, tmp_path, monkeypatch
):
    folder = tmp_path / "kept"
    with monkeypatch.context() as patch:
        patch.setattr("tfactors.stages.build.shutil.rmtree", lambda *_, **__: None)
        earlier = replace(small, origin_examples=0, meaning_contexts=0)
        build(folder, earlier, show_progress=False)
    work = folder / ".build"
    record = json.loads((work / "settings.json").read_text("utf-8"))
    del record["origin_examples"], record["meaning_contexts"]
    (work / "settings.json").write_text(json.dumps(record), "utf-8")
    for gone in (work / "origins.json", work / "meanings.json", folder / "manifest.json"):
        gone.unlink()
    build(folder, small, show_progress=False)
    assert contents(folder) == once


def test_scaled_states_have_mean_norm_root_d(built):
    for row in built.manifest["metrics"]["layers"]:
        assert row["mean_norm"] == pytest.approx(np.sqrt(built.width), rel=0.02)


def test_documents_are_held_out_by_their_hash_alone(built):
    assert built.manifest["corpus"]["held_out"] in ("documents", "windows")
    assert 0 < built.manifest["corpus"]["held_out_tokens"] < built.manifest["corpus"]["tokens"] / 5


@pytest.mark.parametrize("cores", [1, 3])
def test_the_same_settings_build_the_same_bytes_on_any_number_of_cores(
    once, small, tmp_path, cores
):
    build_apart(tmp_path / "again", small, cores)
    assert contents(tmp_path / "again") == once


def test_a_finished_build_is_left_as_it_is(built, settings):
    before = contents(built.path), (built.path / "manifest.json").stat().st_mtime_ns
    build(built.path, settings, show_progress=False)
    assert (contents(built.path), (built.path / "manifest.json").stat().st_mtime_ns) == before


def test_a_build_killed_ten_times_ends_as_if_it_had_never_been(once, small, tmp_path):
    moments = random.Random(5)
    folder = tmp_path / "killed"
    kills = 0
    while kills < KILLS:
        listening, saying = processes.Pipe(duplex=False)
        process = processes.Process(target=build_aloud, args=(folder, small, saying))
        process.start()
        saying.close()
        # A word a step: killed in the midst of the work, not while Python starts.
        with suppress(EOFError):
            for _ in range(moments.randrange(1, 12)):
                listening.recv()
        process.kill()
        process.join()
        listening.close()
        kills += process.exitcode == -signal.SIGKILL
        if (folder / "manifest.json").exists():  # it was faster: start over
            assert contents(folder) == once
            shutil.rmtree(folder)
    build_apart(folder, small)
    assert contents(folder) == once


def build_aloud(folder: Path, settings: Settings, saying: Connection) -> None:
    """Save a checkpoint at every step, and say so, so that kills fall everywhere."""
    from tfactors import files
    from tfactors.stages import description, run
    from tfactors.stages import examples as context_stages
    from tfactors.stages import survey as survey_stage

    def aloud(path: Path) -> AbstractContextManager[Path]:
        saying.send(path.name)
        return replacing(path)

    replacing = files.replacing
    run.SECONDS_BETWEEN_CHECKPOINTS = 0.0
    for module in (run, context_stages, description, survey_stage):
        module.replacing = aloud
    build(folder, settings, show_progress=False)


def test_other_settings_in_the_same_folder_are_refused_and_nothing_is_lost(built, settings):
    before = contents(built.path)
    other = with_changes(
        "quick", **{**settings.to_json(), "penalty": 2.0, "corpora": settings.corpora, "layers": ()}
    )
    with pytest.raises(InputError, match=r"penalty 0\.3 there, 2\.0 here"):
        build(built.path, other, show_progress=False)
    assert contents(built.path) == before


def test_a_second_build_into_a_folder_that_is_being_written_is_refused(settings, tmp_path):
    folder = tmp_path / "twice"
    listening, saying = processes.Pipe(duplex=False)
    first = processes.Process(target=build_aloud, args=(folder, settings, saying))
    first.start()
    assert listening.recv()
    with pytest.raises(InputError, match="another build is writing there"):
        build(folder, settings, show_progress=False)
    assert first.is_alive()
    first.kill()
    first.join()


def test_a_folder_with_something_else_in_it_is_refused(settings, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="something else"):
        build(tmp_path, settings, show_progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_every_map_is_by_occlusion_and_the_first_of_a_factor_also_by_lime(built):
    maps = pd.concat(
        built.saliency(c, layer).assign(factor=c)
        for c, layer in zip(built.factors["factor"], built.factors["peak_layer"], strict=True)
    ).merge(built.factors[["factor", "level"]])
    most = maps["level"].map({"high": 0, "mid": 1, "low": 1, "": 1})
    assert (maps["rank"] <= most).all()
    by = maps.groupby("method")["rank"].agg(set)
    assert by["lime"] == {0}
    assert by["occlusion"] == {0, 1}
    assert set(maps["factor"]) == set(built.factors["factor"][built.factors["alive"]])


def test_the_2021_method_runs_from_text_to_bundle(model, texts, tmp_path):
    settings = with_changes(
        "paper", corpora=(str(texts),), model=str(model), layers=(0, 2), factors=48,
        max_tokens=12_000, epochs=1, retention_examples=2, saliency_examples=0,
    )  # fmt: skip
    bundle = build(tmp_path / "paper", settings, show_progress=False)
    bundle.verify()
    assert bundle.layers == [0, 2]
    assert set(bundle.scale.values()) == {1.0}
    assert bundle.manifest["metrics"]["explained_variance"] > 0


def test_the_paper_preset_has_the_constants_of_the_2021_code():
    paper = PRESETS["paper"]
    assert paper.model == "bert-base-uncased"
    assert paper.layers == (0, 2, 4, 6, 8, 10)
    assert (paper.window_length, paper.factors, paper.batch, paper.epochs) == (64, 2000, 100, 2)
    assert (paper.penalty, paper.scale, paper.learner, paper.damping) == (0.3, "none", "2021", True)
    from tfactors.coding import learner_2021

    assert (learner_2021.HISTORY, learner_2021.STEP) == (300, 0.005)
    assert learner_2021.SMALLEST_ENERGY == 0.001
