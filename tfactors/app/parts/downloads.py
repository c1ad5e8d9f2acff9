"""Every table as a file to take along: CSV for people and spreadsheets, Parquet for programs.

Turns a function that makes a table into two buttons. The table is only made when one of them is
pressed. Text of a corpus may look like a formula, which spreadsheets would run: in CSV such a cell
gets an apostrophe in front. Parquet keeps the text as it is.
"""

import io
import itertools
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from tfactors.tables import guarded

if TYPE_CHECKING:
    from streamlit.runtime.scriptrunner import ScriptRunContext

_KEPT = 16  # files of a reader
_NUMBERS = itertools.count()


def show(table: Callable[[], pd.DataFrame], name: str, what: str = "") -> None:
    """Draw the buttons; ``name`` is the file's, without its ending, and unique on the page.

    ``what`` says on them which table it is, where several stand side by side.
    """
    parquet = "application/vnd.apache.parquet"
    typed = "Download this table with its types, for pandas, R or DuckDB."
    with st.container(horizontal=True, gap="xsmall", width="content"):
        _button(
            f"{what} CSV".strip(),
            # With the mark by which Excel knows UTF-8 from the code page of its country.
            lambda: to_csv(table()).encode("utf-8-sig"),
            f"{name}.csv",
            "text/csv",
            "Download this table for a spreadsheet.",
        )
        _button(
            f"{what} Parquet".strip(),
            lambda: to_parquet(table()),
            f"{name}.parquet",
            parquet,
            typed,
        )


def show_json(content: Callable[[], str], name: str, tip: str, what: str = "") -> None:
    """Draw a button for a JSON file; ``name`` and ``what`` as in :func:`show`."""
    _button(
        f"{what} JSON".strip(), lambda: content().encode(), f"{name}.json", "application/json", tip
    )


def _button(label: str, content: Callable[[], bytes], file: str, kind: str, tip: str) -> None:
    name, _, ending = file.rpartition(".")
    reader = get_script_run_ctx(suppress_warning=True)
    st.download_button(
        label,
        lambda: kept(content(), file, kind, reader),
        file,
        kind,
        key=f"{ending}_{name}",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
        help=tip,
    )


def kept(content: bytes, file: str, kind: str, reader: "ScriptRunContext | None") -> bytes:
    """Return a file that is about to be fetched, and keep it until then.

    Streamlit drops it as soon as two pages were made for whomever, and the browser would find
    nothing. So it is kept as the files of the reader's page are: until the next one.
    """
    if runtime.exists():
        place = f"kept.{next(_NUMBERS) % _KEPT}"
        add = runtime.get_instance().media_file_mgr.add
        keeper = threading.Thread(target=add, args=(content, kind, place, file, True))
        add_script_run_ctx(keeper, reader)  # whose file it is goes by the thread
        keeper.start()
        keeper.join()
    return content


def to_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV; lists are joined by semicolons, formulas made text.

    >>> to_csv(pd.DataFrame({"word": ["=1+1"], "curve": [[1.0, 0.5]]}))
    "word,curve\\n'=1+1,1.0;0.5\\n"
    """
    return table.map(_csv_cell).to_csv(index=False)


def to_parquet(table: pd.DataFrame) -> bytes:
    """Return a table as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(
        pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(),
        sink,
        compression="zstd",
    )
    return sink.getvalue()


def _csv_cell(value: object) -> object:
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, np.ndarray | list | tuple):
        return _joined_by_semicolons(value)
    return value


def _joined_by_semicolons(values: Iterable[object]) -> str:
    return ";".join(str(value) for value in values)
