"""Made-up factors, examples and text over a real model, MiniLM, so that it can be run on them."""

from pathlib import Path

from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest
from tfactors.model.loading import KNOWN_SHA256, MINILM_PACKAGE


def write_minilm_bundle(folder: Path) -> None:
    """Write a synthetic bundle whose manifest names the packaged MiniLM as its model."""
    write_synthetic_bundle(folder, layers=7, width=384, factors=20, hostile=False, baseline=False)
    manifest = Bundle.open(folder).manifest
    manifest["model"] |= {"name": MINILM_PACKAGE, "sha256": KNOWN_SHA256[MINILM_PACKAGE]}
    # Small enough for factors drawn at random to be active, large enough to part them.
    manifest["coding"]["penalty"] = 0.2
    write_manifest(folder, manifest)
