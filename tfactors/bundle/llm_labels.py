"""What a language model called the factors: a table beside the bundle, and its seal.

    BUNDLE/llm_labels.parquet        one row an answer: who was asked what, and what came of it
    BUNDLE/llm_labels.seal.json      the SHA-256 of that file, as it is and as it was one answer ago

`tfactors label` writes both after each answer, the seal first: so at every moment, also after a
kill, the table is one that is sealed. The table names the bundle that it is about by its
fingerprint, and is no part of what a build sealed. A bundle may come from anywhere: all that is
read here is checked, and all text stays text.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tfactors.bundle.format import BundleError
from tfactors.bundle.manifest import Manifest
from tfactors.bundle.validation import FieldError, parse_json, typed
from tfactors.files import replacing
from tfactors.visible import boxed

TABLE, SEAL = "llm_labels.parquet", "llm_labels.seal.json"
FORMAT, SEAL_FORMAT, VERSION = "tfactors-llm-labels", "tfactors-llm-labels-seal", 1
# What is asked about a factor: for a label, and which places fit that label, the name that a rule
# made, and the label of another factor.
TASKS = ("label", "rule", "score", "shuffled")
LONGEST_LABEL, LONGEST_ANSWER, LONGEST_MODEL = 200, 2_000, 100
MOST_BYTES = 500_000_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_COUNTS = ("strong", "strong_fit", "random", "random_fit", "silent", "silent_fit")


@dataclass(frozen=True)
class Answer:
    """One row of the table.

    Attributes
    ----------
    factor, layer : int
        What was asked about.
    model : str
        Who was asked, as the endpoint calls it.
    task : str
        One of TASKS.
    text : str
        The label that was given, "" where there was none that could be used; else the label that
        was scored.
    date : str
        When, ISO 8601, in UTC.
    template : int
        Version of the words of the prompt.
    prompt_sha256 : str
        Of the whole prompt, hexadecimal.
    answer : str
        What the model said, cut.
    tokens_in, tokens_out : int or None
        As the endpoint counts them.
    other : int or None
        The factor whose label was scored, where that was another.
    strong, random, silent : int or None
        Of a score: places that were asked about where the factor is strongly active, active as
        drawn at random, and silent.
    strong_fit, random_fit, silent_fit : int or None
        How many of these the model said the label fits.
    """

    factor: int
    model: str
    task: str
    layer: int
    text: str
    date: str
    template: int
    prompt_sha256: str
    answer: str
    tokens_in: int | None = None
    tokens_out: int | None = None
    other: int | None = None
    strong: int | None = None
    strong_fit: int | None = None
    random: int | None = None
    random_fit: int | None = None
    silent: int | None = None
    silent_fit: int | None = None

    @property
    def key(self) -> tuple[int, str, str]:
        """What no two rows share, and what they are sorted by."""
        return self.factor, self.model, self.task

    @property
    def score(self) -> float | None:
        """Balanced accuracy; None where nothing was scored."""
        counts = [getattr(self, name) for name in _COUNTS]
        if None in counts:
            return None
        return balanced_accuracy(*counts)


def balanced_accuracy(
    strong: int, strong_fit: int, random: int, random_fit: int, silent: int, silent_fit: int
) -> float | None:
    """Return the mean of the share of active places that fit and of silent ones that do not.

    >>> balanced_accuracy(5, 5, 5, 3, 10, 1)
    0.85
    """
    active = strong + random
    if not active or not silent:
        return None
    return ((strong_fit + random_fit) / active + 1 - silent_fit / silent) / 2


KEYS = ("factor", "model", "task")
_i16, _i32, _str = pa.int16(), pa.int32(), pa.string()
# The fields of an answer in their order, and the score that follows from them.
SCHEMA = pa.schema(
    [
        pa.field("factor", _i32, False),
        pa.field("model", _str, False),
        pa.field("task", _str, False),
        pa.field("layer", _i16, False),
        pa.field("text", _str, False),
        pa.field("date", _str, False),
        pa.field("template", _i16, False),
        pa.field("prompt_sha256", _str, False),
        pa.field("answer", _str, False),
        *(pa.field(name, _i32) for name in ("tokens_in", "tokens_out", "other")),
        *(pa.field(name, _i16) for name in _COUNTS),
        pa.field("score", pa.float32()),
    ]
)


@dataclass(frozen=True)
class ModelLabel:
    """What the pages show of a factor's label by a language model.

    Attributes
    ----------
    label : str
        What it says, one line.
    model : str
        Whose it is.
    date : str
        When, as YYYY-MM-DD.
    score, rule_score, shuffled_score : float or None
        Balanced accuracy of detection with this label, with the name that a rule made, and with
        another factor's label; None where that was not asked.
    places : int
        How many places these scores are of.
    """

    label: str
    model: str
    date: str
    score: float | None = None
    rule_score: float | None = None
    shuffled_score: float | None = None
    places: int = 0


def newest_labels(answers: Iterable[Answer]) -> dict[int, ModelLabel]:
    """Return by factor the label that was made last, with its scores."""
    given: dict[int, Answer] = {}
    scored: dict[tuple[int, str, str], Answer] = {}
    for answer in answers:
        scored[answer.key] = answer
        if answer.task == "label" and answer.text:
            known = given.get(answer.factor)
            if known is None or (known.date, known.model) <= (answer.date, answer.model):
                given[answer.factor] = answer
    found = {}
    for factor, row in given.items():
        rows = {task: scored.get((factor, row.model, task)) for task in TASKS[1:]}
        score, rule, shuffled = (
            None if row is None else row.score
            for row in (rows["score"], rows["rule"], rows["shuffled"])
        )
        judged = rows["score"]
        places = sum((judged.strong or 0, judged.random or 0, judged.silent or 0)) if judged else 0
        found[factor] = ModelLabel(
            row.text, row.model, row.date[:10], score, rule, shuffled, places
        )
    return found


def is_there(folder: Path) -> bool:
    """Return whether a language model was asked about the factors of a bundle."""
    return (folder / TABLE).exists() or (folder / SEAL).exists()


def read(folder: Path, about: Manifest, said: bool = True) -> list[Answer]:
    """Return all answers beside a bundle, sorted by their key; none where nobody asked.

    Without ``said`` what the model said in whole is left out, which is most of the memory.

    Raises
    ------
    BundleError
        The table is not one that was sealed, does not fit the bundle, or cannot be read.
    """
    if not is_there(folder):
        return []
    sealed = _read_seal(folder)
    try:
        if (folder / TABLE).stat().st_size > MOST_BYTES:
            raise _wrong(f"more than {MOST_BYTES:,} bytes")
        raw = (folder / TABLE).read_bytes()
    except FileNotFoundError:
        if "" in sealed:  # the first answer was on its way
            return []
        raise _wrong("missing, and its seal is there") from None
    except OSError as error:
        raise _wrong(f"cannot be read ({error.strerror})") from error
    if hashlib.sha256(raw).hexdigest() not in sealed:
        raise _wrong("changed since it was written (its SHA-256 is not that of its seal)")
    try:
        file = pq.ParquetFile(pa.BufferReader(raw), page_checksum_verification=True)
        found = file.schema_arrow
        table = file.read([name for name in found.names if said or name != "answer"])
    except (pa.ArrowException, OSError) as error:
        raise _wrong(f"damaged ({' '.join(str(error).split())[:120]})") from error
    if not found.equals(SCHEMA):
        raise _wrong("has other columns than it should")
    given = {k.decode(): v.decode() for k, v in (found.metadata or {}).items()}
    if (given.get("format"), given.get("version")) != (FORMAT, str(VERSION)):
        raise _wrong(f"not of format {FORMAT}, version {VERSION}; upgrade tfactors")
    if given.get("bundle") != about.manifest_sha256:
        raise _wrong("is about another build of this bundle")
    scores = table.column("score").to_pylist()
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    columns.setdefault("answer", [""] * len(table))
    in_order = (columns[name] for name in SCHEMA.names if name != "score")
    answers = [Answer(*row) for row in zip(*in_order, strict=True)]
    _check_rows(answers, scores, about)
    return answers


def check(folder: Path, about: Manifest) -> None:
    """Raise BundleError unless the table beside a bundle is as it was written, and fits it."""
    read(folder, about)


def write(folder: Path, about: Manifest, answers: Iterable[Answer]) -> None:
    """Write these answers and no others; see :func:`table_of` and :func:`write_table`."""
    write_table(folder, about, table_of(answers, about))


def table_of(answers: Iterable[Answer], about: Manifest) -> pa.Table:
    """Return answers as a table, sorted by their key.

    Raises
    ------
    BundleError
        An answer does not fit the bundle, or is there twice.
    """
    rows = sorted(answers, key=lambda answer: answer.key)
    scores = pa.array([row.score for row in rows], pa.float32())
    _check_rows(rows, scores.to_pylist(), about)
    arrays = [
        pa.array([getattr(row, field.name) for row in rows], field.type)
        for field in SCHEMA
        if field.name != "score"
    ]
    return pa.table([*arrays, scores], schema=SCHEMA)


def joined(known: pa.Table, more: pa.Table) -> pa.Table:
    """Return two tables as one, sorted by the key; they share none."""
    return pa.concat_tables([known, more]).sort_by([(name, "ascending") for name in KEYS])


def write_table(folder: Path, about: Manifest, table: pa.Table) -> None:
    """Write a table whole or not at all, and the seal of it and of the one before."""
    metadata = {"format": FORMAT, "version": str(VERSION), "bundle": about.manifest_sha256}
    sink = pa.BufferOutputStream()
    whole = table.replace_schema_metadata(metadata)
    pq.write_table(whole, sink, compression="zstd", write_page_checksum=True, store_schema=True)
    raw = sink.getvalue().to_pybytes()
    path = folder / TABLE
    before = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
    seal = _seal([hashlib.sha256(raw).hexdigest(), before])
    for file, content in ((folder / SEAL, seal), (path, raw)):
        with replacing(file) as temporary:
            temporary.write_bytes(content)


def _check_rows(answers: Sequence[Answer], scores: Sequence[float | None], about: Manifest) -> None:
    """Raise BundleError at the first row that means nothing."""
    last: tuple[int, str, str] | None = None
    for at, (row, score) in enumerate(zip(answers, scores, strict=True)):
        problem = _problem(row, about)
        if last is not None and row.key <= last:
            problem = "rows do not ascend by factor, model, task"
        if problem is None and (row.score is None) != (score is None):
            problem = "'score' does not go with the counts"
        if problem is None and score is not None and abs(score - (row.score or 0)) > 1e-6:
            problem = "'score' is not the balanced accuracy of the counts"
        if problem is not None:
            raise _wrong(f"row {at:,}: {problem}")
        last = row.key


def _problem(row: Answer, about: Manifest) -> str | None:
    """Return what is wrong with a row by itself, or None."""
    factors = about.dictionary.factors
    if not 0 <= row.factor < factors:
        return f"'factor' is none of the factors 0 to {factors - 1:,}"
    if row.other is not None and (not 0 <= row.other < factors or row.other == row.factor):
        return "'other' is no other factor"
    if row.layer not in about.model.layers:
        return "'layer' is none of the bundle's layers"
    if row.task not in TASKS:
        return f"'task' is none of {', '.join(TASKS)}"
    if not row.model or not is_line(row.model, LONGEST_MODEL):
        return f"'model' is no line of at most {LONGEST_MODEL} letters"
    if not is_line(row.text, LONGEST_LABEL):
        return f"'text' is no line of at most {LONGEST_LABEL} letters"
    if len(row.answer) > LONGEST_ANSWER:
        return f"'answer' has more than {LONGEST_ANSWER:,} letters"
    if not _DATE.fullmatch(row.date):
        return "'date' is no date and time in UTC"
    if not _SHA256.fullmatch(row.prompt_sha256):
        return "'prompt_sha256' is no SHA-256"
    counts = [getattr(row, name) for name in _COUNTS]
    if any(count is None for count in counts):
        return None if counts == [None] * len(counts) else "some of its counts are missing"
    pairs = zip(counts[::2], counts[1::2], strict=True)
    if row.task == "label" or not all(0 <= fit <= asked for asked, fit in pairs):
        return "its counts are none of a score"
    return None


def is_line(text: str, longest: int) -> bool:
    r"""Return whether a text is one line, not too long, of letters that act on nothing.

    >>> is_line("a label", 10), is_line("two\nlines", 10), is_line("\u202eturned", 10)
    (True, False, False)
    """
    one_line = text == " ".join(text.split())
    acts_on_nothing = text.isprintable() or text == boxed(text)
    return len(text) <= longest and one_line and acts_on_nothing


def _read_seal(folder: Path) -> list[str]:
    """Return the SHA-256 of the table as it may be; "" where it may not be there yet."""
    path = folder / SEAL
    try:
        raw = path.read_bytes() if path.stat().st_size < MOST_BYTES else b""
        given = parse_json(raw)
        if not isinstance(given, dict) or given.get("format") != SEAL_FORMAT:
            raise FieldError(f'expected an object with "format": "{SEAL_FORMAT}"')
        sealed = typed(given.get("sha256"), list[str])
    except FileNotFoundError:
        raise _wrong(f"has no seal in {SEAL}") from None
    except OSError as error:
        raise _wrong(f"its seal cannot be read ({error.strerror})") from error
    except FieldError as error:
        raise BundleError(f"{SEAL}: {error}; {_REMEDY}") from None
    if raw != _seal(sealed):
        raise BundleError(f"{SEAL}: changed since it was written; {_REMEDY}")
    return sealed


def _seal(sealed: list[str]) -> bytes:
    """Return the one way in which a seal is written, with its own, so that any change shows."""
    content: dict[str, object] = {"format": SEAL_FORMAT, "version": VERSION, "sha256": sealed}
    content["seal_sha256"] = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return (json.dumps(content, indent=2) + "\n").encode()


_REMEDY = f"restore it, or remove {TABLE} and {SEAL} and run 'tfactors label' again"


def _wrong(what: str) -> BundleError:
    return BundleError(f"{TABLE}: {what}; {_REMEDY}")
