"""What a command of ``tfactors`` consists of."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One command: how the help shows it, its options, and what it does.

    Attributes
    ----------
    summary
        What it does, in the list of commands and at the top of its own help.
    example
        A real command line, at the end of its help.
    add_options
        Adds its options to a parser; called only where the command is the one that was given.
    run
        Does what the options ask for.
    resumable
        Whether the same command goes on where it was interrupted.
    """

    summary: str
    example: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]
    resumable: bool = False
