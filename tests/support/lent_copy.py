"""A copy of a folder that tests may change one after another: it is put back in between.

Turns a folder that must stay as it is into one that a test may damage. A bundle has thirty files,
and most tests change one or two of them.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LentCopy:
    """A copy of a folder of files.

    Its files are dated 1970, so that whatever was written to has another date.
    """

    def __init__(self, original: Path, path: Path) -> None:
        self._original, self._path = original, path
        inside = {at.relative_to(original): at for at in original.rglob("*")}
        self._sizes = {name: at.stat().st_size for name, at in inside.items() if at.is_file()}
        self._folders = inside.keys() - self._sizes.keys()
        self._copy_all()

    @contextmanager
    def lent(self) -> Iterator[Path]:
        """Lend the copy, and put it back as it was."""
        try:
            yield self._path
        finally:
            self._restore()

    def _copy_all(self) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
        shutil.copytree(self._original, self._path, copy_function=shutil.copyfile)
        for name in self._sizes:
            os.utime(self._path / name, ns=(0, 0))

    def _restore(self) -> None:
        found = {at.relative_to(self._path): at.lstat() for at in self._path.rglob("*")}
        if found.keys() - self._sizes.keys() != self._folders:
            self._copy_all()
            return
        for name, size in self._sizes.items():
            at, is_there = self._path / name, found.get(name)
            if is_there is None or (is_there.st_mtime_ns, is_there.st_size) != (0, size):
                at.unlink(missing_ok=True)
                shutil.copyfile(self._original / name, at)
                os.utime(at, ns=(0, 0))
