"""The frame of every published page: head, menu, foot, and what the page may load.

Turns a title and a body into a page of HTML. Its Content-Security-Policy lets nothing in from
elsewhere: scripts and styles are the files beside it (``file:`` says so for a folder on a disk,
which some browsers do not take for "self"), and a page for one file has no script at all.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path

from tfactors.display import look
from tfactors.display.text import as_html

MENU = (
    ("index.html", "Home"),
    ("Factor.html", "Factor"),
    ("Random_by_level.html", "Levels"),
    ("Search.html", "Search"),
    ("Curves_and_saliency.html", "Curves"),
    ("Map.html", "Map"),
)
# By these two a page of ours is known again, of this version or an older one.
_FIRST, _BY_US = "<!doctype html>", "published by tfactors"
_FOOT = 500  # bytes at the end that hold the second
_NOTHING_ELSE = "default-src 'none'; base-uri 'none'"
_OF_SITE = (
    f"{_NOTHING_ELSE}; img-src 'self' file:; script-src 'self' file:; style-src 'self' file:; "
    "style-src-attr 'unsafe-inline'; form-action 'self' file:"
)


@cache
def style_sheet() -> str:
    """Return the CSS of a published page: the look of our own HTML, and the frame around it."""
    return look.sheet() + Path(__file__).with_name("site.css").read_text("utf-8")


@cache
def script() -> str:
    """Return the script of a site: search, map and curves, and links of the dashboard."""
    return Path(__file__).with_name("site.js").read_text("utf-8")


def page(title: str, bundle: str, body: str, root: str = "", here: str = "") -> str:
    """Return a page of a site.

    Parameters
    ----------
    title : str
        Of the page, plain text.
    bundle : str
        Title of the bundle, plain text.
    body : str
        HTML of what the page shows.
    root : str
        The way to the folder of the site: "" there, "../" one folder below.
    here : str
        The page of the menu that this one is.
    """
    links = "".join(
        f'<a href="{root}{file}"{" aria-current=page" if file == here else ""}>{name}</a>'
        for file, name in MENU
    )
    head = f'<link rel="icon" href="{root}site.svg"><link rel="stylesheet" href="{root}site.css">'
    frame = (
        '<a class="skip" href="#main">Skip to the content</a>'
        f'<header class="top"><p class="tf-brand"><a href="{root}index.html">Transformer factors'
        f'</a></p><nav aria-label="Pages">{links}</nav></header>'
    )
    last = f'<script src="{root}site.js" defer></script>'
    return _document(title, bundle, head, _OF_SITE, frame, body, last)


def is_published(path: Path) -> bool:
    """Return whether a file is empty or a page of ours, so that nothing is lost with it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(len(_FIRST))
        file.seek(max(0, size - _FOOT))
        return not size or (first == _FIRST.encode() and _BY_US.encode() in file.read())


def single_page(title: str, bundle: str, body: str) -> str:
    """Return a page that is a file by itself: its style inside it, and no script."""
    style = style_sheet()
    seal = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"{_NOTHING_ELSE}; style-src 'sha256-{seal}'; style-src-attr 'unsafe-inline'"
    return _document(title, bundle, f"<style>{style}</style>", policy, "", body, "")


def _document(
    title: str, bundle: str, head: str, policy: str, frame: str, body: str, last: str
) -> str:
    whole = f"{title} · {bundle}" if title else bundle
    return (
        f'{_FIRST}\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{as_html(whole)}</title>\n"
        f"{head}\n</head>\n<body>\n{frame}\n"
        f'<main id="main" tabindex="-1">\n{body}\n</main>\n'
        f'<footer class="foot"><p><bdi>{as_html(bundle)}</bdi>: transformer factors, {_BY_US}. '
        f"Nothing on this page is fetched from elsewhere.</p></footer>\n{last}\n"
        "</body>\n</html>\n"
    )
