"""Tables of senses and labels: rows, or one line, whatever is in the file."""

import csv
import io

from fuzzing import answer, fuzzed, mutated
from hypothesis import example, given
from hypothesis import strategies as some

from tfactors.app.frame import notes_table
from tfactors.evaluate.labelled_senses import Occurrence, read_senses
from tfactors.tables import guarded, read_table, unguarded

SENSES = (
    b"text\tword\toffset\tlabel\tdocument\n"
    b"He left the house.\tleft\t3\twent\tone\n"
    b'"On the left, ""so"""\tleft\t7\tside\ttwo\n'
)
LABELS = (
    'factor,label,note,by,manifest_sha256\r\n3,"three, at last","a ""note""",you,\r\n4,=x,,you,\r\n'
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")
CELLS = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@fuzzed()
@example(SENSES.replace(b"text\t", b"text\x0b"))  # a line's end in the message
@given(mutated(SENSES) | mutated(SENSES.decode().encode("utf-16")))
def test_senses_stand_where_they_are_said_to(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("senses") / "senses.tsv"
    path.write_bytes(content)
    for row in answer(read_senses, path) or []:
        assert isinstance(row, Occurrence)
        stands = row.text[row.offset : row.offset + len(row.word)]
        assert stands.casefold() == row.word.casefold()


@fuzzed()
@given(mutated(LABELS.encode()) | mutated(LABELS.encode("utf-16")))
def test_labels_are_of_factors(content: bytes) -> None:
    def rows(given: bytes) -> list:
        columns, optional = notes_table.COLUMNS, notes_table.OPTIONAL
        return read_table(given, "labels.csv", columns, notes_table._note_of, optional)

    for factor, *_ in answer(rows, content) or []:
        assert factor.isdigit()


@fuzzed()
@given(
    some.lists(some.tuples(CELLS, CELLS), min_size=1, max_size=4),
    some.sampled_from(",;\t|"),
    some.sampled_from(ENCODINGS),
    some.sampled_from(("\n", "\r\n", "\r")),
)
def test_a_table_that_a_program_wrote_is_read_back(
    rows: list[tuple[str, str]], delimiter: str, encoding: str, end: str
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writerows([("factor", "label"), *rows])
    read = answer(
        lambda content: read_table(
            content, "t", ("factor", "label"), lambda row, _: (row["factor"], row["label"])
        ),
        file.getvalue().encode(encoding),
    )
    expected = [row for row in rows if any(cell.strip() for cell in row)]
    assert (read or []) == expected


@fuzzed()
@given(some.text(max_size=20) | some.text(alphabet="'=+-@ \t\n\xa0x", max_size=6))
def test_a_guarded_cell_is_read_back_and_no_formula(text: str) -> None:
    cell = guarded(text)
    assert unguarded(cell) == text
    assert cell.lstrip()[:1] not in ("=", "+", "-", "@")
