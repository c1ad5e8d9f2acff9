"""One factor of a bundle as a thing by itself, which shows itself in a notebook.

A factor knows the bundle that it is read from and its number; its name, its level, its curve and
its words in context are read when they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfactors.bundle.passages import passages_of
from tfactors.bundle.reading import BundleReader
from tfactors.describe.labels import named
from tfactors.display import passages
from tfactors.display.notebook import curve_svg, framed

_EXAMPLES, _WORDS = 10, 8


@dataclass(frozen=True)
class Factor:
    """One factor of a bundle, as `Bundle.factor` gives it; shows itself in a notebook."""

    bundle: BundleReader
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
        found = passages_of(self.bundle, examples, _WORDS)
        level = f", {self.level} level" if self.level else ""
        title = f"Factor {self.number}: {named(self.label)} (layer {self.peak_layer}{level})"
        strongest = float(examples["activation"].max()) if len(examples) else 0.0
        body = passages.lines(found, strongest) if found else "<p>No token activates it.</p>"
        return framed(title, body)

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
