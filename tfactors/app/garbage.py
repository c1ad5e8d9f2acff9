"""What is loaded for good is left out of Python's search for garbage.

Streamlit has Python collect its garbage after every run of a page, which goes through every object
that is alive: with the libraries of the dashboard that takes as long as making a page, and three
times as long once PyTorch is loaded, while no other thread can go on. The libraries stay as long as
the server does. So whenever a run has loaded new modules, all that is alive is put aside
(``gc.freeze``), and a collection only looks at what came after. What a run holds at that moment is
put aside with it; that is little, and happens only as often as new modules are loaded.

What Arrow read and let go stays with the process until the system gets it back, which is asked for
after every run (1 ms): of a large bundle that is 20 to 40 MB.
"""

import gc
import sys

import pyarrow as pa

_modules = 0


def spare_what_stays() -> None:
    """Put all that is alive aside, if modules were loaded since the last time."""
    global _modules
    if _modules != (now := len(sys.modules)):
        _modules = now
        gc.freeze()


def give_memory_back() -> None:
    """Return what was read and is not needed any more to the system."""
    pa.default_memory_pool().release_unused()
