"""Text files become documents, and what cannot be read is named in one line."""

import csv
import gzip
import json
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfactors.text.documents import CorpusError, Document, join_wrapped_lines, read_files


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


WRITERS = {"a.jsonl": write_jsonl, "a.csv": write_csv, "a.parquet": write_parquet}


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


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.jsonl", "a.csv"])
def test_a_gzipped_file_reads_as_the_file_itself(tmp_path, name):
    path = tmp_path / name
    if name in WRITERS:
        WRITERS[name](path, ROWS)
    else:
        path.write_text("some text")
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert texts(tmp_path / f"{name}.gz") == texts(path)


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
    assert ".txt, .md, .jsonl, .csv, .parquet or .tokens" in error(tmp_path)


@pytest.mark.parametrize("name", ["paper.pdf", "README", "a.parquet.gz"])
def test_an_unknown_suffix_names_those_that_are_known(tmp_path, name):
    (tmp_path / name).write_text("text")
    assert ".txt, .md, .jsonl, .csv, .parquet or .tokens" in error(tmp_path / name)


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


def test_hard_wrapped_lines_are_joined_and_paragraphs_are_not():
    wrapped = (
        "CHAPTER I\n\nCall me Ishmael. Some years ago, never mind how long\n"
        "precisely, having little or no money in my purse, and\n"
        "nothing particular to interest me on shore, I thought\n"
        "I would sail about a little.\n\nIt is a way I have.\n"
    )
    assert join_wrapped_lines(wrapped) == (
        "CHAPTER I\n\nCall me Ishmael. Some years ago, never mind how long precisely, having "
        "little or no money in my purse, and nothing particular to interest me on shore, I "
        "thought I would sail about a little.\n\nIt is a way I have.\n"
    )


def test_long_lines_and_lists_keep_their_newlines():
    paragraphs = "\n".join("a sentence of a long paragraph " * 10 for _ in range(5))
    assert join_wrapped_lines(paragraphs) == paragraphs
    shopping = "apples and pears\n- a loaf of bread\n- eight eggs\nmilk"
    assert join_wrapped_lines(shopping) == shopping


@given(st.text(alphabet="ab \n\r-1.", max_size=300))
def test_joining_lines_changes_nothing_but_line_ends(text):
    assert join_wrapped_lines(text).split() == text.split()


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
