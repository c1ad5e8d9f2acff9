"""One factor, or those of a level or a list, as one file of HTML for an e-mail or an appendix.

Turns a bundle into a page that holds its own style and loads nothing.
"""

from pathlib import Path

from tqdm import tqdm

from tfactors.bundle import Bundle
from tfactors.display.text import as_html
from tfactors.errors import InputError
from tfactors.files import replacing
from tfactors.portrait import level_rule
from tfactors.publish import factor_page
from tfactors.publish.contents import LEVELS, Contents
from tfactors.publish.page import is_published, single_page

# Factors that a file holds: 60 of them are 1.5 MB.
MOST_LISTED = 60


def publish_factor(bundle: Bundle, factor: int, path: Path) -> None:
    """Write a factor as one file: all of its layers, with more examples than a site has.

    Parameters
    ----------
    bundle : Bundle
        The bundle.
    factor : int
        Its number.
    path : Path
        The file; an older page of ours is replaced.

    Raises
    ------
    InputError
        The bundle has no such factor, or the file's place is taken by something else.
    """
    bundle.factor(factor)  # says where there is no such factor
    _check(path)
    contents = Contents.of(bundle)
    body = factor_page.body(contents, factor, factor_page.OF_FILE, lambda other: None)
    _put(path, single_page(f"Factor {contents.names[factor]}", bundle.title, body))


def publish_level(bundle: Bundle, level: str, path: Path, progress: bool = True) -> None:
    """Write the factors of a level as one file, the most important first, each at its peak.

    Parameters
    ----------
    bundle : Bundle
        The bundle.
    level : str
        low, mid or high.
    path : Path
        The file; an older page of ours is replaced.
    progress : bool
        Whether a bar shows how far it is.

    Raises
    ------
    InputError
        The bundle has no factor of this level, or the file's place is taken by something else.
    """
    assert level in LEVELS
    _check(path)
    contents = Contents.of(bundle)
    members = contents.listed.get(level, [])
    if not members:
        raise InputError(f"no factor of this bundle is {level}-level; it has {_counts(contents)}")
    meaning = level_rule.level_meaning(level, bundle.about.importance.thresholds)
    title = f"{level.capitalize()}-level factors"
    _write_factors(contents, title, members, f": {meaning}", path, progress)


def publish_list(bundle: Bundle, name: str, path: Path, progress: bool = True) -> None:
    """Write a list that people made, of ``labels.json`` beside the bundle, as one file.

    Parameters
    ----------
    bundle : Bundle
        The bundle.
    name : str
        Of the list.
    path : Path
        The file; an older page of ours is replaced.
    progress : bool
        Whether a bar shows how far it is.

    Raises
    ------
    InputError
        There is no such list, or it is empty, or the file's place is taken by something else.
    """
    _check(path)
    contents = Contents.of(bundle)
    lists = contents.notes.lists
    if not lists.get(name):
        known = ", ".join(f"“{known}”" for known in lists) or contents.notice or "it has none"
        raise InputError(f"labels.json beside the bundle has no list “{name}”: {known}")
    _write_factors(contents, name, list(lists[name]), " of the list", path, progress)


def _write_factors(
    contents: Contents, title: str, members: list[int], said: str, path: Path, progress: bool
) -> None:
    """Write the first factors of a list, each at its peak."""
    shown = members[:MOST_LISTED]
    which = (
        f"The first {len(shown)} of {len(members):,} factors"
        if len(shown) < len(members)
        else f"All {len(members):,} factors"
        if len(members) > 1
        else "The one factor"
    )
    entries = [
        f'<article class="one" id="factor-{factor}">'
        f"{factor_page.short(contents, factor, factor_page.OF_LIST)}</article>"
        for factor in tqdm(shown, "publish", unit="factor", disable=not progress or None)
    ]
    links = "".join(
        f'<li><a href="#factor-{factor}"><bdi>{as_html(contents.names[factor])}</bdi></a></li>'
        for factor in shown
    )
    body = (
        f'<h1><bdi>{as_html(title)}</bdi></h1><p class="said">{which}{as_html(said)}.</p>'
        f'<ol class="similar">{links}</ol>{"".join(entries)}'
    )
    _put(path, single_page(title, contents.bundle.title, body))


def _counts(contents: Contents) -> str:
    return ", ".join(f"{len(of):,} {level or 'of none'}" for level, of in contents.listed.items())


def _check(path: Path) -> None:
    if Path(path).is_dir():
        raise InputError(f"{path}: is a folder; --out names the file, such as factor-30.html")
    if Path(path).exists() and not (Path(path).is_file() and is_published(Path(path))):
        raise InputError(
            f"{path}: is there already, and is no page that was published; give another path for "
            "--out"
        )


def _put(path: Path, text: str) -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))
