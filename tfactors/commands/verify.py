"""``tfactors verify``: every file and every row of a bundle is checked against its manifest."""

from __future__ import annotations

import argparse
import json

from tfactors.commands.command import Command
from tfactors.commands.shared_options import add_bundle, add_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the bundle."""
    add_bundle(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Check the bundle, and print how many files and rows are sound."""
    from tfactors.bundle import Bundle, evidence, llm_labels

    bundle = Bundle.open(options.bundle)
    bundle.verify()
    files, measured = bundle.about.files, evidence.folder_of(bundle.path)
    sealed = evidence.is_sealed(measured) if measured.is_dir() else None
    answers = len(llm_labels.read(bundle.path, bundle.about))
    if options.json:
        record = {"verified": True, "files": len(files), "evidence_sealed": sealed}
        print(json.dumps(record | {"llm_answers": answers}))
        return
    rows = sum(seal.rows for seal in files.values())
    said = {
        None: "",
        True: "; its evidence as it was written",
        False: "; its evidence has no seals, which 'tfactors evaluate' sets",
    }[sealed]
    if answers:
        said += f"; {answers:,} answers of language models as they were written"
    print(f"{options.bundle}: {len(files)} files, {rows:,} rows, all as the manifest says{said}")


COMMAND = Command(
    summary="check every file and every row of a bundle",
    example="tfactors verify artifacts/default",
    add_options=add_options,
    run=run,
)
