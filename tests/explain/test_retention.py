"""Retained activation against runs of transformers one by one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tiny_encoder import tiny_encoder, tiny_windows, top_examples

from tfactors.coding.sparse_coding import sparse_encode
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.retention import RADII, chunks_of_factors, curve_rows, retention
from tfactors.text.sentences import sentence_bounds
from tfactors.text.words import word_at

pytestmark = pytest.mark.model

Windows = pd.DataFrame


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> FactorEncoder:
    return tiny_encoder(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def windows(encoder: FactorEncoder) -> Windows:
    return tiny_windows(encoder)


@pytest.fixture(scope="module")
def examples(encoder: FactorEncoder, windows: Windows) -> pd.DataFrame:
    return top_examples(encoder, windows, layer=2)


def reader(windows: Windows):
    def read(ids: Sequence[int]) -> pd.DataFrame:
        return windows.iloc[list(ids)]

    return read


def brute_force(module, encoder: FactorEncoder, row: pd.Series, window: pd.Series, span) -> float:
    """The share that one example retains, by transformers and `sparse_encode`, in one run."""
    start, stop = span
    ids = torch.tensor(window["token_ids"][None, start:stop].astype(np.int64))
    with torch.inference_mode():
        output = module(
            ids, position_ids=torch.arange(start, stop)[None], output_hidden_states=True
        )
    layer = int(row["layer"])
    x = (
        output.hidden_states[layer][0, int(row["position"]) - start].numpy()
        * encoder.transform.scale[layer]
    )
    code = sparse_encode(x[None], encoder.coder.dictionary, encoder.penalty, tol=1e-6).toarray()
    return min(1.0, float(code[0, int(row["factor"])]) / row["activation"])


def test_retained_activation_is_the_mean_share_of_each_example_run_alone(
    encoder: FactorEncoder, windows: Windows, examples: pd.DataFrame
) -> None:
    chosen = examples[examples["factor"].isin(examples["factor"].unique()[:4])]
    found = retention(encoder, chosen, reader(windows), radii=(0, 2, 8)).set_index("factor")
    module = transformers.AutoModel.from_pretrained(encoder.model.name).eval()
    for factor, mine in chosen.groupby("factor"):
        shares = []
        for _, row in mine.iterrows():
            window, p = windows.iloc[int(row["window"])], int(row["position"])
            starts = np.flatnonzero(window["word_starts"])
            stops = [*starts[1:], len(window["tokens"])]
            word = next(s for s in zip(starts, stops, strict=True) if s[0] <= p < s[1])
            text = "".join(window["tokens"][word[0] : word[1]]).strip()
            assert text == word_at(window["tokens"], window["word_starts"], p)
            spans = [word, sentence_bounds(window["tokens"], p)]
            size = len(window["tokens"])
            spans += [(max(0, p - r), min(size, p + r + 1)) for r in (0, 2, 8)]
            shares.append([brute_force(module, encoder, row, window, span) for span in spans])
        mean = np.mean(shares, axis=0)
        row = found.loc[factor]
        np.testing.assert_allclose([row["word"], row["sentence"], *row["curve"]], mean, atol=2e-3)
        enough = [r for r, share in zip((0, 2, 8), row["curve"], strict=True) if share >= 0.8]
        assert row["reach"] == enough[0] if enough else row["reach"] is pd.NA
        assert row["examples"] == len(mine)


def test_single_token_embeddings_need_no_context(encoder: FactorEncoder, windows: Windows) -> None:
    found = retention(encoder, top_examples(encoder, windows, layer=0), reader(windows))
    assert (found["reach"] == 0).all()
    shares = np.column_stack([found["word"], found["sentence"], np.array(found["curve"].tolist())])
    np.testing.assert_allclose(shares, 1, atol=1e-3)


def test_a_radius_beyond_the_window_retains_everything(
    encoder: FactorEncoder, windows: Windows, examples: pd.DataFrame
) -> None:
    found = retention(encoder, examples, reader(windows))
    curves = np.array(found["curve"].tolist())
    assert (curves[:, np.array(RADII) >= 40] == 1).all()
    assert ((curves >= 0) & (curves <= 1)).all()
    assert found["reach"].notna().all()
    assert found["factor"].is_monotonic_increasing


def test_less_context_counts_for_no_more_than_all_of_it(
    encoder: FactorEncoder, windows: Windows, examples: pd.DataFrame
) -> None:
    understated = examples.assign(activation=examples["activation"] / 1000)
    found = retention(encoder, understated, reader(windows), radii=(8,))
    assert max(curve[0] for curve in found["curve"]) == 1


def test_without_a_radius_that_retains_enough_there_is_no_reach(
    encoder: FactorEncoder, windows: Windows, examples: pd.DataFrame
) -> None:
    overstated = examples.assign(activation=examples["activation"] * 1000)
    found = retention(encoder, overstated, reader(windows), radii=(0, 2))
    assert found["reach"].isna().all()


def test_parts_put_together_are_the_whole_to_the_bit(
    encoder: FactorEncoder, windows: Windows, examples: pd.DataFrame
) -> None:
    both = pd.concat([top_examples(encoder, windows, layer=1), examples])
    parts = list(chunks_of_factors(both))
    assert len(parts) > 2
    assert sum(map(len, parts)) == len(both)
    assert all(part["layer"].nunique() == 1 for part in parts)
    alone = [retention(encoder, part, reader(windows)) for part in parts]
    joined = pd.concat(alone).sort_values(["factor", "layer"], ignore_index=True)
    done: list[tuple[int, int]] = []
    whole = retention(encoder, both, reader(windows), progress=lambda *at: done.append(at))
    pd.testing.assert_frame_equal(whole, joined, check_exact=True)
    assert done[-1] == (len(both), len(both))
    assert len(done) == len(parts)


def test_rows_for_the_bundle_hold_every_number_once(
    encoder: FactorEncoder, windows: Windows, examples: pd.DataFrame
) -> None:
    found = retention(encoder, examples, reader(windows), radii=(0, 4))
    rows = curve_rows(found, radii=(0, 4))
    assert len(rows) == 4 * len(found)
    keys = ["factor", "layer", "kind", "radius"]
    pd.testing.assert_frame_equal(rows, rows.sort_values(keys, ignore_index=True))
    of_kind = rows.set_index(["kind", "radius"])["retained"]
    np.testing.assert_allclose(of_kind["word", -1], found["word"], rtol=1e-6)
    np.testing.assert_allclose(of_kind["sentence", -1], found["sentence"], rtol=1e-6)
    np.testing.assert_allclose(of_kind["radius", 4], [c[1] for c in found["curve"]], rtol=1e-6)


def test_no_examples_give_a_table_without_rows(encoder: FactorEncoder, windows: Windows) -> None:
    none = pd.DataFrame(columns=["factor", "layer", "window", "position", "activation"])
    found = retention(encoder, none, reader(windows))
    assert len(found) == len(curve_rows(found)) == 0
