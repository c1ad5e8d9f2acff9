"""``tfactors dashboard``: a bundle in the browser."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tfactors.commands.command import Command
from tfactors.errors import InputError

# An installed package carries the pages; in a checkout they lie beside the package.
PACKAGED = Path(__file__).parents[1] / "_app"
CHECKOUT = Path(__file__).parents[2]
# How long a server that was told to end may take for what it has begun.
SECONDS_TO_END = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the bundle, its model, and where the server listens."""
    parser.add_argument(
        "bundle",
        type=Path,
        nargs="?",
        help="folder of a bundle or of several, hf:owner/name on the hub, or hf:owner for all of "
        "theirs (default: artifacts/default)",
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="folder of the bundle's model, where it is not found (or set TFACTORS_MODEL)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on; 0.0.0.0: open to every computer that reaches this one "
        "(default: %(default)s)",
    )
    parser.add_argument("--port", type=int, default=8501, help="port (default: %(default)s)")


def run(options: argparse.Namespace) -> None:
    """Serve the pages until Ctrl-C or SIGTERM."""
    environment = dict(os.environ)
    if options.bundle is not None:
        environment.pop("TFACTORS_BUNDLE", None)
        environment |= _bundle_environment(options.bundle)
    if options.model is not None:
        from tfactors.model.folder import inner_folder

        if not (options.model / inner_folder(options.model) / "config.json").is_file():
            raise InputError(f"{options.model}: holds no config.json; give the folder of a model")
        environment["TFACTORS_MODEL"] = str(options.model.resolve())
    # The server starts in the folder of the pages, where nobody keeps bundles.
    if PACKAGED.is_dir():
        environment.setdefault("TFACTORS_ARTIFACTS", str(Path("artifacts").resolve()))
    check_address(options.host, options.port)
    serve(options.host, options.port, environment)


def _bundle_environment(source: Path) -> dict[str, str]:
    """Return what tells the pages which bundles there are; what is wrong is said here, not there.

    Raises
    ------
    BundleError
        There is neither a bundle nor a folder of bundles.
    """
    from tfactors.bundle import Bundle
    from tfactors.bundle.format import MANIFEST
    from tfactors.bundle.hub import bundles_of, is_owner

    if is_owner(source):
        bundles_of(str(source))
        return {"TFACTORS_ARTIFACTS": str(source)}
    if not (source / MANIFEST).exists() and any(source.glob(f"*/{MANIFEST}")):
        return {"TFACTORS_ARTIFACTS": str(source.resolve())}
    return {"TFACTORS_BUNDLE": str(Bundle.open(source).path.resolve())}


def check_address(host: str, port: int) -> None:
    """Prove that a server can listen there: Streamlit would end without a word of ours.

    Raises
    ------
    InputError
        The port is taken or no port at all, or the address is not one of this machine.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server((address[0], port), family=family).close()
    except OverflowError as error:
        raise InputError(f"port {port}: expected 0 to 65535") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"port {port} is taken; choose another with --port") from error
        raise InputError(f"cannot listen on {host}, port {port}: {error.strerror}") from error


def serve(host: str, port: int, environment: dict[str, str]) -> None:
    """Run the server until somebody stops it.

    Raises
    ------
    InputError
        The server ended by itself, with a mistake.
    """
    pages = PACKAGED if PACKAGED.is_dir() else CHECKOUT
    command = [sys.executable, "-m", "streamlit", "run", str(pages / "dashboard.py")]
    flags = {
        "server.address": host,
        "server.port": str(port),
        "browser.gatherUsageStats": "false",
        "server.showEmailPrompt": "false",
    }
    command += [f"--{name}={value}" for name, value in flags.items()]
    # Whoever ends this process means the server: SIGTERM is what Ctrl-C is.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    status = 0
    try:
        with subprocess.Popen(command, cwd=pages, env=environment) as server:  # noqa: S603 - ours
            try:
                status = server.wait()
            except KeyboardInterrupt:
                server.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(SECONDS_TO_END)
            finally:
                server.kill()
    finally:
        signal.signal(signal.SIGTERM, before)
    if status > 0:
        raise InputError(f"the server of the dashboard ended with status {status}")


COMMAND = Command(
    summary="open a bundle in the browser",
    example="tfactors dashboard artifacts/mine --port 8600",
    add_options=add_options,
    run=run,
)
