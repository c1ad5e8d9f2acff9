"""Files that are nearly right, and the one promise of every reader: an answer, or one line.

Mutations of a valid file go deeper into a reader than random bytes. An ordinary run tries a few of
them, the same each time; `make fuzz` sets FUZZ, the number of examples of each test, and tries
others each time. What was found stays in the tests as examples of its own.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as some

from tfactors.errors import InputError

T = TypeVar("T")

LONG = "FUZZ" in os.environ
EXAMPLES = int(os.environ.get("FUZZ", "15"))
# Seconds of computing and bytes that no small file may take.
SECONDS, BYTES = 10, 300_000_000

ODD_BYTES = (
    *(b"\0", b"\xff", b"\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xa8"),
    *(b"\r", b"\n", b"\t", b" ", b'"', b"'", b",", b";", b"|", b"{", b"}", b"[", b"]", b"<", b"&"),
    *(b"NaN", b"-1", b"1e999", b"9" * 5000, b"[" * 5000, b'{"a":' * 3000, b"\x1f\x8b", b"\x1a"),
    *(b"null", b"\\ud800", b"sep=;\n", b"<text>", b"</text>", "é\u202e日\u0301".encode()),
)
ODD_VALUES = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**70, -(2**70), 0.5, 1e308, -0.0),
    *(float("inf"), float("nan"), int("9" * 400), "", " ", "0", "-1", "\ud800", "\0", "\u202e"),
    *("../x", "x" * 500, "a\nb", [], [[]], {}, {"": {}}, [None], "日", "1e3", "true"),
)


def fuzzed(share: float = 1.0) -> settings:
    """Return the settings of a test, ``share`` of the examples where each takes long."""
    return settings(
        max_examples=max(3, round(EXAMPLES * share)),
        deadline=None,
        derandomize=not LONG,
        suppress_health_check=list(HealthCheck),
    )


class TooLongError(BaseException):
    """A reader computes for longer than any small file may take."""


@contextmanager
def bounded() -> Iterator[None]:
    """Fail what computes for longer than SECONDS, or takes more than BYTES."""

    def stop(*_: object) -> None:
        raise TooLongError(f"more than {SECONDS} seconds of computing")

    before = signal.signal(signal.SIGVTALRM, stop)
    most = _most_memory()
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert _most_memory() - most < BYTES


def _most_memory() -> int:
    """Return the most bytes that this process ever had; macOS counts bytes, others kB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def answer(read: Callable[..., T], *given: Any) -> T | None:
    """Return what a reader makes of something, None where it refuses that in one line."""
    try:
        with bounded():
            return read(*given)
    except InputError as error:
        said = str(error)
        assert said.strip()
        assert len(said.splitlines()) == 1, repr(said)
        assert len(said) < 2100, said
        return None


@some.composite
def mutated(draw: some.DrawFn, valid: bytes, most: int = 4) -> bytes:
    """Bytes that are a few steps from valid ones."""
    content = bytearray(valid)
    for _ in range(draw(some.integers(1, most))):
        at = draw(some.integers(0, len(content)))
        at = len(content) - at if draw(some.booleans()) else at
        span = draw(some.integers(1, 40) | some.just(len(content)))
        match draw(some.sampled_from(("insert", "overwrite", "flip", "cut", "end", "repeat"))):
            case "insert":
                content[at:at] = draw(some.sampled_from(ODD_BYTES))
            case "overwrite":
                odd = draw(some.sampled_from(ODD_BYTES) | some.binary(min_size=1, max_size=8))
                content[at : at + len(odd)] = odd
            case "flip" if at < len(content):
                content[at] ^= 1 << draw(some.integers(0, 7))
            case "cut":
                del content[at : at + span]
            case "end":
                del content[at:]
            case "repeat":
                content[at:at] = content[at : at + span]
    return bytes(content)


@some.composite
def mutated_json(draw: some.DrawFn, valid: Any, most: int = 3) -> Any:
    """Content of JSON that is a few steps from valid one."""
    whole = {"": deepcopy(valid)}
    for _ in range(draw(some.integers(1, most))):
        holder, key = draw(some.sampled_from(list(_places(whole))))
        match draw(some.sampled_from(("odd", "odd", "drop", "rename", "twice", "other"))):
            case "odd":
                holder[key] = deepcopy(draw(some.sampled_from(ODD_VALUES)))
            case "drop" if holder is not whole:
                del holder[key]
            case "rename" if isinstance(holder, dict) and holder is not whole:
                holder[str(draw(some.sampled_from(ODD_VALUES)))[:40]] = holder.pop(key)
            case "twice":
                holder[key] = [deepcopy(holder[key])] * 2
            case "other":
                other, place = draw(some.sampled_from(list(_places(whole))))
                holder[key] = deepcopy(other[place])
    return whole[""]


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every object or list in some content, with each key or index that it has."""
    keys = list(holder) if isinstance(holder, dict) else range(len(holder))
    for key in keys:
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from _places(holder[key])


def written(content: Any) -> bytes:
    """Return content as JSON, what JSON has no word for as Python's own writer puts it."""
    return json.dumps(content).encode()


def mutated_file(valid: Any) -> some.SearchStrategy[bytes]:
    """A file of JSON that is a few steps from a valid one, in what it holds or in its bytes."""
    return mutated_json(valid).map(written) | mutated(written(valid))
