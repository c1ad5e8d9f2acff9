"""Text files become documents, and what cannot be read is named in one line."""

import bz2
import csv
import gzip
import json
import lzma
import os
import tracemalloc
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfactors import files
from tfactors.tables import read_table
from tfactors.text.documents import Document, left_out_line, read_files
from tfactors.text.lines import CorpusError
from tfactors.text.windows import named_corpus


def texts(path, column=None):
    return [document.text for document in read_files(path, column)]


def error(path, column=None):
    with pytest.raises(CorpusError) as caught:
        list(read_files(path, column))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_text_file_is_one_document_titled_by_its_name(tmp_path):
    (tmp_path / "walden.txt").write_text("I went to the woods.\n\nI left the woods.\n")
    [document] = read_files(tmp_path / "walden.txt")
    assert document == Document(
        "walden.txt", "walden.txt", "I went to the woods.\n\nI left the woods.\n"
    )


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffOne.\r\n\r\nTwo.".encode())
    assert texts(tmp_path / "a.txt") == ["One.\n\nTwo."]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,title\r\nHe left.,One\r\n"),
        ("a.csv", '"text","title"\r\n"He left.","One"\r\n'),
        ("a.csv", '"title","text"\r\n"One","He left."\r\n'),
        ("a.jsonl", '{"text": "He left.", "title": "One"}\n'),
    ],
)
def test_a_byte_order_mark_is_no_part_of_a_tables_first_name(tmp_path, name, content, packed):
    data = ("\ufeff" + content).encode()
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(data) if packed else data)
    [document] = read_files(path)
    assert (document.title, document.text) == ("One", "He left.")


def test_a_folder_is_its_text_files_in_the_order_of_their_names(tmp_path):
    for name in ("b.md", "a/2.txt", "a/10.txt", "c.txt", "image.png", ".hidden.txt", ".git/x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "d.jsonl").write_text('{"text": "row one"}\n')
    documents = list(read_files(tmp_path))
    assert [document.title for document in documents] == [
        *("a/10.txt", "a/2.txt", "b.md", "c.txt"),
        "d.jsonl, row 1",
    ]
    assert {document.source for document in documents} == {tmp_path.name}


ROWS = [
    {"title": "First", "text": 'A "quoted", text\nof two lines'},
    {"title": "", "text": "日本語 and é"},
    {"title": "No text", "text": ""},
    {"title": "Last", "text": "the end"},
]
EXPECTED = [
    ("First", 'A "quoted", text\nof two lines'),
    ("{}, row 2", "日本語 and é"),
    ("Last", "the end"),
]


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=100)


def write_tsv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def write_json(path, rows):
    path.write_text(json.dumps(rows, indent=2), encoding="utf-8")


def write_arrow(path, rows):
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


WRITERS = {
    "a.jsonl": write_jsonl,
    "a.ndjson": write_jsonl,
    "a.json": write_json,
    "lines.json": write_jsonl,
    "a.csv": write_csv,
    "a.tsv": write_tsv,
    "a.parquet": write_parquet,
    "a.arrow": write_arrow,
}


@pytest.mark.parametrize("name", WRITERS)
def test_each_row_of_a_table_is_a_document_titled_by_its_title_column(tmp_path, name):
    WRITERS[name](tmp_path / name, ROWS)
    found = [(document.title, document.text) for document in read_files(tmp_path / name)]
    assert found == [(title.format(name), text) for title, text in EXPECTED]


@pytest.mark.parametrize("name", WRITERS)
def test_the_column_can_be_chosen(tmp_path, name):
    WRITERS[name](tmp_path / name, [{"id": "7", "body": "chosen", "text": "other"}])
    assert texts(tmp_path / name, "body") == ["chosen"]


@pytest.mark.parametrize("name", WRITERS)
def test_a_missing_column_names_the_columns_there_are(tmp_path, name):
    WRITERS[name](tmp_path / name, [{"id": "7", "body": "chosen"}])
    message = error(tmp_path / name)
    assert "no column 'text'" in message
    assert "id, body" in message
    assert "--column" in message


def zstd(data):
    return pa.compress(data, codec="zstd", asbytes=True)


@pytest.mark.parametrize(("ending", "packed"), [(".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize("name", ["a.txt", "a.md", *WRITERS])
def test_a_packed_file_reads_as_the_file_itself(tmp_path, name, ending, packed):
    path = tmp_path / name
    if name in WRITERS:
        WRITERS[name](path, ROWS)
    else:
        path.write_text("some text")
    (tmp_path / f"{name}{ending}").write_bytes(packed(path.read_bytes()))
    assert texts(tmp_path / f"{name}{ending}") == texts(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_long_table_is_streamed(tmp_path, name):
    rows = [{"text": f"{row} " + "word " * 1000} for row in range(4000)]
    WRITERS[name](tmp_path / name, rows)
    assert (tmp_path / name).stat().st_size > 20e6
    del rows
    tracemalloc.start()
    assert sum(1 for _ in read_files(tmp_path / name)) == 4000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e6


def test_a_long_parquet_file_is_streamed(tmp_path):
    rows = [{"text": f"{row} " + "word " * 1000} for row in range(4000)]
    write_parquet(tmp_path / "a.parquet", rows)
    before, peak = pa.total_allocated_bytes(), 0
    for _ in read_files(tmp_path / "a.parquet"):
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert 0 < peak < 4e6


def test_a_field_of_a_megabyte_is_read_from_csv(tmp_path):
    write_csv(tmp_path / "a.csv", [{"text": "long " * 200_000}])
    assert len(texts(tmp_path / "a.csv")[0]) == 1_000_000


def test_a_lone_surrogate_becomes_the_replacement_character(tmp_path):
    (tmp_path / "a.jsonl").write_text(r'{"text": "half a pair: \ud83d"}')
    assert texts(tmp_path / "a.jsonl") == ["half a pair: \ufffd"]


def test_no_such_file(tmp_path):
    assert "no such file or folder" in error(tmp_path / "missing.txt")


@pytest.mark.parametrize("content", [b"", b" \n\t\r\n", "\ufeff".encode()])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_an_empty_file(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert "empty" in error(tmp_path / name) or "no column" in error(tmp_path / name)


def test_a_folder_without_text_names_the_suffixes_it_looked_for(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    assert ".parquet, .arrow or .tokens" in error(tmp_path)


@pytest.mark.parametrize("name", ["paper.pdf", "corpus.zip", "README", "a.pdf.gz"])
def test_an_unknown_suffix_names_those_that_are_known(tmp_path, name):
    (tmp_path / name).write_text("text")
    assert ".parquet, .arrow or .tokens" in error(tmp_path / name)


def test_a_binary_file_is_refused_with_the_offset_of_its_first_nul_byte(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"line one\nline \0two")
    assert "NUL byte at byte 14" in error(tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_text_in_another_encoding_is_refused_with_the_offset(tmp_path, name):
    (tmp_path / name).write_bytes("text\ncaf\xe9 noir".encode("latin-1"))
    if name == "a.txt":
        message = error(tmp_path / name)
        assert "not UTF-8" in message
        assert "0xe9 at byte 8" in message
    else:
        error(tmp_path / name)


def test_a_malformed_line_of_jsonl_is_named_by_its_number(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n\n{"text": "bad"\n')
    assert "line 3 is not JSON" in error(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text('{"text": "good"}\n["bad"]\n')
    assert "line 2 is not an object" in error(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text("[" * 100_000)
    assert "line 1 is not JSON" in error(tmp_path / "a.jsonl")


def test_a_malformed_line_of_csv_is_named_by_its_number(tmp_path):
    (tmp_path / "a.csv").write_text('text\ngood\n"bad"ly quoted\n')
    assert "line 3 is not CSV" in error(tmp_path / "a.csv")


def test_a_column_of_numbers_is_not_text(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"text": 7}])
    assert "row 1: column 'text' holds int" in error(tmp_path / "a.jsonl")
    write_parquet(tmp_path / "a.parquet", [{"text": 7.5}])
    assert "row 1: column 'text' holds float" in error(tmp_path / "a.parquet")


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but no more")
    assert "not a readable Parquet file" in error(tmp_path / "a.parquet")
    whole = gzip.compress(b"some text " * 1000)
    for damaged in (b"no gzip at all", whole[:30], whole[:20] + b"\xff" * 10 + whole[30:]):
        (tmp_path / "a.txt.gz").write_bytes(damaged)
        assert "cannot be read" in error(tmp_path / "a.txt.gz")


def test_about_one_document_in_twenty_is_held_out_whatever_the_order():
    documents = [Document("s", f"{n}", f"text number {n}") for n in range(4000)]
    held_out = {document.title for document in documents if document.held_out}
    assert 160 < len(held_out) < 240
    assert held_out == {document.title for document in reversed(documents) if document.held_out}


def test_a_copy_of_a_document_is_on_the_same_side():
    for n in range(100):
        text = f"text number {n}"
        assert Document("a", "b", text).held_out == Document("c", "d", text, 1900).held_out


def test_a_wikitext_file_is_parted_at_its_article_headings_and_short_articles_are_left_out(
    tmp_path,
):
    body = "The band played its first song in the old town hall . \n" * 50
    text = f" \n = First Article = \n \n {body} = = A section = = \n {body} = Stub = \n \n short \n"
    (tmp_path / "wiki.train.tokens").write_text(text + f" = Second = \n {body}", encoding="utf-8")
    documents = list(read_files(tmp_path / "wiki.train.tokens"))
    assert [d.title for d in documents] == ["First Article", "Second"]
    assert "A section" in documents[0].text
    assert "short" not in documents[0].text


# --- encodings --------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.json"])
def test_a_byte_order_mark_says_how_a_file_is_encoded(tmp_path, name, encoding):
    text = "Ein Café in 東京, \U0001f600."
    content = {
        "a.txt": f"{text}\r\n",
        "a.csv": f'text\r\n"{text}"\r\n',
        "a.jsonl": json.dumps({"text": text}) + "\n",
        "a.json": json.dumps([{"text": text}]),
    }[name]
    mark = "\ufeff" if encoding.endswith("be") else ""
    (tmp_path / name).write_bytes((mark + content).encode(encoding))
    assert [found.strip() for found in texts(tmp_path / name)] == [text]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_known_by_its_zeros(tmp_path, encoding):
    text = "Some plain text, “naïve” 東京 Ā\u3000. "
    (tmp_path / "a.txt").write_bytes((text * 20).encode(encoding))
    assert texts(tmp_path / "a.txt") == [text * 20]
    (tmp_path / "a.csv").write_bytes(f"id;text\r\n1;{text}\r\n".encode(encoding))
    assert texts(tmp_path / "a.csv") == [text]


def test_numbers_of_16_bits_are_not_taken_for_utf_16(tmp_path):
    (tmp_path / "a.txt").write_bytes(np.arange(1, 200, dtype="<i2").tobytes())
    assert "a NUL byte at byte 1" in error(tmp_path / "a.txt")


def test_utf_32_without_a_mark_is_refused_by_its_name(tmp_path):
    (tmp_path / "a.txt").write_bytes(("Some plain text. " * 20).encode("utf-32-le"))
    assert "UTF-32 text without a byte-order mark" in error(tmp_path / "a.txt")


def test_half_a_character_at_the_end_is_told_with_the_encoding(tmp_path):
    (tmp_path / "a.txt").write_bytes("text".encode("utf-16") + b"x")
    assert "not the UTF-16 text that it begins as" in error(tmp_path / "a.txt")


def test_marks_of_files_that_were_joined_are_no_part_of_the_text(tmp_path):
    joined = "\ufeffOne.\n".encode() + "\ufeffTwo.\n".encode()
    (tmp_path / "a.txt").write_bytes(joined)
    assert texts(tmp_path / "a.txt") == ["One.\nTwo.\n"]
    row = '\ufeff{"text": "One."}\n'.encode()
    (tmp_path / "a.jsonl").write_bytes(row * 2)
    assert texts(tmp_path / "a.jsonl") == ["One.", "One."]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"%PDF-1.7 \n", "a PDF"),
        (b"PK\x03\x04 \n", "a zip archive"),
        (gzip.compress(b"text", mtime=0), "packed by gzip"),
        (b"\x28\xb5\x2f\xfd", "packed by Zstandard"),
        (b"PAR1", "a Parquet file"),
    ],
)
def test_what_is_no_text_is_called_by_its_name_whatever_the_file_is_called(tmp_path, head, kind):
    (tmp_path / "a.txt").write_bytes(head)
    assert f"{kind}" in error(tmp_path / "a.txt")


@pytest.mark.parametrize(
    "name", ["a.txt.gz", "a.csv.gz", "a.jsonl.gz", "a.txt.zst", "a.txt.bz2", "a.txt.xz"]
)
def test_what_unpacks_to_hundreds_of_times_itself_is_refused_in_little_memory(
    tmp_path, name, monkeypatch
):
    monkeypatch.setattr(files, "LITTLE", 2_000_000)
    openers = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    with (
        openers[name[-3:].lstrip(".")](tmp_path / name, "wb")
        if not name.endswith(".zst")
        else pa.output_stream(str(tmp_path / name), compression="zstd")
    ) as packed:
        packed.write(b"text\n" if ".csv" in name else b"")
        for _ in range(30):
            packed.write(b"a" * 1_000_000)
    tracemalloc.start()
    assert "unpacks to more than 200 times its" in error(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 25_000_000
    tracemalloc.stop()


def test_what_is_packed_well_but_small_is_read(tmp_path):
    with gzip.open(tmp_path / "a.txt.gz", "wt") as packed:
        packed.write("He left. " * 500_000)
    assert texts(tmp_path / "a.txt.gz") == ["He left. " * 500_000]


def test_a_file_name_that_is_not_utf_8_is_shown_with_a_replacement_character(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"na\xefve.txt")).write_text("Some text.")
    [document] = read_files(folder)
    assert (document.source, document.title) == ("caf\ufffd", "na\ufffdve.txt")


# --- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["sep=;", '"SEP=;"', "sep=;;; ", "sep=\t"])
def test_the_line_that_says_the_separator_means_the_same_to_both_readers(tmp_path, first):
    separator = first.strip(' "')[4]
    table = f"{first}\r\nid{separator}text\r\n1{separator}One, two\r\n"
    (tmp_path / "a.csv").write_text(table, newline="")
    assert texts(tmp_path / "a.csv") == ["One, two"]
    rows = read_table(table.encode(), "a.csv", ["text"], lambda row, _: row["text"])
    assert rows == ["One, two"]


@pytest.mark.parametrize(
    ("header", "separator"),
    [("text", ","), ("a;b,text", ","), ('"a,b,c";TEXT;text', ";"), ("a|text|b\tc", "|")],
)
def test_what_parts_the_columns_is_one_rule_for_both_readers(tmp_path, header, separator):
    names = next(csv.reader([header], delimiter=separator))
    table = f"{header}\n{separator.join(names)}\n"
    (tmp_path / "a.csv").write_text(table)
    assert texts(tmp_path / "a.csv") == ["text"]
    rows = read_table(table.encode(), "a.csv", ["text"], lambda row, _: row["text"])
    assert rows == ["text"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_header_says_what_separates_the_cells_of_a_csv_file(tmp_path, separator):
    (tmp_path / "a.csv").write_text(
        f'id{separator}text\n1{separator}"He said ""no""{separator} left,\nand; slept|."\n'
    )
    assert texts(tmp_path / "a.csv") == [f'He said "no"{separator} left,\nand; slept|.']


def test_excel_may_say_the_separator_in_a_line_of_its_own(tmp_path):
    (tmp_path / "a.csv").write_text("sep=;\nid;text\n1;One, two\n")
    assert texts(tmp_path / "a.csv") == ["One, two"]
    (tmp_path / "a.csv").write_text('sep=;\nid;text\n1;"One" two\n')
    assert "line 3 is not CSV" in error(tmp_path / "a.csv")


def test_lines_of_a_csv_file_may_end_as_on_an_old_mac(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'id,text\r1,One\r2,"Two\r\nlines"\r')
    assert texts(tmp_path / "a.csv") == ["One", "Two\nlines"]


def test_a_text_that_a_separator_cuts_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("text\nI came\nI came, I saw\n")
    assert "line 3 has 2 cells, and the header has 1" in error(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("id,text\n1,I came,,\n")
    assert texts(tmp_path / "a.csv") == ["I came"]


def test_quotes_in_a_file_of_tabs_enclose_cells_or_are_part_of_the_text(tmp_path):
    (tmp_path / "a.tsv").write_text('id\ttext\n1\t"Two\nlines"\n2\t"a ""b"""\n')
    assert texts(tmp_path / "a.tsv") == ["Two\nlines", 'a "b"']
    (tmp_path / "a.tsv").write_text('id\ttext\n1\t"No," he said.\n2\tWhy?\n')
    assert texts(tmp_path / "a.tsv") == ['"No," he said.', "Why?"]
    (tmp_path / "a.tsv").write_text('id\ttext\n1\t"No\n2\tyes"\n3\tWhy?\n')
    assert texts(tmp_path / "a.tsv") == ['"No', 'yes"', "Why?"]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.csv"])
def test_a_column_of_texts_that_is_there_twice_is_refused(tmp_path, name):
    columns = pa.table([["one"], ["two"], ["x"]], names=["text", "text", "other"])
    path = tmp_path / name
    if name == "a.csv":
        path.write_text("text,text,other\none,two,x\n")
    elif name == "a.parquet":
        pq.write_table(columns, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, columns.schema) as out:
            out.write_table(columns)
    assert "column 'text' is there 2 times" in error(path)
    assert texts(path, "other") == ["x"]


@pytest.mark.parametrize(
    "content",
    [
        ["one", "two"],
        [{"text": "one"}, {"text": "two"}],
        {"data": [{"text": "one"}, {"text": "two"}], "version": "1.0"},
        {"text": ["one", "two"]},
        {"text": {"0": "one", "1": "two"}},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_json_may_write_its_rows_in_any_of_the_usual_ways(tmp_path, content, indent):
    (tmp_path / "a.json").write_text(json.dumps(content, indent=indent))
    assert texts(tmp_path / "a.json") == ["one", "two"]


def test_one_object_of_json_is_one_row(tmp_path):
    (tmp_path / "a.json").write_text('{"text": "one", "title": "The title"}')
    [document] = read_files(tmp_path / "a.json")
    assert (document.title, document.text) == ("The title", "one")


@pytest.mark.parametrize("content", ["7", '{"a": 1}', "[1, 2]", '[{"body": "b"}]'])
def test_json_without_texts_says_what_was_expected(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    assert "expected" in error(tmp_path / "a.json") or "no column 'text'" in error(
        tmp_path / "a.json"
    )


def test_malformed_json_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('[{"text": "one"},')
    assert "not JSON" in error(tmp_path / "a.json")


# --- folders ----------------------------------------------------------------------------------


def test_all_kinds_of_files_below_a_folder_are_read_and_the_others_counted(tmp_path):
    for name, write in WRITERS.items():
        write(tmp_path / name, [{"text": f"a row of {name}"}])
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"a packed text"))
    for name in ("one.pdf", "two.pdf", "photo.JPG", "Makefile"):
        (tmp_path / name).write_text("not read")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    left_out = Counter()
    documents = list(read_files(tmp_path, left_out=left_out))
    assert len(documents) == len(WRITERS) + 1
    told = "2 .pdf, 1 .jpg, 1 .json without a column 'text', 1 without a suffix"
    assert left_out_line("here", left_out) == f"here: 5 files left out ({told})"


def test_a_folder_of_tables_without_the_column_names_the_columns_there_are(tmp_path):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text('[{"body": "one"}]')
    assert "row 1 has body; name one with --column" in error(tmp_path)


@pytest.mark.model
def test_a_data_set_that_was_saved_to_disk_is_its_rows(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([{"text": "one", "title": "First"}, {"text": "two"}])
    rows.save_to_disk(str(tmp_path / "rows"))
    left_out = Counter()
    documents = list(read_files(tmp_path / "rows", left_out=left_out))
    assert [document.text for document in documents] == ["one", "two"]
    assert documents[0].title == "First"
    splits = datasets.DatasetDict({"train": rows, "test": rows.select([1])})
    splits.save_to_disk(str(tmp_path / "splits"))
    assert texts(tmp_path / "splits") == ["two", "one", "two"]
    assert not left_out
    assert named_corpus(str(tmp_path / "splits")) == str(tmp_path / "splits")
