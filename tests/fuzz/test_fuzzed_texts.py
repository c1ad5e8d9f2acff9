"""Files of text: documents of text, or one line, whatever their suffix and whatever is in them."""

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import answer, fuzzed, mutated, mutated_file
from hypothesis import example, given
from hypothesis import strategies as some

from tfactors.text.documents import Document, is_saved_dataset, read_files
from tfactors.text.lines import CorpusError

PROSE = "A line of a text that is wrapped,\nand its second one.\n\n- a point\n日本語のテキスト。\n"
ROWS = {"text": [PROSE, "two"], "title": ["one", "two"], "n": [1, None]}


def _parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(ROWS), file, compression="zstd")
    return file.getvalue()


def _arrow(new: type) -> bytes:
    file, table = io.BytesIO(), pa.table(ROWS)
    with new(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def _csv(delimiter: str) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([("title", "text"), ("one", PROSE), ("", "x")])
    return file.getvalue().encode()


OBJECTS = [{"title": "one", "text": PROSE, "meta": {"n": [1]}}, {"text": "two"}]
FILES: list[tuple[str, bytes]] = [
    ("a.txt", PROSE.encode()),
    ("a.md", PROSE.encode("utf-16")),
    ("b.txt", PROSE.encode("utf-32")),
    ("a.tokens", (" = One = \n" + "word " * 500 + "\n").encode()),
    ("a.csv", _csv(",")),
    ("b.csv", b"sep=;\r\n" + _csv(";")),
    ("a.tsv", _csv("\t")),
    ("a.jsonl", "\n".join(map(json.dumps, OBJECTS)).encode()),
    ("a.json", json.dumps(OBJECTS).encode()),
    ("a.parquet", _parquet()),
    ("a.arrow", _arrow(pa.ipc.new_file)),
    ("b.arrow", _arrow(pa.ipc.new_stream)),
    ("a.txt.gz", gzip.compress(PROSE.encode(), mtime=0)),
    ("a.csv.zst", pa.compress(_csv(","), codec="zstd", asbytes=True)),
    ("a.parquet.gz", gzip.compress(_parquet(), mtime=0)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


def documents(path: Path) -> list[Document]:
    """Return the documents of a path, checked: each has text that any file can hold."""
    found = answer(lambda: list(read_files(path))) or []
    for document in found:
        assert document.text.strip()
        document.text.encode()
        document.title.encode()
        assert isinstance(document.held_out, bool)
    return found


def test_an_arrow_file_whose_rows_end_behind_it(folder: Path) -> None:
    stream = _arrow(pa.ipc.new_stream)
    end = len(PROSE.encode()).to_bytes(4, "little"), (len(PROSE.encode()) + 3).to_bytes(4, "little")
    assert stream.count(end[0] + end[1]) == 1
    far = (2**31 - 1).to_bytes(4, "little")
    (folder / "e.arrow").write_bytes(stream.replace(end[0] + end[1], end[0] + far))
    with pytest.raises(CorpusError, match="not a readable Arrow file"):
        list(read_files(folder / "e.arrow"))


def test_a_table_whose_only_column_has_a_name_as_long_as_the_file(folder: Path) -> None:
    (folder / "long.csv").write_text("9" * 50_000 + "\na\n")
    with pytest.raises(CorpusError, match="no column 'text'") as caught:
        list(read_files(folder / "long.csv"))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(("name", "valid"), FILES, ids=[name for name, _ in FILES])
@fuzzed()
@given(data=some.data())
def test_a_file_that_is_nearly_right(
    folder: Path, name: str, valid: bytes, data: some.DataObject
) -> None:
    path = folder / name
    path.write_bytes(valid)
    assert documents(path)
    path.write_bytes(data.draw(mutated(valid)))
    documents(path)


@fuzzed()
@given(mutated_file(OBJECTS) | mutated_file({"text": [PROSE], "title": {"0": "a"}}))
def test_json_of_any_form(folder: Path, content: bytes) -> None:
    for name in ("c.json", "c.jsonl"):
        (folder / name).write_bytes(content)
        documents(folder / name)


@fuzzed()
@example(b'{"a":' * 5000)
@given(mutated_file({"_data_files": [{"filename": "data.arrow"}], "_split": None}))
def test_a_saved_data_set_whose_state_is_damaged(folder: Path, content: bytes) -> None:
    saved = folder / "saved"
    saved.mkdir(exist_ok=True)
    (saved / "data.arrow").write_bytes(_arrow(pa.ipc.new_stream))
    (saved / "state.json").write_bytes(content)
    assert is_saved_dataset(saved) in (True, False)
    documents(saved)


TEXTS = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@fuzzed()
@given(some.lists(TEXTS.filter(str.strip), min_size=1, max_size=4))
def test_rows_that_a_program_wrote_are_read_back(folder: Path, texts: list[str]) -> None:
    pq.write_table(pa.table({"text": texts}), folder / "d.parquet")
    (folder / "d.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    (folder / "d.json").write_text(json.dumps(texts))
    with (folder / "d.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["text"], *([text] for text in texts)])
    expected = [document.text for document in documents(folder / "d.parquet")]
    assert len(expected) == len(texts)
    for name in ("d.jsonl", "d.json", "d.csv"):
        assert [document.text for document in documents(folder / name)] == expected, name
