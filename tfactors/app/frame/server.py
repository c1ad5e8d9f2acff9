"""What the server does around the pages: imports ahead, turns of readers, memory.

*Imports.* The first page needs the packages that read tables and draw charts, nearly a second's
work. They are imported in a thread of their own from the moment the server is there, while the
first browser still fetches Streamlit's own code; a page that comes too early waits for the rest.
The page that imports a package again shows what is wrong with it.

*Turns.* Python runs one thread at a time. Where 20 readers click at once and 20 threads share it,
all of their pages are ready at the end; made one after the other the first is ready at once, and
the one in the middle after half of the time. A turn is given back before the model is asked, which
takes longer. A page waits four seconds for its turn at most, so that one that hangs holds up none.

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
_PATIENCE = 4.0  # seconds

_TURNS = threading.BoundedSemaphore(_AT_ONCE)
_HELD: ContextVar[bool] = ContextVar("turn_held", default=False)


@contextmanager
def page_turn() -> Iterator[None]:
    """Make a page in turn with those of other readers."""
    _HELD.set(_TURNS.acquire(timeout=_PATIENCE))
    try:
        yield
    finally:
        give_turn_back()


def give_turn_back() -> None:
    """Let others go on; for what takes long."""
    if _HELD.get():
        _HELD.set(False)
        _TURNS.release()
