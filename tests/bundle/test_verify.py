"""`verify`: any changed byte is found and its file named; a row that cannot be true is named."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lent_copy import LentCopy
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle, BundleError
from tfactors.bundle.format import LAYOUTS, bundle_files, table_kind
from tfactors.bundle.manifest import canonical_json, manifest_checksum
from tfactors.bundle.writing import write_manifest

LAYERS = 4
FILES = [*bundle_files(range(LAYERS)), "manifest.json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_synthetic_bundle(tmp_path_factory.mktemp("bundle"), layers=LAYERS)


@pytest.fixture(scope="module")
def only_copy(folder, tmp_path_factory) -> LentCopy:
    return LentCopy(folder, tmp_path_factory.mktemp("copied") / "copy")


@pytest.fixture
def copy(only_copy) -> Iterator[Path]:
    with only_copy.lent() as path:
        yield path


def rewrite(folder: Path, name: str, change, groups: list[int] | None = None) -> None:
    """Change a table without our writer's checks, and seal the bundle again."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    table = change(pq.read_table(folder / name))
    layout = LAYOUTS[table_kind(name)]
    row = np.arange(len(table)) // layout.rows
    group = table["factor"].to_numpy() // layout.factors if layout.factors else row
    sizes = groups or np.unique(group, return_counts=True)[1].tolist()
    with pq.ParquetWriter(folder / name, table.schema) as writer:
        for size in [*sizes, len(table)]:
            if len(table):
                writer.write_table(table.slice(0, size), row_group_size=size)
            table = table.slice(size)
    write_manifest(folder, manifest)


def put(column: str, row: int, value):
    """A change of one value."""

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(column)
        field, values = table.schema.field(at), table[column].to_pylist()
        values[row] = value(values[row]) if callable(value) else value
        return table.set_column(at, field, pa.array(values, field.type))

    return change


def drop(row: int):
    """A change that leaves one row out."""
    return lambda table: pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


def test_a_whole_bundle_passes_and_tells_how_far_it_is(folder):
    steps = []
    Bundle.open(folder).verify(lambda name, done, total: steps.append((name, done, total)))
    assert [done for _, done, _ in steps] == list(range(len(steps)))
    assert steps[-1][1] == steps[-1][2]
    assert {name for name, _, _ in steps} == {*FILES, ""} - {"manifest.json"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(1, 1, 20, 3), (2, 1, 1, 1), (17, 2, 20, 40), (130, 13, 9, 64)])
def test_bundles_of_any_shape_pass(tmp_path, shape, seed):
    path = write_synthetic_bundle(tmp_path, *shape, seed=seed)
    Bundle.open(path).verify()


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_byte_changed_anywhere_in_any_file_is_found_and_its_file_named(folder, name, data):
    whole = (folder / name).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        (folder / name).write_bytes(changed)
        with pytest.raises(BundleError, match=rf"^{name}: "):
            Bundle.open(folder).verify()
    finally:
        (folder / name).write_bytes(whole)


@pytest.mark.parametrize("name", FILES)
def test_a_byte_more_or_less_is_found_and_its_file_named(copy, name):
    whole = (copy / name).read_bytes()
    for changed in (whole + b"\n", whole + b"\0", whole[:-1], b" " + whole):
        (copy / name).write_bytes(changed)
        with pytest.raises(BundleError, match=rf"^{name}: "):
            Bundle.open(copy).verify()


def test_the_same_manifest_written_in_another_way_is_refused(copy):
    path = copy / "manifest.json"
    content = json.loads(path.read_bytes())
    ways = [
        json.dumps(content),
        json.dumps(content, indent=4),
        json.dumps(dict(reversed(content.items())), indent=2) + "\n",
        path.read_text().replace("0.7,", "0.70,"),
        path.read_text().replace("\n", "\r\n"),
        "\ufeff" + path.read_text(),
    ]
    for way in ways:
        path.write_bytes(way.encode())
        with pytest.raises(BundleError, match=r"^manifest\.json: "):
            Bundle.open(copy)


@pytest.mark.parametrize("name", ["notes.txt", "examples/layer_99.parquet", ".build/state.npz"])
def test_a_stray_file_is_named(copy, name):
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("left over")
    with pytest.raises(BundleError, match=rf"^{name}: not part of the bundle"):
        Bundle.open(copy).verify()


def test_what_a_file_manager_leaves_does_no_harm(copy):
    (copy / ".DS_Store").write_bytes(b"\0")
    Bundle.open(copy).verify()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../secret.parquet", "lies outside the bundle's folder"),
        ("/etc/passwd", "lies outside the bundle's folder"),
        ("examples/../../x", "lies outside the bundle's folder"),
        ("extra.parquet", "is no file of a bundle"),
    ],
)
def test_a_manifest_that_points_elsewhere_is_refused(copy, name, why):
    manifest = json.loads((copy / "manifest.json").read_bytes())
    manifest["files"][name] = manifest["files"]["words.parquet"]
    manifest["manifest_sha256"] = manifest_checksum(manifest)
    (copy / "manifest.json").write_bytes(canonical_json(manifest))
    with pytest.raises(BundleError, match=rf"^manifest\.json: '{name}' {why}"):
        Bundle.open(copy).verify()


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("corpus.tokens", 3, r"'corpus\.tokens' is 3, and the table holds [\d,]+"),
        ("corpus.windows", 3, r"'corpus\.windows' is 3, and"),
        ("corpus.documents", 3, r"'corpus\.documents' is 3, and"),
        ("model.layers", [2, 1, 0], r"'model\.layers' is \[2, 1, 0\]"),
        ("model.layers", [0, 1, 2, 9], r"layers \[0, 1, 2, 9\] of a model of 3 blocks"),
        ("histogram.edges", [0, 0], r"'histogram\.edges' is \[0, 0\]"),
        ("corpus.sources", ["x"], r"'corpus\.sources\[0\]' is 'x'; expected an object"),
        ("importance.k", True, r"'importance\.k' is True; expected int"),
    ],
)
def test_numbers_of_the_manifest_are_those_of_the_tables(copy, path, value, problem):
    manifest = json.loads((copy / "manifest.json").read_bytes())
    group, key = path.split(".")
    manifest[group][key] = value
    manifest["manifest_sha256"] = manifest_checksum(manifest)
    (copy / "manifest.json").write_bytes(canonical_json(manifest))
    with pytest.raises(BundleError, match=rf"^manifest\.json: {problem}"):
        Bundle.open(copy).verify()


NAN, INF = float("nan"), float("inf")
EXAMPLES = "examples/layer_01"

EVERY_TABLE = [
    ("importance", "importance", 5, NAN, "nan is not a finite number"),
    (EXAMPLES, "activation", 0, INF, "inf is not a finite number"),
    (EXAMPLES, "factor", -1, 40, "40 is none of the factors 0 to 39"),
    (EXAMPLES, "factor", 0, -1, "-1 is none of the factors 0 to 39"),
    ("retention", "layer", 10, 7, "7 is none of the layers 0, 1, 2, 3"),
    ("words", "layer", -1, 50, "50 is none of the layers 0, 1, 2, 3"),
    ("documents", "document", 4, 3, "3 is out of order: rows ascend by document"),
    ("words", "word", 1, "", "'' is out of order: rows ascend by word, factor, layer"),
    ("factors", "words", 2, ["a", None], "holds a missing value"),
    ("dictionary", "atom", 1, [NAN] * 16, "is not a finite number"),
]
TEXT = [
    ("documents", "source", 2, "web", "'web' is none of the manifest's sources"),
    ("documents", "tokens", 2, 7, "7, and the document's windows hold "),
    ("documents", "document", -1, 500, "500 is not the number of its row"),
    ("windows", "window", 199, 500, "500 is not the number of its row"),
    ("windows", "document", 3, 999, "999 is none of the documents 0 to "),
    ("windows", "document", 60, 0, "0 is before the last one"),
    ("windows", "start", 1, 3, "3 is inside the window before"),
    ("windows", "token_ids", 5, [1], "[1] is not as long as tokens"),
    ("windows", "word_starts", 5, [], "[] is not as long as tokens"),
]
FACTORS = [
    ("dictionary", "atom", 7, [1.0] * 16, "has not norm 1"),
    ("importance", "importance", 0, -1.0, "-1 is negative"),
    ("importance", "importance", 0, 99.0, "99 exceeds maximum "),
    ("importance", "density", 3, 1.5, "1.5 is more than 1"),
    ("importance", "density", 3, 0.0, "0 does not go with maximum "),
    ("histograms", "counts", 2, [1, 2], "[1, 2] has not 20 bins"),
    ("histograms", "counts", 2, [-1] * 20, "holds a negative count"),
    ("histograms", "counts", 2, [9**5] * 20, "does not add up to density · tokens"),
    ("factors", "alive", 3, False, "False does not go with importance.parquet"),
    ("factors", "peak_layer", 39, 0, "0 is not -1, and the factor is dead"),
    ("factors", "peak_layer", 3, 9, "9 is not a layer"),
    ("factors", "peak_layer", 3, lambda n: n ^ 1, "is not where importance is largest"),
    ("factors", "depth", 3, 0.12, "0.12 is not peak_layer "),
    ("factors", "level", 3, "huge", "'huge' is not the level that its rule gives"),
    ("factors", "retained_word", 3, -0.5, "-0.5 is negative"),
    ("factors", "token_share", 3, 1.5, "1.5 is no share"),
    ("factors", "window_share", 3, -0.5, "-0.5 is no share"),
    ("factors", "sentence_share", 3, 1.5, "1.5 is no share"),
    ("factors", "effective_words", 3, 0.5, "0.5 is less than one"),
    ("factors", "effective_windows", 3, 0.0, "0 is less than one"),
    ("factors", "reach", 3, -2, "-2 is negative"),
    ("factors", "stability", 3, 1.5, "1.5 is outside -1 to 1"),
    ("factors", "stability", 3, 0.1, "is not the cosine to the nearest atom of the second seed"),
    ("second_dictionary", "atom", 7, [1.0] * 16, "has not norm 1"),
    ("baseline", "part", 0, "another", "'another' is none of basis, mean, place, prior"),
    ("baseline", "row", 4, 9, "9 does not follow the row before"),
    ("baseline", "step", 2, -0.5, "-0.5 is negative"),
    ("baseline", "codes", 2, [1], "[1] is not 64 numbers long"),
    ("baseline_tokens", "token_id", 0, -1, "-1 is negative"),
    ("baseline_tokens", "count", 4, 0, "0 is not above 0"),
    ("baseline_tokens", "step", 4, -0.5, "-0.5 is negative"),
    ("baseline_tokens", "codes", 4, [1] * 6, "is not 5 numbers long"),
    ("retention", "kind", 10, "worst", "'worst' is none of radius, sentence, word"),
    ("retention", "radius", 10, 5, "5 does not go with kind 'word'"),
    ("retention", "retained", 10, 0.99, "0.99 is not what factors.parquet says"),
    ("retention", "retained", 0, -0.5, "-0.5 is negative"),
]
EVIDENCE = [
    ("saliency", "rank", 2, 300, "300 is no example of factor 0 at layer "),
    ("saliency", "samples", 0, -1, "-1 is not a count"),
    ("saliency", "errors", 1, [1.0], "is not as long as weights"),
    ("saliency", "activation", 2, -1.0, "-1 is negative"),
    ("saliency", "stability", 1, 1.5, "1.5 is no correlation"),
    (EXAMPLES, "rank", -1, 99, "99 is not one more than the rank before"),
    (EXAMPLES, "window", 3, 200, "200 is none of the windows 0 to 199"),
    (EXAMPLES, "window", 3, -1, "-1 is none of the windows 0 to 199"),
    (EXAMPLES, "position", 3, 64, "64 is outside the window of "),
    (EXAMPLES, "position", 3, -1, "-1 is outside the window of "),
    (EXAMPLES, "activation", 3, 0.0, "0 is not above 0"),
    (EXAMPLES, "activation", 3, -2.0, "-2 is not above 0"),
    (EXAMPLES, "activation", 3, 99.0, "99 is larger than the one ranked before"),
    (EXAMPLES, "activation", 0, 99.0, "99 is not the maximum in importance.parquet"),
    (EXAMPLES, "word", 3, "zebra", "'zebra' is not the word at position "),
    ("words", "count", 0, 0, "0 is not between 1 and occurrences"),
    ("words", "count", 0, 10**6, "1000000 is not between 1 and occurrences"),
    ("words", "occurrences", 0, 10**6, "1000000 is not the word's count"),
    ("words", "mean_activation", 0, 99.0, "99 is not between 0 and the factor's maximum"),
    ("words", "word", 0, "", "'' does not occur, casefolded, in the windows"),
]


OPTIONAL = [
    ("factors", "label_kind", 3, "guess", "'guess' is none of word, lemma, affix, name,"),
    ("factors", "label_precision", 3, 1.5, "1.5 is no share"),
    ("factors", "label_judge", 3, "a friend", "'a friend' is none of held out, sample, held out w"),
    ("factors", "label_judge", 3, "", "'' is none of held out, sample, held out windows"),
    ("factors", "label_precision", 3, None, "None and label_recall 0."),
    ("factors", "map_x", 3, None, "None and map_y "),
    ("contexts", "rank", -1, 25, "25 is not below 20"),
    ("contexts", "factor", -1, 39, "39 has no example of rank 19 at layer "),
    ("contexts", "positions", 3, [], "[] is empty"),
    ("contexts", "positions", 3, lambda n: n[::-1], "] do not rise"),
    ("contexts", "positions", 3, lambda n: [*n[:-1], 999], "reach beyond the window"),
    ("contexts", "activations", 3, [1.0] * 30, "is not as long as positions"),
    ("contexts", "activations", 3, lambda n: [-1.0, *n[1:]], "are not above 0"),
    ("contexts", "activations", 3, lambda n: [x / 2 for x in n], "do not hold the activation of"),
    ("samples", "rank", -1, 99, "99 is not one more than the rank before"),
    ("samples", "window", 1, 200, "200 is none of the windows 0 to 199"),
    ("samples", "position", 1, 99, "99 is outside its window"),
    ("samples", "word", 1, "zebra", "'zebra' is not the word at "),
    ("samples", "activation", 0, 99.0, "99 exceeds the maximum in importance.parquet"),
    ("samples", "activation", 1, -1.0, "-1 is not above 0"),
    ("samples", "quantile", 0, 2.0, "2 is no share above 0"),
    ("effects", "layer", 0, 3, "3 is the last, where nothing is left to run"),
    ("effects", "examples", 1, 0, "0 is not above 0"),
    ("effects", "removed", 1, -0.5, "-0.5 is negative"),
    ("effects", "random", 1, 0.0, "0 is not above 0"),
    ("effects", "ratio", 2, 99.0, "99 is not removed 0.0"),
    ("effects", "ratio_error", 2, None, "None does not go with 6 examples"),
    ("effects", "elsewhere", 2, 1.5, "1.5 is no share"),
    ("meanings", "layer", 0, 9, "9 is none of the layers 0, 1, 2, 3"),
    ("meanings", "rank", 3, 60, "60 is neither -1 nor an example of factor 0 at layer "),
    ("meanings", "bits", 2, [1], "[1] is not 2 bytes long"),
    ("origins", "kind", 0, "rest", "'rest' is none of factor, word"),
    ("origins", "rank", -1, 30, "30 is not one more than the rank before"),
    ("origins", "layer", 0, 3, "3 is not below the peak layer of factor "),
    ("origins", "source", 0, 40, "40 is none of the factors 0 to 39"),
    ("origins", "word", 0, "river", "'river' is a word, and the source is a factor"),
    ("origins", "offset", 2, 64, "64 is no place in a window of 64 tokens"),
    ("origins", "share", 1, 9.5, "9.5 is larger than the one ranked before"),
    ("origins", "spread", 1, -0.5, "-0.5 is negative"),
    ("origins", "there", 1, 0.0, "0 is no share above 0"),
    ("origins", "before", 1, 1.5, "1.5 is no share"),
    ("origins", "found", 1, 0, "0 is not above 0"),
    ("origins", "found", 1, 7, "7 is more than 6 examples"),
    ("neighbours", "kind", 0, "an", "'an' is none of cosine, together"),
    ("neighbours", "rank", -1, 11, "11 is not one more than the rank before"),
    ("neighbours", "other", 0, 40, "40 is none of the factors 0 to 39"),
    ("neighbours", "other", 0, 0, "0 is the factor itself"),
    ("neighbours", "value", 0, 1.5, "1.5 is outside -1 to 1"),
    ("neighbours", "value", 0, 1.0, "1 is not the cosine of the two atoms"),
    ("neighbours", "value", 9, 0.99, "0.99 is nearer than the one ranked before"),
    ("regions", "zoom", -1, 3, "3 is none of the zooms 0 to 2"),
    ("regions", "region", -1, 5, "5 is not one more than the region before"),
    ("regions", "shared", 0, 1.5, "1.5 is no share"),
    ("regions", "x", 0, 999.0, "999 is not among the factors of the region"),
    ("regions", "factors", 0, [], "[] is empty"),
    ("regions", "factors", 0, [3, 40], "holds a factor that is not there"),
    ("vocabulary", "kind", 0, "a", "'a' is none of input, logit, logit_low"),
    ("vocabulary", "value", 0, 1.5, "1.5 is outside -1 to 1"),
    ("vocabulary", "value", 29, -3.0, "-3 is nearer than the one ranked before"),
    ("vocabulary", "rank", -1, 11, "11 is not one more than the rank before"),
    ("senses", "groups", 0, 1, "1 is fewer than two"),
    ("senses", "occurrences", 1, 5, "5 is too few for 2 groups"),
    ("senses", "chance", 0, -1.5, "-1.5 is outside -1 to 1"),
    ("occurrences", "window", -1, 200, "200 is none of the windows 0 to 199"),
    ("occurrences", "position", 3, 99, "99 is outside its window"),
    ("occurrences", "word", -1, "zebra", "'zebra' is not the word at "),
    ("occurrences", "factors", 3, [5, 40], "holds a factor that is not there"),
    ("occurrences", "activations", 3, [1.0], "is not as long as factors"),
    ("occurrences", "activations", 3, lambda n: [99.0, *n[1:]], "exceeds the maximum in"),
    ("occurrences", "activations", 3, lambda n: [*n[:-1], -1.0], "holds a number that is not"),
]


@pytest.mark.parametrize(
    ("table", "column", "row", "value", "problem"),
    EVERY_TABLE + TEXT + FACTORS + EVIDENCE + OPTIONAL,
)
def test_a_row_that_cannot_be_true_is_named_with_file_column_and_row(
    copy, table, column, row, value, problem
):
    name = f"{table}.parquet"
    rewrite(copy, name, put(column, row, value))
    row = row if row >= 0 else Bundle.open(copy).manifest["files"][name]["rows"] + row
    with pytest.raises(BundleError) as raised:
        Bundle.open(copy).verify()
    message = str(raised.value)
    assert message.startswith(f"{name}: column '{column}' row {row:,}: ")
    assert problem in message
    assert "\n" not in message
    assert len(message) < 250


@pytest.mark.parametrize(
    ("table", "row", "problem"),
    [
        ("importance", 6, "column 'layer' row 6: 3 follows a gap: every factor has a row at every"),
        ("importance", 159, "159 rows; expected 160, one a factor and layer"),
        ("histograms", 0, "column 'layer' row 0: 1 follows a gap"),
        ("factors", 39, "'dictionary.factors' is 40, and the table holds 39"),
        (EXAMPLES, 1, "column 'rank' row 1: 2 is not one more than the rank before"),
        ("factor_words", 3, "its rows are not those of words.parquet"),
        ("words", 3, "its rows are not those of words.parquet"),
        ("feeds", 3, "its rows are not those of origins.parquet"),
        ("regions", 3, "is in 0 regions of zoom 2; expected 1"),
    ],
)
def test_a_row_that_is_missing_is_noticed(copy, table, row, problem):
    rewrite(copy, f"{table}.parquet", drop(row))
    with pytest.raises(BundleError) as raised:
        Bundle.open(copy).verify()
    assert problem in str(raised.value)


def test_a_bundle_may_do_without_the_tables_and_columns_that_later_builds_added(copy):
    optional = ("contexts", "samples", "effects", "neighbours", "vocabulary", "second_dictionary")
    for name in (*optional, "senses", "occurrences", "origins", "feeds", "meanings", "regions"):
        (copy / f"{name}.parquet").unlink()
    columns = ["label_kind", "label_rule", "label_judge", "label_precision", "label_recall"]
    columns += ["map_x", "map_y"]
    rewrite(copy, "factors.parquet", lambda table: table.drop_columns(columns))
    bundle = Bundle.open(copy)
    bundle.verify()
    assert bundle.factors[columns].isna().all(axis=None)
    assert bundle.second_dictionary is None
    assert list(bundle.contexts(3, 1)) == ["rank", "positions", "activations"]
    assert list(bundle.neighbours(3)) == ["rank", "other", "value"]
    assert list(bundle.vocabulary(3)) == ["rank", "token", "value"]
    assert list(bundle.effects(3))[:2] == ["layer", "examples"]
    assert not len(bundle.effects())
    assert list(bundle.origins(3))[:4] == ["rank", "kind", "layer", "source"]
    assert list(bundle.feeds(3))[:3] == ["rank", "layer", "target"]
    assert [len(part) for part in bundle.meanings()] == [0, 0, 0]
    assert not any(map(len, (bundle.origins(3), bundle.feeds(3), bundle.regions)))
    assert list(bundle.samples(3, 1))[-2:] == ["activation", "quantile"]
    assert not any(map(len, (bundle.senses(), bundle.occurrences("bank"))))
    assert not any(map(len, (bundle.contexts(3, 1), bundle.samples(3, 1), bundle.neighbours(3))))


def test_a_word_among_the_sources_has_to_be_one_of_the_text(copy):
    words = pq.read_table(copy / "origins.parquet")["word"].to_pylist()
    row = next(at for at, word in enumerate(words) if word)
    for column, value, problem in (
        ("word", "zebra", "'zebra' does not occur, casefolded, in the windows"),
        ("source", 3, "3 is not -1, and the source is a word"),
    ):
        rewrite(copy, "origins.parquet", put(column, row, value))
        with pytest.raises(BundleError, match=f"column '{column}' row {row}: {problem}"):
            Bundle.open(copy).verify()
        rewrite(copy, "origins.parquet", put(column, row, words[row] if column == "word" else -1))


def test_what_a_factor_feeds_are_the_factors_that_it_is_a_source_of(folder):
    bundle = Bundle.open(folder)
    feeds = {factor: set() for factor in range(-1, 40)}
    for target in range(40):
        made_from = bundle.origins(target)
        for source, share in zip(
            made_from["source"], made_from["share"].astype(float), strict=True
        ):
            if source != target:
                feeds[source].add((target, share))
    for factor in range(40):
        found = bundle.feeds(factor)
        shares = found["share"].astype(float)
        assert set(zip(found["target"], shares, strict=True)) == feeds[factor]
        assert found["share"].abs().is_monotonic_decreasing


def test_a_table_that_a_bundle_might_do_without_is_missed_when_the_manifest_names_it(copy):
    (copy / "contexts.parquet").unlink()
    with pytest.raises(BundleError, match=r"^contexts\.parquet: missing"):
        Bundle.open(copy).verify()
    with pytest.raises(BundleError, match=r"^contexts\.parquet: missing"):
        Bundle.open(copy).contexts(3, 1)


def test_labels_that_people_wrote_may_lie_beside_the_manifest(copy):
    (copy / "labels.json").write_text("{}")
    Bundle.open(copy).verify()


def test_an_active_factor_without_an_example_is_named(copy):
    keep = pc.field("factor") != 7
    rewrite(copy, "examples/layer_01.parquet", lambda table: table.filter(keep))
    with pytest.raises(BundleError, match="factor 7 is active and has no example"):
        Bundle.open(copy).verify()


def test_an_example_listed_twice_for_one_window_is_named(copy):
    def repeat(table: pa.Table) -> pa.Table:
        for column in ("window", "position", "word"):
            table = put(column, 1, table[column][0].as_py())(table)
        return table

    rewrite(copy, "examples/layer_01.parquet", repeat)
    with pytest.raises(BundleError, match=r"'window' row 1: \d+ is in this factor's list already"):
        Bundle.open(copy).verify()


def test_a_map_with_fewer_weights_than_its_window_has_tokens_is_named(copy):
    rewrite(copy, "saliency.parquet", put("errors", 1, [1.0]))
    rewrite(copy, "saliency.parquet", put("weights", 1, [1.0]))
    with pytest.raises(BundleError, match=r"column 'weights' row 1: 1 weights for a window of "):
        Bundle.open(copy).verify()


def test_a_row_group_cut_through_a_factor_is_refused(copy):
    rewrite(copy, f"{EXAMPLES}.parquet", lambda table: table, groups=[100])
    with pytest.raises(BundleError, match=r"row group \d does not hold 16 whole factors"):
        Bundle.open(copy).verify()


def test_windows_in_other_row_groups_than_the_reader_expects_are_refused(copy):
    rewrite(copy, "windows.parquet", lambda table: table, groups=[64, 64])
    with pytest.raises(BundleError, match=r"windows\.parquet: row group 0 does not hold 32 rows"):
        Bundle.open(copy).verify()


def test_the_word_of_every_token_is_the_one_that_the_corpus_module_finds(folder):
    """verify finds words by slices of bytes; word_at joins tokens. They must agree."""
    from tfactors.bundle.verify_tables import Tables
    from tfactors.text.words import LONGEST_WORD, word_at

    bundle = Bundle.open(folder)
    tables = Tables(folder, bundle.about)
    tables.check_documents()
    tables.check_windows()
    vocabulary = tables.vocabulary.to_pylist()
    found = iter(vocabulary[code] for code in tables.word_of_token)
    for row in bundle.windows(range(200)).itertuples():
        for position in range(len(row.tokens)):
            assert next(found) == word_at(row.tokens, row.word_starts, position)[:LONGEST_WORD]
