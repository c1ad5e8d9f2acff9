"""The ``tfactors`` command: build a bundle, check it, read from it, open the dashboard on it.

What it can do is in :mod:`tfactors.commands`, one file a command. Exit status 0: done; 2: bad usage
or bad input, one line on standard error; 130: interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import tfactors
from tfactors.commands import commands
from tfactors.errors import InputError
from tfactors.visible import VisibleOutput, visible

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130
# What is quoted of a command line may be a whole text.
LONGEST_SAID = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status.

    Parameters
    ----------
    arguments
        The words behind ``tfactors``; those of this process by default.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    name = given_command(arguments)
    try:
        options = options_of(arguments)
        # Whatever a bundle or a text holds, nothing that is printed acts on the terminal.
        with contextlib.redirect_stdout(VisibleOutput(sys.stdout)):
            commands()[name].run(options)
    except InputError as error:
        print(f"tfactors: {visible(' '.join(str(error).split()))}", file=sys.stderr)
        return BAD_INPUT
    except ModuleNotFoundError as error:  # where only what the reading pages need is installed
        if str(error.name).startswith("tfactors"):
            raise
        print(
            f"tfactors: {name} needs the package {error.name}, which is not installed; "
            "'pip install tfactors' brings all it needs",
            file=sys.stderr,
        )
        return BAD_INPUT
    except KeyboardInterrupt:
        from tfactors.ranks import leads

        command = commands().get(name)
        hint = "; the same command goes on from here" if command and command.resumable else ""
        if leads():
            print(f"\ntfactors: interrupted{hint}", file=sys.stderr)
        return INTERRUPTED
    except MemoryError as error:
        print(
            f"tfactors: not enough memory ({' '.join(str(error).split()) or 'none is left'}); take "
            "fewer factors, shorter texts or a smaller model",
            file=sys.stderr,
        )
        return BAD_INPUT
    except BrokenPipeError:  # the reader of our output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a folder that cannot be written, a disk that is full
        if not error.strerror:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"tfactors: {visible(where)}{error.strerror}", file=sys.stderr)
        return BAD_INPUT
    return DONE


class CommandLineParser(argparse.ArgumentParser):
    """Turns words into options; a mistake is told in one line, without all that could be given."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end with status 2."""
        self.exit(BAD_INPUT, usage_error(self.prog, message))


def usage_error(program: str, message: str) -> str:
    """Return the line that tells of a mistake.

    >>> usage_error("tfactors build", "unrecognized arguments: --fast")
    "tfactors build: unrecognized arguments: --fast; see 'tfactors build --help'\\n"
    """
    said = visible(" ".join(message.split()))
    said = said if len(said) <= LONGEST_SAID else f"{said[:LONGEST_SAID]}…"
    return f"{program}: {said}; see '{program} --help'\n"


def given_command(arguments: Sequence[str]) -> str:
    """Return the first word that is no option; "" if there is none.

    >>> given_command(["info", "artifacts/default", "--json"])
    'info'
    """
    return next((word for word in arguments if not word.startswith("-")), "")


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    """Turn a command line into the options of its command."""
    parser = parser_for(arguments)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:  # the parser of all commands finds them; they were meant for this one
        message = f"unrecognized arguments: {' '.join(unknown)}"
        program = f"{parser.prog} {given_command(arguments)}"
        parser.exit(BAD_INPUT, usage_error(program, message))
    return options


def parser_for(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of one command line.

    It knows every command by name, but the options of none except the one that is given: some
    options cost an import of pandas.
    """
    parser = CommandLineParser(
        prog="tfactors", description="Look inside a language model through its factors."
    )
    parser.add_argument("--version", action="version", version=f"tfactors {tfactors.__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    given = given_command(arguments)
    for name, command in commands().items():
        subparser = subparsers.add_parser(
            name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            epilog=f"example: {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == given:
            command.add_options(subparser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
