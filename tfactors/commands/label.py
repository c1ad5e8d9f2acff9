"""``tfactors label``: a language model names the factors, and its names are scored."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from tfactors.commands.command import Command
from tfactors.commands.shared_options import above_zero, add_bundle, add_json, add_quiet
from tfactors.errors import InputError

if TYPE_CHECKING:
    from tfactors.llm.labelling import Labelling, Told
    from tfactors.llm.plan import Plan, Prices

LEVELS = ("low", "mid", "high")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the bundle, the model and where it is, the factors, and the limits."""
    add_bundle(parser)
    parser.add_argument(
        "--endpoint",
        required=True,
        metavar="URL",
        help="where the model is asked, by OpenAI's protocol: Ollama, vLLM, llama.cpp, OpenAI; its "
        "key, where it wants one, is TFACTORS_LLM_KEY or else OPENAI_API_KEY of the environment",
    )
    parser.add_argument(
        "--llm", required=True, metavar="NAME", help="the model, as it is called there"
    )
    parser.add_argument(
        "--factors", type=int, nargs="+", default=(), metavar="N", help="only these (default: all)"
    )
    parser.add_argument("--level", choices=LEVELS, default="", help="only factors of this level")
    parser.add_argument(
        "--limit", type=above_zero, metavar="N", help="only so many, the first ones"
    )
    parser.add_argument(
        "--at-once",
        type=above_zero,
        default=4,
        metavar="N",
        help="most requests at once (%(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=_price,
        default=120.0,
        metavar="SECONDS",
        help="of a request (%(default)s)",
    )
    for name, what in (("in", "sent"), ("out", "returned")):
        parser.add_argument(
            f"--price-{name}", type=_price, metavar="X", help=f"price of a million tokens {what}"
        )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what would be asked, and one whole prompt"
    )
    add_json(parser)
    add_quiet(parser)


def _price(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"{text}: expected 0 or more")
    return number


def run(options: argparse.Namespace) -> None:
    """Say what will be asked; unless that is all, ask, and print what came of it."""
    from tfactors.bundle import Bundle
    from tfactors.llm.endpoint import Endpoint, checked_url, key_of_environment
    from tfactors.llm.labelling import Labelling
    from tfactors.llm.plan import Prices, chosen_factors

    bundle = Bundle.open(options.bundle)
    url, (key, variable) = checked_url(options.endpoint), key_of_environment()
    factors = chosen_factors(bundle, options.factors, options.level, options.limit)
    labelling = Labelling(bundle, options.llm, factors)
    prices = Prices(options.price_in, options.price_out)
    planned = labelling.plan(prices)
    where = f"{url}, {f'with the key of {variable}' if key else 'without a key'}"
    where += f", at most {options.at_once} requests at once"
    if not options.json:
        _print_plan(planned, where, labelling)
    if options.dry_run:
        _print_dry_run(planned, labelling, options.json)
        return
    endpoint = Endpoint(url, options.llm, key, options.timeout)
    try:
        told = _asked(labelling, endpoint, options, planned)
    finally:
        endpoint.close()
    _print_result(labelling, told, prices, options.json)


def _asked(
    labelling: Labelling, endpoint: object, options: argparse.Namespace, planned: Plan
) -> Told:
    from tqdm import tqdm

    total, quiet = planned.labels + planned.scores, options.quiet or options.json
    with tqdm(total=total, desc="asked", unit="request", disable=quiet) as bar:
        return labelling.run(endpoint, options.at_once, bar.update)  # type: ignore[arg-type]


def _print_plan(planned: Plan, where: str, labelling: Labelling) -> None:
    from tfactors.bundle import llm_labels

    kept = labelling.bundle.path / llm_labels.TABLE
    lines = [*planned.describe(), ("sent to", where), ("kept in", str(kept))]
    print("\n".join(f"{name:<10}{says}" for name, says in lines), flush=True)


def _print_dry_run(planned: Plan, labelling: Labelling, as_json: bool) -> None:
    """Print the first prompt as it would be sent."""
    from tfactors.llm.prompts import label_prompt

    factor = labelling.factors[0]
    prompt = label_prompt(labelling.places_of(factor).shown)
    if as_json:
        print(json.dumps({"plan": planned.record(), "factor": factor, "prompt": prompt}))
        return
    print(f"\nNothing was sent. The request for the label of factor {factor}:")
    for message in prompt:
        print(f"\n[{message['role']}]\n{message['content']}")


def _print_result(labelling: Labelling, told: Told, prices: Prices, as_json: bool) -> None:
    """Print how many labels there are, what they are worth beside the others, and what was used."""
    from tfactors.llm.scores import mean_scores

    answers = [
        answer
        for answer in labelling.answers.values()
        if answer.model == labelling.model and answer.factor in {*labelling.factors}
    ]
    labels = sum(answer.task == "label" and bool(answer.text) for answer in answers)
    scores = mean_scores(answers)
    price = prices.of(told.tokens_in, told.tokens_out)
    if as_json:
        record = {"labels": labels, "scores": scores, "run": asdict(told), "price": price}
        print(json.dumps(record))
        return
    spent = "price unknown" if price is None else f"price {price:,.2f}"
    print(f"{labels:,} of {len(labelling.factors):,} factors have a label by {labelling.model}")
    for name, (score, factors) in scores.items():
        print(f"  {name:<28}{score:.1%}" + (f" of {factors:,} factors" if factors else ""))
    print(
        f"{told.answers:,} answers, {told.unusable:,} of no use, {told.failed:,} requests failed; "
        f"{told.tokens_in:,} tokens sent and {told.tokens_out:,} returned, {spent}"
    )
    if told.failed:
        failed = f"{told.failed:,} request{'s' if told.failed != 1 else ''} failed"
        raise InputError(f"{failed}; the same command asks them again")


COMMAND = Command(
    summary="let a language model name the factors, and score its names",
    example="tfactors label artifacts/default --endpoint http://localhost:11434/v1 --llm llama3.2 "
    "--limit 20",
    add_options=add_options,
    run=run,
    resumable=True,
)
