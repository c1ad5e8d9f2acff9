"""One table, saved in every way that programs save tables, is one table; or refused in one line."""

import csv
import io
from collections.abc import Iterable, Mapping

import pytest

from tfactors.errors import InputError
from tfactors.tables import RowError, read_table

COLUMNS, OPTIONAL = ("text", "word"), ("document",)
ROWS = [
    {"document": "d0", "text": "He left, she stayed; “naïve” 川 🐢.", "word": "left"},
    {"document": "d1", "text": 'He said "left" twice.', "word": "left"},
    {"document": "d1", "text": "", "word": "x"},
]


def read(content: bytes) -> list[dict[str, str]]:
    return read_table(content, "t.csv", COLUMNS, lambda row, _: dict(row), OPTIONAL)


def saved(
    delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL, end: str = "\r\n", **changes: object
) -> str:
    """The table as a program writes it."""
    file = io.StringIO()
    writer = csv.DictWriter(
        file, list(ROWS[0]), delimiter=delimiter, quoting=quoting, lineterminator=end, **changes
    )
    writer.writeheader()
    writer.writerows(ROWS)
    return file.getvalue()


RAW = {"quoting": csv.QUOTE_NONE, "quotechar": None}
WAYS = {
    "plain": saved().encode(),
    "byte-order mark": saved().encode("utf-8-sig"),
    "mark twice": ("\ufeff" + saved()).encode("utf-8-sig"),
    "UTF-16 of Excel": saved("\t").encode("utf-16"),
    "UTF-16, big end first": ("\ufeff" + saved(";")).encode("utf-16-be"),
    "UTF-16 without a mark": saved("\t").encode("utf-16-le"),
    "UTF-16 without a mark, big end first": saved("\t").encode("utf-16-be"),
    "UTF-32": saved(",").encode("utf-32"),
    "semicolons": saved(";").encode("utf-8-sig"),
    "bars": saved("|").encode(),
    "semicolons, all in quotes": saved(";", csv.QUOTE_ALL).encode(),
    "tabs without quoting": saved("\t", **RAW).encode(),
    "tabs, quotes where needed": saved("\t").encode(),
    "tabs, all in quotes": saved("\t", csv.QUOTE_ALL, "\n").encode(),
    "lines of a Mac": saved(end="\r").encode(),
    "lines of Unix": saved(end="\n").encode(),
    "no new line at the end": saved().rstrip().encode(),
    "empty lines and rows": ("\r\n" + saved().replace("\r\n", "\r\n\r\n") + ",,\r\n").encode(),
    "Excel's first line": ("sep=;\r\n" + saved(";")).encode(),
    "names with blanks": saved().replace("document,text,", " document\u00a0, Text ,", 1).encode(),
    "a column without a name": saved().replace("\r\n", ",\r\n").encode(),
    "a column of no concern": saved().replace("\r\n", ",a,a\r\n").encode(),
}


@pytest.mark.parametrize("way", WAYS)
def test_however_a_table_was_saved_it_is_the_same_table(way: str) -> None:
    assert read(WAYS[way]) == [{name: row[name] for name in (*COLUMNS, *OPTIONAL)} for row in ROWS]


def test_a_column_that_may_be_missing_is_empty() -> None:
    assert read(b"word;text\nleft;He left.\n") == [
        {"text": "He left.", "word": "left", "document": ""}
    ]


def test_a_name_as_it_should_be_wins_over_one_in_another_case() -> None:
    assert read(b"text,word,document,Document\na,b,c,d\n") == [
        {"text": "a", "word": "b", "document": "c"}
    ]


def test_a_field_holds_lines_tabs_and_a_million_letters() -> None:
    text = "one\r\ntwo\tthree\n" + "x" * 1_000_000
    content = f'text\tword\r\n"{text}"\tleft\r\nplain\tleft\r\n'
    assert [row["text"] for row in read(content.encode())] == [text, "plain"]


def words_that_stand_there(rows: Iterable[str]) -> list[str]:
    def check(row: Mapping[str, str], number: int) -> str:
        if row["text"][: len(row["word"])] != row["word"]:
            raise RowError(f": {row['word']} is not first")
        return row["text"]

    content = "\n".join(["text\tword", *rows, ""]).encode()
    return read_table(content, "t.tsv", COLUMNS, check)


def test_quotes_between_tabs_are_letters_or_marks_as_the_rows_fit() -> None:
    letters = ['"He left."\t"He']
    assert words_that_stand_there(letters) == ['"He left."']
    marks = ['"He left, then."\tHe', '"He said ""no""."\tHe']
    assert words_that_stand_there(marks) == ["He left, then.", 'He said "no".']


def test_a_quotation_that_spans_rows_between_tabs_swallows_none() -> None:
    content = b'word\ttext\na\t"He left.\nb\tSo it was.\nc\tThe end."\n'
    assert [row["text"] for row in read(content)] == ['"He left.', "So it was.", 'The end."']


def test_of_two_ways_to_read_quotes_the_one_that_gets_further_says_what_is_wrong() -> None:
    with pytest.raises(InputError, match=r"^t\.tsv: row 2: It is not first$"):
        words_that_stand_there(['"He left, then."\tHe', '"He said ""no""."\tIt'])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no rows; expected text, word"),
        (b"text,word\r\n", "holds no rows"),
        (b"text,word\n,\n", "holds no rows"),
        (b"text,words\na,b\n", "column 'word' is missing; it has text, words; expected text, word"),
        (b"text:word\na:b\n", "column 'text' is missing; it has text:word"),
        (b"text,word,text\na,b,c\n", "column 'text' is there 2 times"),
        (b"text,word,DOCUMENT,Document\na,b,c,d\n", "column 'document' is there 2 times"),
        (b"text,word\na,b\nHe left, then,left\n", "row 2 has 3 values; expected its 2 columns"),
        (b'text,word\n"a"b,c\n', "line 2 is no row of a table parted by commas"),
        (b'text,word\n"a,c\n', "is no row of a table parted by commas: unexpected end"),
        ("text,word\nnaïve,b\n".encode("cp1252"), "not UTF-8 text: 0xef at byte 12; save it as"),
        (b"text,word\na\0,b\n", "a NUL at character 11"),
        (b"\xff\xfet\0e\0x", "not UTF-16-LE text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not UTF-8 text"),
        (b"PK\x03\x04\x14\0\x06\0\x08\0", "a workbook, and no text; save it in Excel as"),
    ],
)
def test_what_is_no_such_table_is_refused_in_one_line(content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=r"^t\.csv: ") as raised:
        read(content)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
