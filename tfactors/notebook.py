"""What a notebook shows of a result: a titled block of HTML, a table, a curve as a picture.

Bundles, factors, explanations and decompositions draw themselves with these pieces and those of
:mod:`tfactors.display.passages`. Every token is escaped, and nothing needs a network.
"""

import html

_LOOK = """<style>
.tf-nb ol { list-style: none; margin: 0; padding: 0; }
.tf-nb cite { opacity: .6; font-size: .85em; }
.tf-nb .tf-line { display: grid; column-gap: .4rem; padding: .1rem 0;
  grid-template-columns: 3.5rem minmax(0, 1fr) max-content minmax(0, 1fr) minmax(0, 11rem); }
.tf-nb .tf-before { text-align: right; direction: rtl; }
.tf-nb .tf-before, .tf-nb .tf-after, .tf-nb cite { overflow: hidden; white-space: nowrap; }
.tf-nb cite { text-overflow: ellipsis; }
.tf-nb mark { background: #FDE68A; color: #22262B; font-weight: 650; border-radius: .2rem; }
.tf-nb .tf-plus { background: rgb(43 108 163 / calc(var(--a) * 55%)); }
.tf-nb .tf-minus { background: rgb(184 80 0 / calc(var(--a) * 55%)); border-bottom: 1px dashed; }
.tf-nb .tf-moved { font-weight: 650; outline: 2px solid; }
</style>"""


def framed(title: str, body: str) -> str:
    """Return a block of HTML with a title over it and the look of a notebook."""
    return f'<div class="tf-nb">{_LOOK}<p><b>{html.escape(title)}</b></p>{body}</div>'


def table(rows: list[tuple[str, str]]) -> str:
    """Return rows of a name and what is said of it as a table, both escaped."""
    left = ' style="text-align: left"'  # notebooks align cells to the right, and win over a rule
    cells = (
        f"<tr><th{left}>{html.escape(a)}</th><td{left}>{html.escape(b)}</td></tr>" for a, b in rows
    )
    return f"<table>{''.join(cells)}</table>"
