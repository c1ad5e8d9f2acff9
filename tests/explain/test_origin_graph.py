"""An activation followed down to the words, and its sources really taken away."""

import json
from dataclasses import replace

import numpy as np
import pytest
from linear_model import WIDTH, CurvedBlock, linear_encoder
from tiny_encoder import encoder_with_own_part

from tfactors.errors import InputError
from tfactors.explain.attribution import attribute_tokens
from tfactors.explain.integrated_gradients import contributions, goal_at, taken_apart
from tfactors.explain.origin_check import check_origin
from tfactors.explain.origin_graph import trace_tokens
from tfactors.explain.source_removal import remove_sources

pytestmark = pytest.mark.model

IDS = np.array([7, 12, 3, 30, 9, 21, 16, 5], np.int64)
TOKENS = [f"w{token}" for token in IDS]
AT = 4


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return encoder_with_own_part(tmp_path_factory.mktemp("bert"), blocks=3)


@pytest.fixture(scope="module")
def graph(encoder):
    factor = int(encoder.encode([IDS], 3)[[AT]].toarray()[0].argmax())
    return trace_tokens(encoder, IDS, TOKENS, AT, factor, 3)


def test_what_the_asked_factor_is_made_from_is_its_attribution(encoder, graph) -> None:
    asked = graph.nodes.iloc[0]
    found = attribute_tokens(encoder, IDS, TOKENS, AT, int(asked["factor"]), 3).sources
    nodes = graph.nodes.set_index("node")
    first = graph.edges[graph.edges["target"] == 0].join(nodes, on="source")
    keys = ["kind", "position", "factor"]
    both = first.merge(found, on=keys, suffixes=("", "_found"))
    assert len(both) == len(first) > 10
    np.testing.assert_allclose(both["contribution"], both["contribution_found"], rtol=1e-3)


def test_factors_of_a_layer_and_the_ends_above_it_carry_all(graph) -> None:
    whole = graph.pruned(1.0).nodes
    ends = whole[whole["kind"] != "factor"]
    for layer in (3, 2, 1):
        here = whole[(whole["layer"] == layer) & (whole["kind"] == "factor")]["carried"].sum()
        left = 1 - here - ends[ends["layer"] >= layer]["carried"].sum()
        # Only what was left out, because a layer keeps sixteen factors, is missing.
        assert -1e-6 < left < 0.5
    assert whole["carried"].iloc[0] == 1


def test_a_smaller_share_keeps_fewer_factors_and_every_end_of_them(graph) -> None:
    some, most = graph.pruned(0.4), graph.pruned(0.9)
    for layer in (2, 1):
        counts = [
            ((part.nodes["layer"] == layer) & (part.nodes["kind"] == "factor")).sum()
            for part in (some, most)
        ]
        assert 0 < counts[0] < counts[1]
    for part in (some, most):
        assert set(part.edges["source"]) | {0} == set(part.nodes["node"])
        below = part.nodes[part.nodes["layer"] == 2]
        assert (below["kind"] == "word").sum() == (below["kind"] == "rest").sum() == len(IDS)
        assert len(json.loads(part.to_json())["nodes"]) == len(part.nodes)


def test_what_flows_over_the_edges_of_a_node_is_what_it_carries(graph) -> None:
    for part in (graph, graph.pruned(0.5)):
        sums = part.edges.groupby("source")["flow"].sum()
        nodes = part.nodes.set_index("node")["carried"]
        np.testing.assert_allclose(sums, nodes[sums.index], rtol=1e-6)
    assert 0 < graph.error < 0.02
    assert graph.pruned(0.5).error == graph.error == json.loads(graph.to_json())["error"]


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
def test_another_share_is_refused(graph, share) -> None:
    with pytest.raises(InputError, match="expected a number above 0, at most 1"):
        graph.pruned(share)


def test_progress_is_told_and_the_lowest_layer_is_refused(encoder) -> None:
    told = []
    factor = int(encoder.encode([IDS], 3)[[AT]].toarray()[0].argmax())
    trace_tokens(
        encoder, IDS, TOKENS, AT, factor, 3, lambda done, steps: told.append((done, steps))
    )
    assert told == [(0, 2), (1, 2)]
    with pytest.raises(InputError, match="the lowest that this bundle takes apart"):
        trace_tokens(encoder, IDS, TOKENS, AT, factor, 1)


def test_sums_that_miss_too_much_only_further_down_are_refused() -> None:
    random = np.random.default_rng(8).standard_normal((2, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    encoder = linear_encoder(*random, first=CurvedBlock)
    factor = int(encoder.encode([IDS], 2)[[AT]].toarray()[0].argmax())
    # Its upper block is linear, and a single step through the lower one has points enough.
    assert attribute_tokens(encoder, IDS, TOKENS, AT, factor, 2).error < 1e-4
    below = int(encoder.encode([IDS], 1)[[AT]].toarray()[0].argmax())
    assert attribute_tokens(encoder, IDS, TOKENS, AT, below, 1).error < 1e-2
    said = r"the sums miss \d+% of the activations on the way down, at layer 1"
    with pytest.raises(InputError, match=said):
        trace_tokens(encoder, IDS, TOKENS, AT, factor, 2)


def test_where_everything_is_linear_a_removal_does_what_was_predicted() -> None:
    random = np.random.default_rng(8).standard_normal((2, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    encoder = linear_encoder(*random)
    states = taken_apart(encoder, IDS, [0, 1, 2])
    factor = int(states[2].codes[[AT]].toarray()[0].argmax())
    goal = goal_at(encoder, states[2], AT, factor, 2)
    (sources,), _ = contributions(encoder, IDS, states, 1, 2, [goal])
    factors = sources[sources["kind"] == "factor"]
    sets = [factors.head(1), factors.head(5), factors.iloc[3:4]]
    removal = remove_sources(encoder, IDS, states, 1, 2, goal, sets)
    np.testing.assert_allclose(removal.measured, removal.predicted, atol=1e-4)
    assert np.ptp(removal.predicted) > 0.01


def test_the_largest_sources_are_taken_away_together_beside_as_many_by_chance() -> None:
    random = np.random.default_rng(8).standard_normal((2, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    encoder = linear_encoder(*random)
    factor = int(encoder.encode([IDS], 2)[[AT]].toarray()[0].argmax())
    table = check_origin(encoder, IDS, TOKENS, AT, factor, 2)
    assert list(zip(table["drawn"], table["count"], strict=True)) == [
        *[("largest", 1), ("largest", 3), ("largest", 10)],
        *[("chance", 1), ("chance", 3), ("chance", 10)],
    ]
    found = attribute_tokens(encoder, IDS, TOKENS, AT, factor, 2).sources
    factors = found[found["kind"] == "factor"]
    np.testing.assert_allclose(
        table["predicted"][:3], [-factors["share"].head(n).sum() for n in (1, 3, 10)]
    )
    np.testing.assert_allclose(table["measured"], table["predicted"], atol=1e-4)
    assert set(table["active"]) == {len(factors)}
    again = check_origin(encoder, IDS, TOKENS, AT, factor, 2)
    assert again.equals(table)
    few = check_origin(replace(encoder, penalty=2.0), IDS[:2], TOKENS[:2], *_strongest(encoder))
    assert few["count"].max() == few["active"].iloc[0] < 10


def _strongest(encoder) -> tuple[int, int, int]:
    """The second token, and the factor that is strongest there at layer 2 where λ is 2."""
    codes = encoder.encode([IDS[:2]], 2, 2.0)[[1]].toarray()[0]
    return 1, int(codes.argmax()), 2
