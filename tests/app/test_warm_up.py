"""The model is loaded from the moment that a page is opened which asks it, and by no other page."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from opened_page import open_page

from tfactors.app.frame import controls
from tfactors.app.parts import live_decomposition, live_model, warm_up
from tfactors.app.parts.live_model import LiveModel
from tfactors.coding.solver import SparseCoder
from tfactors.errors import InputError

ASKS_AT_ONCE = (controls.TEXT_PAGE.path, controls.ORIGINS_PAGE.path)
BUNDLE = SimpleNamespace(abilities=SimpleNamespace(penalty=False))


def test_only_pages_that_ask_at_once_begin_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def ask(*_: object) -> None:
        raise InputError("nobody answers")

    monkeypatch.setattr(live_decomposition, "decomposition_of", ask)
    monkeypatch.setattr(live_model, "missing_part", lambda *_: None)
    monkeypatch.setattr(live_model, "prepare", lambda bundle: begun.append(bundle.title))
    for page in controls.PAGES:
        open_page(page.path)
        assert bool(begun) == (page.path in ASKS_AT_ONCE), page.path
        begun.clear()


def test_who_asks_meanwhile_waits_and_the_model_is_loaded_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tfactors.explain.encoder import FactorEncoder

    may_go_on, loaded, said = threading.Event(), [], []

    def load(bundle: object) -> object:
        loaded.append(threading.current_thread().name)
        may_go_on.wait(60)
        return "encoder"

    def say() -> None:
        said.append(live.is_ready())
        may_go_on.set()

    monkeypatch.setattr(FactorEncoder, "from_bundle", load)
    live = LiveModel()
    live.prepare(BUNDLE)
    live.prepare(BUNDLE)
    assert live.load(BUNDLE, say) == "encoder"
    assert live.is_ready()
    live.prepare(BUNDLE)
    assert live.load(BUNDLE, say) == "encoder"
    assert loaded == ["warm-up"]
    assert said[0] is False


def test_what_is_wrong_with_a_model_is_told_to_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    from tfactors.explain.encoder import FactorEncoder

    def load(bundle: object) -> object:
        raise ValueError("not the weights of the bundle")

    monkeypatch.setattr(FactorEncoder, "from_bundle", load)
    live = LiveModel()
    live.prepare(BUNDLE)
    for _ in range(2):
        with pytest.raises(ValueError, match="not the weights"):
            live.load(BUNDLE, lambda: None)


@pytest.mark.model
def test_every_kernel_that_takes_a_text_apart_is_compiled_ahead(tmp_path: Path) -> None:
    from tiny_encoder import encoder_with_own_part

    from tfactors.coding import kernel
    from tfactors.coding.compile_ahead import compile_ahead
    from tfactors.explain.decomposition import read_text, take_apart

    def compiled() -> list[tuple]:
        kernels = (kernel.solve_rows, kernel.refit_rows, kernel.squared_errors)
        return [signature for function in kernels for signature in function.signatures]

    encoder = encoder_with_own_part(tmp_path / "model")
    for refit in (False, True):
        coder = SparseCoder(encoder.coder.dictionary, refit=refit)
        own = replace(encoder, coder=coder)
        compile_ahead()
        before = compiled()
        text = read_text("The house is in session.", own)
        _, codes = take_apart(text, own, 0.5, None)
        take_apart(text, own, 0.7, codes)
        coder.path(text.states[0, :1], [0.3, 0.5], own.tol)
        assert compiled() == before


@pytest.mark.process
def test_kernels_are_compiled_in_a_process_of_their_own_that_ends_well() -> None:
    process = warm_up._compile_ahead()
    assert process is not None
    assert process.wait(300) == 0
    assert warm_up._compile_ahead() is process
