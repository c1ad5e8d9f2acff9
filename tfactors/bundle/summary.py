"""What a bundle holds and how good it is, in plain text for the command line.

Turns the records of a manifest into some lines: model, corpus with its sources and licences,
factors, quality by layer, levels, and how long the build took.
"""

from collections.abc import Mapping

from tfactors.bundle.manifest import Manifest, Model, Website
from tfactors.display.text import documents
from tfactors.visible import visible


def describe(about: Manifest) -> str:
    """Return what a bundle holds and how good it is, as a text of some lines."""
    model, corpus = about.model, about.corpus
    lines = [
        about.title,
        f"model    {model.name}, {model.blocks} blocks, width {model.width}"
        f"{'' if model.dtype == 'float32' else f', read in {model.dtype}'}",
        f"corpus   {corpus.tokens:,} tokens in {corpus.windows:,} windows of "
        f"{documents(corpus.documents)}{_marks_in_words(model)}",
    ]
    lines += [
        f"         {source.title}: {documents(source.documents)}, {source.tokens:,} tokens. "
        f"{source.licence or 'Licence not stated'}"
        for source in corpus.sources
    ]
    measured = _of_the_website(about) if about.coding.method == "published" else _quality(about)
    return "\n".join(visible(line) for line in [*lines, *measured])


def _marks_in_words(model: Model) -> str:
    """Return how each window was read, to be put behind their number."""
    if model.bos:
        return ", each read behind the token that begins a text (BOS)"
    return ", each read between marks" if model.marks else ""


def _quality(about: Manifest) -> list[str]:
    """Return what was measured of a bundle that was built here, and how long it took."""
    corpus, metrics = about.corpus, about.metrics
    lines = [
        f"factors  {about.dictionary.factors:,}, {digits(metrics.alive, '.2%')} alive; "
        f"{coding_in_words(about)}",
        f"quality  L0 {digits(metrics.l0, '.1f')}, explained variance "
        f"{digits(metrics.explained_variance)} on {corpus.held_out_tokens:,} tokens of "
        f"{corpus.held_out or 'text'} held out",
        "layer       L0   explained variance   duality gap",
    ]
    lines += [
        f"{of.layer:>5}  {digits(of.l0, '6.1f')}  {digits(of.explained_variance):>19}  "
        f"{digits(of.duality_gap, '.1e'):>12}"
        for of in metrics.layers
    ]
    lines += [f"note     {note}" for note in about.dictionary.notes]
    if metrics.levels:
        lines.append(f"levels   {_counts(metrics.levels)}")
    seconds = about.created.seconds
    stages = ", ".join(f"{name} {value:,.0f} s" for name, value in seconds.items() if value >= 1)
    total = f"{sum(seconds.values()):,.0f} s"
    return [*lines, f"built    {about.created.at} in {total}{f' ({stages})' if stages else ''}"]


def _of_the_website(about: Manifest) -> list[str]:
    """Return what is known of the 2021 website's factors."""
    website = about.website or Website()
    lists = ", ".join(f"{len(listed):,} {name}" for name, listed in website.levels.items())
    return [
        f"factors  {about.dictionary.factors:,}; {coding_in_words(about)}",
        f"levels   {_counts(about.metrics.levels)}; listed on the website: {lists}",
        *_agreement_with_rule(website),
        f"missing  {len(website.missing):,} files of the website were not there or damaged",
        f"built    {about.created.at}",
    ]


def _agreement_with_rule(website: Website) -> list[str]:
    """Return how the website's lists fit the rule by the layer where a factor peaks."""
    counted = [
        f"{website.agreement[level]:,} of {website.agreement[f'{level}_listed']:,} {level}"
        for level in website.levels
        if f"{level}_listed" in website.agreement
    ]
    if not counted:
        return []
    return [
        f"rule     {', '.join(counted)} factors of the lists peak where our rule has such factors: "
        "low at layer 0 or 2, the others at 8 or 10"
    ]


def coding_in_words(about: Manifest) -> str:
    """Return in some words how the codes were made."""
    if about.coding.method == "published":
        return "published examples, ranks in place of activations"
    imported = about.dictionary.imported
    if about.coding.method == "solver" or imported is None:
        return f"λ = {about.coding.penalty:g}" + ", refitted" * about.coding.refit
    count = f", k = {imported.k}" if imported.form == "topk" else ""
    return f"codes of its own encoder ({imported.form}{count})"


def _counts(levels: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {level}" for level, n in levels.items())


def digits(value: float | None, form: str = ".3f") -> str:
    """Return a number as a text, "unknown" where it was not measured."""
    return "unknown" if value is None else format(value, form)
