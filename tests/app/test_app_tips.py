"""Every number on a page has a tip, and the tip is one of the definitions, or a table's own."""

import json
from typing import Any

import pytest
from opened_page import PATIENCE, ROOT
from streamlit.testing.v1 import AppTest

from tfactors.app.frame import controls
from tfactors.bundle.evidence import read_all
from tfactors.portrait import definitions

DEFINED = [
    text.partition("{")[0]
    for text in (*vars(definitions).values(), *definitions.LEVEL_MEANING.values())
    if isinstance(text, str) and len(text) > 20 and text != definitions.__doc__
]
VIEWS = [
    (controls.HOME, {}),
    *[(controls.FACTOR_PAGE, {"factor": "7", "part": part}) for part in controls.PARTS],
    (controls.RANDOM_PAGE, {"level": "low", "seed": "1"}),
    (controls.CURVES_PAGE, {"factor": "7"}),
    (controls.SEARCH_PAGE, {}),
    (controls.SEARCH_PAGE, {"q": "river"}),
    (controls.SENSES_PAGE, {}),
    (controls.MAP_PAGE, {"area": "-99,99,-99,99"}),
    (controls.COMPARE_PAGE, {"factor": "7", "to": "8"}),
    (controls.GALLERY_PAGE, {}),
    (controls.BASKET_PAGE, {"basket": "7.1_8.2"}),
]


def without_a_tip(app: AppTest) -> list[str]:
    """The names of numbers of a page that no definition explains where they stand."""
    named = [(element.proto.label, element.proto.help) for element in app.metric]
    for table in app.dataframe:
        columns: dict[str, Any] = json.loads(table.proto.columns)
        for name in table.proto.column_order or table.value.columns:
            column = columns.get(name) or {}
            named.append((column.get("label", name), column.get("help") or ""))
    return [label for label, tip in named if not any(text in tip for text in DEFINED)]


def open_view(page: controls.Page, query: dict[str, str]) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=PATIENCE)
    if page is not controls.HOME:
        app.switch_page(page.path)
    for name, value in query.items():
        app.query_params[name] = value
    for part in ("levels", "label", "share"):  # what is folded away is read as well
        app.session_state[f"fold_{part}"] = True
    return app.run()


@pytest.mark.parametrize(("page", "query"), VIEWS)
def test_every_number_of_a_page_is_defined_where_it_stands(
    page: controls.Page, query: dict[str, str]
) -> None:
    app = open_view(page, query)
    assert not app.exception
    assert without_a_tip(app) == []


def test_the_table_of_labels_is_defined_too() -> None:
    app = open_view(controls.FACTOR_PAGE, {"factor": "7"})
    app.text_input(key="own_label_7").set_value("a river").run()
    app.switch_page(controls.LABELS_PAGE.path).run()
    assert app.dataframe[0].value["own"].tolist() == ["a river"]
    assert without_a_tip(app) == []


def test_every_number_of_the_evidence_that_comes_along_has_its_meaning() -> None:
    """The page shows the meaning of a column as its tip."""
    sections = read_all(ROOT / "artifacts/default/evidence")
    assert sections
    bare = [
        f"{section.name}: {column.label}"
        for section in sections
        for table in section.tables
        for column in table.columns
        if column.form != "text" and not column.meaning
    ]
    assert bare == []
