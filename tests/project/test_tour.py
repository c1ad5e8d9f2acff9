"""examples/tour.ipynb runs from its first cell to its last, and names a factor."""

import json
import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.model

ROOT = Path(__file__).resolve().parents[2]
STORIES = ROOT / "docs/start/three_stories.md"


def test_the_tour_goes_from_a_text_to_a_labelled_factor(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(ROOT / "examples/tour.ipynb", as_version=4)
    # The cells' outputs are made here; none is kept in the file.
    assert not any(cell.get("outputs") for cell in notebook.cells)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    shown = [
        output["data"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    html = "\n".join(data.get("text/html", "") for data in shown)
    assert "<mark" in html  # words in context
    # The curve: a picture for GitHub and machines without network, and Vega-Lite for the others.
    (curve,) = (data for data in shown if "image/svg+xml" in data)
    assert "application/vnd.vegalite.v6+json" in curve
    assert "https://" not in html + curve["image/svg+xml"].replace("http://www.w3.org", "")
    labels = json.loads((tmp_path / "tour" / "labels.json").read_text(encoding="utf-8"))
    assert [entry["label"] for entry in labels["labels"].values()] == ["government"]
    # The three stories are told with the numbers of their checks, as in the documentation.
    plain = "\n".join(data.get("text/plain", "") for data in shown)
    checked = {pair for pair in re.findall(r"(-?\d+) +(-?\d+)$", plain, re.MULTILINE)}
    told = re.findall(r"\| ([−+]?\d+) % \| ([−+]?\d+) %", STORIES.read_text(encoding="utf-8"))
    assert len(told) == 8
    signs = str.maketrans({"−": "-", "+": ""})
    assert {(a.translate(signs), b.translate(signs)) for a, b in told} <= checked
    assert html.count("made from layer") == 4
