"""Labels as a table: what the page Labels hands out as CSV, and the same taken back.

The table has the columns factor, label, note, by and manifest_sha256, the fingerprint of the bundle
that it is about; whoever writes one by hand may leave out all but the first two. It is read however
a spreadsheet saved it (:mod:`tfactors.tables`).
"""

import json
from collections.abc import Mapping

import pandas as pd

from tfactors.app.frame import notes
from tfactors.bundle import Bundle
from tfactors.bundle.validation import quoted
from tfactors.errors import InputError
from tfactors.portrait import notes_file
from tfactors.portrait.notes_file import Notes
from tfactors.tables import RowError, read_table, unguarded, whole_number

COLUMNS, OPTIONAL = ("factor", "label"), ("note", "manifest_sha256")


def rows_of(shown: Notes, own: Notes, fingerprint: str) -> pd.DataFrame:
    """Return notes as a table, with who wrote each."""
    rows = [
        (at, note.label, note.note, "you" if at in own.notes else "the bundle", fingerprint)
        for at, note in sorted(shown.notes.items())
    ]
    return pd.DataFrame(rows, columns=["factor", "label", "note", "by", "manifest_sha256"])


def load(bundle: Bundle, name: str, content: bytes) -> Notes:
    """Take over a table of labels as `notes.load` takes a file.

    Raises
    ------
    InputError
        It is no table of labels, or is about another bundle; one line that names the row.
    """
    rows = read_table(content, name, COLUMNS, _note_of, OPTIONAL)
    fingerprints = sorted({fingerprint for *_, fingerprint in rows if fingerprint})
    if len(fingerprints) > 1:
        raise InputError(
            f"{name}: column 'manifest_sha256': rows about {len(fingerprints)} bundles; expected "
            "those of one"
        )
    labels: dict[str, dict[str, str]] = {}
    for number, (factor, label, note, _) in enumerate(rows, start=1):
        if factor in labels:
            raise InputError(f"{name}: row {number:,}: factor {factor} is there twice; leave one")
        labels[factor] = {"label": label, "note": note}
    whole = {
        "format": notes_file.FORMAT,
        "version": notes_file.VERSION,
        "bundle": bundle.title,
        "manifest_sha256": fingerprints[0] if fingerprints else "",
        "labels": labels,
    }
    return notes.load(bundle, json.dumps(whole, ensure_ascii=False), name)


def _note_of(row: Mapping[str, str], number: int) -> tuple[str, str, str, str]:
    """Return factor, label, note and fingerprint of a row."""
    factor = whole_number(row["factor"])
    if factor is None:
        given = quoted(row["factor"].strip())
        raise RowError(f", column 'factor': {given} is no number of a factor")
    label, note = unguarded(row["label"]), unguarded(row["note"])
    return str(factor), label, note, row["manifest_sha256"].strip()
