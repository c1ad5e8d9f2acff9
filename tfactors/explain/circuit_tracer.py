"""Turns a graph of origins into the JSON file that circuit-tracer's front end reads.

The format is that of circuit-tracer's ``frontend/graph_models.py`` (its schema version 1), which
Neuronpedia describes as a JSON schema, ``graph-schema.json``. Sources become its kinds of nodes:

    factor c at token t, layer l   cross layer transcoder   ``l_c_t``
    word at token t, of any layer  embedding                ``E_t_t``, one for each token
    rest at token t, layer l       mlp reconstruction error ``rest_l_t``
    start of layer l               mlp reconstruction error ``start_l_0``, feature −2, at token 0
    the asked activation           logit, its only target   ``l_c_t``

A link weighs what its source contributes, in units of the target's activation. ``influence`` is the
front end's measure for pruning: with the nodes in falling order of what they carry, the share that
is carried down to a node. Both carry the same way (:mod:`tfactors.explain.origin_graph`).
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

import tfactors
from tfactors.errors import InputError
from tfactors.files import replacing
from tfactors.text.words import spelled

if TYPE_CHECKING:
    import pandas as pd


GRAPHS = "graph-metadata.json"
"""The list of the graphs of a folder, from which the front end takes its menu."""

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")

# Labels are drawn as HTML there, and the name of a target ends at a quotation mark.
_SAFE = str.maketrans({"<": "‹", ">": "›", '"': "”"})


def circuit_tracer_json(
    nodes: "pd.DataFrame",
    edges: "pd.DataFrame",
    tokens: Sequence[str],
    labels: Sequence[str],
    model: str,
    error: float,
    slug: str,
) -> str:
    """Return a graph as the text of a file for circuit-tracer's front end.

    Parameters
    ----------
    nodes, edges : DataFrame
        As of `OriginGraph`; the first node is the asked one.
    tokens, labels, model, error
        As of `OriginGraph`.
    slug : str
        What the front end calls the graph; the file is to be named ``slug.json``.

    Raises
    ------
    InputError
        A slug that cannot stand in an address.
    """
    _check_slug(slug)
    rows = nodes.to_dict("records")
    names = {row["node"]: _node_id(row) for row in rows}
    weights = edges[edges["contribution"] != 0]
    links = [
        {"source": names[source], "target": names[target], "weight": _rounded(weight)}
        for source, target, weight in zip(
            weights["source"], weights["target"], weights["contribution"], strict=True
        )
    ]
    linked = {link["source"] for link in links} | {link["target"] for link in links}
    asked = rows[0]
    written = {names[asked["node"]]: _target(asked, labels)}
    carried = {f"E_{at}_{at}": 0.0 for at in range(len(tokens))}
    for row in rows[1:]:
        name = names[row["node"]]
        if row["kind"] != "word" and name in linked:
            written[name] = _source(row, tokens, labels)
        carried[name] = carried.get(name, 0.0) + row["carried"]
    written |= {f"E_{at}_{at}": _embedding(at) for at in range(len(tokens))}
    for name, influence in _influences(carried).items():
        if name in written:
            written[name]["influence"] = influence
    target = names[asked["node"]]
    record = {
        "metadata": _metadata(asked, tokens, labels, model, error, slug),
        "qParams": {
            "pinnedIds": [],
            "supernodes": [],
            "linkType": "both",
            "clickedId": target,
            "sg_pos": "",
        },
        "nodes": [{"node_id": name, "jsNodeId": name} | node for name, node in written.items()],
        "links": links,
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1)


def check_graph_file(path: Path) -> None:
    """Raise InputError where a graph cannot be written, before a model is asked for it."""
    if path.suffix != ".json" or path.name == GRAPHS:
        raise InputError(f"{path}: expected a name that ends in .json, other than {GRAPHS}")
    if path.is_dir() or (path.parent.exists() and not path.parent.is_dir()):
        raise InputError(f"{path}: expected a file to write in a folder")
    _check_slug(path.stem)
    _graphs_of(path.parent)


def write_graph_file(path: Path, content: str) -> None:
    """Write what `circuit_tracer_json` returned, and name it in the list of its folder.

    Raises
    ------
    InputError
        As `check_graph_file`.
    """
    check_graph_file(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
    others = [graph for graph in _graphs_of(path.parent) if graph["slug"] != path.stem]
    graphs = {"graphs": [*others, json.loads(content)["metadata"]]}
    with replacing(path.parent / GRAPHS) as temporary:
        temporary.write_text(json.dumps(graphs, ensure_ascii=False, indent=1), encoding="utf-8")


def _graphs_of(folder: Path) -> list[dict[str, Any]]:
    """Return the graphs that a folder lists, none where it lists nothing."""
    path = folder / GRAPHS
    if not path.exists():
        return []
    try:
        graphs = json.loads(path.read_text(encoding="utf-8"))["graphs"]
        if all(isinstance(graph["slug"], str) for graph in graphs):
            return list(graphs)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise InputError(
        f"{path}: expected an object with a list 'graphs', each with its slug, as circuit-tracer "
        "writes it; move it away or name another folder"
    )


def _check_slug(slug: str) -> None:
    if not _SLUG.fullmatch(slug):
        raise InputError(
            f"{slug!r}: the name of a graph stands in an address; expected letters a to z, digits, "
            "- and _, the first one no mark"
        )


def _node_id(row: dict[str, Any]) -> str:
    kind, layer, position = row["kind"], row["layer"], row["position"]
    if kind == "factor":
        return f"{layer}_{row['factor']}_{position}"
    if kind == "word":
        return f"E_{position}_{position}"
    return f"{kind}_{layer}_{max(position, 0)}"


def _target(row: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the asked activation as a target of one's own is written, which weighs 1 alone."""
    return {
        "feature": row["factor"],
        "layer": str(row["layer"]),
        "ctx_idx": row["position"],
        "feature_type": "logit",
        "token_prob": 1.0,
        "is_target_logit": True,
        "clerp": f'Output "{_label(row["factor"], labels)}" (p=1.000)',
        "activation": _rounded(row["activation"]),
    }


def _source(row: dict[str, Any], tokens: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    layer, position, factor = row["layer"], row["position"], row["factor"]
    node = {"layer": str(layer), "ctx_idx": max(position, 0)}
    if row["kind"] == "factor":
        return node | {
            "feature": _paired(layer, factor),
            "feature_type": "cross layer transcoder",
            "jsNodeId": f"{layer}_{factor}-0",
            "clerp": _label(factor, labels),
            "activation": _rounded(row["activation"]),
        }
    is_rest = row["kind"] == "rest"
    said = f"No factor explains: {_word(tokens[position])}" if is_rest else "The mean state"
    return node | {
        "feature": -1 if is_rest else -2,
        "feature_type": "mlp reconstruction error",
        "clerp": said,
    }


def _embedding(position: int) -> dict[str, Any]:
    # The front end writes the token itself into the label.
    return {
        "feature": position,
        "layer": "E",
        "ctx_idx": position,
        "feature_type": "embedding",
        "clerp": "",
    }


def _paired(layer: int, factor: int) -> int:
    """Return layer and factor as one number, as Cantor pairs them.

    >>> _paired(0, 0), _paired(3, 1278)
    (0, 822399)
    """
    return (layer + factor) * (layer + factor + 1) // 2 + factor


def _influences(carried: dict[str, float]) -> dict[str, float]:
    """Return for each node what it and all that carry more carry together, as a share of all."""
    amounts = np.array(list(carried.values()))
    order = np.argsort(-amounts, kind="stable")
    sums = np.empty(len(amounts))
    sums[order] = np.cumsum(amounts[order]) / amounts.sum()
    return dict(zip(carried, (min(_rounded(at), 1.0) for at in sums), strict=True))


def _metadata(
    asked: dict[str, Any],
    tokens: Sequence[str],
    labels: Sequence[str],
    model: str,
    error: float,
    slug: str,
) -> dict[str, Any]:
    factor, at = asked["factor"], asked["position"]
    said = (
        f"What {_label(factor, labels)} (factor {factor}) at layer {asked['layer']} on token {at}, "
        f"{_word(tokens[at])}, is made from. Weights are contributions in units of the target's "
        f"activation; their sums miss {error:.2%}."
    )
    return {
        "slug": slug,
        # A name, never the folders of whoever built the bundle.
        "scan": model if model.count("/") == 1 and model[0] not in "/.~" else PurePath(model).name,
        "transcoder_list": [],
        "prompt_tokens": list(tokens),
        "prompt": "".join(tokens).strip(),
        "node_threshold": 1.0,
        "schema_version": 1,
        "info": {
            "description": said,
            "generator": {"name": "tfactors", "version": tfactors.__version__},
        },
    }


def _label(factor: int, labels: Sequence[str]) -> str:
    label = str(labels[factor]).strip() if factor < len(labels) else ""
    return label.translate(_SAFE) or f"factor {factor}"


def _word(token: str) -> str:
    return f"“{spelled(token)}”".translate(_SAFE)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
