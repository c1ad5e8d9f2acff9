"""The page that says where an activation comes from: what it asks, draws, checks and lists."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from opened_page import follow, html_of, open_page, query, words
from over_tiny_bert import write_bundle_over_tiny_bert
from streamlit.testing.v1 import AppTest
from synthetic_bundle import write_synthetic_bundle

import tfactors
from tfactors.app.frame import controls
from tfactors.app.parts import downloads
from tfactors.app.views import origins, origins_layout
from tfactors.bundle import Bundle
from tfactors.explain.origin_graph import OriginGraph, trace_origins

PATH = controls.ORIGINS_PAGE.path
TEXT = "He left the <b>house</b> $x$ by the river."


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of made-up factors over a tiny model of two blocks."""
    return write_bundle_over_tiny_bert(tmp_path, monkeypatch)


def chart(app: AppTest) -> tuple[dict, dict[str, pd.DataFrame]]:
    """The drawing's form, and its tables by name."""
    import pyarrow as pa

    proto = app.get("vega_lite_chart")[0].proto
    tables = {
        part.name: pa.ipc.open_stream(part.data.data).read_pandas() for part in proto.datasets
    }
    return json.loads(proto.spec), tables


def asked(folder: Path, layer: int = 2, position: int = 1) -> tuple[OriginGraph, int]:
    """The graph of the strongest factor there, from the model itself."""
    bundle = Bundle.open(folder)
    made = tfactors.decompose(bundle, TEXT)
    here = made.factors[(made.factors["position"] == position) & (made.factors["layer"] == layer)]
    factor = int(here["factor"].iloc[0])
    return trace_origins(bundle, TEXT, position, factor, layer), factor


@pytest.mark.model
def test_the_page_opens_at_the_strongest_factor_of_the_richest_token(tiny: Path) -> None:
    app = open_page(PATH)
    assert not app.exception
    assert query(app) == {}
    bundle, example = Bundle.open(tiny), app.text_area[0].value
    assert example.startswith("He left the house")
    made = tfactors.decompose(bundle, example)
    position = app.number_input[0].value - 1
    layer = app.segmented_control(key="control_layer").value
    assert layer > bundle.layers[0]
    strongest = made.factors.query("position == @position and layer == @layer")["factor"].iloc[0]
    assert app.selectbox(key="control_factor").value == strongest
    other = open_page(controls.TEXT_PAGE.path)
    tokens = next(box for box in other.number_input if box.label.startswith("Token, 1 to"))
    there = other.segmented_control(key="control_layer").value
    assert (tokens.value - 1, there) == (position, layer) or there == bundle.layers[0]


@pytest.mark.model
def test_the_share_kept_prunes_the_graph_without_asking_the_model_again(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, factor = asked(tiny)
    app = open_page(PATH, text=TEXT, token="1", layer="2")
    assert app.selectbox(key="control_factor").value == factor

    def agrees(share: float) -> int:
        nodes = chart(app)[1]["nodes"]
        pruned = whole.pruned(share).nodes
        assert sorted(nodes["node"]) == sorted(pruned["node"])
        carried = pruned.set_index("node")["carried"]
        np.testing.assert_allclose(nodes["carried"], carried[nodes["node"]], rtol=1e-4)
        return len(nodes)

    at_first = agrees(0.8)
    from tfactors.explain import origin_graph

    monkeypatch.delattr(origin_graph, "trace_tokens")
    app.slider(key="control_kept").set_value(100).run()
    assert not app.exception
    assert query(app)["kept"] == "100"
    assert agrees(1.0) > at_first
    app.slider(key="control_kept").set_value(80).run()
    assert "kept" not in query(app)


@pytest.mark.model
def test_the_list_says_what_the_drawing_shows_and_links_to_factors_at_their_layers(
    tiny: Path,
) -> None:
    whole, _ = asked(tiny)
    app = open_page(PATH, text=TEXT, token="1", layer="2")
    listed = html_of(app)
    assert "<b>house" not in listed
    nodes = whole.pruned(0.8).nodes
    factors = nodes[nodes["kind"] == "factor"]
    for row in factors.itertuples():
        assert f'href="Factor?factor={row.factor}&amp;layer={row.layer}"' in listed
        assert f"activation {row.activation:.2f}, carries {row.carried:.1%}" in listed
    assert [int(at) for at in re.findall(r"<h4>Layer (\d+)</h4>", listed)] == [2, 1, 0]
    first = whole.edges[whole.edges["target"] == 0]
    largest = first.loc[first["share"].abs().idxmax()]
    assert f"<li>{largest['share']:+.1%} " in listed
    buttons = [button.proto.label for button in app.get("download_button")]
    assert buttons[-2:] == ["JSON", "circuit-tracer JSON"]


@pytest.mark.model
def test_the_drawing_dashes_what_lowers_and_a_click_opens_the_factor_at_its_layer(
    tiny: Path,
) -> None:
    app = open_page(PATH, text=TEXT, token="1", layer="2")
    form, tables = chart(app)
    lines = next(layer for layer in form["layer"] if layer["data"]["name"] == "edges")
    dashes = lines["encoding"]["strokeDash"]["scale"]
    assert dict(zip(dashes["domain"], dashes["range"], strict=True))["lowers it"] != [1, 0]
    lowers = tables["edges"]["sign"] == "lowers it"
    assert (tables["edges"]["share"] < 0).equals(lowers)
    assert lowers.any()
    assert not lowers.all()
    below = tables["nodes"].query("kind == 'factor' and layer == 1").iloc[0]
    point = {"factor": int(below["factor"]), "layer": 1}
    room = "near" if len(tables["tokens"]) <= origins_layout.NARROW else "wide"
    app.session_state[f"origins_{room}_0"] = {"selection": {"pick": [point]}}
    app.run()
    opened = follow(app)
    assert f"Factor {below['factor']} at layer 1" in words(opened)


@pytest.mark.model
def test_the_check_beside_it_is_what_the_model_gives(tiny: Path) -> None:
    from tfactors.explain.encoder import encoder_of, tokenize_checked
    from tfactors.explain.origin_check import check_origin

    _, factor = asked(tiny)
    app = open_page(PATH, text=TEXT, token="1", layer="2")
    encoder = encoder_of(Bundle.open(tiny))
    token_ids, tokens, _ = tokenize_checked(TEXT, encoder.model)
    expected = check_origin(encoder, token_ids, tokens, 1, factor, 2)
    shown = app.dataframe[0].value
    np.testing.assert_allclose(shown["Predicted"], 100 * expected["predicted"], rtol=1e-4)
    np.testing.assert_allclose(shown["Measured"], 100 * expected["measured"], rtol=1e-4)
    assert shown["Taken away"].tolist()[:2] == ["1 largest", "3 largest"]


@pytest.mark.model
def test_what_cannot_be_asked_says_why(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page(PATH, text=TEXT, token="1", layer="0")
    assert not app.exception
    assert "Layer 0 is the lowest that this bundle takes apart" in words(app)
    _, factor = asked(tiny)
    codes = tfactors.decompose(Bundle.open(tiny), TEXT).factors
    active = codes.query("position == 1 and layer == 2")["factor"]
    silent = next(at for at in range(20) if at not in set(active))
    app = open_page(PATH, text=TEXT, token="1", layer="2", factor=str(silent))
    assert f"Factor {silent} is silent at this token and layer" in words(app)
    assert app.selectbox(key="control_factor").value == factor
    app = open_page(PATH, text=TEXT, token="99")
    last = codes["position"].max()
    assert f"The link asks for token 100, and the text has {last + 1}: the last one" in words(app)

    from tfactors.model.hidden_states import Model

    monkeypatch.setattr(Model, "runs_on", property(lambda model: False))
    app = open_page(PATH, text=TEXT + " Else.", token="1", layer="2")
    assert not app.exception
    assert len(app.info) == 1
    monkeypatch.undo()


def test_a_bundle_of_a_single_layer_says_that_nothing_is_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_synthetic_bundle(tmp_path / "default", layers=1)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    app = open_page(PATH)
    assert not app.exception
    assert "a single layer of the model apart" in words(app)
    assert not app.text_area


@pytest.mark.model
def test_your_text_links_to_the_origin_of_the_chosen_factor(tiny: Path) -> None:
    _, factor = asked(tiny)
    app = open_page(controls.TEXT_PAGE.path, text=TEXT, token="1", layer="2")
    link = next(
        link.proto for link in app.get("page_link") if link.proto.label.startswith("Where does")
    )
    assert f"factor={factor}" in link.query_string
    assert "token=1" in link.query_string
    assert "layer=2" in link.query_string
    app = open_page(controls.TEXT_PAGE.path, text=TEXT, token="1", layer="0")
    assert not [x for x in app.get("page_link") if x.proto.label.startswith("Where does")]


def made_up_graph(tokens: int, layers: int = 13, factors: int = 16) -> OriginGraph:
    """A graph with as much in it as there can be, of numbers drawn at random."""
    random = np.random.default_rng(0)
    rows = [(layers, "factor", tokens - 1, 0, 1.0)]
    for layer in range(layers - 1, 0, -1):
        rows += [
            (layer, "factor", int(random.integers(tokens)), at, random.uniform(0, 0.1))
            for at in range(factors)
        ]
        rows += [
            (layer, kind, at, -1, random.uniform(0, 0.01))
            for kind in ("word", "rest")
            for at in range(tokens)
        ]
        rows.append((layer, "start", -1, -1, 0.05))
    nodes = pd.DataFrame(rows, columns=["layer", "kind", "position", "factor", "carried"])
    nodes.insert(0, "node", range(len(nodes)))
    nodes["activation"] = 1.0
    pairs = [
        (source, target)
        for layer in range(layers, 1, -1)
        for target in nodes.query("layer == @layer and kind == 'factor'")["node"]
        for source in nodes.query("layer == @layer - 1")["node"]
    ]
    edges = pd.DataFrame(pairs, columns=["source", "target"])
    edges["flow"] = random.uniform(0, 0.01, len(edges))
    edges["share"] = edges["contribution"] = random.uniform(-1, 1, len(edges))
    return OriginGraph([f" w{at}" for at in range(tokens)], nodes, edges)


def test_a_drawing_of_many_tokens_and_layers_leaves_no_factor_alone_and_no_end_out() -> None:
    graph = made_up_graph(60)
    names = [f"{at} · river / bank" for at in range(16)]
    drawing = origins_layout.place(graph, names, 62, 940)
    assert drawing.left_out == 0
    assert len(drawing.nodes) == len(graph.nodes)
    assert drawing.nodes.query("kind != 'factor'")["opacity"].between(0.1, 0.95).all()
    assert len(drawing.edges) <= origins_layout.MOST_EDGES + 12 * 16
    drawn = set(zip(drawing.edges["x"], drawing.edges["y"], strict=True))
    below = drawing.nodes[(drawing.nodes["kind"] == "factor") & ~drawing.nodes["asked"]]
    assert set(zip(below["x"], below["y"], strict=True)) <= drawn
    places = drawing.nodes[["x", "y"]].round(4)
    assert not places.duplicated().any()
    assert len(drawing.edges) + drawing.thinner == len(graph.edges)
    long = origins_layout.place(made_up_graph(70, 4), names, 84, 940)
    assert long.left_out == 10
    assert len(long.tokens) == 60
    order = [int(token[1:]) for token in long.tokens["token"]]
    assert order == sorted(order)


def test_the_files_hold_every_node_with_its_token_and_name() -> None:
    graph = replace(made_up_graph(5, 3), labels=[f"{at} · =bank" for at in range(16)])
    record = json.loads(origins.as_json(graph))
    assert len(record["nodes"]) == len(graph.nodes)
    assert len(record["edges"]) == len(graph.edges)
    assert (record["nodes"][0]["token"], record["nodes"][0]["name"]) == (" w4", "0 · =bank")
    start = next(node for node in record["nodes"] if node["kind"] == "start")
    assert (start["token"], start["name"]) == ("", "")
    other = json.loads(graph.to_circuit_tracer("circuit_0_3_4"))
    assert (other["nodes"][0]["layer"], other["nodes"][0]["ctx_idx"]) == ("3", 4)
    assert len(other["links"]) == len(graph.edges)
    table = origins.named_nodes(graph)
    assert downloads.to_csv(table).count("\n") == len(graph.nodes) + 1
    assert downloads.to_parquet(table)
