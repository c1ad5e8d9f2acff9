"""A bundle of made-up factors over a tiny model, which the pages of a test open."""

from pathlib import Path

import pytest
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest


def write_bundle_over_tiny_bert(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write model and bundle into a folder, let the dashboard open it, and return the bundle's."""
    from tiny_model import write_tiny_bert

    from tfactors.model.hidden_states import load_model

    model = load_model(str(write_tiny_bert(folder / "model")))
    bundle = folder / "bundles/default"
    write_synthetic_bundle(bundle, layers=3, width=model.width, factors=20, hostile=False)
    manifest = Bundle.open(bundle).manifest
    manifest["model"] |= {"name": model.name, "sha256": model.sha256}
    manifest["coding"]["penalty"] = 0.2
    write_manifest(bundle, manifest)
    monkeypatch.setenv("TFACTORS_ARTIFACTS", str(folder / "bundles"))
    return bundle
