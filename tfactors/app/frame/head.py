"""What the browser knows before the first word of a page: our style sheet, and what to fetch.

Streamlit's page is empty until its JavaScript has run, has asked the server for the elements, and
has fetched the code of each kind of element. What comes late pushes what is there: the sidebar the
page, an element its followers. So every HTML page that the server sends gets, at the end of its
``<head>``, the style sheet (which keeps the sidebar's place free), another one that hides what
follows a stand-in until the element itself has come, and links that let the browser fetch the code
of our kinds of elements and the fonts at once instead of one after the other.
"""

from functools import cache
from pathlib import Path

import streamlit
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tfactors.app.frame import style

# The code of kinds of elements that stand near the top of our pages, and the fonts beside the
# first, by the names of their files.
_ELEMENTS = (
    *("Html", "StreamlitMarkdown", "PageLink", "Button", "ButtonGroup", "Selectbox"),
    *("NumberInput", "TextInput", "Slider", "Metric", "DownloadButton", "ArrowVegaLiteChart"),
)
_FONTS = ("SourceSerifVariable-Roman", "MaterialSymbols-Rounded")
# Streamlit's own width. Below 768 pixels its sidebar lies over the page; an embedded page has none.
_SIDEBAR = """
@media screen and (min-width: 768px) {
  [data-testid="stAppViewContainer"]:not(:has(> [data-testid="stSidebar"])) { padding-left: 300px; }
}
"""

# An element of 40 pixels stands in for one whose code is still being fetched. What follows it
# waits, because it would be pushed; but not for ever, should the code never come.
_WAITING = """
:is(.stVerticalBlock, .stHorizontalBlock) > :has([data-testid="stSkeleton"]),
:is(.stVerticalBlock, .stHorizontalBlock) > :has([data-testid="stSkeleton"]) ~ * {
  animation: tf-wait 5s step-end; }
@keyframes tf-wait { from { visibility: hidden; } to { visibility: visible; } }
"""
# Whenever a dot of a chart changes, the browser asks again whether something has to wait, and a map
# would follow the mouse seconds late. So the sheet goes when the first page stands.
_ENOUGH = """
const asked = setInterval(() => {
  const app = document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]');
  const stands = app?.querySelector('[data-testid="stMain"] [data-testid="stElementContainer"]');
  if (!stands || document.querySelector('[data-testid="stSkeleton"]')) return;
  document.getElementById("tf-waiting").remove();
  clearInterval(asked);
}, 50);
"""


def middleware() -> list[Middleware]:
    """Return what the server passes every answer through."""
    return [Middleware(Head)]


class Head:
    """Put our part of the head into every HTML page that is sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if not _asks_for_a_page(scope):
            await self.app(scope, receive, send)
            return
        # Not packed, because we write into it; not "as you have it", because our part may be newer.
        dropped = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")
        headers_passed_on = [header for header in scope["headers"] if header[0] not in dropped]
        embedded = b"embed=true" in scope["query_string"].lower()
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = body.replace(b"</head>", _ours(embedded).encode() + b"</head>", 1)
            headers = dict(start["headers"]) | {b"content-length": str(len(body)).encode()}
            for name in (b"etag", b"last-modified"):
                headers.pop(name, None)
            await send({**start, "headers": list(headers.items())})
            await send({"type": "http.response.body", "body": body})

        await self.app({**scope, "headers": headers_passed_on}, receive, collect)


def _asks_for_a_page(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    name = scope["path"].rpartition("/")[2]
    if "." in name and name != "index.html":  # a script, a font, a download
        return False
    return any(key == b"accept" and b"text/html" in value for key, value in scope["headers"])


@cache
def _ours(embedded: bool) -> str:
    static = Path(streamlit.__file__).parent / "static/static"
    code = [path.name for name in _ELEMENTS for path in static.glob(f"js/{name}.*.js")]
    fonts = [path.name for name in _FONTS for path in static.glob(f"media/{name}.*.woff2")]
    links = [f'<link rel="modulepreload" crossorigin href="./static/js/{name}">' for name in code]
    font = '<link rel="preload" as="font" type="font/woff2" crossorigin href="./static/media/{}">'
    links += [font.format(name) for name in fonts]
    sheet = style.sheet() + ("" if embedded else _SIDEBAR)
    waiting = f'<style id="tf-waiting">{_WAITING}</style><script>{_ENOUGH}</script>'
    return f"<style>{sheet}</style>{waiting}{''.join(links)}"
