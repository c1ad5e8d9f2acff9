"""The model is loaded from the moment that a page is opened which will ask it.

Its libraries take 5 to 10 seconds of a processor, and after an installation the kernels that solve
codes take 25 more to be compiled. Both begin in the background when a reader opens such a page:
the model is loaded in a thread, and the kernels are compiled in a process of their own, which holds
up no page and leaves them in a cache. Who asks meanwhile waits for both. Pages that only read never
begin it, so that a server of readers stays without PyTorch.
"""

import atexit
import contextlib
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_LONGEST = 300  # seconds that a compilation may take before it is done here once more
_EACH = 0.5  # seconds between two looks; in each the reader may leave


class WarmUp:
    """One loading of a model in the background; ``kernels`` whether codes are solved for it."""

    def __init__(self, load: Callable[[], object], kernels: bool) -> None:
        self._load = load
        self._compiling = _compile_ahead() if kernels else None
        self._thread = threading.Thread(target=self._run, name="warm-up", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # Whoever asks loads again, and is told what is wrong.
        with contextlib.suppress(Exception):
            self._load()
        if self._compiling is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._compiling.wait(_LONGEST)

    def wait(self, say: Callable[[], object]) -> None:
        """Wait for the end; ``say`` is called again and again, where Streamlit may break off."""
        while self._thread.is_alive():
            say()
            self._thread.join(_EACH)


@functools.cache  # once is enough for all models
def _compile_ahead() -> subprocess.Popen | None:
    """Compile the kernels in a process of their own; None where there can be none."""
    root = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "tfactors.coding.compile_ahead"],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    atexit.register(process.terminate)
    return process
