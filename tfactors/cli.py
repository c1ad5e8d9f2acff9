"""The ``tfactors`` command: build a bundle, check it, read from it, open the dashboard on it.

What it can do is in :mod:`tfactors.commands`, one file a command. Exit status 0: done; 2: bad usage
or bad input, one line on standard error; 130: interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import tfactors
from tfactors.commands import commands
from tfactors.errors import InputError

DONE, BAD_INPUT, INTERRUPTED = 0, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status.

    Parameters
    ----------
    arguments
        The words behind ``tfactors``; those of this process by default.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser_for(arguments).parse_args(arguments)
    command = commands()[options.name]
    try:
        command.run(options)
    except InputError as error:
        print(f"tfactors: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except ModuleNotFoundError as error:  # where only what the reading pages need is installed
        if str(error.name).startswith("tfactors"):
            raise
        print(
            f"tfactors: {options.name} needs the package {error.name}, which is not installed; "
            "'pip install tfactors' brings all it needs",
            file=sys.stderr,
        )
        return BAD_INPUT
    except KeyboardInterrupt:
        from tfactors.ranks import leads

        hint = "; the same command goes on from here" if command.resumable else ""
        if leads():
            print(f"\ntfactors: interrupted{hint}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a folder that cannot be written, a disk that is full
        if not error.strerror:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"tfactors: {where}{error.strerror}", file=sys.stderr)
        return BAD_INPUT
    return DONE


def parser_for(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of one command line.

    It knows every command by name, but the options of none except the one that is given: some
    options cost an import of pandas.
    """
    parser = argparse.ArgumentParser(
        prog="tfactors", description="Look inside a language model through its factors."
    )
    parser.add_argument("--version", action="version", version=f"tfactors {tfactors.__version__}")
    subparsers = parser.add_subparsers(
        title="commands", required=True, metavar="COMMAND", dest="name"
    )
    given = next((word for word in arguments if not word.startswith("-")), None)
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
