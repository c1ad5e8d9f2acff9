"""A bundle becomes a folder of pages that works from a disk and from any host of files.

Turns a bundle into a site: the pages of :mod:`tfactors.publish.site_pages`, a page a factor, and
the indexes that they look things up in. It is written beside its place and moved there when it is
whole, so that a site is there or is not; the same bundle gives the same bytes.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

from tqdm import tqdm

from tfactors.bundle import Bundle
from tfactors.display import look
from tfactors.errors import InputError
from tfactors.files import folder_beside, give_usual_rights
from tfactors.publish import factor_page, indexes, site_pages
from tfactors.publish.contents import Contents, TextInMemory
from tfactors.publish.page import page, script, style_sheet

# Says that a folder is a site of ours, which may be replaced.
_MARK = "published.json"
_HOLDS = {
    *("index.html", "Factor.html", "Random_by_level.html", "Search.html"),
    *("Curves_and_saliency.html", "Map.html", "site.css", "site.js", "site.svg", _MARK),
    *("factors", "levels", "data"),
}


def publish_site(bundle: Bundle, folder: Path, progress: bool = True) -> None:
    """Write a bundle as a site.

    Parameters
    ----------
    bundle : Bundle
        What is published.
    folder : Path
        The folder of the site, which is new, empty, or an older site that is replaced.
    progress : bool
        Whether a bar shows how far it is.

    Raises
    ------
    InputError
        The folder holds something else.
    """
    folder = Path(folder).absolute()
    _check(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(folder) as made:
        _write(bundle, made, progress)
        give_usual_rights(made)
        _replace(folder, made)


def _check(folder: Path) -> None:
    """Raise where a folder is neither new, nor empty, nor a site of ours."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder}: is no folder; name a new one with --out")
    inside = {path.name for path in folder.iterdir()} if folder.exists() else set()
    others = sorted(inside if _MARK not in inside else inside - _HOLDS)
    if others:
        raise InputError(
            f"{folder}: holds something else than a published site ({others[0]}); name a new or an "
            "empty folder with --out"
        )


def _replace(folder: Path, made: Path) -> None:
    """Put a whole site in its place; the one that was there goes when the new one stands."""
    if not folder.exists():
        os.replace(made, folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f"old-{folder.name}-", dir=folder.parent))
    os.replace(folder, old)
    os.replace(made, folder)
    shutil.rmtree(old)


def _write(bundle: Bundle, folder: Path, progress: bool) -> None:
    contents = Contents.of(TextInMemory.of(bundle))
    for name in ("factors", "levels", "data"):
        (folder / name).mkdir()
    marked = {"format": "tfactors-site", "manifest_sha256": bundle.fingerprint}
    _put(folder / _MARK, json.dumps(marked) + "\n")
    _put(folder / "site.css", style_sheet())
    _put(folder / "site.js", script())
    _put(folder / "site.svg", look.ICON)
    _write_indexes(contents, folder / "data")
    bodies = {
        "index.html": ("", site_pages.home(contents)),
        "Factor.html": ("Factor", site_pages.factor_chooser(contents)),
        "Random_by_level.html": ("Levels", site_pages.levels(contents)),
        "Search.html": ("Search", site_pages.search()),
        "Curves_and_saliency.html": ("Curves", site_pages.curves(contents)),
        "Map.html": ("Map", site_pages.map_page(contents)),
    }
    for name, (title, body) in bodies.items():
        _put(folder / name, page(title, bundle.title, body, here=name))
    for name, (title, body) in site_pages.lists(contents).items():
        _put(folder / name, page(title, bundle.title, body, "../", "Random_by_level.html"))
    for factor in tqdm(
        range(bundle.n_factors), "publish", unit="factor", disable=not progress or None
    ):
        body = _neighbouring(contents, factor) + factor_page.body(
            contents, factor, factor_page.OF_SITE, lambda other: f"{other}.html"
        )
        title = f"Factor {contents.names[factor]}"
        _put(folder / site_pages.address(factor), page(title, bundle.title, body, "../"))


def _write_indexes(contents: Contents, folder: Path) -> None:
    parts = indexes.word_parts(indexes.word_rows(contents))
    _put(folder / "names.js", indexes.names(contents, len(parts)))
    _put(folder / "curves.js", indexes.curves(contents))
    _put(folder / "map.js", indexes.places(site_pages.map_places(contents)))
    for at, part in enumerate(parts):
        _put(folder / f"words-{at}.js", part)


def _neighbouring(contents: Contents, factor: int) -> str:
    """Return the way to the factors before and after, and to the views of this one."""
    links = [
        f'<a href="{factor - 1}.html" rel="prev">← {factor - 1}</a>' if factor else "",
        f'<a href="{factor + 1}.html" rel="next">{factor + 1} →</a>'
        if factor + 1 < contents.bundle.n_factors
        else "",
        f'<a href="../Curves_and_saliency.html?factors={factor}">in curves</a>',
        f'<a href="../Map.html?factor={factor}">on the map</a>',
    ]
    return f'<nav class="layers" aria-label="Other factors">{"".join(links)}</nav>'


def _put(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))
