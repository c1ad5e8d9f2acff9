"""What a bundle holds and how good it is, in some lines of text, from its manifest alone."""

from __future__ import annotations

from typing import Any


def describe(manifest: dict[str, Any]) -> str:
    """Return what a bundle holds and how good it is, as a text of some lines."""
    model, corpus, metrics = manifest["model"], manifest["corpus"], manifest["metrics"]
    lines = [
        manifest["title"],
        f"model    {model['name']}, {model['blocks']} blocks, width {model['width']}",
        f"corpus   {corpus['tokens']:,} tokens in {corpus['windows']:,} windows of "
        f"{corpus['documents']:,} documents",
    ]
    lines += [
        f"         {source.get('title', '')}: {source.get('documents', 0):,} documents, "
        f"{source.get('tokens', 0):,} tokens. {source.get('licence', 'Licence not stated')}"
        for source in corpus["sources"]
    ]
    held_out = f"{corpus.get('held_out_tokens', 0):,} tokens of {corpus.get('held_out', 'text')}"
    lines += [
        f"factors  {manifest['dictionary']['factors']:,}, "
        f"{_number(metrics.get('alive'), '.2%')} alive; {coding(manifest)}",
        f"quality  L0 {_number(metrics.get('l0'), '.1f')}, explained variance "
        f"{_number(metrics.get('explained_variance'))} on {held_out} held out",
        "layer       L0   explained variance   duality gap",
    ]
    lines += [
        f"{row['layer']:>5}  {_number(row.get('l0'), '6.1f')}  "
        f"{_number(row.get('explained_variance')):>19}  "
        f"{_number(row.get('duality_gap'), '.1e'):>12}"
        for row in metrics.get("layers", [])
    ]
    if counts := metrics.get("levels"):
        lines.append("levels   " + ", ".join(f"{n:,} {level}" for level, n in counts.items()))
    seconds = manifest["created"]["seconds"]
    stages = ", ".join(f"{name} {value:,.0f} s" for name, value in seconds.items() if value >= 1)
    total = f"{sum(seconds.values()):,.0f} s"
    lines.append(
        f"built    {manifest['created']['at']} in {total}{f' ({stages})' if stages else ''}"
    )
    return "\n".join(lines)


def coding(manifest: dict[str, Any]) -> str:
    """Return in some words how the codes were made."""
    method = manifest["coding"].get("method", "solver")
    if method == "published":
        return "published examples, ranks in place of activations"
    if method == "solver":
        return f"λ = {manifest['coding']['penalty']:g}"
    origin = manifest["dictionary"]["imported"]
    count = f", k = {origin['k']}" if origin["form"] == "topk" else ""
    return f"codes of its own encoder ({origin['form']}{count})"


def _number(value: float | None, form: str = ".3f") -> str:
    return "unknown" if value is None else format(value, form)
