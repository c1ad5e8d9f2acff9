"""What `tfactors evaluate` found out: one JSON file a section, beside the bundle.

    BUNDLE/evidence/reconstruction.json, fidelity.json, …      and report.md, the same for people

A section is plain: sentences (what it found), and tables whose columns carry their definition and
whose caption says on which sample and how many they were measured; a table may be drawn as a chart.
So a new section needs no new code to be shown. The files are no part of the sealed bundle, since
they are measured after it, and a bundle may come from anywhere: everything that is read here is
checked, and all text stays text. Nothing here imports torch.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfactors.errors import InputError

FOLDER, REPORT = "evidence", "report.md"
FORMAT, VERSION = "tfactors-evidence", 1
# The order in which a reader meets the sections; only these names are read.
NAMES = (
    "reconstruction",
    "fidelity",
    "controls",
    "stability",
    "levels",
    "recovery",
    "senses",
    "paper",
)
FORMS = ("text", "count", "share", "number", "small")
MOST_BYTES, MOST_ROWS, MOST_COLUMNS, MOST_TABLES = 4_000_000, 5_000, 30, 20
LONGEST_NAME, LONGEST_TEXT = 40, 2_000

Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """One column of a table.

    ``form`` says how its values are written: ``text``, ``count`` (12,345), ``share`` (12.3%),
    ``number`` (1.234) or ``small`` (1.2e-06). ``meaning`` is its formula or definition.
    """

    name: str
    label: str
    form: str = "number"
    meaning: str = ""


@dataclass(frozen=True)
class Chart:
    """How a table is drawn: lines of ``y`` over ``x``, a colour for each value of ``series``.

    ``pick`` names a column of which one value is shown at a time; "" shows all. ``log`` makes the
    horizontal axis logarithmic. ``low`` and ``high`` name the ends of a confidence interval.
    """

    x: str
    y: str
    series: str = ""
    pick: str = ""
    log: bool = False
    low: str = ""
    high: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of values in the order of the columns; ``sample`` says what was measured, how many."""

    title: str
    sample: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    chart: Chart | None = None


@dataclass(frozen=True)
class Section:
    """What one part of the evaluation found.

    ``about`` says in a sentence or two what was done, ``findings`` what came of it, what missed its
    aim included. The command fills in ``bundle`` (the fingerprint) and ``seconds``.
    """

    name: str
    title: str
    about: str
    findings: tuple[str, ...]
    tables: tuple[Table, ...]
    bundle: str = ""
    seconds: float = 0.0


def folder_of(bundle: Path) -> Path:
    """Return where the evidence on a bundle stands."""
    return bundle / FOLDER


def write_section(folder: Path, section: Section) -> None:
    """Write a section whole or not at all; what could not be read again is not written."""
    content = {"format": FORMAT, "version": VERSION} | asdict(section)
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    parse(text, section.name)
    from tfactors.files import replacing  # which imports what the dashboard does without

    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{section.name}.json") as path:
        path.write_text(text + "\n", "utf-8")


def read_section(folder: Path, name: str) -> Section | None:
    """Return a section, or None where it was not measured; InputError where it cannot be used."""
    path = folder / f"{name}.json"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _wrong(name, f"more than {MOST_BYTES:,} bytes")
        return parse(path.read_bytes().decode("utf-8"), name)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(name, f"cannot be read ({type(error).__name__})") from error


def read_all(folder: Path) -> list[Section]:
    """Return all sections that were measured, in their order."""
    found = (read_section(folder, name) for name in NAMES)
    return [section for section in found if section is not None]


def parse(text: str, name: str) -> Section:
    """Return the section that a file holds; InputError names what is wrong with it."""
    try:
        given = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _wrong(name, f"not JSON ({str(error)[:80]})") from None
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise _wrong(name, f'expected an object with "format": "{FORMAT}"')
    if given.get("version") != VERSION:
        found = str(given.get("version"))[:20]
        raise _wrong(name, f"version {found}, and this tfactors reads {VERSION}; upgrade it")
    if given.get("name") != name or name not in NAMES:
        raise _wrong(name, f"is named {str(given.get('name'))[:40]!r}")
    tables = _list(given, "tables", MOST_TABLES, name)
    seconds: Any = given.get("seconds")
    if not _is_number(seconds) or seconds < 0:
        raise _wrong(name, "'seconds' is no number of seconds")
    return Section(
        name,
        _text(given, "title", name),
        _text(given, "about", name),
        tuple(_text({"finding": f}, "finding", name) for f in _list(given, "findings", 50, name)),
        tuple(_table(table, name) for table in tables),
        _text(given, "bundle", name),
        float(seconds),
    )


def _table(given: Any, name: str) -> Table:
    if not isinstance(given, dict):
        raise _wrong(name, "a table is no object")
    columns = tuple(_column(column, name) for column in _list(given, "columns", MOST_COLUMNS, name))
    names = [column.name for column in columns]
    if not columns or len(set(names)) < len(names):
        raise _wrong(name, "the columns of a table do not have names of their own")
    rows = []
    for number, row in enumerate(_list(given, "rows", MOST_ROWS, name)):
        if not isinstance(row, list) or len(row) != len(columns):
            raise _wrong(name, f"row {number} of a table does not have its {len(columns)} columns")
        for value, column in zip(row, columns, strict=True):
            good = isinstance(value, str) if column.form == "text" else _is_number(value)
            if value is not None and not (good and len(str(value)) <= LONGEST_TEXT):
                raise _wrong(name, f"row {number}: {column.name} is no {column.form}")
        rows.append(tuple(row))
    chart = None if given.get("chart") is None else _chart(given["chart"], columns, name)
    title, sample = (_text(given, key, name) for key in ("title", "sample"))
    return Table(title, sample, columns, tuple(rows), chart)


def _column(given: Any, name: str) -> Column:
    if not isinstance(given, dict):
        raise _wrong(name, "a column is no object")
    found = Column(*(_text(given, key, name) for key in ("name", "label", "form", "meaning")))
    if not found.name.isidentifier() or len(found.name) > LONGEST_NAME:
        raise _wrong(name, f"a column is named {found.name[:40]!r}")
    if found.form not in FORMS:
        raise _wrong(name, f"column {found.name}: form {found.form[:20]!r}")
    return found


def _chart(given: Any, columns: tuple[Column, ...], name: str) -> Chart:
    if not isinstance(given, dict) or not isinstance(given.get("log"), bool):
        raise _wrong(name, "a chart is no object of its kind")
    form = {column.name: column.form for column in columns}
    parts = {key: _text(given, key, name) for key in ("x", "y", "series", "pick", "low", "high")}
    for key, column in parts.items():
        if (column or key in ("x", "y")) and column not in form:
            raise _wrong(name, f"a chart has {key} {column[:40]!r}, which is no column")
        if column and key in ("y", "low", "high") and form[column] == "text":
            raise _wrong(name, f"a chart has {key} {column!r}, which is no number")
        if column and key in ("series", "pick") and form[column] != "text":
            raise _wrong(name, f"a chart has {key} {column!r}, which is no text")
    return Chart(log=given["log"], **parts)


def _text(given: dict[str, Any], key: str, name: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise _wrong(name, f"'{key}' is no text of at most {LONGEST_TEXT:,} letters")
    return value


def _list(given: dict[str, Any], key: str, most: int, name: str) -> list[Any]:
    value = given.get(key)
    if not isinstance(value, list) or len(value) > most:
        raise _wrong(name, f"'{key}' is no list of at most {most:,}")
    return value


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and math.isfinite(value)
    )


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _wrong(name: str, what: str) -> InputError:
    return InputError(f"{FOLDER}/{name}.json: {what}; run 'tfactors evaluate' again or remove it")


def written(value: Value, form: str) -> str:
    """Return a value as people read it; an en dash where there is none.

    >>> written(0.12345, "share"), written(12345, "count"), written(None, "number")
    ('12.3%', '12,345', '–')
    """
    if value is None or isinstance(value, str):
        return "–" if value is None else value
    if form == "count":
        return f"{round(value):,}"
    if form == "share":
        return f"{100 * value:.1f}%"
    return f"{value:.1e}" if form == "small" else f"{value:.3f}"


def markdown(title: str, sections: list[Section]) -> str:
    """Return the report for people: every section with its findings, tables and definitions."""
    lines = [f"# Evidence: {_plain(title)}", "", "Made by `tfactors evaluate`.", ""]
    for section in sections:
        lines += [f"## {_plain(section.title)}", "", _plain(section.about), ""]
        lines += [*(f"- {_plain(finding)}" for finding in section.findings), ""]
        for table in section.tables:
            lines += [f"### {_plain(table.title)}", "", _plain(table.sample), ""]
            lines.append("| " + " | ".join(_plain(c.label) for c in table.columns) + " |")
            numeric = ("---" if c.form == "text" else "---:" for c in table.columns)
            lines.append("| " + " | ".join(numeric) + " |")
            for row in table.rows:
                cells = zip(row, table.columns, strict=True)
                line = (_plain(written(value, column.form)) for value, column in cells)
                lines.append("| " + " | ".join(line) + " |")
            meanings = [c for c in table.columns if c.meaning]
            lines += ["", *(f"- *{_plain(c.label)}*: {_plain(c.meaning)}" for c in meanings), ""]
        lines += [f"Measured in {section.seconds:,.0f} s.", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    joined = " ".join(text.split())
    return "".join("\\" + c if c in "\\`*_[]<>#|$~" else c for c in joined)
