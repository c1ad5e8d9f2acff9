"""Graphs of origins as files for circuit-tracer's front end, by the rules of its format."""

import json
from collections import Counter
from dataclasses import replace
from math import isqrt

import numpy as np
import pytest
from linear_model import WIDTH, linear_encoder
from over_tiny_bert import write_bundle_over_tiny_bert
from tiny_encoder import FACTORS, encoder_with_own_part

import tfactors
from tfactors.bundle import Bundle
from tfactors.cli import main
from tfactors.errors import InputError
from tfactors.explain.attribution import Attribution, attribute_tokens
from tfactors.explain.circuit_tracer import GRAPHS, write_graph_file
from tfactors.explain.integrated_gradients import LARGEST_ERROR
from tfactors.explain.origin_graph import OriginGraph, trace_tokens

pytestmark = pytest.mark.model

IDS = np.array([7, 12, 3, 30, 9, 21, 16, 5], np.int64)
TOKENS = [f" w{token}" for token in IDS]
AT, LAYER = 4, 3
LABELS = ['<b>the "river"</b>', *[f"river {at}" for at in range(1, FACTORS)]]

# What Neuronpedia's graph-schema.json and circuit-tracer's graph_models.py ask for.
METADATA = {"slug": str, "scan": str, "transcoder_list": list, "prompt_tokens": list, "prompt": str}
NODE = {
    "node_id": str,
    "jsNodeId": str,
    "feature": int,
    "layer": str,
    "ctx_idx": int,
    "feature_type": str,
    "clerp": str,
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return encoder_with_own_part(tmp_path_factory.mktemp("bert"), blocks=3)


@pytest.fixture(scope="module")
def factor(encoder) -> int:
    return int(encoder.encode([IDS], LAYER)[[AT]].toarray()[0].argmax())


@pytest.fixture(scope="module")
def graph(encoder, factor) -> OriginGraph:
    return trace_tokens(encoder, IDS, TOKENS, AT, factor, LAYER)


@pytest.fixture(scope="module")
def step(encoder, factor) -> Attribution:
    return attribute_tokens(encoder, IDS, TOKENS, AT, factor, LAYER, labels=LABELS)


def layer_and_factor(feature: int) -> tuple[int, int]:
    """Undo Cantor's pairing, as the front end does."""
    diagonal = (isqrt(8 * feature + 1) - 1) // 2
    factor = feature - diagonal * (diagonal + 1) // 2
    return diagonal - factor, factor


@pytest.mark.parametrize("kind", ["a step", "a graph", "a pruned graph"])
def test_a_file_keeps_the_rules_of_the_format(graph, step, factor, kind) -> None:
    traced = {"a step": step, "a graph": graph, "a pruned graph": graph.pruned(0.5)}[kind]
    record = json.loads(traced.to_circuit_tracer("why-4"))
    assert set(record) == {"metadata", "qParams", "nodes", "links"}
    assert {name: type(record["metadata"][name]) for name in METADATA} == METADATA
    assert record["metadata"]["slug"] == "why-4"
    assert record["metadata"]["prompt"] == "".join(TOKENS).strip()
    nodes = {node["node_id"]: node for node in record["nodes"]}
    assert len(nodes) == len(record["nodes"])
    for node in nodes.values():
        assert {name: type(node[name]) for name in NODE} == NODE
        assert 0 <= node["ctx_idx"] < len(record["metadata"]["prompt_tokens"])
        assert node["feature_type"] == "logit" or 0 <= node["influence"] <= 1
    for link in record["links"]:
        assert {name: type(value) for name, value in link.items()} == {
            "source": str,
            "target": str,
            "weight": float,
        }
        assert nodes[link["source"]]["feature_type"] != "logit"
        assert nodes[link["target"]]["feature_type"] in ("cross layer transcoder", "logit")
    assert len({(link["source"], link["target"]) for link in record["links"]}) == len(
        record["links"]
    )
    (target,) = (node for node in nodes.values() if node["feature_type"] == "logit")
    assert (target["layer"], target["ctx_idx"], target["feature"]) == (str(LAYER), AT, factor)
    assert target["clerp"].endswith('" (p=1.000)')
    assert target["is_target_logit"]
    assert record["qParams"]["clickedId"] == target["node_id"]
    # The front end names a column only where an embedding stands.
    embeddings = [node for node in nodes.values() if node["feature_type"] == "embedding"]
    assert [node["ctx_idx"] for node in embeddings] == list(range(len(IDS)))
    for node in nodes.values():
        if node["feature_type"] == "cross layer transcoder":
            layer, factor = layer_and_factor(node["feature"])
            assert node["node_id"] == f"{layer}_{factor}_{node['ctx_idx']}"
            assert node["layer"] == str(layer)
    # What the front end counts as one feature: none of two nodes.
    same = Counter((node["layer"], node["feature"], node["ctx_idx"]) for node in nodes.values())
    assert set(same.values()) == {1}


def test_weights_into_the_target_of_a_step_add_up_to_its_activation(step) -> None:
    record = json.loads(step.to_circuit_tracer("step"))
    total = sum(link["weight"] for link in record["links"])
    target = record["nodes"][0]
    assert target["activation"] == pytest.approx(step.activation, rel=1e-5)
    missed = abs(total - target["activation"]) / target["activation"]
    assert missed == pytest.approx(step.error, abs=1e-4)
    assert missed <= LARGEST_ERROR + 1e-4


def test_weights_into_every_node_of_a_graph_miss_what_was_not_followed(encoder, graph) -> None:
    record = json.loads(graph.to_circuit_tracer("graph"))
    nodes = {node["node_id"]: node for node in record["nodes"]}
    for name in {link["target"] for link in record["links"]}:
        node = nodes[name]
        layer, factor = int(node["layer"]), int(name.split("_")[1])
        found = attribute_tokens(encoder, IDS, TOKENS, node["ctx_idx"], factor, layer)
        factors = found.sources[found.sources["kind"] == "factor"]
        known = [
            f"{layer - 1}_{row.factor}_{row.position}" in nodes for row in factors.itertuples()
        ]
        left_out = factors["contribution"][~np.array(known)].sum()
        total = sum(link["weight"] for link in record["links"] if link["target"] == name)
        assert total + left_out == pytest.approx(node["activation"], rel=0.02)


def test_influence_is_that_of_circuit_tracer(step) -> None:
    record = json.loads(step.to_circuit_tracer("step"))
    sizes = {link["source"]: abs(link["weight"]) for link in record["links"]}
    so_far, total = 0.0, sum(sizes.values())
    influence = {node["node_id"]: node.get("influence") for node in record["nodes"]}
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        so_far += sizes[name] / total
        assert influence[name] == pytest.approx(so_far, abs=1e-4)
    assert so_far == pytest.approx(1)


def test_labels_cannot_act_in_a_page_that_draws_them_as_html(step) -> None:
    names = [LABELS[0]] * FACTORS
    record = json.loads(replace(step, labels=names).to_circuit_tracer("step"))
    assert record["nodes"][0]["clerp"].split('"')[1] == "‹b›the ”river”‹/b›"
    assert not [node for node in record["nodes"] if set("<>") & set(node["clerp"])]


def test_without_words_every_token_still_has_its_column() -> None:
    random = np.random.default_rng(8).standard_normal((2, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    encoder = linear_encoder(*random, own_part=False)
    factor = int(encoder.encode([IDS], 2)[[AT]].toarray()[0].argmax())
    graph = trace_tokens(encoder, IDS, TOKENS, AT, factor, 2)
    record = json.loads(graph.to_circuit_tracer("linear"))
    columns = [node for node in record["nodes"] if node["feature_type"] == "embedding"]
    assert len(columns) == len(IDS)
    assert not [link for link in record["links"] if link["source"].startswith("E_")]


@pytest.mark.parametrize("slug", ["", "a b", "../x", "a#b", "-a", "é"])
def test_a_name_that_cannot_stand_in_an_address_is_refused(step, slug) -> None:
    with pytest.raises(InputError, match="the name of a graph stands in an address"):
        step.to_circuit_tracer(slug)


def test_a_folder_lists_each_of_its_graphs_once(step, tmp_path) -> None:
    folder = tmp_path / "new" / "graphs"
    for slug in ("one", "two", "one"):
        write_graph_file(folder / f"{slug}.json", step.to_circuit_tracer(slug))
    listed = json.loads((folder / GRAPHS).read_text(encoding="utf-8"))["graphs"]
    assert [graph["slug"] for graph in listed] == ["two", "one"]
    assert listed[0] == json.loads((folder / "two.json").read_text(encoding="utf-8"))["metadata"]
    assert sorted(path.name for path in folder.iterdir()) == [GRAPHS, "one.json", "two.json"]


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"graphs": [1]}', '{"graphs": [{}]}'])
def test_a_list_of_graphs_that_cannot_be_read_stays_as_it_is(step, tmp_path, content) -> None:
    (tmp_path / GRAPHS).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="expected an object with a list 'graphs'"):
        write_graph_file(tmp_path / "one.json", step.to_circuit_tracer("one"))
    assert [path.name for path in tmp_path.iterdir()] == [GRAPHS]
    assert (tmp_path / GRAPHS).read_text(encoding="utf-8") == content


def test_the_command_line_writes_the_whole_graph(tmp_path, monkeypatch, capsys) -> None:
    bundle, text = write_bundle_over_tiny_bert(tmp_path, monkeypatch), "He left the house."
    here = tfactors.decompose(Bundle.open(bundle), text).factors.query(
        "position == 1 and layer == 2"
    )
    asked = ["attribute", str(bundle), text, "--position", "1", "--layer", "2"]
    asked += ["--factor", str(here["factor"].iloc[0])]
    file = tmp_path / "graphs" / "house.json"
    assert main([*asked, "--circuit-tracer", str(file)]) == 0
    assert f"--graph_file_dir {file.parent}" in capsys.readouterr().out
    record = json.loads(file.read_text(encoding="utf-8"))
    assert {node["layer"] for node in record["nodes"]} == {"E", "0", "1", "2"}
    assert (file.parent / GRAPHS).exists()
    none = tmp_path / "none"
    for other in (none / "house.txt", none / GRAPHS, none / "a house.json", file / "one.json"):
        assert main([*asked, "--circuit-tracer", str(other)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "none").exists()
