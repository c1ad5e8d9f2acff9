"""The pages over a bundle whose dictionary came from elsewhere: they say how it was coded."""

import pytest
from opened_page import open_page
from synthetic_bundle import write_synthetic_bundle

from tfactors.app.frame import controls
from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest
from tfactors.coding.imported_dictionary import Origin


@pytest.fixture
def encoded(tmp_path, monkeypatch) -> Bundle:
    """A made-up bundle that says its codes are those of a TopK autoencoder."""
    folder = tmp_path / "sae"
    write_synthetic_bundle(folder, layers=3, factors=20, hostile=False)
    manifest = Bundle.open(folder).manifest
    manifest["coding"] |= {"method": "encoder", "penalty": 0.0, "tol": 0.0}
    origin = Origin("saelens", "my-sae", "0" * 64, form="topk", k=32)
    manifest["dictionary"]["imported"] = origin.to_json()
    write_manifest(folder, manifest)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(tmp_path))
    return Bundle.open(folder)


def test_home_says_that_the_codes_are_those_of_an_encoder(encoded):
    app = open_page()
    assert not app.exception
    html = "\n".join(element.proto.body for element in app.get("html"))
    assert "own encoder (topk, k = 32), not solved" in html
    assert "imported from my-sae (saelens)" in html
    said = " ".join(element.value for element in app.markdown)
    assert "encoder" in said
    assert "minimising" not in said


def test_your_text_offers_no_penalty_where_there_is_none(encoded):
    app = open_page(controls.TEXT_PAGE.path)
    assert not app.exception
    assert not [slider for slider in app.slider if "λ" in slider.label]


def test_info_says_it_too(encoded, capsys):
    from tfactors.cli import main

    assert main(["info", str(encoded.path)]) == 0
    assert "codes of its own encoder (topk, k = 32)" in capsys.readouterr().out
