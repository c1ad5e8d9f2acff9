"""An endpoint that speaks OpenAI's protocol, asked with patience and within limits.

Ollama, vLLM, llama.cpp and OpenAI speak it. A request that meets an overloaded or broken server
(429, 5xx, no answer in time, a connection that breaks, half of an answer) is sent again, at most
TRIES times, after as long as the server asks for or twice as long as before. What no second try
mends (a key that is refused, a model that is not there) ends the run with one line.

The key comes from the environment and goes into the header of the requests, and nowhere else: what
is kept or said of an answer has passed :meth:`Endpoint.without_key`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from tfactors.errors import InputError
from tfactors.llm.prompts import Messages
from tfactors.visible import visible

KEYS = ("TFACTORS_LLM_KEY", "OPENAI_API_KEY")
TRIES = 6
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds
LONGEST_SAID = 200
# What is shorter is no secret: local servers want any word at all.
SHORTEST_KEY = 8
# What some models of OpenAI take under another name, or not at all.
_INSTEAD = {"max_tokens": "max_completion_tokens", "temperature": ""}

Asked = TypeVar("Asked")
Found = TypeVar("Found")


class GaveUpError(Exception):
    """A request met nothing but failures that a second try might mend."""


class StoppedError(Exception):
    """The run was told to stop while a request was on its way."""


class _BrokenAnswerError(Exception):
    """The server answered, but not in the protocol."""


@dataclass(frozen=True)
class Reply:
    """What a model said, and the tokens that the endpoint counted, None where it does not say."""

    text: str
    tokens_in: int | None
    tokens_out: int | None


def key_of_environment() -> tuple[str, str]:
    """Return the key, and the variable that it is from; both "" where there is none.

    Raises
    ------
    InputError
        It holds what no header may; says so without it.
    """
    for name in KEYS:
        if key := os.environ.get(name, "").strip():
            if not (key.isascii() and key.isprintable() and " " not in key):
                raise InputError(f"{name}: holds blanks or letters that are in no key")
            return key, name
    return "", ""


def checked_url(url: str) -> str:
    """Return the address of an endpoint.

    Raises
    ------
    InputError
        It is none, or holds what may be a key.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable &= parts.port is None or parts.port > 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError("--endpoint: expected an address such as http://localhost:11434/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InputError(
            f"--endpoint: an address without a name, password or '?'; a key goes into {KEYS[0]}"
        )
    return url.rstrip("/")


class Endpoint:
    """One model behind an address; threads may share it.

    Attributes
    ----------
    stop : threading.Event
        Once it is set, nothing more is sent, and whoever waits for another try gives up.
    """

    def __init__(self, url: str, model: str, key: str = "", timeout: float = 120.0) -> None:
        try:
            import openai
        except ImportError:
            raise InputError(
                "labels by a language model need the package openai: pip install 'tfactors[llm]'"
            ) from None
        self._errors = openai
        self._model, self._key = model, key
        self._client = openai.OpenAI(
            base_url=checked_url(url), api_key=key or "none", timeout=timeout, max_retries=0
        )
        self._left_out: set[str] = set()
        self.stop = threading.Event()

    def close(self) -> None:
        """Send nothing more, and let go of the connections."""
        self.stop.set()
        self._client.close()

    def without_key(self, text: str) -> str:
        """Return a text without the key, which a server may have repeated."""
        return text.replace(self._key, "[key]") if len(self._key) >= SHORTEST_KEY else text

    def ask(self, messages: Messages, most_tokens: int, temperature: float = 0.0) -> Reply:
        """Return what the model answers.

        Raises
        ------
        GaveUpError
            Every try met a failure.
        StoppedError
            The run was told to stop.
        InputError
            The server refuses the request for good.
        """
        wait, said = FIRST_WAIT, ""
        for _ in range(TRIES):
            if self.stop.is_set():
                raise StoppedError
            asked_for = 0.0
            try:
                return self._once(messages, most_tokens, temperature)
            except self._errors.APIStatusError as error:
                said = self._said(error)
                if error.status_code < 500 and error.status_code not in (408, 409, 429):
                    raise InputError(f"the endpoint refuses the request: {said}") from None
                asked_for = _retry_after(error.response.headers.get("retry-after", ""))
            except self._errors.APITimeoutError:
                said = "no answer in time"
            except self._errors.APIConnectionError as error:
                said = self._said(error.__cause__ or error)
            except _BrokenAnswerError as error:
                said = str(error)
            if self.stop.wait(min(max(wait, asked_for), LONGEST_WAIT)):
                raise StoppedError
            wait *= 2
        raise GaveUpError(said)

    def _once(self, messages: Messages, most_tokens: int, temperature: float) -> Reply:
        """Send a request once, twice where the model does not take one of its settings."""
        settings: dict[str, Any] = {"max_tokens": most_tokens, "temperature": temperature}
        while True:
            sent = {
                _INSTEAD[name] if name in self._left_out else name: value
                for name, value in settings.items()
                if name not in self._left_out or _INSTEAD[name]
            }
            try:
                given = self._client.chat.completions.with_raw_response.create(
                    model=self._model,
                    messages=messages,  # type: ignore[arg-type]
                    **sent,
                )
                return self._read(given.text)
            except self._errors.BadRequestError as error:
                unknown = [name for name in settings if name in sent and name in str(error)]
                if not unknown:
                    raise
                self._left_out.add(unknown[0])

    def _read(self, body: str) -> Reply:
        """Return the answer in the body of a response."""
        try:
            given = json.loads(body)
            text = given["choices"][0]["message"]["content"]
        except (ValueError, RecursionError, KeyError, IndexError, TypeError):
            raise _BrokenAnswerError("an answer that is not of the protocol") from None
        if not isinstance(text, str):
            text = ""  # a refusal has no content
        usage = given.get("usage")
        counts = usage if isinstance(usage, dict) else {}
        tokens = (_count(counts.get(name)) for name in ("prompt_tokens", "completion_tokens"))
        return Reply(self.without_key(text.encode("utf-8", "replace").decode()), *tokens)

    def _said(self, error: BaseException) -> str:
        """Return what an error says, in one line and without the key."""
        line = visible(" ".join(self.without_key(str(error)).split()))
        return line[:LONGEST_SAID] or type(error).__name__


def _count(given: object) -> int | None:
    return given if type(given) is int and 0 <= given < 2**31 else None


def _retry_after(header: str) -> float:
    """Return the seconds that a server asks to wait, 0 where it does not say.

    >>> _retry_after("2"), _retry_after("soon"), _retry_after("-1"), _retry_after("nan")
    (2.0, 0.0, 0.0, 0.0)
    """
    try:
        seconds = float(header)
    except ValueError:
        return 0.0
    return seconds if seconds > 0 else 0.0


@dataclass(frozen=True)
class Outcome(Generic[Asked, Found]):
    """What came of one piece of work: a result, or the error that it ended with."""

    asked: Asked
    found: Found | None = None
    error: BaseException | None = None


def as_they_come(
    items: Iterable[Asked],
    work: Callable[[Asked], Found],
    at_once: int,
    stop: threading.Event,
) -> Generator[Outcome[Asked, Found], None, None]:
    """Yield what comes of each item, in whatever order, at most so many under way at once.

    Whoever stops reading sets ``stop``, and so does an error other than `GaveUpError`: what waits
    is dropped, and what is under way is not waited for, because a model may take minutes.
    """
    todo: SimpleQueue[Asked] = SimpleQueue()
    done: SimpleQueue[Outcome[Asked, Found]] = SimpleQueue()
    count = 0
    for item in items:
        todo.put(item)
        count += 1

    def works() -> None:
        while not stop.is_set() and not todo.empty():
            try:
                item = todo.get_nowait()
            except Exception:  # another thread took the last one
                return
            try:
                done.put(Outcome(item, work(item)))
            except BaseException as error:  # told to whoever reads
                done.put(Outcome(item, None, error))
                if not isinstance(error, GaveUpError):  # nothing more is asked
                    stop.set()

    for number in range(min(at_once, count)):
        threading.Thread(target=works, name=f"asks {number}", daemon=True).start()
    try:
        for _ in range(count):
            yield done.get()
    except BaseException:
        stop.set()
        raise
