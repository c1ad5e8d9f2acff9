"""What all tests share."""

import sys
from collections.abc import Iterator

import pytest

pytest_plugins = ["browsing"]


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Keep the main module: a page that is run by a test takes its place and leaves it there."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
