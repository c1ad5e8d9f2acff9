"""The options that several commands share, each with its help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfactors.stages.settings import Settings


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Add the bundle that a command reads."""
    parser.add_argument("bundle", type=Path, help="folder of the bundle, or hf:owner/name")


def above_zero(text: str) -> int:
    """Return a count of one or more, as argparse's ``type``."""
    return _at_least(1, int(text))


def zero_or_more(text: str) -> int:
    """Return a count, as argparse's ``type``."""
    return _at_least(0, int(text))


def _at_least(smallest: int, number: int) -> int:
    if number < smallest:
        raise argparse.ArgumentTypeError(f"{number}: expected {smallest} or more")
    return number


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, for scripts."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_bundle_folder(parser: argparse.ArgumentParser) -> None:
    """Add ``--out``, the folder of the bundle that a command makes."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument("--device", default="cpu", help="where the model runs (%(default)s)")


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add ``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def add_corpora(parser: argparse.ArgumentParser, help: str) -> None:
    """Add the texts: files and packaged corpora as arguments, data sets as ``--corpus``."""
    parser.add_argument("corpora", nargs="*", metavar="CORPUS", help=help)
    parser.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="NAME[:CONFIG[:SPLIT]]",
        help="a Hugging Face data set, or a folder laid out as one, streamed, after the corpora "
        "above; such as wikitext:wikitext-103-raw-v1:train; or a packaged corpus or a file as "
        "above; may be given several times",
    )


def add_settings(
    parser: argparse.ArgumentParser,
    description: str,
    defaults: Settings,
    left_out: Sequence[str],
) -> None:
    """Add an option for every setting of a build but those left out.

    The options are the fields of :class:`tfactors.stages.settings.Settings` but those that nothing
    asks for any more, with their help and what they are by default. Each is None where it is not
    given.
    """
    from tfactors.stages.settings import OLDER_RULE

    group = parser.add_argument_group("settings", description)
    for setting in fields(defaults):
        if setting.name not in (*left_out, *OLDER_RULE):
            name, default = f"--{setting.name.replace('_', '-')}", getattr(defaults, setting.name)
            group.add_argument(name, help=_help_of(setting, default), **_parsing_of(default))


def _help_of(setting: Field, default: Any) -> str:
    """Return a setting's sentence with its default in brackets, as argparse reads it."""
    if default == ():
        shown = "all"
    elif isinstance(default, float):
        shown = f"{default:.3g}"
    else:
        shown = str(default)
    return f"{setting.metadata['help']} [{shown}]".replace("%", "%%")


def _parsing_of(default: Any) -> dict[str, Any]:
    """Return how argparse reads a setting of this default's type."""
    if isinstance(default, bool):
        return {"action": argparse.BooleanOptionalAction}
    if isinstance(default, tuple):
        return {"type": int, "nargs": "+", "metavar": "N"}
    metavar = {int: "N", float: "X"}.get(type(default), "NAME")
    return {"type": type(default), "metavar": metavar}


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line changes, by name.

    ``corpora`` is always among them: None where no text was given.
    """
    from tfactors.stages.settings import Settings
    from tfactors.text.windows import named_corpus

    named = {setting.name: getattr(options, setting.name, None) for setting in fields(Settings)}
    given = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in named.items()
        if value is not None
    }
    corpora = (*options.corpora, *map(named_corpus, options.corpus))
    return given | {"corpora": corpora or None}
