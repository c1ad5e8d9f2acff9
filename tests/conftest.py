"""What all tests share: the tier that is quick, the work of two processes, bundles to read.

`make check` passes ``--quick``; `make test` runs everything, the files shared out among processes.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Threads that wait sleep, so that what runs beside them has the core.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# PyTorch on one thread, here and in the processes that tests start: of models this small a second
# one does little but wait, and the tests of another process have the core.
os.environ.setdefault("MKL_NUM_THREADS", "1")

TESTS = Path(__file__).parent
# What takes seconds a test, or has to be there before.
SLOW = ("browser", "installation", "model", "process")
SLOW_MODULE = re.compile(rf"^pytestmark = pytest\.mark\.({'|'.join(SLOW)})$", re.MULTILINE)
# Folders with the longest tests, which come first: at the end short ones fill the processes evenly.
LONGEST_FIRST = ("browser", "stages", "project", "explain", "evaluate", "app")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help=f"leave out what has one of the marks {', '.join(SLOW)}",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a module unread that is slow as a whole: importing PyTorch alone takes seconds."""
    if not config.getoption("quick"):
        return None
    if collection_path.suffix != ".py":
        return True if collection_path == TESTS / "browser" else None
    return True if SLOW_MODULE.search(collection_path.read_text(encoding="utf-8")) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("quick"):
        slow = [item for item in items if any(map(item.get_closest_marker, SLOW))]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]
    rank = {folder: place for place, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(rank)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Give a process a file at a time, and all browser tests to one: they share their servers."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if not file.startswith("tests/browser/"):
                return file
            # Two halves of about the same length, so that two cores end together.
            first = file.endswith(
                ("test_browser.py", "test_explorer.py", "test_shift.py", "test_basket_walk.py")
            )
            return "tests/browser, first half" if first else "tests/browser, second half"

    config.option.loadscopereorder = False  # the order of `pytest_collection_modifyitems`
    return ByFile(config, log)


_compiled = False


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let one process compile what builds need, and the others find it in the cache.

    In a fresh clone each of them would take most of a minute of a processor for it. Tests of the
    browser do not wait: they solve nothing themselves.
    """
    global _compiled
    if _compiled or item.path.parent.name == "browser":
        return
    from filelock import FileLock

    assert item.config.cache
    folder = item.config.cache.mkdir("kernels")
    done = folder / "compiled"
    sources = (TESTS.parent / "tfactors").rglob("*.py")
    with FileLock(folder / "lock"):
        if not done.exists() or done.stat().st_mtime < max(p.stat().st_mtime for p in sources):
            from kernels import compile_kernels

            compile_kernels()
            done.touch()
    _compiled = True


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """Keep the main module: a page that is run by a test takes its place and leaves it there."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two made-up bundles to read: 40 factors, and 20 of another seed."""
    from synthetic_bundle import write_synthetic_bundle

    folder = tmp_path_factory.mktemp("artifacts")
    write_synthetic_bundle(folder / "default", title="The first")
    write_synthetic_bundle(folder / "other", factors=20, seed=1, title="The second")
    return folder


@pytest.fixture(scope="session")
def over_minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one bundle to read: made-up factors over a real model, for explanations."""
    from minilm_bundle import write_minilm_bundle

    folder = tmp_path_factory.mktemp("over_minilm")
    write_minilm_bundle(folder / "default")
    return folder
