"""The Python in the README runs as it stands on the bundle that comes with it."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def test_the_python_block_runs_line_by_line(monkeypatch):
    monkeypatch.chdir(ROOT)
    section = (ROOT / "README.md").read_text("utf-8").partition("## In Python")[2]
    lines = re.search(r"```python\n(.*?)```", section, re.DOTALL)[1].splitlines()
    X = np.random.default_rng(0).normal(size=(20, 384)).astype(np.float32)
    names, shown = {"X": X}, {}
    for line in filter(None, lines):
        if re.match(r"import |\w+ = ", line):
            exec(line, names)
        else:
            shown[re.match(r"[\w.]+", line)[0]] = eval(line, names)
    assert len(shown["bundle.factors"]) == names["bundle"].n_factors
    assert len(shown["bundle.examples"]) == 200
    assert shown["tf.duality_gap"].max() < 1e-3
    assert len(shown["tf.decompose"].factors)
    # The factor is active there, so that there is something to explain and to take away.
    explanation, made = shown["tf.explain"], shown["tf.intervene"]
    assert explanation.activation > 1
    assert explanation.weights.max() > 0
    assert made.change > made.random.mean()
