"""How Sphinx turns this folder into a site; ``make docs`` runs it, and a warning is an error.

Nothing is fetched while it is built, and nothing when a page is looked at: formulas become MathML,
fonts and scripts come with the theme. The command line is described by its own parsers.
"""

import argparse
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.ext.napoleon.docstring import GoogleDocstring

import tfactors

project = "tfactors"
author = "The tfactors maintainers"
project_copyright = "The tfactors maintainers, MIT licence"
release = version = tfactors.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
nitpicky = False
default_role = "code"

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = "tfactors"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_sidebars = {"index": [], "glossary": [], "architecture": [], "contributing": []}
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


# A property's docstring is a sentence, in which a colon parts no type from it.
GoogleDocstring._parse_attribute_docstring = GoogleDocstring._consume_to_end  # type: ignore


def formula(writer: Any, node: nodes.Element) -> None:
    """Write an inline formula as MathML, which browsers draw without a script."""
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def displayed_formula(writer: Any, node: nodes.Element) -> None:
    """Write a formula on a line of its own."""
    writer.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of every command of ``tfactors``, by name."""
    from tfactors.cli import parser_for
    from tfactors.commands import commands

    found = {}
    for name in commands():
        (choices,) = (
            action.choices
            for action in parser_for([name])._actions
            if isinstance(action, argparse._SubParsersAction)
        )
        found[name] = choices[name]
    return found


def described(parser: argparse.ArgumentParser) -> str:
    """Turn the parser of a command into Markdown: what it does, an example, its options."""
    lines = [parser.description or "", "", "```sh", (parser.epilog or "").removeprefix("example: ")]
    lines += ["```", ""]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.dest != "help"]
        if not actions:
            continue
        title = {"positional arguments": "Arguments", "options": "Options"}.get(
            group.title or "", (group.title or "").capitalize()
        )
        lines += [f"**{title}.** {group.description or ''}", ""]
        for action in actions:
            lines += [signature(action), f": {meaning(action)}", ""]
    return "\n".join(lines)


def signature(action: argparse.Action) -> str:
    """Return what is typed for an option or argument, as ``--out OUT``."""
    value = ""
    if action.choices is not None:
        value = "{" + ",".join(map(str, action.choices)) + "}"
    elif action.nargs != 0:
        value = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return f"`{value}`"
    return f"`{', '.join(action.option_strings)} {value}`".replace(" `", "`")


def meaning(action: argparse.Action) -> str:
    """Return the help of an option, as Markdown that shows every character as it is."""
    formatter = argparse.HelpFormatter("tfactors")
    text = formatter._expand_help(action) if action.help else "required"
    if action.required and action.help and action.option_strings:
        text = f"{text} (required)"
    return re.sub(r"([\\`*_{}\[\]<>$|])", r"\\\1", text)


def listed_decisions(folder: Path) -> str:
    """Return a list of all decisions, newest first, under the day of each."""
    lines, day = [], ""
    for path in sorted(folder.glob("2*.md"), reverse=True):
        if path.name[:10] != day:
            day = path.name[:10]
            lines += ["", f"## {day}", ""]
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({path.name})")
    return "\n".join(lines)


def add_what_is_generated(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the commands, and the list of decisions, where their pages ask for them."""
    if page == "decisions/index":
        listed = listed_decisions(Path(app.srcdir) / "decisions")
        source[0] = source[0].replace("<!-- every decision -->", listed)
    if page == "reference/command_line":
        commands = (f"## tfactors {name}\n\n{described(p)}" for name, p in parsers().items())
        source[0] = source[0].replace("<!-- every command -->", "\n\n".join(commands))


def setup(app: Sphinx) -> None:
    """Tell Sphinx of the formulas, and of what is generated."""
    app.add_html_math_renderer("mathml", (formula, None), (displayed_formula, None))
    app.connect("source-read", add_what_is_generated)
