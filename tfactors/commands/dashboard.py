"""``tfactors dashboard``: a bundle in the browser."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tfactors.commands.command import Command
from tfactors.errors import InputError

PACKAGE = Path(__file__).parents[1]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the bundle, its model, and where the server listens."""
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        help="folder of the bundle, or hf:owner/name on the hub (default: artifacts/default)",
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="folder of the bundle's model, where it is not found (or set TFACTORS_MODEL)",
    )
    parser.add_argument("--port", type=int, default=8501, help="port (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    """Serve the pages until Ctrl-C."""
    # An installed package carries the pages; in a checkout they lie beside the package.
    packaged = PACKAGE / "_app"
    pages = packaged if packaged.is_dir() else PACKAGE.parent
    environment = dict(os.environ)
    if options.bundle is not None:
        from tfactors.bundle import Bundle

        bundle = Bundle.open(options.bundle)  # a bad folder is said here, not in the browser
        environment["TFACTORS_BUNDLE"] = str(bundle.path.resolve())
    if options.model is not None:
        if not (options.model / "config.json").is_file():
            raise InputError(f"{options.model}: holds no config.json; give the folder of a model")
        environment["TFACTORS_MODEL"] = str(options.model.resolve())
    # The server starts in the folder of the pages, where nobody keeps bundles.
    if packaged.is_dir():
        environment.setdefault("TFACTORS_ARTIFACTS", str(Path("artifacts").resolve()))
    server = [sys.executable, "-m", "streamlit", "run", str(pages / "dashboard.py")]
    flags = {
        "--server.port": str(options.port),
        "--browser.gatherUsageStats": "false",
        "--server.showEmailPrompt": "false",
    }
    command = server + [word for flag in flags.items() for word in flag]
    try:
        subprocess.run(command, cwd=pages, env=environment, check=False)  # noqa: S603 - our own program
    except KeyboardInterrupt:  # Ctrl-C is how a server is stopped
        return


COMMAND = Command(
    summary="open a bundle in the browser",
    example="tfactors dashboard artifacts/mine --port 8600",
    add_options=add_options,
    run=run,
)
