"""Examples in bands of strength, and the filter of examples by word, source and year."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opened_page import html_of, open_page, query, words

from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest, write_table
from tfactors.display import passages
from tfactors.portrait.bands import bands_of

FACTOR = "pages/1_Factor.py"


def marked(app) -> list[str]:
    return re.findall(r"<mark[^>]*><bdi>(.*?)</bdi>", html_of(app))


@pytest.fixture
def two_words(damaged: Path) -> Bundle:
    """A bundle whose examples at layer 3 mark two words by turns."""
    examples = pq.read_table(damaged / "examples/layer_03.parquet").to_pandas()
    examples["word"] = ["Upper House" if at % 2 else "senate" for at in examples["rank"]]
    schema = pq.read_schema(damaged / "examples/layer_03.parquet")
    manifest = Bundle.open(damaged).manifest
    write_table(damaged, "examples/layer_03.parquet", pa.Table.from_pandas(examples, schema))
    write_manifest(damaged, manifest)
    return Bundle.open(damaged)


@pytest.fixture
def dated(damaged: Path) -> Bundle:
    """A bundle of two sources, the even documents dated."""
    documents = pq.read_table(damaged / "documents.parquet").to_pandas()
    documents["source"] = ["letters" if at % 2 else "made-up" for at in documents["document"]]
    documents["year"] = [None if at % 2 else 1800 + at for at in documents["document"]]
    schema = pq.read_schema(damaged / "documents.parquet")
    manifest = Bundle.open(damaged).manifest
    write_table(damaged, "documents.parquet", pa.Table.from_pandas(documents, schema))
    write_manifest(damaged, manifest)
    return Bundle.open(damaged)


def test_a_band_says_how_many_of_all_activations_it_stands_for_and_shows_those_drawn(
    made_up: Path,
) -> None:
    bundle = Bundle.open(made_up / "default")
    layer = int(bundle.factors["peak_layer"][8])
    counts, edges = bundle.histogram(8, layer), bundle.bin_edges
    bands = bands_of(counts, edges)
    assert sum(band.count for band in bands) == counts.sum()
    samples = bundle.samples(8, layer)["activation"]
    app = open_page(FACTOR, factor="8", part="random")
    for band in bands:
        exact = int(counts[(edges[:-1] >= band.low) & (edges[:-1] < band.high)].sum())
        drawn = int(((samples >= band.low) & (samples < band.high)).sum())
        said = f"{exact:,} of {counts.sum():,} activations"
        assert f"**{band.name}**: {said}" in words(app)
        assert f"{drawn} drawn." in words(app) if drawn else "None of it was drawn." in words(app)
    for activation in samples:
        assert f">{activation:.2f}</span>" in html_of(app)


def test_the_filter_by_word_leaves_the_examples_that_mark_it_and_says_how_many(
    two_words: Bundle,
) -> None:
    examples = two_words.examples(8, 3)
    word, count = "senate", int((examples["word"] == "senate").sum())
    strengths = examples["activation"][examples["word"] == word]
    app = open_page(FACTOR, factor="8", layer="3", top="200", layout="lines")
    app.text_input(key="control_having").set_value(f" {word.upper()} ").run()
    shown = [float(v) for v in re.findall(r'title="activation ([\d.]+), ', html_of(app))]
    assert shown == pytest.approx(strengths.tolist(), abs=6e-4)
    assert f"{count} of {count} that pass the filter" in words(app)
    assert f"of the {len(examples)} strongest" in words(app)
    assert query(app)["having"] == f" {word.upper()} "
    part_of_one = open_page(FACTOR, factor="8", layer="3", having="upper")
    assert len(marked(part_of_one)) == count
    again = open_page(FACTOR, **query(app))
    assert marked(again) == marked(app)
    next(b for b in app.button if b.label == "Take the filter off").click().run()
    assert "having" not in query(app)
    assert len(marked(app)) == len(examples)


def test_a_word_anywhere_near_is_looked_for_in_the_whole_window(made_up: Path) -> None:
    bundle = Bundle.open(made_up / "default")
    examples = bundle.examples(8, int(bundle.factors["peak_layer"][8]))
    texts = ["".join(t).casefold() for t in bundle.windows(examples["window"].tolist())["tokens"]]
    count = sum(bool(re.search(r"\briver\b", text)) for text in texts)
    assert 0 < count < len(examples)
    query = {"factor": "8", "top": "200", "having": "River", "having_in": "window"}
    app = open_page(FACTOR, layout="lines", **query)
    assert len(marked(app)) == count


def test_the_filter_by_source_and_year_goes_by_the_documents(dated: Bundle) -> None:
    examples = dated.examples(8, int(dated.factors["peak_layer"][8]))
    at = dated.windows(examples["window"].tolist())["document"].to_numpy()
    for asked, passes in (
        ({"source": "letters"}, at % 2 == 1),
        ({"since": "1804"}, (at % 2 == 0) & (at >= 4)),
        ({"since": "1804", "until": "1810"}, (at % 2 == 0) & (at >= 4) & (at <= 10)),
    ):
        assert 0 < passes.sum() < len(passes)
        app = open_page(FACTOR, factor="8", top="200", layout="lines", **asked)
        assert marked(app) == [passages.escape(word) for word in examples["word"][passes]]
    samples = dated.samples(8, int(dated.factors["peak_layer"][8]))
    at = dated.windows(samples["window"].tolist())["document"].to_numpy()
    app = open_page(FACTOR, factor="8", part="random", source="letters")
    assert f"{(at % 2).sum()} of the {len(samples)} pass" in words(app)


def test_a_filter_that_nothing_passes_says_so_and_hostile_words_are_text(made_up: Path) -> None:
    hostile = "<img src=x onerror=alert(1)> *b* :red[c]"
    for part in ("examples", "random"):
        app = open_page(FACTOR, factor="8", part=part, having=hostile)
        assert not app.exception
        assert marked(app) == []
        assert "None of the" in words(app)
        assert "<img" not in html_of(app)
        assert ":red[c]" not in " ".join(c.value for c in app.caption).replace("\\:red\\[", "")


def test_nonsense_in_the_link_of_a_filter_is_met_with_one_line(made_up: Path) -> None:
    for asked in ({"source": "nowhere"}, {"since": "soon"}, {"having_in": "heaven"}):
        app = open_page(FACTOR, factor="8", **asked)
        assert len(app.info) == 1
        assert "The default is shown instead" in app.info[0].value.replace("\\", "")
