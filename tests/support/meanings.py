"""What a search by meaning takes, added to a bundle that was written without or with random."""

from pathlib import Path

import pyarrow as pa

from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest, write_table


def embed_meanings(folder: Path, model: str, contexts: int = 3) -> None:
    """Embed names and contexts of a bundle's factors with a model, and seal the bundle again."""
    from tfactors.model.sentence_encoder import SentenceEncoder
    from tfactors.stages.meanings import WORDS, embedded, meaning_texts

    bundle, encoder = Bundle.open(folder), SentenceEncoder.load(model)
    labels, peak = bundle.factors["label"].tolist(), bundle.factors["peak_layer"].to_numpy()
    tables = [embedded(encoder, rows) for rows in meaning_texts(bundle, peak, labels, contexts)]
    manifest = bundle.manifest
    manifest["meanings"] = {
        "name": model,
        "sha256": encoder.model.sha256,
        "width": encoder.model.width,
        "words": WORDS,
    }
    write_table(folder, "meanings.parquet", pa.concat_tables(tables))
    write_manifest(folder, manifest)
