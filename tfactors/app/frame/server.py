"""What the server does around the pages: imports ahead, turns of readers, memory.

*Imports.* The first page needs the packages that read tables and draw charts, nearly a second's
work. They are imported in a thread of their own from the moment the server is there, while the
first browser still fetches Streamlit's own code; a page that comes too early waits for the rest.
The page that imports a package again shows what is wrong with it.

*Turns.* Python runs one thread at a time. Where 20 readers click at once and 20 threads share it,
all of their pages are ready at the end; made one after the other the first is ready at once, and
the one in the middle after half of the time. A turn is given back before the model is asked, which
takes longer. A page that takes four seconds loses its turn to the next, so that one that hangs
holds up none. However many wait, no more than a few are made at once.

*Memory.* Streamlit has Python collect its garbage after every run of a page, which goes through
every object that is alive: with the libraries of the dashboard that takes as long as making a page,
and three times as long once PyTorch is loaded, while no other thread can go on. The libraries stay
as long as the server does. So whenever a run has loaded new modules, all that is alive is put aside
(``gc.freeze``), and a collection only looks at what came after. What a run holds at that moment is
put aside with it; that is little, and happens only as often as new modules are loaded. What Arrow
read and let go stays with the process until the system gets it back, which is asked for after every
run (1 ms): of a large bundle that is 20 to 40 MB.
"""

import contextlib
import gc
import importlib
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pyarrow as pa
from streamlit.starlette import App

_NEEDED = ("tfactors.app.frame.shell", "tfactors.app.parts.factor_summary")


@contextlib.asynccontextmanager
async def lifespan(_: App) -> AsyncIterator[None]:
    """Begin to import when the server starts."""
    threading.Thread(target=_import, name="imports", daemon=True).start()
    yield


def _import() -> None:
    for name in _NEEDED:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


_modules = 0


def freeze_loaded_modules() -> None:
    """Put all that is alive aside, if modules were loaded since the last time."""
    global _modules
    if _modules != (now := len(sys.modules)):
        _modules = now
        gc.freeze()


def release_memory() -> None:
    """Return what was read and is not needed any more to the system."""
    pa.default_memory_pool().release_unused()


_AT_ONCE = 2  # while one reads a file another computes
_PATIENCE = 4.0  # seconds that a page may take while others wait


class Turns:
    """Who may make a page now; the others wait, and come in about the order in which they asked."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[object, float] = {}  # turns and when they began, the oldest first

    def take(self) -> object:
        """Wait for a turn; one that is held for too long is taken from its holder."""
        turn = object()
        with self._changed:
            while len(self._held) >= _AT_ONCE:
                oldest, since = next(iter(self._held.items()))
                left = since + _PATIENCE - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                else:
                    del self._held[oldest]
            self._held[turn] = time.monotonic()
        return turn

    def give_back(self, turn: object) -> None:
        """Let the next go on, unless this turn was given back or taken before."""
        with self._changed:
            if self._held.pop(turn, None) is not None:
                self._changed.notify()


_TURNS = Turns()
_HELD: ContextVar[object] = ContextVar("turn_held", default=None)


@contextmanager
def page_turn() -> Iterator[None]:
    """Make a page in turn with those of other readers."""
    _HELD.set(_TURNS.take())
    try:
        yield
    finally:
        give_turn_back()


def give_turn_back() -> None:
    """Let others go on; for what takes long."""
    _TURNS.give_back(_HELD.get())
