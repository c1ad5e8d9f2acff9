"""What the README shows runs as it stands, and what it links to is there."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tfactors.cli import parser_for

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SHELL = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
LINKS = re.findall(r"\]\((?!https:)([^)#]+)", README)


@pytest.mark.model
def test_the_python_block_runs_line_by_line(monkeypatch):
    monkeypatch.chdir(ROOT)
    section = README.partition("## In Python")[2]
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


def test_the_first_block_holds_the_two_commands():
    assert SHELL[:2] == ["make dashboard", "make test"]


@pytest.mark.parametrize("line", SHELL)
def test_every_command_is_one_that_can_be_given(line):
    program, *words = shlex.split(line)
    if program == "make":
        makefile = (ROOT / "Makefile").read_text("utf-8")
        assert all(re.search(rf"^{target}:.*## ", makefile, re.MULTILINE) for target in words)
    else:
        assert program == ".venv/bin/tfactors"
        assert parser_for(words).parse_args(words)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make (\w+)`", README))))
def test_every_target_that_the_text_names_is_in_the_makefile(target):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE)


@pytest.mark.parametrize("link", LINKS)
def test_every_link_leads_to_a_file(link):
    assert (ROOT / link).is_file()


def test_it_is_short():
    assert len(README.split()) < 700
