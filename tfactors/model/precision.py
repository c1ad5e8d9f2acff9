"""How exactly a model is read: the numbers that its weights and states are held in.

float32 unless something else is asked for. bfloat16 and float16 take half of the memory, for models
that do not fit or were saved so; every state is then rounded to 8 or 11 binary digits at each step,
which `benchmarks/precision.py` measures. States are handed on as float32, and codes are solved in
it, whatever the model is read in.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from tfactors.model.folder import ModelError

PRECISIONS = ("float32", "bfloat16", "float16")
CHOICES = ("float32", "auto", "bfloat16", "float16")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_OF_STORED = {"BF16": "bfloat16", "F16": "float16"}


def precision_of(asked: str, stored: Iterable[tuple[str, int]]) -> str:
    """Return the precision to read a model in.

    Parameters
    ----------
    asked : str
        One of `CHOICES`; ``auto`` is what most of the weights were saved in.
    stored : iterable of pairs
        Of each tensor the name of its type in safetensors, and how many numbers it has.

    Examples
    --------
    >>> precision_of("auto", [("F32", 10), ("BF16", 1000)]), precision_of("auto", [("F64", 1)])
    ('bfloat16', 'float32')
    """
    if asked not in CHOICES:
        raise ModelError(f"dtype {asked!r}: expected one of {', '.join(CHOICES)}")
    if asked != "auto":
        return asked
    numbers: Counter[str] = Counter()
    for kind, count in stored:
        numbers[_OF_STORED.get(kind, "float32")] += count
    return numbers.most_common(1)[0][0] if numbers else "float32"


def in_words(precision: str) -> str:
    """Return the line that a build says of a model that is not read in float32; "" for float32."""
    if precision == "float32":
        return ""
    digits = {"bfloat16": 8, "float16": 11}[precision]
    return (
        f"The model is read in {precision}: every number has {digits} binary digits in place of "
        "float32's 24, and codes differ a little from those that float32 gives"
    )


def check_finite(states: np.ndarray, precision: str, name: str) -> None:
    """Raise ModelError for states beyond the numbers that a precision has.

    float16 ends at 65,504, which the states of models trained in another one may pass.
    """
    if precision != "float32" and not np.isfinite(states).all():
        better = "bfloat16 or float32" if precision == "float16" else "float32"
        raise ModelError(
            f"model {name!r}: its states are beyond the numbers of {precision}; give --dtype "
            f"{better}"
        )


def torch_precision(precision: str) -> Any:
    """Return the type of PyTorch of a precision's name."""
    import torch

    return getattr(torch, precision)
