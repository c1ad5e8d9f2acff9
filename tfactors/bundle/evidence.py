"""What `tfactors evaluate` found out: one JSON file a section, beside the bundle.

    BUNDLE/evidence/reconstruction.json, fidelity.json, …      and report.md, the same for people

A section is plain: sentences (what it found), and tables whose columns carry their definition and
whose caption says on which sample and how many they were measured; a table may be drawn as a chart.
So a new section needs no new code to be shown. The files are measured after the bundle was sealed
and have seals of their own (:mod:`tfactors.bundle.evidence_seals`). A bundle may come from
anywhere: everything that is read here is checked (the annotations below say how), and all text
stays text. Nothing here imports torch.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from tfactors.bundle import evidence_seals
from tfactors.bundle.validation import FieldError, parse_json, quoted, typed
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
    "origins",
    "recovery",
    "senses",
    "paper",
)
# All files of the folder but the seals.
FILES = (REPORT, *(f"{name}.json" for name in NAMES))
MOST_BYTES, MOST_ROWS, MOST_COLUMNS, MOST_TABLES, MOST_FINDINGS = 4_000_000, 5_000, 30, 20, 50
LONGEST_NAME, LONGEST_TEXT = 40, 2_000
LARGEST_NUMBER = 1e300

Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
Name = Annotated[
    str,
    Meta(
        pattern=r"^[^\W\d]\w*\Z",
        max_length=LONGEST_NAME,
        description=f"a name of at most {LONGEST_NAME} letters, digits and _",
    ),
]
Form = Literal["text", "count", "share", "number", "small"]
Value = Text | int | float | None


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Its name in the table, of letters, digits and _.
    label : str
        Its heading.
    form : str
        How its values are written: ``text``, ``count`` (12,345), ``share`` (12.3%), ``number``
        (1.234) or ``small`` (1.2e-06).
    meaning : str
        Its formula or definition.
    """

    name: Name
    label: Text
    form: Form = "number"
    meaning: Text = ""


@dataclass(frozen=True)
class Chart:
    """How a table is drawn: lines of ``y`` over ``x``, a colour for each value of ``series``.

    Attributes
    ----------
    x, y : str
        Names of columns.
    series : str
        Name of the column whose values are lines of their own; "" draws one line.
    pick : str
        Name of the column of which one value is shown at a time; "" shows all.
    log : bool
        Whether the horizontal axis is logarithmic.
    low, high : str
        Names of the columns with the ends of a confidence interval; "" draws none.
    """

    x: Text
    y: Text
    series: Text = ""
    pick: Text = ""
    log: bool = False
    low: Text = ""
    high: Text = ""


@dataclass(frozen=True)
class Table:
    """Rows of values in the order of the columns.

    Attributes
    ----------
    title : str
        Its heading.
    sample : str
        What was measured, and how many.
    columns : tuple of Column
        What stands in the rows, each under a name of its own.
    rows : tuple of tuples
        The values, None where one is not known.
    chart : Chart or None
        How it is drawn; None shows it as a table alone.
    """

    title: Text
    sample: Text
    columns: Annotated[tuple[Column, ...], Meta(min_length=1, max_length=MOST_COLUMNS)]
    rows: Annotated[tuple[tuple[Value, ...], ...], Meta(max_length=MOST_ROWS)]
    chart: Chart | None = None


@dataclass(frozen=True)
class Section:
    """What one part of the evaluation found.

    Attributes
    ----------
    name : str
        One of NAMES.
    title : str
        Its heading.
    about : str
        What was done, in a sentence or two.
    findings : tuple of str
        What came of it, what missed its aim included.
    tables : tuple of Table
        The numbers.
    bundle : str
        Fingerprint of the bundle; the command fills it in, as it does ``seconds``.
    seconds : float
        How long it took.
    """

    name: str
    title: Text
    about: Text
    findings: Annotated[tuple[Text, ...], Meta(max_length=MOST_FINDINGS)]
    tables: Annotated[tuple[Table, ...], Meta(max_length=MOST_TABLES)]
    bundle: Text = ""
    seconds: Annotated[float, Meta(ge=0, le=LARGEST_NUMBER)] = 0.0


def folder_of(bundle: Path) -> Path:
    """Return where the evidence on a bundle stands."""
    return bundle / FOLDER


def write_section(folder: Path, section: Section) -> None:
    """Write a section whole or not at all, and seal it; what is unreadable is not written.

    Raises
    ------
    InputError
        It does not fit its own form; names the field.
    """
    content = {"format": FORMAT, "version": VERSION} | asdict(section)
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    parse(text, section.name)
    evidence_seals.write_sealed(folder, f"{section.name}.json", text + "\n", FILES)


def write_report(folder: Path, title: str, sections: list[Section]) -> None:
    """Write the report for people, and seal it."""
    evidence_seals.write_sealed(folder, REPORT, markdown(title, sections), FILES)


def seal(folder: Path) -> None:
    """Seal evidence from before there were seals as it is; with seals nothing is done."""
    evidence_seals.seal_all(folder, FILES)


def is_sealed(folder: Path) -> bool:
    """Return whether the evidence in a folder has seals."""
    return (folder / evidence_seals.FILE).exists()


def is_intact(folder: Path, name: str) -> bool:
    """Return whether a section is the one that was sealed."""
    try:
        seals = evidence_seals.read_seals(folder) or {}
        evidence_seals.check_seal(folder, f"{name}.json", seals)
    except InputError:
        return False
    return True


def check(folder: Path) -> None:
    """Check that all evidence in a folder is as it was written, and can be read.

    Raises
    ------
    InputError
        Names the first file that is not.
    """
    evidence_seals.check_seals(folder, FILES)
    read_all(folder)


def read_section(folder: Path, name: str) -> Section | None:
    """Return a section, or None where it was not measured.

    Raises
    ------
    InputError
        There is a file that cannot be used.
    """
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
    """Return all sections that were measured, in their order.

    Raises
    ------
    InputError
        One of them cannot be used.
    """
    found = (read_section(folder, name) for name in NAMES)
    return [section for section in found if section is not None]


def parse(text: str, name: str) -> Section:
    """Return the section that a file holds.

    Parameters
    ----------
    text : str
        What is in the file.
    name : str
        The section that it has to be.

    Raises
    ------
    InputError
        One line that names the field which does not fit.
    """
    try:
        given = parse_json(text)
        if not isinstance(given, dict) or given.get("format") != FORMAT:
            raise FieldError(f'expected an object with "format": "{FORMAT}"')
        if given.get("version") != VERSION:
            found = quoted(given.get("version"))
            raise FieldError(f"version {found}, and this tfactors reads {VERSION}; upgrade it")
        if given.get("name") != name or name not in NAMES:
            raise FieldError(f"is named {quoted(given.get('name'))}; expected '{name}'")
        section = typed(given, Section)
        for number, table in enumerate(section.tables):
            _check_table(table, f"tables[{number}]")
    except FieldError as error:
        raise _wrong(name, str(error)) from None
    return section


def _check_table(table: Table, path: str) -> None:
    """Raise FieldError unless the rows and the chart of a table fit its columns."""
    form = {column.name: column.form for column in table.columns}
    if len(form) < len(table.columns):
        raise FieldError(f"'{path}.columns' do not have names of their own")
    for number, row in enumerate(table.rows):
        at = f"{path}.rows[{number}]"
        if len(row) != len(form):
            raise FieldError(f"'{at}' has {len(row)} values; expected its {len(form)} columns")
        for value, column in zip(row, table.columns, strict=True):
            if not _fits(value, column.form):
                raise FieldError(f"'{at}' is {quoted(value)}: {column.name} is no {column.form}")
    if table.chart is None:
        return
    for key in ("x", "y", "series", "pick", "low", "high"):
        named = getattr(table.chart, key)
        if not named and key not in ("x", "y"):
            continue
        at = f"'{path}.chart.{key}' is {quoted(named)}"
        if named not in form:
            raise FieldError(f"{at}, which is no column")
        if key in ("y", "low", "high") and form[named] == "text":
            raise FieldError(f"{at}, which is no number")
        if key in ("series", "pick") and form[named] != "text":
            raise FieldError(f"{at}, which is no text")


def _fits(value: Value, form: str) -> bool:
    """Whether a value can be written in a form.

    >>> _fits(None, "share"), _fits("a", "share"), _fits(1e301, "share"), _fits(2, "share")
    (True, False, False, True)
    """
    if value is None or isinstance(value, str):
        return value is None or form == "text"
    return form != "text" and abs(value) < LARGEST_NUMBER and math.isfinite(value)


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
