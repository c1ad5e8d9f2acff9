"""Turns the factors of a bundle into labels by a language model, and scores of these labels.

The factors go by in blocks. Of each block first the labels are asked for, then, of every factor
that got one, which of the places it has not seen fit

    the label                 ("score")
    the name that a rule made ("rule")
    the label of another      ("shuffled"): that of the next factor of the block

Whoever asked keeps the answer before it asks anything else, so that a run that is interrupted,
killed or given up goes on where it stopped. A request that fails for good is left for the next run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from queue import SimpleQueue

from tfactors.bundle import Bundle, llm_labels
from tfactors.bundle.llm_labels import Answer
from tfactors.errors import InputError
from tfactors.llm import prompts
from tfactors.llm.contexts import FactorPlaces, places_of
from tfactors.llm.endpoint import Endpoint, GaveUpError, as_they_come
from tfactors.llm.plan import MOST_TOKENS, Plan, Prices, plan
from tfactors.llm.prompts import Messages

BLOCK = 24
# How often a model is asked again that does not answer what was asked.
UNUSABLE_TRIES = 3
_AGAIN_TEMPERATURE = 0.7
# So many requests in a row that fail for good end the run.
FAILURES = 5


@dataclass(frozen=True)
class Task:
    """One thing to ask about a factor.

    Attributes
    ----------
    kind : str
        One of :data:`tfactors.bundle.llm_labels.TASKS`.
    places : FactorPlaces
        Of the factor.
    text : str
        The label to score.
    other : int or None
        The factor that this label is of, where it is another one.
    """

    kind: str
    places: FactorPlaces
    text: str = ""
    other: int | None = None

    @property
    def prompt(self) -> Messages:
        """What is sent."""
        if self.kind == "label":
            return prompts.label_prompt(self.places.shown)
        return prompts.score_prompt(self.text, self.places.asked)


@dataclass(frozen=True)
class Told:
    """What a run came to: answers, how many were no use, requests that failed, tokens."""

    answers: int = 0
    unusable: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class Labelling:
    """The labels of some factors by one model, with the answers that are there already.

    Parameters
    ----------
    bundle : Bundle
        The bundle.
    model : str
        What the endpoint calls the model.
    factors : sequence of int
        Living factors, ascending.
    """

    def __init__(self, bundle: Bundle, model: str, factors: Sequence[int]) -> None:
        if not llm_labels.is_line(model, llm_labels.LONGEST_MODEL) or not model:
            raise InputError(f"--llm: a name of at most {llm_labels.LONGEST_MODEL} letters")
        self.bundle, self.model, self.factors = bundle, model, list(factors)
        answers = llm_labels.read(bundle.path, bundle.about)
        self.answers = {answer.key: answer for answer in answers}
        self._table = llm_labels.table_of(answers, bundle.about)
        self._come: SimpleQueue[Answer] = SimpleQueue()
        self._keeping = threading.Lock()
        # The plan reads places that are asked about after it.
        self.places_of = lru_cache(BLOCK)(partial(places_of, bundle))

    def has(self, factor: int, task: str) -> bool:
        """Return whether a question about a factor was answered."""
        return (factor, self.model, task) in self.answers

    def label(self, factor: int) -> str:
        """Return the label of a factor, "" where there is none."""
        answer = self.answers.get((factor, self.model, "label"))
        return answer.text if answer else ""

    def plan(self, prices: Prices) -> Plan:
        """Return what is left to do."""
        unlabelled = [at for at in self.factors if not self.has(at, "label")]
        wanted = [at for at in self.factors if at in {*unlabelled} or self.label(at)]
        tasks = [(at, task) for at in wanted for task in llm_labels.TASKS[1:]]
        missing = [at for at, task in tasks if not self.has(at, task)]
        return plan(self.places_of, self.factors, unlabelled, missing, len(missing), prices)

    def run(
        self,
        endpoint: Endpoint,
        at_once: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Told:
        """Ask what is left, keep every answer as it comes, and return what the run came to.

        Raises
        ------
        InputError
            The endpoint refuses, or fails again and again; what was answered is kept.
        """
        told, failures = Told(), 0
        try:
            for tasks in self._rounds():
                work = as_they_come(
                    tasks, lambda task: self._answered(endpoint, task), at_once, endpoint.stop
                )
                for outcome in work:
                    if isinstance(outcome.error, GaveUpError):
                        failures += 1
                        told = replace(told, failed=told.failed + 1)
                        if failures >= FAILURES:
                            raise InputError(_gave_up(outcome.error))
                    elif outcome.error is not None:
                        raise outcome.error
                    elif outcome.found is not None:
                        failures, told = 0, _with(told, outcome.found)
                    progress(1)
        finally:
            endpoint.stop.set()
            with self._keeping:  # a file that is being written becomes whole
                pass
        return told

    def _rounds(self) -> Iterator[list[Task]]:
        """Yield lists of tasks; each is asked for when the one before is answered."""
        for first in range(0, len(self.factors), BLOCK):
            block = self.factors[first : first + BLOCK]
            if all(self._is_done(factor) for factor in block):
                continue
            places = {at: self.places_of(at) for at in block if not self._is_done(at)}
            yield [Task("label", p) for at, p in places.items() if not self.has(at, "label")]
            labelled = [at for at in block if self.label(at)]
            yield [
                task
                for at, p in places.items()
                if self.label(at) and p.can_be_scored
                for task in self._scores(p, labelled)
                if not self.has(at, task.kind)
            ]

    def _is_done(self, factor: int) -> bool:
        return all(self.has(factor, task) for task in llm_labels.TASKS)

    def _scores(self, places: FactorPlaces, labelled: Sequence[int]) -> Iterator[Task]:
        """Yield the scores of a factor: of its label, of its other name, of another's label."""
        yield Task("score", places, self.label(places.factor))
        row = self.bundle.factors.iloc[places.factor]
        rule = row["label_rule"] if isinstance(row["label_rule"], str) else None
        if name := prompts.rule_made_name(str(row["label"] or ""), rule):
            yield Task("rule", places, name)
        other = self._another(places.factor, labelled)
        if other is not None:
            yield Task("shuffled", places, self.label(other), other)

    def _another(self, factor: int, labelled: Sequence[int]) -> int | None:
        """Return the next labelled factor of the block, else any that this model labelled."""
        at = labelled.index(factor)
        after = [*labelled[at + 1 :], *labelled[:at]]
        known = sorted(
            f for f, model, task in self.answers if (model, task) == (self.model, "label")
        )
        return next(
            (other for other in [*after, *known] if other != factor and self.label(other)), None
        )

    def _asked(self, endpoint: Endpoint, task: Task) -> Answer:
        """Return the answer to a task; one that is of no use too, after it was asked again."""
        prompt = task.prompt
        tokens_in: int | None = 0
        tokens_out: int | None = 0
        text, counts, said = "", {}, ""
        for attempt in range(UNUSABLE_TRIES):
            reply = endpoint.ask(prompt, MOST_TOKENS, _AGAIN_TEMPERATURE if attempt else 0.0)
            tokens_in, tokens_out = (
                _sum(tokens_in, reply.tokens_in),
                _sum(tokens_out, reply.tokens_out),
            )
            said = reply.text
            if task.kind == "label":
                text = prompts.label_of(said) or ""
            else:
                text, counts = task.text, _counts(task, said)
            if text and (counts or task.kind == "label"):
                break
        return Answer(
            task.places.factor,
            self.model,
            task.kind,
            task.places.layer,
            text,
            datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            prompts.TEMPLATE,
            prompts.prompt_sha256(prompt),
            prompts.kept_answer(said),
            tokens_in,
            tokens_out,
            task.other,
            **counts,
        )

    def _answered(self, endpoint: Endpoint, task: Task) -> Answer:
        """Ask, and keep the answer before anything else is asked; for several threads.

        Answers that come while a file is being written are written together after it.
        """
        answer = self._asked(endpoint, task)
        self._come.put(answer)
        with self._keeping:
            come = [self._come.get() for _ in range(self._come.qsize())]
            if come and not endpoint.stop.is_set():
                self.answers |= {one.key: one for one in come}
                more = llm_labels.table_of(come, self.bundle.about)
                self._table = llm_labels.joined(self._table, more)
                llm_labels.write_table(self.bundle.path, self.bundle.about, self._table)
        return answer


def _counts(task: Task, said: str) -> dict[str, int]:
    """Return how many places of each kind were asked about, and fit; {} where no answer is."""
    fits = prompts.fits_of(said, len(task.places.asked))
    if fits is None:
        return {}
    counts = dict.fromkeys(
        ("strong", "strong_fit", "random", "random_fit", "silent", "silent_fit"), 0
    )
    for number, place in enumerate(task.places.asked, start=1):
        counts[place.kind] += 1
        counts[f"{place.kind}_fit"] += number in fits
    return counts


def _gave_up(error: BaseException) -> str:
    return (
        f"gave up after {FAILURES} requests in a row that failed ({error}); what was answered is "
        "kept, and the same command goes on from here"
    )


def _sum(known: int | None, more: int | None) -> int | None:
    return None if known is None or more is None else known + more


def _with(told: Told, answer: Answer) -> Told:
    """Return what a run came to with one more answer."""
    useless = not answer.text if answer.task == "label" else answer.score is None
    return Told(
        told.answers + 1,
        told.unusable + useless,
        told.failed,
        told.tokens_in + (answer.tokens_in or 0),
        told.tokens_out + (answer.tokens_out or 0),
    )
