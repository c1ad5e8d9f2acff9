"""The nearest contexts where a factor is silent: by brute force over all that was read."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tfactors.bundle import Bundle
from tfactors.explain import contrast
from tfactors.explain.encoder import FactorEncoder
from tfactors.text.words import spelled, word_bounds

pytestmark = pytest.mark.model

FACTOR, LAYER = 2, 3


@pytest.fixture(scope="module")
def found(over_minilm: Path) -> tuple[Bundle, FactorEncoder, contrast.ContrastPlan]:
    bundle = Bundle.open(over_minilm / "default")
    return bundle, FactorEncoder.from_bundle(bundle), contrast.plan_contrast(bundle, FACTOR, LAYER)


def asked(bundle, encoder, plan) -> contrast.Contrast:
    coded, states = contrast.read_windows(bundle, encoder, plan, plan.windows)
    return contrast.find_contrast(bundle, encoder, plan, coded, states)


def test_the_places_are_the_nearest_words_whose_tokens_have_a_code_of_zero(found) -> None:
    bundle, encoder, plan = found
    answer = asked(bundle, encoder, plan)
    texts = bundle.windows(plan.windows)
    # Each window alone, and every token coded.
    states = [encoder.model.hidden_states([ids], [LAYER])[0] for ids in texts["token_ids"]]
    codes = [encoder.encode([ids], LAYER).toarray() for ids in texts["token_ids"]]
    centred = [one - np.concatenate(states).mean(axis=0) for one in states]
    units = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in centred]
    places = list(zip(plan.examples["window"], plan.examples["position"], strict=True))
    examples = np.stack([units[plan.windows.index(w)][p] for w, p in places])
    near = [(one @ examples.T).max(axis=1) for one in units]
    words = {word.casefold() for word in plan.examples["word"]}
    silent: dict[str, dict[int, tuple[float, str]]] = {"same": {}, "other": {}}
    for at, row in enumerate(texts.itertuples()):
        for start, stop in pairwise(word_bounds(row.word_starts).tolist()):
            if codes[at][start:stop, FACTOR].any():
                continue
            if any((row.window, token) in places for token in range(start, stop)):
                continue  # the examples themselves, which are made up here
            word = spelled("".join(row.tokens[start:stop])).casefold()
            best = silent["same" if word in words else "other"]
            value = (float(near[at][start:stop].max()), word)
            best[row.window] = max(best.get(row.window, (-2.0, "")), value)
    for kind in ("same", "other"):
        expected = sorted(silent[kind].values(), reverse=True)[: contrast.SHOWN]
        rows = answer.places[answer.places["kind"] == kind]
        assert len(rows) == len(expected) > 0
        assert rows["similarity"].tolist() == pytest.approx([v for v, _ in expected], abs=1e-4)
        for place in rows.itertuples():
            code = codes[plan.windows.index(place.window)][place.position]
            assert code[FACTOR] == 0
            strongest = np.argsort(-code, kind="stable")[:3]
            assert place.activations == pytest.approx(code[strongest][code[strongest] > 0], 1e-3)


def test_what_is_read_holds_the_examples_and_their_words_and_is_the_same_again(found) -> None:
    bundle, _, plan = found
    own = plan.examples["window"].tolist()
    assert plan.windows[: len(own)] == own
    assert len(set(plan.windows)) == len(plan.windows) <= len(own) + 40 + 16
    assert contrast.plan_contrast(bundle, FACTOR, LAYER).windows == plan.windows
    texts = bundle.windows(plan.windows, token_ids=False)["tokens"]
    with_words = sum(any(w in "".join(t).casefold() for w in plan.words) for t in texts)
    assert with_words >= len(own) + 20


def test_a_factor_that_is_never_active_has_nothing_to_read(found) -> None:
    bundle, _, _ = found
    dead = int(np.flatnonzero(~bundle.factors["alive"])[0])
    assert contrast.plan_contrast(bundle, dead, LAYER).windows == []
