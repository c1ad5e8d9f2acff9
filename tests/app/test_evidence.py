"""The page of evidence: what was measured, as text, tables and charts."""

from pathlib import Path

from opened_page import open_page, words

from tfactors.app.frame import controls
from tfactors.bundle.evidence import Chart, Column, Section, Table, write_section


def test_what_was_measured_is_shown_as_text_with_its_sample_and_a_chart(damaged: Path) -> None:
    columns = (Column("layer", "Layer", "text"), Column("l0", "L0", "number", "mean ‖α‖₀"))
    hostile = "<img src=x onerror=alert(1)> **bold**"
    table = Table(hostile, "7 tokens", columns, (("0", 4.25),), Chart("layer", "l0"))
    section = Section("reconstruction", "Reconstruction", hostile, (hostile,), (table,), "other")
    write_section(damaged / "evidence", section)
    (damaged / "evidence" / "fidelity.json").write_text("[1]")
    app = open_page(controls.EVIDENCE_PAGE.path)
    assert not app.exception
    assert "7 tokens" in words(app)
    assert "\\<img src=x" in words(app)
    assert " **bold**" not in words(app)
    assert app.dataframe[0].value["l0"].tolist() == [4.25]
    assert len(app.get("vega_lite_chart")) == 1
    warnings = " ".join(warning.value for warning in app.warning)
    assert "fidelity.json" in warnings
    assert "another build" in warnings
