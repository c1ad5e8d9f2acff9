"""Tables of labelled senses: read or refused in one line, and scored as scikit-learn scores."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from tfactors import sense_test
from tfactors.errors import InputError

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
        sense_test.read_senses(path)
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_table_that_comes_along_has_both_senses_of_left_in_many_documents():
    rows = sense_test.read_senses(sense_test.SHIPPED)
    labels = [row.label for row in rows if row.word == "left"]
    assert len(labels) >= 40
    assert min(labels.count("verb"), labels.count("other")) >= 20
    assert len({row.document for row in rows}) > 40
    assert len({row.text for row in rows}) == len(rows)


def test_the_word_is_found_among_the_tokens_whatever_the_white_space():
    text = "  He\n\n left  it,\tthe left"
    first = sense_test.Occurrence(text, "left", text.index("left"), "verb", "")
    last = sense_test.Occurrence(text, "left", text.rindex("left"), "other", "")
    tokens = ["He", "\nle", "ft", " it", ",", " the", " left"]
    assert sense_test.position_of(first, tokens) == 1
    assert sense_test.position_of(last, tokens) == 6


def test_scores_are_scikit_learns_means_over_the_labels():
    rng = np.random.default_rng(0)
    labels, guess = rng.integers(0, 3, 60), rng.integers(0, 3, 60)
    expected = precision_recall_fscore_support(labels, guess, average="macro", zero_division=0)
    assert sense_test.scored(labels, guess) == pytest.approx(expected[:3])


def test_no_document_is_in_two_folds():
    labels = np.arange(40) % 2
    documents = np.arange(40) // 4
    for train, test in sense_test._folds(labels, documents, 0):
        assert not set(documents[train]) & set(documents[test])
