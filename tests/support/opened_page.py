"""A page of the dashboard without a browser: opened by its link, read as a reader reads it.

Every page opened here is a cold start too: AppTest forgets between runs that the dashboard draws
its own menu, as a server does that was just started.
"""

import re
from pathlib import Path
from urllib.parse import parse_qsl

import component_scan  # noqa: F401
from streamlit.testing.v1 import AppTest

from tfactors.app.frame import controls

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120  # seconds: generous, because a page is run and not waited for


def open_page(path: str = controls.HOME.path, **query: str) -> AppTest:
    """Open a page by its link: its path in the repository, and what its address asks for."""
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=PATIENCE)
    if path != controls.HOME.path:
        app.switch_page(path)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def unfold(app: AppTest, name: str) -> AppTest:
    """Open a part of the sidebar that is folded away, as a click on its title does."""
    app.session_state[f"fold_{name}"] = True
    return app.run()


def words(app: AppTest) -> str:
    """Everything a reader can read in the main part and the sidebar, tags left out."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "error", "code")
    parts = [element.value for kind in kinds for element in getattr(app, kind)]
    parts.append(re.sub(r"<[^>]+>", " ", html_of(app)))
    return re.sub(r"\s+", " ", " ".join(map(str, parts)))


def html_of(app: AppTest) -> str:
    """The HTML that the page draws itself, its style sheets left out."""
    bodies = [element.proto.body for element in app.get("html")]
    return "\n".join(body for body in bodies if not body.startswith("<style>"))


def query(app: AppTest) -> dict[str, str]:
    """What the page's address asks for."""
    params = app.query_params.items()
    return {name: value if isinstance(value, str) else value[-1] for name, value in params}


def follow(app: AppTest) -> AppTest:
    """Do what the browser does when a page asks it to open another: follow the link it drew."""
    links = [link.proto for link in app.get("page_link")]
    link = next(link for link in links if link.label.startswith("Open the page "))
    page = next(page for page in controls.PAGES if link.label == f"Open the page {page.title}")
    app.switch_page(page.path)
    app.query_params.clear()
    for name, value in parse_qsl(link.query_string):
        app.query_params[name] = value
    return app.run()
