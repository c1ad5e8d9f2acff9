"""Files and folders as people have them: links, pipes, pointers, archives, data sets cut short."""

import bz2
import json
import lzma
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from test_documents import WRITERS, error, texts

from tfactors.text.documents import left_out_line, read_files
from tfactors.text.lines import CorpusError
from tfactors.text.windows import named_corpus, read_documents

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@contextmanager
def another_user() -> Iterator[None]:
    """Somebody to whom permissions apply, where the tests run as root."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)


# --- folders ----------------------------------------------------------------------------------


def test_a_link_to_a_folder_elsewhere_is_followed_once_and_one_back_is_not(tmp_path):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    (here / "below").mkdir(parents=True)
    elsewhere.mkdir()
    (here / "a.txt").write_text("one")
    (here / "below/b.txt").write_text("two")
    (elsewhere / "c.txt").write_text("three")
    (elsewhere / "below").mkdir()
    (elsewhere / "below/d.txt").write_text("four")
    (here / "a_part").symlink_to(elsewhere / "below")
    (here / "above").symlink_to(tmp_path)
    (here / "root").symlink_to("/")
    (here / "linked").symlink_to(elsewhere)
    (here / "linked_again").symlink_to(elsewhere)
    (here / "aaa_below").symlink_to(here / "below")
    (elsewhere / "back").symlink_to(here)
    (elsewhere / "around").symlink_to(elsewhere)
    assert [document.title for document in read_files(here)] == [
        *("a.txt", "a_part/d.txt", "below/b.txt", "linked/c.txt")
    ]


def test_a_folder_that_may_not_be_read_is_named():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "closed").mkdir()
        (folder / "a.txt").write_text("one")
        (folder / "closed/b.txt").write_text("two")
        (folder / "closed").chmod(0)
        with another_user():
            said = error(folder)
        (folder / "closed").chmod(0o755)
        assert said == f"{folder}/closed: cannot be read: Permission denied"


def test_a_pipe_is_left_out_of_a_folder_and_refused_alone(tmp_path):
    os.mkfifo(tmp_path / "p.txt")
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "dir.txt").mkdir()
    left_out = Counter()
    assert [document.text for document in read_files(tmp_path, left_out=left_out)] == ["one"]
    assert left_out_line("here", left_out) == "here: 1 file left out (1 no ordinary file)"
    assert "p.txt: no ordinary file (a pipe or a device); write" in error(tmp_path / "p.txt")


def test_names_that_no_file_can_have_are_refused(tmp_path):
    long = tmp_path / ("a" * 5000 + ".txt")
    assert "no such file or folder" in error(long)
    with pytest.raises(CorpusError, match="no such file or folder"):
        read_documents(long)
    assert named_corpus(str(long)) == f"hf:{long}"


@pytest.mark.parametrize("name", ["", " "])
def test_a_name_that_is_empty_does_not_mean_the_folder_here(tmp_path, monkeypatch, name):
    (tmp_path / "a.txt").write_text("one")
    monkeypatch.chdir(tmp_path)
    assert len(list(read_documents("."))) == 1
    with pytest.raises(CorpusError, match="no name of a text; give that of a file or a folder"):
        read_documents(name)


@pytest.mark.parametrize(("log", "kind"), [("_delta_log", "Delta Lake"), (".hoodie", "Hudi")])
def test_a_table_whose_files_keep_rows_that_were_deleted_is_refused(tmp_path, log, kind):
    pq.write_table(pa.table({"text": ["deleted"]}), tmp_path / "part-0.parquet")
    (tmp_path / log).mkdir()
    assert f"a table of {kind}, whose files keep rows that were deleted" in error(tmp_path)


def saved_dataset(folder: Path, shards: list[str]) -> None:
    """What `Dataset.save_to_disk` writes, as far as it says which files are its rows."""
    folder.mkdir(parents=True)
    for shard in shards:
        table = pa.table({"text": [shard]})
        with pa.ipc.new_stream(folder / shard, table.schema) as stream:
            stream.write_table(table)
    state = {"_data_files": [{"filename": shard} for shard in shards]}
    (folder / "state.json").write_text(json.dumps(state))


def test_a_saved_data_set_that_is_not_whole_is_refused(tmp_path):
    for split in ("train", "test"):
        saved_dataset(tmp_path / split, ["data-0.arrow", "data-1.arrow"])
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert len(texts(tmp_path)) == 4
    (tmp_path / "test/data-1.arrow").unlink()
    assert "test: data-1.arrow is missing of the data set that was saved there" in error(tmp_path)
    (tmp_path / "test/data-1.arrow").symlink_to(tmp_path / "train/data-1.arrow")
    assert len(texts(tmp_path)) == 4
    (tmp_path / "train").rename(tmp_path / "other")
    assert ": train is missing of the data set that was saved there" in error(tmp_path)


def test_a_table_in_which_some_rows_lack_the_column_is_not_read_by_halves(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "b.jsonl").write_text('{"text": "two"}\n{"note": "x"}\n{"text": "three"}\n')
    assert "b.jsonl: no column 'text'; line 2 has note" in error(tmp_path)


# --- what packs a file, or stands for it -------------------------------------------------------


@pytest.mark.parametrize(("ending", "pack"), [(".bz2", bz2.compress), (".xz", lzma.compress)])
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.parquet"])
def test_bzip2_and_xz_are_unpacked(tmp_path, name, ending, pack):
    plain = tmp_path / name
    if name == "a.txt":
        plain.write_text("one")
    else:
        WRITERS[name](plain, [{"text": "one"}])
    whole = pack(plain.read_bytes())
    (tmp_path / f"{name}{ending}").write_bytes(whole)
    assert texts(tmp_path / f"{name}{ending}") == ["one"]
    for damaged in (b"not packed", whole[:-9], whole[:12] + b"\xff" * 12 + whole[24:]):
        (tmp_path / f"{name}{ending}").write_bytes(damaged)
        assert "cannot be read" in error(tmp_path / f"{name}{ending}")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.parquet", "a.txt.gz"])
def test_a_pointer_of_git_lfs_is_no_text(tmp_path, name):
    (tmp_path / name).write_text(POINTER)
    said = "a pointer that Git LFS left in place of the file of 12,345 bytes; run 'git lfs pull'"
    assert said in error(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.tar.gz", "an archive; unpack it, and give the folder"),
        ("a.zip", "an archive; unpack it, and give the folder"),
        ("a.gz", "its name does not say what is packed in it; call it such as a.txt.gz"),
        ("a.pdf.gz", "suffix '.pdf.gz' is unknown"),
    ],
)
def test_what_has_to_be_unpacked_or_renamed_is_told(tmp_path, name, said):
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    assert said in error(tmp_path / name)
    (tmp_path / "b.txt").write_text("one")
    left_out = Counter()
    assert len(list(read_files(tmp_path, left_out=left_out))) == 1
    assert list(left_out) == [name.removeprefix("a")]


def test_a_feather_file_is_an_arrow_file(tmp_path):
    pyarrow.feather.write_feather(pa.table({"text": ["one"]}), tmp_path / "a.feather")
    assert texts(tmp_path / "a.feather") == ["one"]


# --- tables and encodings ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "one", "text": "two"}\n'),
        ("a.json", '[{"text": "one", "text": "two"}]'),
        ("a.json", '{"text": ["one"], "text": ["two"]}'),
        ("a.jsonl", '[{"text": "one", "text": "two"}]'),
    ],
)
def test_a_row_that_says_its_text_twice_is_refused(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert f"{name}: column 'text' is there 2 times; rename" in error(tmp_path / name)


def test_another_key_that_is_there_twice_does_not_matter(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"tag": 1, "text": "one", "tag": 2}\n')
    assert texts(tmp_path / "a.jsonl") == ["one"]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_of_rows_is_read_also_where_it_is_called_lines(tmp_path, indent):
    rows = [{"text": "one"}, {"text": "two"}]
    (tmp_path / "a.jsonl").write_text(json.dumps(rows, indent=indent))
    assert texts(tmp_path / "a.jsonl") == ["one", "two"]


def test_a_text_beside_a_list_of_texts_is_not_taken_for_all(tmp_path):
    rows = {"text": "What this file is.", "data": [{"text": "one"}]}
    (tmp_path / "a.json").write_text(json.dumps(rows))
    assert "a text 'text' and a list of rows with one" in error(tmp_path / "a.json")


@pytest.mark.parametrize("header", ["id, text", " id ,\u00a0text\u200b", '"id","text "'])
def test_blanks_around_the_name_of_a_column_are_no_part_of_it(tmp_path, header):
    (tmp_path / "a.csv").write_text(f"{header}\n1,one\n")
    assert texts(tmp_path / "a.csv") == ["one"]


def test_a_column_without_any_text_is_told_from_an_empty_file(tmp_path):
    pq.write_table(pa.table({"text": pa.nulls(3)}), tmp_path / "a.parquet")
    assert "no row of it has any text in the column 'text'" in error(tmp_path / "a.parquet")


def test_a_file_of_zeros_is_called_no_text(tmp_path):
    # As a file system leaves it where a program was stopped.
    (tmp_path / "a.txt").write_bytes(b"text\n" + bytes(100_000))
    assert "not a text file: a NUL byte at byte 5" in error(tmp_path / "a.txt")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_text_of_one_byte_a_letter_behind_utf_16_is_refused(tmp_path, encoding):
    # What `echo text >> file` leaves in some shells.
    mark = "" if encoding == "utf-16" else "\ufeff"
    first = f"{mark}The first lines of the file.\n".encode(encoding)
    later = b"and some that another program has written behind them, letter by letter.\n"
    (tmp_path / "a.txt").write_bytes(first + later * 2)
    assert "begins as UTF-16, and behind 30 characters text of one" in error(tmp_path / "a.txt")


def test_rulers_and_chinese_are_utf_16_all_the_same(tmp_path):
    random = np.random.default_rng(0)
    chinese = "".join(map(chr, random.integers(0x4E00, 0x9FA5, 50_000)))
    text = f"{'═' * 80}\n{'… ' * 40}\n{'…' * 80}\n{chinese}"
    (tmp_path / "a.txt").write_bytes(text.encode("utf-16"))
    assert texts(tmp_path / "a.txt") == [text]


def test_a_mark_in_the_middle_is_not_taken_for_utf_16(tmp_path):
    joined = b"ab\n\n" + "a longer text of another encoding".encode("utf-16")
    (tmp_path / "a.txt").write_bytes(joined)
    assert "not" in error(tmp_path / "a.txt")
