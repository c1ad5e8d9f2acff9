"""Tables of labelled senses: read or refused in one line, and scored as scikit-learn scores."""

import csv
import io
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.feature_selection import f_classif
from sklearn.metrics import precision_recall_fscore_support

from tfactors.errors import InputError
from tfactors.evaluate import label_scores, labelled_senses, word_scores, word_senses

HEAD = "text\tword\toffset\tlabel\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text\tword\toffset\nHe left.\tleft\t3\n", "column 'label' is missing"),
        (HEAD, "holds no rows"),
        (
            HEAD + "He left.\tleft\t3\tverb\nHe left.\tleft\tthree\tverb\n",
            "row 2, column 'offset': ",
        ),
        (
            HEAD + "He left.\tleft\t4\tverb\n",
            "row 1, column 'offset': 4 is not where 'left' stands",
        ),
        (HEAD + "He left.\tleft\t99\tverb\n", "row 1, column 'offset': 99 is not where"),
        (HEAD + "He left.\tleft\t3\n", "row 1, column 'label': is empty"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_row_and_column(tmp_path, content, problem):
    path = tmp_path / "senses.tsv"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError) as raised:
        labelled_senses.read_senses(path)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_byte_order_mark_changes_nothing_whichever_column_is_first(tmp_path):
    row = {"document": "d0", "text": "He left.", "word": "left", "offset": "3", "label": "verb"}
    for first in row:
        names = [first, *(name for name in row if name != first)]
        table = "\r\n".join(["\t".join(names), "\t".join(row[name] for name in names), ""])
        read = []
        for mark in ("", "\ufeff"):
            path = tmp_path / "senses.tsv"
            path.write_bytes((mark + table).encode())
            read.append(labelled_senses.read_senses(path))
        assert read[0] == read[1]
        assert read[1][0].document == "d0"  # else folds would leak


def test_a_table_that_excel_saved_as_csv_is_the_table_that_it_was(tmp_path):
    text = 'He said "left; or right", then "naïve".'
    row = {"document": "d0", "text": text, "word": "naïve", "offset": str(text.index("naïve"))}
    file = io.StringIO()
    writer = csv.DictWriter(file, [*row, "label"], delimiter=";", lineterminator="\r\n")
    writer.writeheader()
    writer.writerow(row | {"label": "adjective"})
    path = tmp_path / "senses.csv"
    path.write_bytes(file.getvalue().encode("utf-8-sig"))
    (read,) = labelled_senses.read_senses(path)
    assert (read.text, read.word, read.document) == (text, "naïve", "d0")


def test_a_table_without_a_word_of_two_labels_names_its_words(tmp_path):
    path = tmp_path / "senses.tsv"
    path.write_text(HEAD + "He left.\tleft\t3\tverb\nThey left.\tleft\t5\tverb\n", "utf-8")
    with pytest.raises(InputError, match=r"no word has two labels .* the words are “left”$"):
        word_senses.check_senses(SimpleNamespace(options={"senses": path}))


def test_the_table_that_comes_along_has_eleven_words_each_with_its_senses_in_many_documents():
    rows = labelled_senses.read_senses(labelled_senses.SHIPPED)  # which checks every offset
    assert len({(row.word, row.text) for row in rows}) == len(rows)
    labels = {row.word: Counter(r.label for r in rows if r.word == row.word) for row in rows}
    assert len(labels) == 11
    for word, counts in labels.items():
        documents = Counter(row.document for row in rows if row.word == word)
        assert counts.total() >= 40, word
        assert len(counts) >= 2, word
        assert min(counts.values()) >= 10, word
        assert len(documents) >= 40, word
        assert word == "left" or max(documents.values()) <= 2, word


def test_what_is_said_of_the_table_is_what_it_holds():
    said = labelled_senses.SHIPPED.with_suffix(".md").read_text("utf-8")
    rows = labelled_senses.read_senses(labelled_senses.SHIPPED)
    for (word, label), count in Counter((row.word, row.label) for row in rows).items():
        about = said.split(f"- **{word}**", 1)[1].split("**", 1)[0]
        assert f"*{label}* ({count})" in about, (word, label)


def test_a_word_of_the_table_stands_alone_where_its_offset_says():
    for row in labelled_senses.read_senses(labelled_senses.SHIPPED):
        before, after = row.text[: row.offset], row.text[row.offset + len(row.word) :]
        assert not before[-1:].isalnum(), row
        assert not after[:1].isalnum(), row


def test_the_word_is_found_among_the_tokens_whatever_the_white_space():
    text = "  He\n\n left  it,\tthe left"
    first = labelled_senses.Occurrence(text, "left", text.index("left"), "verb", "")
    last = labelled_senses.Occurrence(text, "left", text.rindex("left"), "other", "")
    tokens = ["He", "\nle", "ft", " it", ",", " the", " left"]
    assert labelled_senses.position_of(first, tokens) == 1
    assert labelled_senses.position_of(last, tokens) == 6


def test_scores_are_scikit_learns_means_over_the_labels():
    rng = np.random.default_rng(0)
    labels, guess = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    expected = precision_recall_fscore_support(labels, guess, average="macro", zero_division=0)
    assert label_scores.precision_recall_f1(labels, guess) == pytest.approx(expected[:3])


def test_an_occurrence_that_weighs_two_counts_as_if_it_stood_there_twice():
    rng = np.random.default_rng(1)
    labels, guess = rng.integers(0, 3, 40), rng.integers(0, 3, 40)
    times = rng.integers(0, 4, 40)
    twice = label_scores.precision_recall_f1(np.repeat(labels, times), np.repeat(guess, times))
    assert label_scores.precision_recall_f1(labels, guess, times.astype(float)) == pytest.approx(
        twice
    )


def test_a_label_that_a_draw_of_documents_lacks_is_left_out_of_its_means():
    labels, guess = np.array([0, 0, 1, 2]), np.array([0, 0, 1, 1])
    assert label_scores.precision_recall_f1(labels, guess, np.array([1.0, 1, 1, 0])) == (1, 1, 1)


def test_the_interval_is_wider_where_a_document_is_wrong_as_a_whole():
    labels = np.arange(80) % 2
    guess = np.where(np.arange(80) < 20, 1 - labels, labels)
    alone = label_scores.interval(labels, guess, np.arange(80), 0)
    whole = label_scores.interval(labels, guess, np.arange(80) // 10, 0)
    f1 = label_scores.precision_recall_f1(labels, guess)[2]
    assert alone[0] < f1 < alone[1]
    assert whole[1] - whole[0] > alone[1] - alone[0]


def test_separation_is_scikit_learns_f_statistic_and_0_where_a_feature_is_the_same_everywhere():
    rng = np.random.default_rng(2)
    labels, features = rng.integers(0, 3, 50), rng.random((50, 4))
    assert label_scores.separation(features, labels) == pytest.approx(
        f_classif(features, labels)[0]
    )
    features[:, 1] = 7
    assert label_scores.separation(features, labels)[1] == 0


def test_one_factor_that_is_the_label_tells_it_and_noise_chosen_in_the_folds_does_not():
    rng = np.random.default_rng(3)
    labels, documents = rng.integers(0, 2, 80), np.arange(80) // 2
    noise = rng.random((80, 500))
    folds = label_scores.folds_of(labels, documents, 0)
    knows = np.column_stack([noise, labels + 0.1 * rng.random(80)])
    f1 = {}
    for name, codes in (("knows", knows), ("noise", noise)):
        guesses = word_scores.guesses_by_factors(None, codes, labels, folds)
        f1[name] = label_scores.precision_recall_f1(labels, guesses["one factor", None])[2]
    assert f1["knows"] == 1
    assert f1["noise"] < 0.65


def test_no_document_is_in_two_folds():
    labels = np.arange(40) % 2
    documents = np.arange(40) // 4
    for train, test in label_scores.folds_of(labels, documents, 0):
        assert not set(documents[train]) & set(documents[test])
