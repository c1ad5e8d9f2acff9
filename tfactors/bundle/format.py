"""What a bundle is made of: its files, their columns and their order.

:mod:`tfactors.bundle.manifest` says what the manifest holds, which seals them.

A bundle may lack the tables and columns that later builds added (:attr:`Layout.optional` and
:attr:`Layout.optional_columns`); a reader then gets none of their rows, or missing values.

Rows are sorted by the keys of their table. In tables keyed by factor a row group holds whole
factors (16 in ``examples/``), so that a page of the dashboard reads one row group whatever the
bundle's size. docs/reference/bundle explains every column.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from tfactors.errors import InputError

MANIFEST = "manifest.json"


class BundleError(InputError):
    """A bundle is missing, damaged, or of another version; the message names file, column, row."""


@dataclass(frozen=True)
class Layout:
    """How one kind of table lies in its file."""

    schema: pa.Schema
    keys: tuple[str, ...]
    """Columns by which rows are sorted, ascending; no two rows share them."""
    factors: int = 0
    """A row group holds this many whole factors: ``factor // factors`` is one number in it."""
    rows: int = 1 << 16
    """Rows of a row group where it does not go by factor."""
    split: tuple[str, ...] = ()
    """Paths of float columns stored byte by byte (BYTE_STREAM_SPLIT), which zstd packs better."""
    optional: bool = False
    """Whether a bundle may do without this table."""
    optional_columns: tuple[str, ...] = ()
    """Columns that a table may do without."""


def _schema(nullable: tuple[str, ...] = (), **columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(n, t, nullable=n in nullable) for n, t in columns.items()])


_i16, _i32, _f32, _f64, _str = pa.int16(), pa.int32(), pa.float32(), pa.float64(), pa.string()

# fmt: off
LAYOUTS: dict[str, Layout] = {
    "dictionary": Layout(
        # The width of the model is part of the type, list<float>[width]: see table_schema.
        _schema(factor=_i32, atom=pa.list_(_f32)),
        # A bundle of published examples alone has no dictionary, so this table is optional too.
        keys=("factor",), factors=1024, split=("atom.list.element",), optional=True,
    ),
    # The same with another seed: how steady are the factors?
    "second_dictionary": Layout(
        _schema(factor=_i32, atom=pa.list_(_f32)),
        keys=("factor",), factors=1024, split=("atom.list.element",), optional=True,
    ),
    # The other tensors of a dictionary that was imported, row by row, as they were in its file.
    "imported": Layout(
        _schema(tensor=_str, row=_i32, values=pa.list_(_f32)),
        keys=("tensor", "row"), rows=1024, split=("values.list.element",), optional=True,
    ),
    # What a token brings of its own, b(w, p): tfactors.coding.baseline. A row is codes · step: the
    # mean, a row of A (prior), of B (basis) or of v (place), of all layers one after another.
    "baseline": Layout(
        _schema(part=_str, row=_i32, step=_f32, codes=pa.list_(pa.int16())),
        keys=("part", "row"), rows=256, split=("codes.list.element",), optional=True,
    ),
    # c(w) of the tokens that the text had, and how often it had them.
    "baseline_tokens": Layout(
        _schema(token_id=_i32, count=_i32, step=_f32, codes=pa.list_(pa.int8())),
        keys=("token_id",), rows=8192, optional=True,
    ),
    "factors": Layout(
        # depth is double so that block 2 of 6 compares equal to a threshold of 1/3.
        _schema(
            (
                "depth", "retained_word", "retained_sentence", "reach", "stability",
                "label_precision", "label_recall", "map_x", "map_y",
                "word_elsewhere", "sentence_elsewhere", "same_place",
                "token_share", "window_share", "sentence_share",
                "effective_words", "effective_windows",
            ),
            factor=_i32, label=_str, level=_str, peak_layer=_i16, depth=_f64,
            retained_word=_f32, retained_sentence=_f32, reach=_i16,
            word_elsewhere=_f32, sentence_elsewhere=_f32, same_place=_f32,
            token_share=_f32, window_share=_f32, sentence_share=_f32,
            effective_words=_f32, effective_windows=_f32,
            words=pa.list_(_str), alive=pa.bool_(), stability=_f32,
            label_kind=_str, label_rule=_str, label_judge=_str,
            label_precision=_f32, label_recall=_f32, map_x=_f32, map_y=_f32,
        ),
        keys=("factor",),
        optional_columns=(
            "word_elsewhere", "sentence_elsewhere", "same_place",
            "token_share", "window_share", "sentence_share",
            "effective_words", "effective_windows",
            "label_kind", "label_rule", "label_judge", "label_precision", "label_recall",
            "map_x", "map_y",
        ),
    ),
    "importance": Layout(
        _schema(factor=_i32, layer=_i16, importance=_f32, density=_f32, maximum=_f32),
        keys=("factor", "layer"), factors=256,
    ),
    "examples": Layout(
        _schema(factor=_i32, rank=_i16, window=_i32, position=_i16, word=_str, activation=_f32),
        keys=("factor", "rank"), factors=16, split=("activation",),
    ),
    "histograms": Layout(
        _schema(factor=_i32, layer=_i16, counts=pa.list_(_i32)),
        keys=("factor", "layer"), factors=64,
    ),
    "saliency": Layout(
        _schema(
            ("stability", "agreement"),
            factor=_i32, layer=_i16, rank=_i16, method=_str,
            weights=pa.list_(_f32), score=_f32, samples=_i32, seed=pa.int64(),
            errors=pa.list_(_f32), activation=_f32, stability=_f32, agreement=_f32,
        ),
        keys=("factor", "layer", "rank", "method"), factors=16,
        split=("weights.list.element",),
        optional_columns=("errors", "activation", "stability", "agreement"),
    ),
    "retention": Layout(
        _schema(factor=_i32, layer=_i16, kind=_str, radius=_i16, retained=_f32),
        keys=("factor", "layer", "kind", "radius"), factors=256,
    ),
    "windows": Layout(
        # The reader goes from the number of a window to its row group, so rows must stay 32.
        _schema(
            window=_i32, document=_i32, start=_i32,
            tokens=pa.list_(_str), token_ids=pa.list_(_i32), word_starts=pa.list_(pa.bool_()),
        ),
        keys=("window",), rows=32,
    ),
    "documents": Layout(
        _schema(
            ("year",),
            document=_i32, source=_str, title=_str, year=_i16, held_out=pa.bool_(), tokens=_i32,
        ),
        keys=("document",),
    ),
    "words": Layout(
        # occurrences: the word's tokens in the whole corpus, so that count / occurrences is the
        # share of them on which the factor is active.
        _schema(
            word=_str, factor=_i32, layer=_i16, count=_i32, mean_activation=_f32, occurrences=_i32
        ),
        keys=("word", "factor", "layer"), rows=8192, split=("mean_activation",),
    ),
    # The rows of words.parquet in the other order, so that "which words does this factor answer
    # to" costs one row group as well.
    "factor_words": Layout(
        _schema(
            factor=_i32, layer=_i16, word=_str, count=_i32, mean_activation=_f32, occurrences=_i32
        ),
        keys=("factor", "layer", "word"), factors=16, split=("mean_activation",),
    ),
    # Of the strongest examples: what the factor does at the other tokens of the window, zeros left
    # out.
    "contexts": Layout(
        _schema(
            factor=_i32, layer=_i16, rank=_i16,
            positions=pa.list_(_i16), activations=pa.list_(_f32),
        ),
        keys=("factor", "layer", "rank"), factors=16, split=("activations.list.element",),
        optional=True,
    ),
    "samples": Layout(
        _schema(
            factor=_i32, layer=_i16, rank=_i16, window=_i32, position=_i16, word=_str,
            activation=_f32, quantile=_f32,
        ),
        keys=("factor", "layer", "rank"), factors=16, split=("activation", "quantile"),
        optional=True,
    ),
    "neighbours": Layout(
        _schema(factor=_i32, kind=_str, rank=_i16, other=_i32, value=_f32),
        keys=("factor", "kind", "rank"), factors=256, split=("value",), optional=True,
    ),
    # What removing a factor does to the sentence embedding: tfactors.effects.
    "effects": Layout(
        _schema(
            ("removed_error", "random_error", "ratio_error"),
            factor=_i32, layer=_i16, examples=_i16, directions=_i16,
            removed=_f32, removed_error=_f32, random=_f32, random_error=_f32,
            ratio=_f32, ratio_error=_f32, above=_f32, elsewhere=_f32,
        ),
        keys=("factor", "layer"), factors=256, optional=True,
    ),
    # What a search by meaning asks: of a factor's name (rank -1) and of its strongest examples at
    # the peak layer the signs of their sentence embeddings, tfactors.describe.meanings.
    "meanings": Layout(
        _schema(factor=_i32, layer=_i16, rank=_i16, bits=pa.list_(pa.uint8())),
        keys=("factor", "rank"), factors=1024, optional=True,
    ),
    # What a factor is made from at its peak layer: tfactors.explain.factor_origins.
    "origins": Layout(
        _schema(
            factor=_i32, rank=_i16, kind=_str, layer=_i16, source=_i32, word=_str,
            offset=_i16, there=_f32, before=_f32, share=_f32, spread=_f32,
            found=_i16, examples=_i16,
        ),
        keys=("factor", "rank"), factors=64, split=("there", "before", "share", "spread"),
        optional=True,
    ),
    # Its rows of factors in the other order, so that "what does this factor go into" costs one row
    # group as well.
    "feeds": Layout(
        _schema(
            factor=_i32, rank=_i16, layer=_i16, target=_i32,
            offset=_i16, there=_f32, before=_f32, share=_f32, spread=_f32,
            found=_i16, examples=_i16,
        ),
        keys=("factor", "rank"), factors=64, split=("there", "before", "share", "spread"),
        optional=True,
    ),
    # The parts of the map, at several zooms: tfactors.describe.regions.
    "regions": Layout(
        _schema(
            zoom=_i16, region=_i16, name=_str, shared=_f32, x=_f32, y=_f32,
            factors=pa.list_(_i32),
        ),
        keys=("zoom", "region"), optional=True,
    ),
    "vocabulary": Layout(
        _schema(factor=_i32, kind=_str, rank=_i16, token=_str, value=_f32),
        keys=("factor", "kind", "rank"), factors=256, split=("value",), optional=True,
    ),
    # Of frequent words: at which layer their occurrences fall apart, and of those that do so most
    # the occurrences with their strongest factors.
    "senses": Layout(
        _schema(
            word=_str, layer=_i16, occurrences=_i16, groups=_i16, silhouette=_f32, chance=_f32
        ),
        keys=("word",), rows=8192, split=("silhouette", "chance"), optional=True,
    ),
    "occurrences": Layout(
        _schema(
            word=_str, window=_i32, position=_i16, layer=_i16,
            factors=pa.list_(_i32), activations=pa.list_(_f32),
        ),
        keys=("word", "window", "position", "layer"), rows=4096,
        split=("activations.list.element",), optional=True,
    ),
}
# fmt: on
SCHEMAS: dict[str, pa.Schema] = {name: layout.schema for name, layout in LAYOUTS.items()}

# The parts of baseline.parquet, by the name of their array.
BASELINE_PARTS = {"basis": "basis", "mean": "mean", "places": "place", "prior": "prior"}
# What a label may say the examples of a factor share; "mixed" says that nothing does.
LABEL_KINDS = (
    "word",
    "lemma",
    "affix",
    "name",
    "number",
    "punctuation",
    "position",
    "neighbour",
    "source",
    "class",
    "pattern",
    "use",
    "topic",
    "mixed",
)
# What judged a label: tokens held out, or those of the sample's windows that proposed nothing; of a
# high-level factor the windows themselves.
LABEL_JUDGES = ("held out", "sample", "held out windows", "sample windows")
# Contexts are stored of this many examples a factor and layer, at most.
CONTEXTS = 20
# How two factors can be near: the cosine of their atoms, or that they fire on the same tokens.
NEIGHBOUR_KINDS = ("cosine", "together")
# What a factor may be made from: a factor of a layer below, or a word, less what all words bring.
SOURCE_KINDS = ("factor", "word")
# Sources of a factor that are kept, at most.
SOURCES = 20
# At how many zooms the map has regions.
REGION_ZOOMS = 3
# Where a token of the vocabulary is near a factor: at the model's input, or among the logits of
# its head, raised or lowered most.
VOCABULARY_KINDS = ("input", "logit", "logit_low")
# Written by people beside the manifest, and no part of what a build sealed.
PEOPLES_LABELS = "labels.json"


def example_file(layer: int) -> str:
    """Return the file of one layer's examples, ``examples/layer_04.parquet``."""
    return f"examples/layer_{layer:02d}.parquet"


def bundle_files(layers: Iterable[int]) -> list[str]:
    """Return every Parquet file that a bundle over these layers may hold, in a fixed order."""
    names = [f"{name}.parquet" for name in LAYOUTS if name != "examples"]
    return sorted(names + [example_file(layer) for layer in layers])


def is_optional(file_name: str) -> bool:
    """Whether a bundle may do without this file."""
    return LAYOUTS[table_kind(file_name)].optional


def table_kind(file_name: str) -> str:
    """Return the key into LAYOUTS and SCHEMAS for a file of a bundle."""
    kind = "examples" if file_name.startswith("examples/") else file_name.removesuffix(".parquet")
    if kind not in LAYOUTS or not file_name.endswith(".parquet"):
        raise BundleError(f"{file_name}: not a file of a bundle; known are {', '.join(LAYOUTS)}")
    return kind


def table_schema(kind: str, width: int, columns: Iterable[str] | None = None) -> pa.Schema:
    """Return the schema of a table in a bundle of a model with hidden states of ``width``.

    Of the optional columns only those among ``columns``, or all.
    """
    if kind in ("dictionary", "second_dictionary"):
        return _schema(factor=_i32, atom=pa.list_(_f32, width))
    optional = LAYOUTS[kind].optional_columns
    left_out = set() if columns is None else set(optional).difference(columns)
    return pa.schema([field for field in SCHEMAS[kind] if field.name not in left_out])
