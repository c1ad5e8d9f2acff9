"""Saliency against closed forms, brute force, and lime's own text explainer."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from lime.lime_text import LimeTextExplainer
from scipy.stats import chisquare
from sklearn.metrics.pairwise import cosine_distances
from tiny_encoder import tiny_encoder, tiny_windows, top_examples

from tfactors.bundle import Bundle
from tfactors.errors import InputError
from tfactors.explain.encoder import FactorEncoder
from tfactors.explain.explanation import Explanation, Target
from tfactors.explain.lime_fit import _distances, fit_lime, standard_errors
from tfactors.explain.masked_texts import Progress
from tfactors.explain.masks import draw_blocks, draw_masks
from tfactors.explain.saliency import explain, explain_many, explain_target
from tfactors.explain.saliency_settings import MOST_SAMPLES, SaliencySettings
from tfactors.explain.saliency_text import described

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> FactorEncoder:
    return tiny_encoder(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture(scope="module")
def target(encoder: FactorEncoder) -> dict:
    """The strongest activation at layer 2 in some windows of real text."""
    windows = tiny_windows(encoder, number=6, length=30)
    examples = top_examples(encoder, windows, layer=2, top=1)
    best = examples.loc[examples["activation"].idxmax()]
    return {
        "token_ids": windows["token_ids"].iloc[int(best["window"])],
        "position": int(best["position"]),
        "factor": int(best["factor"]),
        "layer": 2,
    }


def explain_window(
    encoder: FactorEncoder,
    token_ids: np.ndarray,
    position: int,
    factor: int,
    layer: int,
    radius: int | None = None,
    progress: Progress | None = None,
    **settings,
) -> Explanation:
    target = Target(token_ids, position, factor, layer, radius)
    return explain_target(encoder, target, SaliencySettings(**settings), progress)


def test_the_first_mask_keeps_everything_and_the_others_mask_one_to_all_positions() -> None:
    kept = draw_masks(length=12, samples=6001, seed=3)
    assert kept[0].all()
    masked = 12 - kept[1:].sum(axis=1)
    assert chisquare(np.bincount(masked, minlength=13)[1:]).pvalue > 1e-3
    assert chisquare((~kept).sum(axis=0)).pvalue > 1e-3


def test_the_distance_is_a_hundred_times_the_cosine_distance_to_the_whole_window() -> None:
    kept = draw_masks(length=9, samples=200, seed=0)
    kept = kept[kept.any(axis=1)]
    expected = 100 * cosine_distances(kept.astype(float), np.ones((1, 9))).ravel()
    np.testing.assert_allclose(_distances(kept), expected, atol=1e-9)
    assert _distances(np.zeros((1, 9), bool))[0] == 100


def test_weights_and_fit_are_those_of_limes_own_text_explainer() -> None:
    words = [f"word{i}" for i in range(15)]
    random = np.random.default_rng(0)
    linear, pair = random.normal(size=15), random.normal(size=15)
    seen: list[np.ndarray] = []

    def value(kept: np.ndarray) -> np.ndarray:
        return kept @ linear + 3 * (kept @ pair > 0)

    def classify(texts: list[str]) -> np.ndarray:
        kept = np.array([[word in text.split() for word in words] for text in texts])
        seen.append(kept)
        return np.column_stack([value(kept), -value(kept)])

    theirs = LimeTextExplainer(bow=False, mask_string="X", random_state=0).explain_instance(
        " ".join(words), classify, labels=(0,), num_features=10, num_samples=300
    )
    weights, score = fit_lime(seen[0], value(seen[0]), features=10)
    expected = np.zeros(15)
    for position, weight in theirs.as_map()[0]:
        expected[position] = weight
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-7)
    assert score == pytest.approx(theirs.score[0] if np.ndim(theirs.score) else theirs.score)


def test_a_linear_function_gets_its_coefficients_back_in_their_order() -> None:
    linear = np.random.default_rng(1).permutation(np.arange(-10, 10))
    kept = draw_masks(length=20, samples=1000, seed=0)
    weights, score = fit_lime(kept, kept @ linear, features=20)
    np.testing.assert_allclose(weights, linear, atol=0.6)
    np.testing.assert_array_equal(np.argsort(weights), np.argsort(linear))
    assert score > 0.99
    largest, _ = fit_lime(kept, kept @ linear, features=8)
    assert np.count_nonzero(largest) == 8
    assert set(np.flatnonzero(largest)) <= set(np.flatnonzero(np.abs(linear) >= 6))


def test_six_features_or_fewer_are_selected_one_by_one() -> None:
    kept = draw_masks(length=12, samples=400, seed=0)
    linear = np.array([0, 9, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0])
    weights, _ = fit_lime(kept, kept @ linear, features=3)
    assert np.flatnonzero(weights).tolist() == [1, 4, 8]


def test_occlusion_is_the_loss_of_activation_without_each_token(
    encoder: FactorEncoder, target: dict
) -> None:
    found = explain_window(encoder, **target, method="occlusion")
    ids, position = target["token_ids"], target["position"]
    texts = [ids.copy() for _ in range(len(ids) + 1)]
    for i, text in enumerate(texts[1:]):
        text[i] = encoder.model.unknown_id
    codes = [encoder.encode([text], 2).toarray()[position, target["factor"]] for text in texts]
    np.testing.assert_allclose(found.weights, codes[0] - np.array(codes[1:]), atol=2e-3)
    assert found.activation == pytest.approx(codes[0], abs=1e-3)
    assert np.isnan(found.score)
    assert found.samples == len(ids) + 1


@pytest.mark.parametrize("method", ["lime", "occlusion"])
def test_at_the_embeddings_only_the_token_itself_counts(
    method: str, encoder: FactorEncoder, target: dict
) -> None:
    ids, position = target["token_ids"], target["position"]
    factor = int(encoder.encode([ids], 0).toarray()[position].argmax())
    found = explain_window(
        encoder, ids, position, factor, 0, method=method, samples=300, features=len(ids)
    )
    unknown = np.full(len(ids), encoder.model.unknown_id)
    lost = found.activation - float(encoder.activation([unknown], [position], factor, 0)[0])
    others = np.delete(np.abs(found.weights), position)
    assert abs(found.weights[position]) > 20 * others.max()
    assert found.weights[position] == pytest.approx(lost, rel=0.1)


def test_the_same_seed_gives_the_same_map_and_another_seed_another(
    encoder: FactorEncoder, target: dict
) -> None:
    one, same, other = (
        explain_window(encoder, **target, samples=200, seed=seed) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(one.weights, same.weights)
    assert one.score == same.score
    assert one.activation == pytest.approx(other.activation, abs=1e-4)
    assert (one.weights != other.weights).any()


def test_our_masks_keep_the_target_and_leave_out_every_other_token_equally_often() -> None:
    kept, all_masks = draw_blocks(length=49, position=7, samples=161, seed=2)
    assert not all_masks
    assert kept[0].all()
    assert kept[:, 7].all()
    left_out = np.delete(~kept, 7, axis=1)
    assert (left_out.sum(axis=0) == 10).all()  # 160 masks, 16 blocks a cut
    assert (left_out.sum(axis=1)[1:] == 3).all()


def test_a_block_has_two_tokens_or_more_so_that_lime_sees_what_they_do_together() -> None:
    kept, _ = draw_blocks(length=16, position=3, samples=50, seed=0)
    assert set((~kept).sum(axis=1)[1:].tolist()) == {2, 3}


def test_a_short_window_gets_every_mask_once_whatever_the_seed() -> None:
    kept, all_masks = draw_blocks(length=9, position=4, samples=96, seed=0)
    other, _ = draw_blocks(length=9, position=4, samples=96, seed=1)
    assert all_masks
    assert len(kept) == 1 + 8 + 28 == len(np.unique(kept, axis=0))
    np.testing.assert_array_equal(kept, other)


def test_standard_errors_are_the_spread_between_seeds() -> None:
    random = np.random.default_rng(0)
    linear, pair = random.normal(size=30), np.triu(random.normal(size=(30, 30)), 1)
    weights, errors = [], []
    for seed in range(60):
        kept, _ = draw_blocks(length=30, position=0, samples=200, seed=seed)
        out = ~kept
        values = kept @ linear + np.einsum("ni,ij,nj->n", out, pair, out)
        free = np.arange(1, 30)
        weights.append(fit_lime(kept[:, free], values, len(free))[0])
        errors.append(standard_errors(kept, values, free)[free])
    spread = np.std(weights, axis=0)
    ratio = np.sqrt(np.mean(np.square(errors))) / np.sqrt(np.mean(spread**2))
    assert 0.8 < ratio < 1.6  # HC3 errs on the side of caution


def test_a_token_is_told_from_zero_only_beyond_its_error_and_a_share_of_the_activation(
    encoder: FactorEncoder, target: dict
) -> None:
    found = explain_window(encoder, **target, samples=120)
    size = np.abs(found.weights)
    expected = (size > 3 * found.errors) & (size >= 0.1 * found.activation)
    np.testing.assert_array_equal(found.significant, expected & (size > 0))
    assert (np.delete(found.errors, target["position"]) > 0).all()
    assert -1 <= found.stability <= 1


def test_masks_are_drawn_until_every_weight_is_known_well_enough(
    encoder: FactorEncoder, target: dict
) -> None:
    rough, fine, all_of_them = (
        explain_window(encoder, **target, samples=2000, precision=precision)
        for precision in (0.1, 0.004, 0)
    )
    for found, precision in ((rough, 0.1), (fine, 0.004)):
        assert found.errors.max() <= precision * found.activation
        assert found.samples < 2001
    assert rough.samples < fine.samples
    assert all_of_them.samples == 2001
    few = explain_window(encoder, **target, samples=100, precision=1e-6)
    assert few.samples == 101  # what was asked for, and the window without the target


def test_one_map_among_many_stops_where_it_would_alone(
    encoder: FactorEncoder, target: dict
) -> None:
    wanted = [Target(radius=radius, **target) for radius in (8, None)]
    together = explain_many(encoder, wanted, SaliencySettings(samples=400, precision=0.05))
    alone = [
        explain_window(encoder, **target, samples=400, precision=0.05, radius=radius)
        for radius in (8, None)
    ]
    assert [found.samples for found in together] == [found.samples for found in alone]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.weights, other.weights, atol=2e-3)


def test_a_short_text_whose_masks_are_all_known_comes_to_an_end(
    encoder: FactorEncoder, target: dict
) -> None:
    short = target | {"token_ids": target["token_ids"][5:18], "position": 12}
    found = explain_window(encoder, **short, samples=700, precision=1e-9)
    assert found.samples == 701  # of which there are no more than 68 texts
    assert np.isfinite(found.weights).all()


def test_a_precision_that_cannot_be_is_refused(encoder: FactorEncoder, target: dict) -> None:
    with pytest.raises(InputError, match=r"precision 1\.5: expected a share"):
        explain_window(encoder, **target, precision=1.5)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_cannot_be_is_refused(seed: int, encoder: FactorEncoder, target: dict) -> None:
    with pytest.raises(InputError, match=f"seed {seed}: expected 0 to 4,294,967,295"):
        explain_window(encoder, **target, seed=seed)


def test_a_map_of_few_tokens_leaves_nothing_to_chance(encoder: FactorEncoder, target: dict) -> None:
    one, other = (
        explain_window(encoder, **target, samples=96, radius=4, seed=seed) for seed in (0, 1)
    )
    np.testing.assert_array_equal(one.weights, other.weights)
    assert not one.errors.any()
    assert one.stability == 1


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6])
def test_lime_on_a_text_of_few_tokens_finds_what_occlusion_finds(
    encoder: FactorEncoder, target: dict, length: int
) -> None:
    start = max(0, target["position"] - length // 2)
    window = target["token_ids"][start : start + length]
    alike = np.full(length, window[0])
    for ids, position in [*((window, at) for at in range(length)), (alike, 0)]:
        codes = encoder.encode([ids], 2).toarray()[position]
        place = {"token_ids": ids, "position": position, "factor": int(codes.argmax()), "layer": 2}
        exact = explain_window(encoder, **place, method="occlusion")
        lime = explain_window(encoder, **place)
        np.testing.assert_allclose(lime.weights, exact.weights, atol=1e-5)
        assert np.abs(exact.weights).max() > 0.05 * exact.activation
        assert lime.samples == exact.samples == length + 1  # every mask once
        assert not lime.errors.any()


def test_the_fit_of_short_texts_keeps_as_many_weights_as_were_asked_for() -> None:
    masks = np.array([[1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]], bool)
    values, places = np.array([5.0, 4.0, 2.0, 7.0]), np.array([0, 2, 3])
    weights, score = fit_lime(masks, values, 3, places=places)
    assert weights.tolist() == [1, 0, 3, -2]
    assert score == 1
    assert fit_lime(masks, values, 1, places=places)[0].tolist() == [0, 0, 3, 0]


@pytest.mark.filterwarnings("error")
def test_few_masks_are_fitted_without_a_word_on_the_terminal() -> None:
    def fitted(seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        masks = np.vstack([np.ones((1, 9), bool), random.random((7, 9)) > 0.4])
        return fit_lime(masks, random.random(8), features=6)[0]

    seeds = [5, 14, 22, 25] * 8  # lime's trial fits are singular on these
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(fitted, seeds))
    for seed, weights in zip(seeds, found, strict=True):
        np.testing.assert_array_equal(weights, found[seeds.index(seed)])
        assert np.count_nonzero(weights) == 6


def test_the_target_counts_in_the_distance_though_it_gets_no_weight() -> None:
    random = np.random.default_rng(0)
    masks = random.random((60, 8)) < 0.6
    masks[0], masks[:, 3] = True, True
    values, places = random.normal(size=60), np.array([0, 1, 2, 4, 5, 6, 7])
    kernel = np.sqrt(np.exp(-((100 * (1 - np.sqrt(masks.mean(axis=1)))) ** 2) / 25**2))
    centred = masks[:, places] - np.average(masks[:, places], axis=0, weights=kernel)
    expected = np.linalg.solve(
        (centred.T * kernel) @ centred + np.eye(7),
        (centred.T * kernel) @ (values - np.average(values, weights=kernel)),
    )
    weights, _ = fit_lime(masks, values, 7, places=places)
    np.testing.assert_allclose(weights[places], expected, rtol=1e-5)
    assert weights[3] == 0


def test_many_activations_at_once_are_explained_as_one_by_one(
    encoder: FactorEncoder, target: dict
) -> None:
    ids, position = target["token_ids"], target["position"]
    wanted = [
        Target(ids, position, target["factor"], 2),
        Target(ids, position, 3, 2),
        Target(ids, 5, 3, 1, radius=2),
    ]
    calls: list[tuple[int, int]] = []
    together = explain_many(
        encoder, wanted, SaliencySettings(samples=60), lambda *at: calls.append(at)
    )
    alone = [
        explain_window(
            encoder, t.token_ids, t.position, t.factor, t.layer, samples=60, radius=t.radius
        )
        for t in wanted
    ]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.weights, other.weights, atol=2e-3)
        assert one.activation == pytest.approx(other.activation, abs=1e-3)
        assert one.context == other.context
    assert calls[-1][1] <= 61 + 6  # the first two share their texts


def test_lime_agrees_with_occlusion_on_the_tokens_that_matter(
    encoder: FactorEncoder, target: dict
) -> None:
    lime = explain_window(encoder, **target, samples=2000, features=30)
    occlusion = explain_window(encoder, **target, method="occlusion")
    assert lime.agreement(occlusion) > 0.6
    assert lime.weights[target["position"]] == pytest.approx(
        occlusion.weights[target["position"]], abs=1e-3
    )
    assert not occlusion.errors.any()
    assert 0 < lime.score <= 1


def test_the_two_methods_are_described_side_by_side(encoder: FactorEncoder, target: dict) -> None:
    lime = explain_window(encoder, **target, samples=300, radius=6)
    exact = explain_window(encoder, **target, method="occlusion", radius=6)
    lines = described([lime, exact]).splitlines()
    start, stop = lime.context
    assert f"the two agree to {lime.agreement(exact):.3f} (correlation of weights)" in lines
    rows = lines[-(stop - start) :]
    own = rows[target["position"] - start]
    assert own.endswith(">" + lime.tokens[target["position"]].strip())
    assert own.split()[0] == f"{lime.weights[target['position']]:+.3f}"
    assert [row.count("*") for row in rows] == (lime.significant.astype(int) + exact.significant)[
        start:stop
    ].tolist()


def test_what_a_single_token_does_is_told_without_a_number_that_there_is_not(
    encoder: FactorEncoder, target: dict
) -> None:
    alone = [explain_window(encoder, **target, method=m, radius=0) for m in ("lime", "occlusion")]
    assert alone[0].weights.tolist() == alone[1].weights.tolist()
    lines = described(alone)
    assert "nan" not in lines
    assert "LIME: 2 texts read" in lines


def test_a_token_that_no_mask_changes_is_named(encoder: FactorEncoder, target: dict) -> None:
    token_ids, place = target["token_ids"], target["position"]
    same = [at for at, token in enumerate(token_ids) if token == token_ids[place - 1]]
    found = explain_window(
        encoder, **target, method="occlusion", replacement=int(token_ids[place - 1])
    )
    assert list(found.unmasked) == same
    assert not found.weights[same].any()
    places = ", ".join(map(str, same))
    assert f"no mask changes what stands at {places}: it is the token" in described([found])
    assert "no mask" not in described([explain_window(encoder, **target, method="occlusion")])


def test_as_many_positions_get_a_weight_as_were_asked_for(
    encoder: FactorEncoder, target: dict
) -> None:
    found = explain_window(encoder, **target, samples=200, features=7)
    others = np.delete(found.weights, target["position"])
    assert np.count_nonzero(others) == 7
    assert found.weights.shape == target["token_ids"].shape
    assert len(found.tokens) == len(found.weights)


def test_outside_the_radius_there_are_no_weights(encoder: FactorEncoder, target: dict) -> None:
    ids, position = target["token_ids"], target["position"]
    found = explain_window(encoder, **target, samples=200, radius=3)
    start, stop = max(0, position - 3), min(len(ids), position + 4)
    assert found.context == (start, stop)
    assert not np.delete(found.weights, np.arange(start, stop)).any()
    alone = encoder.activation(
        [ids[start:stop]], [position - start], target["factor"], 2, starts=[start]
    )
    assert found.activation == pytest.approx(float(alone[0]), abs=1e-3)


def test_progress_comes_in_chunks_and_can_stop_the_work(
    encoder: FactorEncoder, target: dict
) -> None:
    calls: list[tuple[int, int]] = []
    count = lambda *at: calls.append(at)  # noqa: E731
    explain_window(encoder, **target, samples=300, precision=0, progress=count)
    done = [0, *(at for at, _ in calls)]
    assert all(0 < after - before <= 64 for before, after in pairwise(done))
    assert calls[-1][0] == calls[-1][1] <= 301
    explain_window(encoder, **target, samples=3000, progress=count)  # stops before
    assert calls[-1][0] == calls[-1][1] < 3000

    class Stopped(BaseException):
        pass

    def stop(done: int, total: int) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        explain_window(encoder, **target, samples=300, progress=stop)


def test_masks_that_give_the_same_text_are_run_once(encoder: FactorEncoder, target: dict) -> None:
    calls: list[tuple[int, int]] = []
    ids = target["token_ids"][:4]
    explain_window(
        encoder, ids, 1, target["factor"], 2, samples=1000, progress=lambda *at: calls.append(at)
    )
    assert calls[-1][1] <= 2**4


def test_a_silent_factor_is_explained_as_zero(encoder: FactorEncoder, target: dict) -> None:
    codes = encoder.encode([target["token_ids"]], 2).toarray()[target["position"]]
    silent = target | {"factor": int(codes.argmin())}
    found = explain_window(encoder, **silent, method="occlusion")
    assert found.activation == 0
    assert (found.weights <= 0).all()


def test_a_factor_that_no_mask_awakes_has_no_weights(encoder: FactorEncoder, target: dict) -> None:
    deaf = replace(encoder, penalty=1e6)
    found = explain_window(deaf, **target, samples=100)
    assert found.activation == 0
    assert not found.weights.any()
    assert np.isfinite(found.score)


def test_samples_are_held_within_bounds(encoder: FactorEncoder, target: dict) -> None:
    short = target | {"token_ids": target["token_ids"][:4], "position": 1}
    few = explain_window(encoder, **short, samples=-5, recipe=None)
    assert few.samples <= 11  # the target left out is one more
    long = target | {"token_ids": np.tile(target["token_ids"], 2)}
    assert explain_window(encoder, **long, samples=3).samples == 11
    with pytest.raises(Stop):
        explain_window(encoder, **long, samples=10**9, progress=stop_at)


class Stop(Exception):
    pass


def stop_at(done: int, total: int) -> None:
    assert total <= MOST_SAMPLES + 1
    raise Stop


def test_the_recipe_of_2021_takes_its_own_constants(encoder: FactorEncoder, target: dict) -> None:
    found = explain_window(encoder, **target, samples=50, features=3, recipe="2021")
    assert found.samples == 2001
    assert np.count_nonzero(found.weights) == len(target["token_ids"])  # fewer than its 30 features


def test_another_token_can_stand_for_a_masked_one(encoder: FactorEncoder, target: dict) -> None:
    by_name = explain_window(encoder, **target, method="occlusion", replacement="[MASK]")
    number = encoder.model.tokenizer.mask_token_id
    by_id = explain_window(encoder, **target, method="occlusion", replacement=number)
    unknown = explain_window(encoder, **target, method="occlusion")
    assert by_name.replacement == by_id.replacement == number
    np.testing.assert_array_equal(by_name.weights, by_id.weights)
    assert (by_name.weights != unknown.weights).any()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"position": 30}, "position 30: the text has tokens 0 to"),
        ({"position": -1}, "position -1"),
        ({"factor": 60}, "factor 60: expected 0 to 59"),
        ({"layer": 3}, "layer 3: expected one of 0, 1, 2"),
        ({"method": "guess"}, "method 'guess': expected one of lime, occlusion"),
        ({"recipe": "1999"}, "recipe '1999'"),
        ({"features": 0}, "features 0"),
        ({"radius": -1}, "radius -1"),
        ({"replacement": "[NOPE]"}, "no token of the model"),
        ({"replacement": 10**6}, "expected a token id below"),
    ],
)
def test_what_cannot_be_explained_gets_one_line(
    changed: dict, said: str, encoder: FactorEncoder, target: dict
) -> None:
    with pytest.raises(InputError) as caught:
        explain_window(encoder, **(target | changed))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_is_explained_in_the_readers_own_spelling(encoder: FactorEncoder) -> None:
    bundle = Bundle.__new__(Bundle)  # with an encoder at hand nothing is read from it
    text = "The Constitution\nof the  United States"
    found = explain(bundle, text, 1, 5, 2, samples=64, encoder=encoder)
    assert "".join(found.tokens) == "The Constitution\nof the United States"
    read = json.loads(found.to_json())
    assert read["tokens"] == found.tokens
    np.testing.assert_allclose(read["weights"], found.weights, atol=1e-6)
    occluded = explain(bundle, text, 1, 5, 2, "occlusion", encoder=encoder)
    assert json.loads(occluded.to_json())["score"] is None
    with pytest.raises(InputError, match="at most 160"):
        explain(bundle, "word " * 1000, 1, 5, 2, encoder=encoder)
