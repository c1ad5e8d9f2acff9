"""What was measured on a bundle: one section at a time, its findings, charts and tables.

Draws the files of ``BUNDLE/evidence``, which are checked as they are read. All sections have one
form, so that a new one needs nothing here. Text of a file stays text: it is escaped everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from tfactors.app.frame import controls, shell, url_state
from tfactors.app.parts import downloads
from tfactors.app.views import evidence_charts
from tfactors.bundle import Bundle, evidence
from tfactors.bundle.evidence import Column, Section, Table
from tfactors.bundle.hub import spoken_name
from tfactors.errors import InputError

_LOW = 16  # rows of a table that is shown whole


def show(bundle: Bundle) -> None:
    """Draw the choice of a section, and the section."""
    folder = evidence.folder_of(bundle.path)
    sections, wrong = _read(folder)
    for sentence in wrong:
        st.warning(shell.plain_text(sentence), icon=":material/error:")
    if not sections and not bundle.abilities.evaluation:
        st.markdown(bundle.abilities.evaluation.why_not)
        return
    if not sections:
        st.markdown("Nothing has been measured on this bundle yet. To do so (some minutes):")
        st.code(f"tfactors evaluate {spoken_name(bundle.path)}", language="bash")
        return
    titles = {section.name: section.title for section in sections}
    chosen = url_state.value_of(controls.EVIDENCE_SECTION)
    chosen = chosen if chosen in titles else next(iter(titles))
    st.segmented_control(
        "Section",
        list(titles),
        required=True,
        label_visibility="collapsed",
        format_func=titles.__getitem__,
        **url_state.widget(controls.EVIDENCE_SECTION, chosen),
    )
    _section(next(s for s in sections if s.name == chosen), bundle)


def _read(folder: Path) -> tuple[list[Section], list[str]]:
    """Return the sections that can be read, and what is wrong with the others."""
    sections, wrong = [], []
    for name in evidence.NAMES:
        try:
            path = folder / f"{name}.json"
            stamp = path.stat().st_mtime_ns if path.is_file() else 0
            section = _section_of(str(folder), name, stamp) if stamp else None
        except InputError as error:
            wrong.append(str(error))
        else:
            sections += [section] if section else []
    return sections, wrong


@st.cache_data(max_entries=40, show_spinner=False)
def _section_of(folder: str, name: str, stamp: int) -> Section | None:
    return evidence.read_section(Path(folder), name)


def _section(section: Section, bundle: Bundle) -> None:
    st.subheader(shell.plain_text(section.title), anchor=False)
    if section.bundle != bundle.fingerprint:
        st.warning(
            "Measured on another build of this bundle; run `tfactors evaluate` again.",
            icon=":material/history:",
        )
    st.markdown(shell.plain_text(section.about))
    st.markdown("\n".join(f"- {shell.plain_text(finding)}" for finding in section.findings))
    for number, table in enumerate(section.tables):
        _table(table, f"{section.name}_{number}")


def _table(table: Table, key: str) -> None:
    st.markdown(f"**{shell.plain_text(table.title)}**")
    frame = pd.DataFrame(list(table.rows), columns=[column.name for column in table.columns])
    for column in table.columns:
        if column.form != "text":
            frame[column.name] = pd.to_numeric(frame[column.name], errors="coerce")
    columns = {column.name: column for column in table.columns}
    shown = frame
    if table.chart is not None:
        if table.chart.pick:
            shown = _picked(frame, columns[table.chart.pick], key)
        if len(shown):
            evidence_charts.table_chart(
                shown, table.chart, columns, alt=f"Chart: {table.title}. {table.sample}"
            )
    st.caption(shell.plain_text(table.sample))
    percent = {c.name: 100 * shown[c.name] for c in table.columns if c.form == "share"}
    st.dataframe(
        shown.assign(**percent),
        hide_index=True,
        width="stretch",
        key=f"table_{key}",
        height="content" if len(shown) <= _LOW else "auto",
        column_config={name: _config(column, frame) for name, column in columns.items()},
        alt=f"Table: {table.title}. {table.sample}",
        placeholder="–",
    )
    downloads.show(lambda: frame, f"evidence_{key}")


def _picked(frame: pd.DataFrame, column: Column, key: str) -> pd.DataFrame:
    """Draw the choice of one value of a column, shared by all tables; return its rows."""
    values = list(dict.fromkeys(frame[column.name].dropna()))
    chosen = url_state.value_of(controls.EVIDENCE_VALUE)
    chosen = chosen if chosen in values else next(iter(values), "")
    name = f"{controls.EVIDENCE_VALUE.name}_{key}"
    st.session_state[name] = chosen
    st.segmented_control(
        shell.plain_text(column.label),
        values,
        required=True,
        key=name,
        format_func=shell.plain_text,
        on_change=lambda: url_state.set_controls({controls.EVIDENCE_VALUE: st.session_state[name]}),
    )
    return frame[frame[column.name] == chosen]


def _config(column: Column, frame: pd.DataFrame) -> Any:
    tip = shell.plain_text(column.meaning) or None
    label = column.label
    if column.form == "text":
        return st.column_config.TextColumn(label, help=tip)
    # Three places tell nothing of numbers above ten.
    large = column.form == "number" and frame[column.name].abs().max() >= 10
    number = "%.1f" if large else "%.3f"
    form = {"count": "localized", "share": "%.1f%%", "number": number, "small": "%.1e"}
    return st.column_config.NumberColumn(label, help=tip, format=form[column.form])
