"""Writing and reading a bundle: what is written comes back, lean, and errors are one clear line."""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lent_copy import LentCopy
from synthetic_bundle import HOSTILE, write_synthetic_bundle

from tfactors.bundle import Bundle, BundleError
from tfactors.bundle.format import SCHEMAS, bundle_files, example_file
from tfactors.bundle.manifest import canonical_json
from tfactors.bundle.writing import write_dictionary, write_manifest, write_table, write_words

FACTORS, LAYERS = 40, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_synthetic_bundle(tmp_path_factory.mktemp("bundle"), FACTORS, LAYERS)


@pytest.fixture(scope="module")
def bundle(folder) -> Bundle:
    return Bundle.open(folder)


@pytest.fixture(scope="module")
def only_copy(folder, tmp_path_factory) -> LentCopy:
    return LentCopy(folder, tmp_path_factory.mktemp("copied") / "copy")


@pytest.fixture
def copy(only_copy) -> Iterator[Path]:
    with only_copy.lent() as path:
        yield path


def read_everything(bundle: Bundle) -> list:
    """One result of every reading method, for a few factors."""
    found = [bundle.factors, bundle.documents, bundle.dictionary, bundle.importance()]
    found += [bundle.windows([0, 77, 199]), bundle.word_factors("river")]
    found += [bundle.senses(), bundle.occurrences("Bank ")]
    found += [*bundle.imported_tensors().values(), bundle.effects(), bundle.second_dictionary]
    found += [bundle.regions, *bundle.meanings()]
    found += [*bundle.baseline().values()]
    for factor in (3, FACTORS - 1):
        found += [bundle.importance(factor), bundle.retention(factor)]
        found += [bundle.neighbours(factor, "together"), bundle.vocabulary(factor)]
        found += [bundle.origins(factor), bundle.feeds(factor)]
        for layer in bundle.layers:
            found += [bundle.examples(factor, layer), bundle.histogram(factor, layer)]
            found += [bundle.words(factor, layer), bundle.saliency(factor, layer)]
            found += [bundle.contexts(factor, layer), bundle.samples(factor, layer)]
    return found


def same(left: list, right: list) -> bool:
    return all(
        a.equals(b) if isinstance(a, pd.DataFrame) else (a == b).all()
        for a, b in zip(left, right, strict=True)
    )


# --- reading ---------------------------------------------------------------------------------


def test_opening_reads_only_the_manifest(folder, tmp_path):
    shutil.copy(folder / "manifest.json", tmp_path)
    bundle = Bundle.open(tmp_path)
    assert bundle.title == "Made-up English"
    assert (bundle.n_factors, bundle.layers, bundle.blocks) == (FACTORS, [0, 1, 2, 3], 3)
    assert bundle.scale[2] == pytest.approx(1.2)


def test_every_table_read_by_factor_is_the_whole_table_filtered(folder, bundle):
    """Row groups are an optimisation: pandas over the whole file finds the same rows."""
    examples = {n: pd.read_parquet(folder / example_file(n)) for n in bundle.layers}
    importance = pd.read_parquet(folder / "importance.parquet")
    words = pd.read_parquet(folder / "words.parquet")
    retention = pd.read_parquet(folder / "retention.parquet")
    saliency = pd.read_parquet(folder / "saliency.parquet")
    for factor in range(0, FACTORS, 3):
        mine = importance[importance.factor == factor].drop(columns="factor")
        assert bundle.importance(factor).equals(mine.reset_index(drop=True))
        mine = retention[retention.factor == factor].drop(columns="factor")
        assert bundle.retention(factor).equals(mine.reset_index(drop=True))
        for layer, table in examples.items():
            found = bundle.examples(factor, layer).drop(columns="layer")
            assert found.equals(table[table.factor == factor].reset_index(drop=True))
            mine = words[(words.factor == factor) & (words.layer == layer)]
            found = bundle.words(factor, layer).sort_values("word")
            assert found["word"].tolist() == mine["word"].tolist()
            assert found["count"].tolist() == mine["count"].tolist()
            mine = saliency[(saliency.factor == factor) & (saliency.layer == layer)]
            assert bundle.saliency(factor, layer)["rank"].tolist() == mine["rank"].tolist()


def test_the_top_examples_are_the_strongest_and_in_order(bundle):
    factor = int(bundle.factors.loc[bundle.factors.alive, "factor"].iloc[8])
    layer = int(bundle.factors.peak_layer[factor])
    every = bundle.examples(factor, layer)
    assert len(every) > 10
    assert every["activation"].is_monotonic_decreasing
    assert bundle.examples(factor, layer, top=5).equals(every.head(5))


@pytest.mark.parametrize("factors", [[3], [30, 2, 17, 16, 39], []])
def test_examples_of_several_factors_are_those_of_each_in_the_order_asked_for(bundle, factors):
    layers = [bundle.layers[factor % LAYERS] for factor in factors]
    each = [bundle.examples(*place, top=7) for place in zip(factors, layers, strict=True)]
    found = bundle.examples_of(factors, layers, top=7)
    assert found.equals(pd.concat([bundle.examples(0, 0, top=0), *each], ignore_index=True))
    assert list(found.dtypes) == list(bundle.examples(0, 0).dtypes)


def test_examples_of_a_factor_or_layer_that_is_not_there_are_an_error(bundle):
    with pytest.raises(BundleError, match=f"factor {FACTORS}"):
        bundle.examples_of([1, FACTORS], [0, 0])
    with pytest.raises(BundleError, match=f"layer {LAYERS}"):
        bundle.examples_of([1, 2], [0, LAYERS])


def test_windows_come_in_the_order_asked_for_with_repeats(bundle):
    found = bundle.windows([150, 3, 150])
    assert found["window"].tolist() == [150, 3, 150]
    assert found["tokens"][0] == found["tokens"][2] != found["tokens"][1]
    assert len(found["tokens"][1]) == len(found["token_ids"][1]) == len(found["word_starts"][1])
    assert len(bundle.windows([])) == 0


@pytest.mark.parametrize(("batch", "start"), [(32, 0), (50, 0), (1024, 64), (7, 191)])
def test_windows_stream_in_batches_of_any_size_from_any_start(bundle, batch, start):
    parts = list(bundle.iter_windows(batch, start))
    assert pd.concat(parts)["window"].tolist() == list(range(start, 200))
    assert all(len(part) == batch for part in parts[:-1])


def test_windows_read_again_are_the_same_and_only_so_many_are_kept_in_memory(folder, monkeypatch):
    monkeypatch.setattr("tfactors.bundle.table.GROUPS_KEPT", 2)
    bundle = Bundle.open(folder)
    first = bundle.windows([0, 40, 80, 120])
    again = bundle.windows([120, 80, 40, 0])
    assert first["tokens"].tolist() == again["tokens"].tolist()[::-1]
    assert len(bundle._files["windows.parquet"]._kept) == 2


def test_windows_are_the_same_without_their_token_ids(bundle):
    bare = bundle.windows([150, 3], token_ids=False)
    assert bare.equals(bundle.windows([150, 3]).drop(columns="token_ids"))
    assert list(bundle.windows([], token_ids=False)) == list(bare)


def test_examples_are_the_same_when_only_one_layer_stays_open(folder, monkeypatch):
    expected = {layer: Bundle.open(folder).examples(3, layer) for layer in range(LAYERS)}
    monkeypatch.setattr("tfactors.bundle.files.GROUPS_OPEN", 1)
    bundle = Bundle.open(folder)
    for layer in [*range(LAYERS), 0, LAYERS - 1]:
        assert bundle.examples(3, layer).equals(expected[layer])
        assert [n for n in bundle._files if n.startswith("examples/")] == [example_file(layer)]


def test_row_groups_are_found_where_the_bounds_of_some_are_unknown(bundle):
    """As of a word that is too long; a group without bounds is read, never passed over."""
    file = bundle._file("factor_words.parquet")
    assert file.groups > 2
    for unknown in range(file.groups):
        known = {group: file.bounds(group) for group in range(file.groups)}
        file._bounds = {**known, unknown: None}
        for factor in range(FACTORS):
            held = {g for g, ends in known.items() if g == unknown or ends[0] <= factor <= ends[1]}
            found = file.groups_with(factor)
            first, last = known[unknown]
            may_be_there = first <= factor <= last
            assert set(found) == held or (not may_be_there and set(found) == held - {unknown})
        file._bounds = {}


def test_the_words_of_an_example_stand_in_its_window(bundle):
    for layer in bundle.layers:
        examples = bundle.examples(3, layer)
        for text, example in zip(
            bundle.windows(examples["window"])["tokens"], examples.itertuples(), strict=True
        ):
            assert "".join(text[example.position :]).lstrip().startswith(example.word)


@pytest.mark.parametrize("word", HOSTILE)
def test_a_word_is_found_whatever_it_is_made_of(bundle, word):
    """Among them one of 10,000 letters, for which Parquet keeps no statistics."""
    found = bundle.word_factors(word)
    assert len(found)
    for row in found.itertuples():
        names = bundle.words(row.factor, row.layer)
        assert row.count == names.set_index("word")["count"][word.casefold()]


def test_a_word_is_found_in_any_case_and_with_blanks_around_it(bundle):
    assert len(bundle.word_factors("river"))
    assert bundle.word_factors(" RIVER ").equals(bundle.word_factors("river"))
    assert bundle.word_factors("no-such-word").empty


def test_a_dead_factor_has_no_examples_and_an_empty_histogram(bundle):
    dead = FACTORS - 1
    assert not bundle.factors.alive[dead]
    assert bundle.factors.level[dead] == ""
    assert bundle.examples(dead, 2).empty
    assert bundle.words(dead, 2).empty
    assert bundle.retention(dead).empty
    assert bundle.histogram(dead, 2).sum() == 0
    assert pd.isna(bundle.factors.reach[dead])


def test_atoms_come_back_to_the_bit(tmp_path):
    atoms = np.random.default_rng(1).standard_normal((5, 7)).astype(np.float32)
    write_dictionary(tmp_path, atoms)
    model = {"layers": [0], "blocks": 0, "width": 7}
    unsealed = Bundle(tmp_path, {"model": model, "dictionary": {"factors": 5}})
    assert (unsealed.dictionary == atoms).all()


def test_a_page_of_examples_is_one_row_group_of_sixteen_factors(folder):
    file = pq.ParquetFile(folder / example_file(1))
    for group in range(file.num_row_groups):
        factors = file.read_row_group(group)["factor"].to_numpy()
        assert len(set(factors // 16)) == 1
    assert file.num_row_groups == 3  # 40 factors


def test_threads_that_share_a_bundle_read_what_one_thread_reads(folder):
    expected = read_everything(Bundle.open(folder))
    shared = Bundle.open(folder)
    barrier = threading.Barrier(8)

    def read(_: int) -> list:
        barrier.wait()
        return read_everything(shared)

    with ThreadPoolExecutor(8) as pool:
        assert all(same(found, expected) for found in pool.map(read, range(8)))


def test_reading_a_bundle_loads_no_torch(folder):
    code = (
        "import sys; from tfactors.bundle import Bundle; "
        f"b = Bundle.open({str(folder)!r}); b.examples(3, 1); b.factors; b.verify(); "
        "print(sorted({'torch', 'transformers', 'lime', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- what goes wrong while reading -----------------------------------------------------------


@pytest.mark.parametrize("factor", [-1, FACTORS, 10**9])
def test_a_factor_out_of_range_is_named_with_the_range(bundle, factor):
    for read in (bundle.importance, bundle.retention, lambda f: bundle.examples(f, 1)):
        with pytest.raises(BundleError, match=f"factor {factor}: .* factors 0 to 39"):
            read(factor)


def test_a_layer_the_bundle_lacks_is_named_with_those_it_has(bundle):
    for read in (bundle.examples, bundle.words, bundle.saliency, bundle.histogram):
        with pytest.raises(BundleError, match=r"layer 9: .* layers 0, 1, 2, 3"):
            read(3, 9)


def test_a_window_out_of_range_is_named_with_the_range(bundle):
    with pytest.raises(BundleError, match=r"window 200: .* windows 0 to 199"):
        bundle.windows([3, 200])


def test_a_folder_that_is_not_there_and_one_that_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="nowhere is not a folder; give the folder of a bundle"):
        Bundle.open(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"holds no manifest\.json; give the folder"):
        Bundle.open(tmp_path)
    (tmp_path / "file").write_text("text")
    with pytest.raises(BundleError, match="is not a folder"):
        Bundle.open(tmp_path / "file")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"title": "x"}'],
)
def test_a_manifest_that_is_no_manifest(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json: damaged"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize(
    ("version", "advice"), [(2, "upgrade tfactors"), (0, "rebuild"), ("1", "rebuild")]
)
def test_another_format_version_says_what_to_do(copy, version, advice):
    path = copy / "manifest.json"
    path.write_text(
        path.read_text().replace('"format_version": 1', f'"format_version": {json.dumps(version)}')
    )
    with pytest.raises(BundleError, match=rf"format version {version}, .* version 1; {advice}"):
        Bundle.open(copy)


def test_a_manifest_edited_by_hand_is_refused(copy):
    path = copy / "manifest.json"
    path.write_text(path.read_text().replace("Made-up English", "My own work"))
    with pytest.raises(BundleError, match=r"manifest\.json: changed since it was written"):
        Bundle.open(copy)


@pytest.mark.parametrize("name", bundle_files(range(LAYERS)))
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other"])
def test_a_file_that_is_missing_or_damaged_is_named_when_it_is_read(copy, name, damage):
    path = copy / name
    if damage == "missing":
        path.unlink()
    elif damage == "other":
        pq.write_table(pa.table({"other": [1, 2]}), path)
    else:
        content = path.read_bytes()
        path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
    with pytest.raises(BundleError, match=rf"^{name}: ") as raised:
        read_everything(Bundle.open(copy))
    assert "\n" not in str(raised.value)
    with pytest.raises(BundleError, match=rf"^{name}: "):
        Bundle.open(copy).verify()


def test_a_file_of_other_columns_is_named_with_the_column(copy):
    """Of the right size and in the right place, so that only the schema can tell."""
    manifest = json.loads((copy / "manifest.json").read_bytes())
    table = pq.read_table(copy / "documents.parquet")
    at = table.schema.get_field_index("title")
    pq.write_table(
        table.set_column(at, "title", pa.array([7] * len(table))), copy / "documents.parquet"
    )
    write_manifest(copy, manifest)
    with pytest.raises(
        BundleError, match=r"documents\.parquet: column 'title' is int64, not string"
    ):
        _ = Bundle.open(copy).documents


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_reading_a_damaged_file_gives_rows_or_one_clear_line(folder, data):
    """Never an error of Arrow, wherever the byte that changed lies."""
    name = data.draw(st.sampled_from(bundle_files(range(LAYERS))))
    whole = (folder / name).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    message = ""
    try:
        (folder / name).write_bytes(changed)
        read_everything(Bundle.open(folder))
    except BundleError as error:
        message = str(error)
    finally:
        (folder / name).write_bytes(whole)
    assert not message or message.startswith(name)
    assert "\n" not in message


# --- writing ---------------------------------------------------------------------------------


def test_the_same_rows_give_the_same_bytes(folder, tmp_path):
    again = write_synthetic_bundle(tmp_path, FACTORS, LAYERS)
    for name in [*bundle_files(range(LAYERS)), "manifest.json"]:
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


def test_rows_are_sorted_and_cut_the_same_however_they_arrive(folder, tmp_path):
    name = example_file(2)
    table = pq.read_table(folder / name)
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    write_table(tmp_path / "shuffled", name, shuffled)
    write_table(tmp_path / "frame", name, shuffled.to_pandas())
    write_table(tmp_path / "batches", name, iter(table.to_batches(max_chunksize=37)))
    expected = (folder / name).read_bytes()
    for way in ("shuffled", "frame", "batches"):
        assert (tmp_path / way / name).read_bytes() == expected, way


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 100), max_size=60), st.integers(1, 9))
def test_a_row_group_holds_whole_factors_whatever_factors_there_are(tmp_path_factory, drawn, size):
    factors = np.array(sorted(drawn), np.int32)
    rank = np.arange(len(factors)) - np.searchsorted(factors, factors)
    columns = {
        "factor": factors,
        "rank": rank,
        "window": rank,
        "position": rank,
        "word": ["w"] * len(factors),
        "activation": 1.0 / (1 + rank),
    }
    folder = tmp_path_factory.mktemp("groups")
    write_table(folder, example_file(0), pa.table(columns).to_batches(max_chunksize=size))
    file = pq.ParquetFile(folder / example_file(0))
    groups = [file.read_row_group(g)["factor"].to_numpy() // 16 for g in range(file.num_row_groups)]
    assert [sorted(set(group)) for group in groups] == [[g] for g in sorted(set(factors // 16))]
    assert pq.read_table(folder / example_file(0))["factor"].to_pylist() == factors.tolist()


def test_a_stream_out_of_order_is_refused_with_its_row(tmp_path):
    batch = pa.record_batch({"factor": [1, 0], "layer": [0, 0], "counts": [[1], [1]]})
    with pytest.raises(BundleError, match=r"histograms\.parquet: row 1 does not come after"):
        write_table(tmp_path, "histograms.parquet", [batch])
    with pytest.raises(BundleError, match=r"histograms\.parquet: row 1 does not come after"):
        write_table(tmp_path, "histograms.parquet", [batch.slice(0, 1), batch.slice(0, 1)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"factor": [0], "layer": [0]}, "given the columns factor, layer; expected factor, layer,"),
        ({"factor": [0], "layer": [70_000], "counts": [[1]]}, "column 'layer': .*70000"),
        ({"factor": [0.5], "layer": [0], "counts": [[1]]}, "column 'factor': "),
        ({"factor": ["x"], "layer": [0], "counts": [[1]]}, "column 'factor': "),
        ({"factor": [None], "layer": [0], "counts": [[1]]}, "column 'factor' row 0: missing value"),
    ],
)
def test_columns_that_do_not_fit_are_refused_by_name(tmp_path, columns, problem):
    with pytest.raises(BundleError, match=rf"histograms\.parquet: {problem}"):
        write_table(tmp_path, "histograms.parquet", pa.table(columns))


def test_a_table_no_bundle_has_is_refused(tmp_path):
    for name in ("secrets.parquet", "../factors.parquet", "factors.csv", "examples/../../x"):
        with pytest.raises(BundleError, match="not a file of a bundle"):
            write_table(tmp_path, name, pa.table({"factor": [1]}))


def test_a_writer_that_dies_leaves_the_file_that_was_there(folder, copy):
    def rows():
        yield pq.read_table(folder / "documents.parquet").to_batches()[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_table(copy, "documents.parquet", rows())
    before = (folder / "documents.parquet").read_bytes()
    assert (copy / "documents.parquet").read_bytes() == before
    assert not list(copy.rglob("*.part"))


def test_a_folder_whose_table_was_rewritten_is_no_bundle_until_it_is_sealed_again(folder, copy):
    manifest = Bundle.open(copy).manifest
    write_table(copy, "documents.parquet", pq.read_table(folder / "documents.parquet"))
    with pytest.raises(BundleError, match=r"holds no manifest\.json"):
        Bundle.open(copy)
    write_manifest(copy, manifest)
    assert (copy / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()


def test_a_manifest_needs_every_table_and_every_field(copy):
    manifest = json.loads((copy / "manifest.json").read_bytes())
    with pytest.raises(BundleError, match=r"'coding\.penalty' is missing; expected float"):
        write_manifest(copy, manifest | {"coding": {"scale": {}}})
    with pytest.raises(BundleError, match=r"'coding\.scale' is .* expected a number per layer"):
        write_manifest(copy, manifest | {"coding": manifest["coding"] | {"scale": {"0": 1.0}}})
    with pytest.raises(BundleError, match=r"manifest\.json: .*nan"):
        write_manifest(copy, manifest | {"metrics": {"l0": float("nan")}})
    (copy / "words.parquet").unlink()
    with pytest.raises(BundleError, match=r"words\.parquet: not written yet"):
        write_manifest(copy, manifest)


@pytest.mark.parametrize(
    "value",
    [
        *(
            {},
            [],
            [[]],
            {"a": {}},
            [1, [2, {"b": None}]],
            [True, False],
            '\u2028 \x7f\x00"\\/ é 😀',
        ),
        *(0, -1, 10**40, 0.1, -0.0, 1e300, 5e-324, {"1": {"": [0.5]}}, ["{", "}, [", "\n  "]),
    ],
)
def test_a_manifest_is_indented_as_python_indents(value):
    content = {"format_version": 1, "value": value}
    expected = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
    assert canonical_json(content).decode() == expected + "\n"


def test_missing_numbers_are_stored_as_missing_not_as_nan(folder):
    stored = pq.read_table(folder / "factors.parquet")["retained_sentence"]
    assert stored.null_count == 1
    assert not any(np.isnan(stored.drop_null().to_numpy()))


def test_both_word_files_hold_the_same_rows(folder, tmp_path):
    words = pq.read_table(folder / "words.parquet")
    write_words(tmp_path, words.take(np.random.default_rng(2).permutation(len(words))))
    for name in ("words.parquet", "factor_words.parquet"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


OLDER_COLUMNS = ("word_elsewhere", "sentence_elsewhere", "same_place")


def test_files_are_zstd_and_hold_their_schema(folder):
    for name in bundle_files(range(LAYERS)):
        file = pq.ParquetFile(folder / name)
        kind = "examples" if "/" in name else name.removesuffix(".parquet")
        older = OLDER_COLUMNS if kind == "factors" else ()
        names = [name for name in SCHEMAS[kind].names if name not in older]
        assert file.schema_arrow.names == names
        if file.num_row_groups:
            assert file.metadata.row_group(0).column(0).compression == "ZSTD"
