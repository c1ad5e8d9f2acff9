"""What is printed once a bundle has been made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfactors.bundle import Bundle


def print_finished_bundle(bundle: Bundle, folder: Path) -> None:
    """Print what the bundle holds, and the command that opens it."""
    from tfactors.bundle.summary import describe

    print(describe(bundle.about))
    print(f"\nopen it with: tfactors dashboard {folder}")
