"""Folders in the layout of a data set of the hub: documents of text, or one line."""

import io
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import answer, fuzzed, mutated
from hypothesis import given
from hypothesis import strategies as some

from tfactors.text.dataset_corpora import dataset_source, read_dataset

pytestmark = pytest.mark.model

CARD = (
    "---\nlicense: mit\nconfigs:\n- config_name: small\n  data_files:\n"
    "  - split: train\n    path: rows.*\n---\n# Rows\n"
)
ROWS = {"text": ["One text.", None, "Another."], "title": ["one", "", None]}


def _parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(ROWS), file)
    return file.getvalue()


FILES = {
    "rows.parquet": _parquet(),
    "rows.jsonl": b"".join(json.dumps({"text": text}).encode() + b"\n" for text in ROWS["text"]),
    "rows.csv": b'title,text\r\none,"One text."\r\ntwo,"Another, ""so"""\r\n',
}


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    import datasets

    datasets.config.HF_DATASETS_CACHE = str(tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("name", FILES)
@fuzzed(0.3)
@given(data=some.data())
def test_a_data_set_that_is_nearly_right(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: some.DataObject
) -> None:
    folder: Path = tmp_path_factory.mktemp("set")
    card, rows = CARD.encode(), FILES[name]
    if data.draw(some.booleans()):
        rows = data.draw(mutated(rows, most=2))
    else:
        card = data.draw(mutated(card, most=2))
    (folder / "README.md").write_bytes(card)
    (folder / name).write_bytes(rows)
    spec = f"hf:{folder}" + data.draw(some.sampled_from((":small", "", ":small:train")))
    for document in answer(lambda: list(read_dataset(spec))) or []:
        assert document.text.strip()
        document.text.encode()
        document.title.encode()
    answer(dataset_source, spec)
    shutil.rmtree(folder)
