"""The examples in the docstrings of tfactors do what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Only what has an example is imported.
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "tfactors").rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_do_what_they_say(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module), verbose=False)
    assert found.attempted > 0
    assert found.failed == 0, f"{found.failed} of {found.attempted} examples: see above"
