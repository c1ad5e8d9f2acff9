"""What a bundle holds and how good it is, and what is known of a saliency map, in plain text."""

from __future__ import annotations

from typing import Any

import numpy as np


def describe(manifest: dict[str, Any]) -> str:
    """Return what a bundle holds and how good it is, as a text of some lines."""
    model, corpus, metrics = manifest["model"], manifest["corpus"], manifest["metrics"]
    lines = [
        manifest["title"],
        f"model    {model['name']}, {model['blocks']} blocks, width {model['width']}",
        f"corpus   {corpus['tokens']:,} tokens in {corpus['windows']:,} windows of "
        f"{documents(corpus['documents'])}",
    ]
    lines += [
        f"         {source.get('title', '')}: {documents(source.get('documents', 0))}, "
        f"{source.get('tokens', 0):,} tokens. {source.get('licence', 'Licence not stated')}"
        for source in corpus["sources"]
    ]
    if manifest["coding"].get("method") == "published":
        return "\n".join([*lines, *_published(manifest)])
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
        lines.append(f"levels   {_counts(counts)}")
    seconds = manifest["created"]["seconds"]
    stages = ", ".join(f"{name} {value:,.0f} s" for name, value in seconds.items() if value >= 1)
    total = f"{sum(seconds.values()):,.0f} s"
    lines.append(
        f"built    {manifest['created']['at']} in {total}{f' ({stages})' if stages else ''}"
    )
    return "\n".join(lines)


def _published(manifest: dict[str, Any]) -> list[str]:
    """Return what is known of the 2021 website's factors."""
    website, levels = manifest["website"], manifest["metrics"]["levels"]
    lists = ", ".join(f"{len(listed):,} {name}" for name, listed in website["levels"].items())
    return [
        f"factors  {manifest['dictionary']['factors']:,}; {coding(manifest)}",
        f"levels   {_counts(levels)}; listed on the website: {lists}",
        f"missing  {len(website['missing']):,} files of the website were not there or damaged",
        f"built    {manifest['created']['at']}",
    ]


def _counts(levels: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {level}" for level, n in levels.items())


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


def documents(count: int) -> str:
    """Return a number of documents in words."""
    return f"{count:,} document{'s' if count != 1 else ''}"


def _number(value: float | None, form: str = ".3f") -> str:
    return "unknown" if value is None else format(value, form)


TITLES = {"lime": "LIME", "occlusion": "Occlusion"}


def in_words(method: str, texts: int, score: float, stability: float, told: int | None) -> str:
    """Return what is known of a map in one sentence.

    ``score`` is said of LIME alone, ``stability`` where it is finite, and ``told`` (how many tokens
    can be told from zero) where it is known.

    >>> in_words("lime", 97, 0.82, 0.66, 6)
    'LIME: score 0.82, 97 texts read, two halves of them agree to 0.66, 6 tokens told from zero'
    >>> in_words("occlusion", 34, 0.0, float("nan"), 1)
    'Occlusion: 34 texts read, 1 token told from zero'
    """
    parts = [f"score {score:.2f}"] if method == "lime" else []
    parts.append(f"{texts:,} texts read")
    if np.isfinite(stability):
        parts.append(f"two halves of them agree to {stability:.2f}")
    if told is not None:
        parts.append(f"{told} token{'s' if told != 1 else ''} told from zero")
    return f"{TITLES[method]}: {', '.join(parts)}"
