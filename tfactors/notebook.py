"""How bundles, factors, explanations and decompositions show themselves in a notebook.

In goes one of them, out comes HTML: the highlighted text of the dashboard with a few rules of its
look. A factor also has its importance curve, an Altair chart, beside it as a picture that shows
itself without a network. Every token is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfactors.app import change_strip, passages
from tfactors.curve_picture import curve_svg
from tfactors.whole_words import spelled

if TYPE_CHECKING:
    from tfactors.bundle import Bundle
    from tfactors.decomposition import Decomposition
    from tfactors.intervention import Intervention
    from tfactors.saliency import Explanation

_EXAMPLES, _WORDS, _TERMS, _TOKENS, _LABEL = 10, 8, 3, 48, 28
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


def _framed(title: str, body: str) -> str:
    return f'<div class="tf-nb">{_LOOK}<p><b>{html.escape(title)}</b></p>{body}</div>'


def _table(rows: list[tuple[str, str]]) -> str:
    left = ' style="text-align: left"'  # notebooks align cells to the right, and win over a rule
    cells = (
        f"<tr><th{left}>{html.escape(a)}</th><td{left}>{html.escape(b)}</td></tr>" for a, b in rows
    )
    return f"<table>{''.join(cells)}</table>"


def bundle_html(bundle: Bundle) -> str:
    """Return what a bundle is made of, as a table."""
    manifest = bundle.manifest
    model, corpus = manifest["model"], manifest["corpus"]
    titles = "; ".join(str(source.get("title", source["name"])) for source in corpus["sources"])
    rows = [
        ("model", f"{model['name']}, layers {', '.join(map(str, bundle.layers))}"),
        ("text", f"{titles}: {corpus['tokens']:,} tokens"),
        ("factors", f"{bundle.n_factors:,}"),
        ("folder", str(bundle.path)),
    ]
    return _framed(bundle.title, _table(rows))


@dataclass(frozen=True)
class Factor:
    """One factor of a bundle, as `Bundle.factor` gives it; shows itself in a notebook."""

    bundle: Bundle
    number: int

    @property
    def label(self) -> str:
        """Its name for people; may be empty."""
        return str(self.bundle.factors["label"].iloc[self.number])

    @property
    def level(self) -> str:
        """``low``, ``mid`` or ``high``; empty where it has none."""
        return str(self.bundle.factors["level"].iloc[self.number])

    @property
    def peak_layer(self) -> int:
        """The layer where it is most important, the first one where that is not known."""
        peak = int(self.bundle.factors["peak_layer"].iloc[self.number])
        return peak if peak in self.bundle.layers else self.bundle.layers[0]

    @property
    def chart(self) -> Any:
        """Its importance over the layers, an Altair chart."""
        import altair as alt

        base = alt.Chart(self.bundle.importance(self.number)).encode(
            x=alt.X("layer:O", axis=alt.Axis(labelAngle=0)),
            y="importance:Q",
            tooltip=["layer:O", alt.Tooltip("importance:Q", format=".3f")],
        )
        return (base.mark_line() + base.mark_point(filled=True, size=60)).properties(height=160)

    def _repr_html_(self) -> str:
        examples = self.bundle.examples(self.number, self.peak_layer, _EXAMPLES)
        found = passages.passages(self.bundle, examples, _WORDS)
        level = f", {self.level} level" if self.level else ""
        title = f"Factor {self.number}: {named(self.label)} (layer {self.peak_layer}{level})"
        strongest = float(examples["activation"].max()) if len(examples) else 0.0
        body = passages.lines(found, strongest) if found else "<p>No token activates it.</p>"
        return _framed(title, body)

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        display(HTML(self._repr_html_()))
        display(self._curve(), raw=True)

    def _curve(self) -> dict[str, Any]:
        """Return the chart for what draws Vega-Lite itself, and a picture for all else."""
        import altair as alt

        curve = self.bundle.importance(self.number)
        picture = curve_svg(curve["layer"].tolist(), curve["importance"].tolist())
        major = alt.SCHEMA_VERSION.split(".")[0]
        return {
            f"application/vnd.vegalite.{major}+json": self.chart.to_dict(),
            "image/svg+xml": picture,
            "text/plain": f"importance of factor {self.number} over the layers",
        }


def named(label: str) -> str:
    """A label as the pages write it.

    >>> named("mixed: public, power"), named("the word “left”")
    ('public · power', 'the word “left”')
    """
    words = label.removeprefix("mixed: ")
    return words if words == label else words.replace(", ", " · ")


def explanation_html(explanation: Explanation) -> str:
    """Return a text with the tokens that an activation depends on tinted by their weights."""
    at, tokens = explanation.position, explanation.tokens
    passage = passages.Passage(
        tokens, at, at + 1, explanation.activation, "", spelled(tokens[at]), explanation.weights
    )
    title = (
        f"Factor {explanation.factor} at layer {explanation.layer} on “{spelled(tokens[at])}”: "
        f"activation {explanation.activation:.2f} ({explanation.method})"
    )
    return _framed(title, passages.texts([passage], max(explanation.activation, 0.0)))


def intervention_html(made: Intervention) -> str:
    """Return a text with its tokens tinted by the change of their final states, and the numbers."""
    tokens = made.tokens["token"].tolist()
    where = "every token" if made.position is None else f"“{spelled(tokens[made.position])}”"
    moved = made.tokens.index[made.tokens["step"] != 0].tolist()
    rows = [
        ("sentence embedding", f"changes by {made.change:.2%}, cosine {made.cosine:.4f}"),
        (
            f"{len(made.random)} random directions",
            f"{made.random.mean():.2%} on average, {made.random.max():.2%} at most",
        ),
    ]
    if made.similarity:
        before, after = made.similarity
        rows.append(("cosine with the other text", f"{before:.4f} before, {after:.4f} after"))
    if made.words is not None:
        said = (
            f"{row.token!r} {row.before:.2%} → {row.after:.2%}" for row in made.words.itertuples()
        )
        rows.append((f"words at “{spelled(tokens[made.words_at])}”", "; ".join(said)))
    amount = f"× {made.times:g}" + (f" + {made.add:g}" if made.add else "")
    title = f"Factor {made.factor} {amount} at layer {made.layer}, at {where}"
    return _framed(
        title, _table(rows) + change_strip.strip(tokens, made.tokens["change"].to_numpy(), moved)
    )


def _in_words(labels: Sequence[str], factor: int) -> str:
    label = named(labels[factor]) if factor < len(labels) else ""
    return f" ({passages.shorten(label, _LABEL)})" if label else ""


def decomposition_html(made: Decomposition) -> str:
    """Return a table of tokens with their strongest factors at the last layer."""
    layer = int(np.max(made.residuals["layer"]))
    active = made.factors[made.factors["layer"] == layer]
    explained = made.residuals[made.residuals["layer"] == layer]["explained"]
    rows = []
    for token, share in list(zip(made.tokens.itertuples(), explained, strict=True))[:_TOKENS]:
        terms = active[active["position"] == token.position].head(_TERMS)
        said = " + ".join(
            f"{row.activation:.1f} · {row.factor}{_in_words(made.labels, row.factor)}"
            for row in terms.itertuples()
        )
        rows.append((passages.shorten(spelled(token.token), 40), f"{share:.0%}: {said or '0'}"))
    more = f" (the first {_TOKENS} tokens)" if len(made.tokens) > _TOKENS else ""
    title = f"Layer {layer}: share explained, and activation · factor{more}"
    return _framed(title, _table(rows))
