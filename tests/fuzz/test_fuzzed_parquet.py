"""Parquet files of a bundle with other bytes: what was written, or one line that names the file."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fuzzing import answer, fuzzed, mutated
from hypothesis import given
from hypothesis import strategies as some
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle
from tfactors.bundle.format import MANIFEST
from tfactors.bundle.manifest import canonical_json, manifest_checksum
from tfactors.bundle.passages import passages_of
from tfactors.files import file_sha256


def readings(bundle: Bundle) -> list[Callable[[], Any]]:
    """Everything that can be asked of a bundle, of a factor and a layer of it."""
    layer, factor = bundle.layers[-1], 3
    of_layer = (bundle.examples, bundle.contexts, bundle.samples, bundle.histogram, bundle.words)
    of_factor = (bundle.neighbours, bundle.vocabulary, bundle.importance, bundle.retention)
    plain = (bundle.senses, bundle.effects, bundle.baseline, bundle.imported_tensors)
    return [
        *(partial(read, factor, layer) for read in (*of_layer, bundle.saliency)),
        *(partial(read, factor) for read in (*of_factor, bundle.effects)),
        *plain,
        *(partial(read, "the") for read in (bundle.word_factors, bundle.words_around)),
        *(partial(getattr, bundle, n) for n in ("factors", "documents", "dictionary")),
        partial(getattr, bundle, "second_dictionary"),
        partial(bundle.windows, [0, 5, 199]),
        lambda: pd.concat(list(bundle.iter_windows(batch=50))),
        lambda: passages_of(bundle, bundle.examples(factor, layer), 12),
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_synthetic_bundle(tmp_path_factory.mktemp("whole"), factors=6, layers=2, windows=60)


@pytest.fixture(scope="module")
def copy(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(whole, tmp_path_factory.mktemp("copy") / "bundle"))


FILES = some.integers(0, 30)


@pytest.mark.parametrize("sealed", [True, False], ids=["the manifest as it was", "sealed again"])
@fuzzed()
@given(data=some.data())
def test_a_file_with_other_bytes(
    whole: Path, copy: Path, sealed: bool, data: some.DataObject
) -> None:
    tables = sorted(path.relative_to(whole) for path in whole.rglob("*.parquet"))
    name = data.draw(some.sampled_from(tables))
    valid = (whole / name).read_bytes()
    content = data.draw(mutated(valid, most=2))
    (copy / name).write_bytes(content)
    if not sealed:
        record = json.loads((whole / MANIFEST).read_bytes())
        record["files"][name.as_posix()]["bytes"] = len(content)
        record["files"][name.as_posix()]["sha256"] = file_sha256(copy / name)
        record["manifest_sha256"] = manifest_checksum(record)
        (copy / MANIFEST).write_bytes(canonical_json(record))
    try:
        bundle = Bundle.open(copy)
        for read in readings(bundle):
            answer(read)
        passed = answer(lambda: bundle.verify() or True)
        assert not (passed and sealed) or content == valid
    finally:
        for changed in (name, MANIFEST):
            shutil.copyfile(whole / changed, copy / changed)
