"""Two bundles side by side: what their factors are, by the numbers that a reader would ask for.

    python benchmarks/compare_bundles.py OLD NEW [--json FILE]

Everything is read from the bundles, and each number is defined by its line below. The numbers of
quality are the bundle's own, of text that its dictionary never saw.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from tfactors.bundle import Bundle
from tfactors.describe import labels

TOP = 50  # strongest examples of a factor at its peak layer
LEVELS = ("low", "mid", "high")


def examples_at_peak(bundle: Bundle) -> pd.DataFrame:
    """Return the TOP strongest examples of every living factor at its peak layer."""
    factors = bundle.factors[bundle.factors["alive"]]
    parts = [
        bundle.examples(int(row.factor), int(row.peak_layer), TOP).assign(factor=row.factor)
        for row in factors.itertuples()
    ]
    found = pd.concat(parts, ignore_index=True)
    return found.assign(word=found["word"].str.casefold())


def numbers_of(bundle: Bundle) -> dict[str, object]:
    """Return the numbers of one bundle, by what they are called."""
    about, factors = bundle.about, bundle.factors[bundle.factors["alive"]].set_index("factor")
    found = examples_at_peak(bundle)
    distinct = found.groupby("factor")["word"].nunique()
    commonest = found.groupby("factor")["word"].agg(lambda w: w.value_counts(normalize=True).max())
    first = found.assign(first=found["position"] == 0).groupby("factor")["first"].mean()
    level = factors["level"]
    f1 = labels.f1_score(factors["label_precision"], factors["label_recall"])
    named = ~factors["label"].str.startswith(labels.MIXED) & (f1 >= labels.GOOD_ENOUGH)
    peaks = factors["peak_layer"].value_counts(normalize=True)
    out: dict[str, object] = {
        "factors": len(bundle.factors),
        "alive": about.metrics.alive,
        "factors a token (L0)": about.metrics.l0,
        "explained variance": about.metrics.explained_variance,
        **{
            f"  layer {layer.layer}": layer.explained_variance
            for layer in about.metrics.layers or ()
        },
        **{name: int((level == name).sum()) for name in LEVELS},
        **{
            f"distinct words of the {TOP} strongest, median, {name}": float(
                distinct[level.index[level == name]].median()
            )
            for name in LEVELS
        },
        **{
            f"share of the commonest of these words, mean, {name}": float(
                commonest[level.index[level == name]].mean()
            )
            for name in LEVELS
        },
        "most peaks at one layer, share of factors": float(peaks.max()),
        f"at least half of the {TOP} strongest at the first token of a window, factors": int(
            (first >= 0.5).sum()
        ),
        "name with F1 of 0.5 or more, share of factors": float(named.mean()),
    }
    if "token_share" in factors and factors["token_share"].notna().any():
        out["which token it is explains more than half, share of factors"] = float(
            (factors["token_share"] > 0.5).mean()
        )
        out["which window it is explains a tenth or more, factors"] = int(
            (factors["window_share"] >= 0.1).sum()
        )
    matched = (bundle.manifest.get("stability") or {}).get("matched") or {}
    out |= {f"found by a second seed above {t}": share for t, share in matched.items()}
    size = sum(file.stat().st_size for file in bundle.path.rglob("*") if file.is_file())
    return out | {"size, MB": size / 1e6}


def main() -> None:
    """Print the numbers of both bundles, a line each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    table = pd.DataFrame({str(path): numbers_of(Bundle.open(path)) for path in options.bundles})
    table = table.astype(object).where(table.notna(), "")
    print(table.to_string(float_format=lambda value: f"{value:.3f}"))
    if options.json:
        options.json.write_text(json.dumps(table.to_dict(), indent=1, default=float))


if __name__ == "__main__":
    main()
