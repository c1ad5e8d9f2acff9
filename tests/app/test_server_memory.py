"""Garbage: what is loaded for good is not searched after every page, and the rest still is."""

import gc
import sys
import types
import weakref
from collections.abc import Iterator

import pytest

from tfactors.app.frame import server


@pytest.fixture(autouse=True)
def _thawed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(server, "_modules", 0)
    yield
    gc.unfreeze()


def test_what_is_loaded_is_spared_once_and_again_after_new_modules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.freeze_loaded_modules()
    spared = gc.get_freeze_count()
    assert spared > 10_000
    new = [[] for _ in range(10_000)]
    server.freeze_loaded_modules()
    assert gc.get_freeze_count() <= spared
    monkeypatch.setitem(sys.modules, "just_loaded", types.ModuleType("just_loaded"))
    server.freeze_loaded_modules()
    assert gc.get_freeze_count() >= spared + len(new) // 2


def test_garbage_made_later_is_still_collected() -> None:
    server.freeze_loaded_modules()

    class Page:
        """Something that a page leaves behind."""

    page = Page()
    page.itself = page  # type: ignore[attr-defined]
    left = weakref.ref(page)
    del page
    assert left() is not None
    gc.collect()
    assert left() is None
