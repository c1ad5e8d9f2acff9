"""The manifest of a bundle: ``manifest.json`` as typed records, checked, sealed and read.

The manifest says what a bundle was made from and how, and names every file with its rows, bytes and
SHA-256. It carries a checksum of itself, and its bytes are :func:`canonical_json` of its content,
so that any change, even of a blank, shows.

:class:`Manifest` and the sections under it say what a manifest holds: a field without a default has
to be there, one with a default may be missing in older bundles, and what they do not name is kept
in the file and passed over here. docs/reference/bundle explains the fields.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tfactors.bundle.format import MANIFEST, BundleError
from tfactors.bundle.validation import FieldError, quoted, typed
from tfactors.describe.levels import OlderThresholds, Thresholds
from tfactors.files import odd_path

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Model:
    """The transformer that was read.

    Attributes
    ----------
    name : str
        As it was given: of a package, of the hub, or the name of a folder.
    sha256 : str
        Of its weights, hexadecimal; empty where nobody knows them.
    layers : tuple of int
        The hidden states that were surveyed, ascending; 0 is the embedding output.
    blocks : int
        How many transformer blocks it has.
    width : int
        Length of a hidden state, d.
    causal : bool
        Whether a token sees only what stands before it.
    marks : bool
        Whether it read every window between the marks that its tokenizer puts around a text.
    dtype : str
        What its weights and states were held in: ``float32``, ``bfloat16`` or ``float16``.
    bos : bool
        Whether it read every window behind the token that begins a text, and no other mark.
    folder : str or None
        The way to a local model from the bundle, or None.
    """

    name: str
    sha256: str
    layers: tuple[int, ...]
    blocks: int
    width: int
    causal: bool = False
    marks: bool = False
    dtype: str = "float32"
    bos: bool = False
    folder: str | None = None


@dataclass(frozen=True)
class Source:
    """Where texts come from, with how many documents and tokens of them were read."""

    name: str
    title: str = ""
    licence: str = ""
    attribution: str = ""
    documents: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Corpus:
    """The text that was surveyed.

    Attributes
    ----------
    sources : tuple of Source
        Where it is from.
    documents, windows, tokens : int
        How many there are.
    window_length : int
        Most tokens of a window.
    held_out : str
        What the dictionary has not seen: ``documents`` or ``windows``; "" where an older bundle
        does not say, of which documents were held out.
    held_out_tokens : int
        How many tokens these hold.
    """

    sources: tuple[Source, ...]
    documents: int
    windows: int
    tokens: int
    window_length: int
    held_out: str = ""
    held_out_tokens: int = 0


@dataclass(frozen=True)
class Coding:
    """How hidden states became codes.

    Attributes
    ----------
    penalty : float
        λ.
    tol : float
        The relative duality gap to which codes were solved.
    scale : mapping of float
        By layer (its number as text) what hidden states are multiplied by before.
    method : str
        ``solver``, ``encoder`` (an autoencoder's own) or ``published`` (not coded here).
    scale_by : str
        ``layer``: the scale is one number a layer; ``state``: every state is divided by its own
        length, times √d, and the scale is what that is on average; ``norm``: the same after the
        mean of its numbers was subtracted, as a layer norm does.
    refit : bool
        Whether λ only chose the factors of a code, and least squares on them gave its values.
    """

    penalty: float
    tol: float
    scale: Mapping[str, float]
    method: str = "solver"
    scale_by: str = "layer"
    refit: bool = False


@dataclass(frozen=True)
class Baseline:
    """What is subtracted of every state for its token and place (`tfactors.coding.baseline`).

    Attributes
    ----------
    kind : str
        ``token``.
    tokens, rank, places : int
        Tokens of the vocabulary that have codes of their own, the numbers of a code, and the places
        that have a part of their own.
    states : int
        Tokens of text, each with a state a layer, that it was fitted to.
    """

    kind: str
    tokens: int
    rank: int
    places: int
    states: int


@dataclass(frozen=True)
class Imported:
    """Where an imported dictionary comes from, and the form of its encoder.

    The fields are those of :class:`tfactors.coding.imported_dictionary.Origin`, which says what
    they mean.
    """

    format: str
    file: str
    sha256: str
    form: str = "dictionary"
    dtype: str = "float32"
    k: int = 0
    centred: bool = True
    rescaled: bool = False
    scale: str = "none"
    baseline: str = "none"
    marks: bool = False
    refit: bool = False
    penalty: float = 0.0
    layers: tuple[int, ...] = ()
    model: str = ""
    bos: bool = False
    context: int = 0
    folded: float = 1.0


@dataclass(frozen=True)
class Dictionary:
    """The dictionary Φ: how many factors, from which seed, and how many samples it was learnt on.

    ``layer_weights`` says what a sample of each layer weighed, empty where all weighed the same;
    ``imported`` where it comes from if it was not learnt here, and ``notes`` what its file says and
    the bundle does not follow, a sentence each.
    """

    factors: int
    seed: int
    samples: int
    layer_weights: tuple[float, ...] = ()
    imported: Imported | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LevelThresholds:
    """Where the levels part: the first three, or in older bundles the others.

    ``few_words_share`` is missing in bundles from before it, ``word_share`` in those of the oldest
    rule.
    """

    low_words: float | None = None
    window_share: float | None = None
    few_words_share: float | None = None
    low_depth: float | None = None
    sentence_share: float | None = None
    word_share: float | None = None


@dataclass(frozen=True)
class Importance:
    """How importance and levels were measured.

    Attributes
    ----------
    k : int
        Importance is the mean of this many largest activations.
    examples : int
        Most examples kept of a factor at a layer.
    levels : LevelThresholds
        The thresholds of the levels.
    retention_examples : int
        Examples whose context was cut away.
    """

    k: int
    examples: int
    levels: LevelThresholds
    retention_examples: int = 0

    @property
    def thresholds(self) -> Thresholds | OlderThresholds:
        """The thresholds as the rule of the levels takes them."""
        given = self.levels
        if given.low_words is not None and given.window_share is not None:
            return Thresholds(given.low_words, given.window_share, given.few_words_share)
        if given.low_depth is not None and given.sentence_share is not None:
            return OlderThresholds(given.low_depth, given.word_share, given.sentence_share)
        raise BundleError(
            f"{MANIFEST}: 'importance.levels' has neither low_words and window_share nor, as older "
            "bundles, low_depth and sentence_share; rebuild the bundle"
        )


@dataclass(frozen=True)
class Histogram:
    """Edges of the bins of the activation histograms, rising, (bins + 1,)."""

    edges: tuple[float, ...]


@dataclass(frozen=True)
class LayerMetrics:
    """How good the codes of one layer are, on held-out text; None where that is not known.

    Where what each token brings of its own is subtracted, ``explained_variance`` is of the whole
    state, ``explained_context`` of what is coded, and ``context_share`` the share of the whole
    state's variance that is coded.
    """

    layer: int
    l0: float | None = None
    explained_variance: float | None = None
    explained_context: float | None = None
    context_share: float | None = None
    duality_gap: float | None = None
    mean_norm: float | None = None


@dataclass(frozen=True)
class Metrics:
    """How good the dictionary is; None and nothing where that was not measured.

    Attributes
    ----------
    alive : float or None
        The share of factors that are active somewhere.
    l0 : float or None
        Mean number of active factors a token.
    explained_variance, explained_context : float or None
        Over all layers.
    layers : tuple of LayerMetrics
        The same of each layer.
    levels : mapping of int
        How many factors each level has.
    """

    alive: float | None = None
    l0: float | None = None
    explained_variance: float | None = None
    explained_context: float | None = None
    layers: tuple[LayerMetrics, ...] = ()
    levels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Website:
    """What the 2021 website says of its own factors, in a bundle that was made from it.

    Attributes
    ----------
    notes : tuple of str
        What a reader has to know of the whole bundle.
    levels : mapping of tuples of int
        The factors that the website lists at each level.
    missing : tuple of str
        Pages, pictures and lists that were not there or damaged, a sentence each.
    long_columns : mapping of int or None
        By factor (its number as text) the column of the other dictionary that it is known to be;
        None where there is no such dictionary.
    agreement : mapping of int
        By level how many of the factors that are listed there, and have a curve, peak where our
        rule would have them (``low`` at layer 0 or 2, the others at 8 or 10); under ``low_listed``
        and so on how many there are. Empty in older bundles.
    """

    notes: tuple[str, ...] = ()
    levels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    long_columns: Mapping[str, int] | None = None
    agreement: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Meanings:
    """What a search by meaning was prepared with.

    Attributes
    ----------
    name : str
        The model that embeds sentences: the bundle's, or another.
    sha256 : str
        Of its weights, hexadecimal.
    width : int
        Length of an embedding, d.
    words : int
        Words of context on each side of an example that it read.
    """

    name: str
    sha256: str
    width: int
    words: int


@dataclass(frozen=True)
class Created:
    """When the bundle was made (ISO 8601), and the seconds that each stage took."""

    at: str
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Seal:
    """What a file of the bundle has to be: its rows, bytes, and SHA-256 (hexadecimal)."""

    rows: int
    bytes: int
    sha256: str = ""


@dataclass(frozen=True)
class Manifest:
    """All that a manifest says, section by section.

    Attributes
    ----------
    title : str
        What the bundle calls itself.
    tfactors : str
        The version that made it.
    settings : mapping
        The settings of the build, as they were given.
    website : Website or None
        None but in a bundle of the 2021 website.
    baseline : Baseline or None
        None where nothing is subtracted by token.
    meanings : Meanings or None
        None where there can be no search by meaning.
    files : mapping of Seal
        By name the seal of every file.
    manifest_sha256 : str
        Checksum of the manifest and, through it, of every file.
    """

    title: str
    tfactors: str
    created: Created
    model: Model
    corpus: Corpus
    coding: Coding
    dictionary: Dictionary
    importance: Importance
    histogram: Histogram
    metrics: Metrics
    settings: Mapping[str, Any]
    website: Website | None = None
    baseline: Baseline | None = None
    meanings: Meanings | None = None
    files: Mapping[str, Seal] = field(default_factory=dict)
    manifest_sha256: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> "Manifest":
        """Return the content of a manifest as records.

        Raises
        ------
        BundleError
            A field is missing or not of its type; names it.
        """
        try:
            return typed(record, cls)
        except FieldError as error:
            raise BundleError(f"{MANIFEST}: {error}; rebuild the bundle") from None

    @classmethod
    def of_draft(cls, record: Mapping[str, Any]) -> "Manifest":
        """Return what a build knows before it is done; what it cannot know yet is blank or 0."""
        return cls.of(_filled(_BLANK, record))

    @property
    def listed_levels(self) -> list[str]:
        """The level at which the 2021 website lists each factor, (m,); "" where at none."""
        return listed_levels(self.website.levels if self.website else {}, self.dictionary.factors)


_BLANK: dict[str, Any] = {
    "title": "",
    "tfactors": "",
    "created": {"at": "", "seconds": {}},
    "model": {"name": "", "sha256": "", "layers": [], "blocks": 0, "width": 0},
    "corpus": {"sources": [], "documents": 0, "windows": 0, "tokens": 0, "window_length": 0},
    "coding": {"penalty": 0.0, "tol": 0.0, "scale": {}},
    "dictionary": {"factors": 0, "seed": 0, "samples": 0},
    "importance": {"k": 0, "examples": 0, "levels": {"low_words": 0.0, "window_share": 0.0}},
    "histogram": {"edges": []},
    "metrics": {},
    "settings": {},
}


def _filled(blank: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with what it lacks taken from a blank one, section by section.

    >>> _filled({"a": {"b": 0, "c": 0}}, {"a": {"b": 1}})
    {'a': {'b': 1, 'c': 0}}
    """
    filled = {**blank, **record}
    for name, section in blank.items():
        if isinstance(section, dict) and isinstance(filled[name], Mapping):
            filled[name] = _filled(section, filled[name])
    return filled


def canonical_json(content: dict[str, Any]) -> bytes:
    """Return the one serialisation of a manifest: UTF-8, indented by two, a final newline.

    The bytes are those of :func:`json.dumps`, which writes on one line sooner than it indents.
    """
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    except ValueError:  # which says what number it is only where it indents
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=2)
    return msgspec.json.format(text.encode("utf-8"), indent=2) + b"\n"


def manifest_checksum(record: dict[str, Any]) -> str:
    """Return the SHA-256 (hexadecimal) of a manifest without its key ``manifest_sha256``."""
    content = {key: value for key, value in record.items() if key != "manifest_sha256"}
    return hashlib.sha256(canonical_json(content)).hexdigest()


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Return the manifest of a bundle, checked against its own checksum and this version.

    Raises
    ------
    BundleError
        The folder is not there or not a bundle, the manifest has changed since it was written, or
        another version of tfactors wrote it.
    """
    folder = Path(folder)
    if odd := odd_path(folder.absolute()):  # which Parquet's reader would not open
        raise BundleError(f"{folder}: {odd}")
    try:
        raw = (folder / MANIFEST).read_bytes()
    except OSError as error:
        found = "holds no manifest.json" if folder.is_dir() else "is not a folder"
        if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
            found = f"cannot be read ({error.strerror})"
        raise BundleError(
            f"{folder} {found}; give the folder of a bundle, as 'tfactors build' writes it"
        ) from error
    try:
        record = json.loads(raw)
        version = record["format_version"]
        intact = raw == canonical_json(record)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BundleError(
            f"{MANIFEST}: damaged, or not of a bundle; restore or rebuild it"
        ) from error
    if version != FORMAT_VERSION:
        newer = isinstance(version, int) and version > FORMAT_VERSION
        raise BundleError(
            f"{MANIFEST}: format version {str(version)[:20]}, and this tfactors reads version "
            f"{FORMAT_VERSION}; {'upgrade tfactors' if newer else 'rebuild the bundle'}"
        )
    if not intact or record.get("manifest_sha256") != manifest_checksum(record):
        raise BundleError(
            f"{MANIFEST}: changed since it was written; restore or rebuild the bundle"
        )
    check_manifest(record)
    if "files" not in record:
        raise BundleError(f"{MANIFEST}: 'files' is missing; rebuild the bundle")
    return record


def check_manifest(record: dict[str, Any]) -> Manifest:
    """Return a manifest as records if it holds every field, of its type, in range.

    Raises
    ------
    BundleError
        Names the first field that does not fit.
    """
    manifest = Manifest.of(record)
    layers, edges = list(manifest.model.layers), list(manifest.histogram.edges)
    _ = manifest.importance.thresholds

    def wrong(path: str, expected: str) -> BundleError:
        section, key = path.split(".")
        given = quoted(record[section][key])
        return BundleError(f"{MANIFEST}: '{path}' is {given}; expected {expected}")

    if not layers or sorted(set(layers)) != layers:
        raise wrong("model.layers", "ascending numbers")
    if not 0 <= layers[0] <= layers[-1] <= manifest.model.blocks:
        raise BundleError(
            f"{MANIFEST}: layers {quoted(layers)} of a model of {manifest.model.blocks} blocks"
        )
    for path, number in (
        ("model.width", manifest.model.width),
        ("dictionary.factors", manifest.dictionary.factors),
    ):
        if number < 1:
            raise wrong(path, "at least 1")
    if sorted(manifest.coding.scale) != sorted(map(str, layers)):
        raise wrong("coding.scale", "a number per layer")
    if len(edges) < 2 or sorted(set(edges)) != edges:
        raise wrong("histogram.edges", "rising numbers")
    return manifest


def listed_levels(levels: Mapping[str, Sequence[int]], factors: int) -> list[str]:
    """Return the level at which the 2021 website lists each factor; "" where it lists it at none.

    Parameters
    ----------
    levels : mapping of sequences
        By level the factors that are listed there.
    factors : int
        How many factors there are, m.

    Examples
    --------
    >>> listed_levels({"low": (0,), "high": (2,)}, 4)
    ['low', '', 'high', '']
    """
    listed = [""] * factors
    for level, numbers in levels.items():
        for number in numbers:
            if not 0 <= number < factors:
                raise BundleError(f"{MANIFEST}: 'website.levels' lists factor {number!r}")
            listed[number] = level
    return listed
