"""What the server does while the first reader's browser fetches Streamlit's own code.

The first page needs the packages that read tables and draw charts, nearly a second's work, and used
to begin with them when the browser had all it needs and asked for the page. They are imported in a
thread of their own from the moment the server is there; a page that comes too early waits for the
rest. What goes wrong is met again, and told, by the page that imports it.
"""

import contextlib
import importlib
import threading
from collections.abc import AsyncIterator

from streamlit.starlette import App

_NEEDED = ("tfactors.app.shell", "tfactors.app.factor_view")


@contextlib.asynccontextmanager
async def lifespan(_: App) -> AsyncIterator[None]:
    """Begin to import when the server starts."""
    threading.Thread(target=_import, name="imports", daemon=True).start()
    yield


def _import() -> None:
    for name in _NEEDED:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
