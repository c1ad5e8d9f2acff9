"""`tfactors evaluate` on a bundle of a few lines: what can be measured, and a line for the rest."""

from pathlib import Path

import numpy as np
import pytest
from tiny_model import write_tiny_bert

from tfactors.bundle import Bundle, evidence
from tfactors.bundle.evidence import Section
from tfactors.errors import InputError
from tfactors.evaluate.evaluate import TITLES, evaluate
from tfactors.evaluate.topk_autoencoder import TopKAutoencoder
from tfactors.explain import integrated_gradients
from tfactors.stages.build import build
from tfactors.stages.settings import with_changes

pytestmark = pytest.mark.model

TEXT = "The house is in session, and it is the duty of the state to be just to all of us. "


def built(folder: Path, window_length: int) -> Bundle:
    """A bundle of 38 words, with as few factors as were asked for, in half precision."""
    (folder / "text.txt").write_text(TEXT * 2, "utf-8")
    settings = with_changes(
        "quick",
        corpora=(str(folder / "text.txt"),),
        model=str(write_tiny_bert(folder / "model")),
        factors=8,
        stability=True,
        window_length=window_length,
        dtype="bfloat16",
        meaning_contexts=0,
    )
    return build(folder / "bundle", settings, show_progress=False)


def by_name(bundle: Bundle, *only: str) -> dict[str, Section]:
    return {s.name: s for s in evaluate(bundle, only=only, show_progress=False)}


def test_what_says_something_of_a_few_lines_is_measured_and_the_rest_says_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = []
    whole = integrated_gradients._integrals

    def counted(*given):
        points.append(given[-1])
        return whole(*given)

    monkeypatch.setattr(integrated_gradients, "_integrals", counted)
    bundle = built(tmp_path, window_length=8)
    sections = by_name(bundle)
    assert list(sections) == list(evidence.NAMES)
    tokens = bundle.about.corpus.tokens
    for name in ("controls", "recovery", "senses"):
        (why,) = sections[name].findings
        assert why.startswith(f"Not measured: this bundle is made of {tokens} tokens, and it takes")
        assert f"'--only {name}' measures it all the same" in why
        assert not sections[name].tables
    for name in ("reconstruction", "fidelity", "stability", "origins", "paper"):
        assert sections[name].tables, name
    assert max(points) <= integrated_gradients.MOST_IN_HALF_PRECISION
    assert 1 <= sections["origins"].tables[0].rows[0][1] < 10  # which are asked for
    assert {name: section.title for name, section in sections.items()} == TITLES
    bundle.verify()


def test_a_bundle_without_held_out_text_says_so_where_that_is_measured(tmp_path: Path) -> None:
    bundle = built(tmp_path, window_length=60)
    assert bundle.about.corpus.windows == 1
    sections = by_name(bundle)
    for name in ("reconstruction", "fidelity", "origins"):
        assert sections[name].findings == (
            "Not measured: this bundle holds too little text that its dictionary has not seen.",
        )
    assert sections["paper"].tables
    assert "Not measured: this bundle holds too little" in (
        evidence.folder_of(bundle.path) / evidence.REPORT
    ).read_text("utf-8")


def test_an_autoencoder_learns_where_four_times_its_terms_are_all_its_latents() -> None:
    states = np.random.default_rng(0).standard_normal((300, 12)).astype(np.float32)
    model = TopKAutoencoder(16, 4).fit(states, 0.05)
    assert model.samples > 0
    assert model.encode(states).shape == (300, 16)


def test_results_go_where_nothing_of_somebody_elses_is(tmp_path: Path) -> None:
    bundle = built(tmp_path, window_length=8)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "report.md").write_text("# My thesis")
    for taken in (tmp_path / "thesis", tmp_path / "text.txt"):
        with pytest.raises(InputError, match=r"holds something else \(report\.md\)|is a file"):
            evaluate(bundle, taken, ["controls"], show_progress=False)
    assert (tmp_path / "thesis" / "report.md").read_text() == "# My thesis"
    for _ in range(2):  # a new folder, and the same again
        evaluate(bundle, tmp_path / "new", ["levels"], show_progress=False)
    assert "levels.json" in {path.name for path in (tmp_path / "new").iterdir()}
