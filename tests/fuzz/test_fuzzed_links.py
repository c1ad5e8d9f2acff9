"""Links: every control reads what it wrote, and refuses all else in one sentence."""

import pytest
from fuzzing import bounded, fuzzed, mutated
from hypothesis import given
from hypothesis import strategies as some
from opened_page import open_page

from tfactors.app.frame import controls
from tfactors.app.frame.url_state import Control, _sentence
from tfactors.bundle import Bundle

CONTROLS = sorted({c.name: c for page in controls.PAGES for c in page.controls}.items())
VALUES = ("0", "1", "12", "-1", "0.5", "on", "30,7", "1,2,3,4", "lines", "low", "1e3", "nan", "-0")
TEXTS = (
    some.text(max_size=30)
    | some.sampled_from(VALUES)
    | some.sampled_from(VALUES)
    .flatmap(lambda value: mutated(value.encode()))
    .map(lambda content: content.decode("utf-8", "replace"))
)


def read(control: Control, text: str) -> object:
    """Return what a control reads, None where it refuses that; how it does is checked."""
    try:
        with bounded():
            return control.read(text)
    except ValueError as error:
        said = _sentence(control, text, error)
        assert len(said) < 1000
        return None


@pytest.mark.parametrize("control", [control for _, control in CONTROLS], ids=dict(CONTROLS))
@fuzzed(0.3)
@given(TEXTS)
def test_what_a_control_reads_it_writes_and_reads_again(control: Control, text: str) -> None:
    value = read(control, text)
    if value is None:
        return
    again = control.read(control.write(value))
    assert again == value or (isinstance(value, float) and abs(again - value) <= 1e-5 * abs(value))


@fuzzed(0.3)
@given(text=TEXTS)
def test_a_bundle_has_what_is_asked_for_or_says_so(made_up, text: str) -> None:
    bundle = Bundle.open(made_up / "default")
    said = []
    for _, control in CONTROLS:
        value = read(control, text)
        if value is not None and control.check is not None:
            try:
                control.check(value, bundle)
            except ValueError as error:
                said.append(str(error))
    assert all(len(line.splitlines()) == 1 for line in said)


@fuzzed(0.2)
@given(data=some.data())
def test_every_page_opens_with_any_link(
    made_up, monkeypatch: pytest.MonkeyPatch, data: some.DataObject
) -> None:
    monkeypatch.delenv("TFACTORS_BUNDLE", raising=False)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(made_up))
    pages = [page for page in controls.PAGES if page is not controls.TEXT_PAGE]  # asks a model
    page = data.draw(some.sampled_from(pages))
    names = some.sampled_from([control.name for control in page.controls])
    app = open_page(page.path, **data.draw(some.dictionaries(names, TEXTS, max_size=4)))
    assert not app.exception
