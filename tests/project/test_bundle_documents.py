"""docs/reference/bundle tells the truth: its examples run, and its tables are the schemas."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle.format import LAYOUTS, SCHEMAS

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/reference/bundle").glob("*.md"))
# A heading between the pages, so that no section runs into the next page.
TEXT = "\n##\n".join(page.read_text(encoding="utf-8") for page in PAGES)
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A bundle that lies where the examples look for one."""
    root = tmp_path_factory.mktemp("root")
    write_synthetic_bundle(root / "artifacts/default", layers=7)
    return root


@pytest.mark.process
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_run_as_they_stand(folder, number):
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", EXAMPLES[number]],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_there_is_an_example_for_each_tool():
    assert sum("duckdb.sql" in example for example in EXAMPLES) >= 1
    assert sum("pd.read_parquet" in example for example in EXAMPLES) >= 1
    assert sum("tf.Bundle.open" in example for example in EXAMPLES) >= 1


def test_duckdb_finds_what_the_bundle_finds(folder):
    import duckdb

    from tfactors.bundle import Bundle

    bundle = Bundle.open(folder / "artifacts/default")
    query = "SELECT word, activation FROM '{}' WHERE factor = 30 ORDER BY rank"
    rows = duckdb.sql(query.format(bundle.path / "examples/layer_03.parquet")).fetchall()
    expected = bundle.examples(30, 3)
    assert rows == list(zip(expected["word"], expected["activation"], strict=True))
    atoms = duckdb.sql(f"SELECT atom FROM '{bundle.path}/dictionary.parquet'").fetchall()
    assert (bundle.dictionary[30] == atoms[30][0]).all()


def described(kind: str) -> dict[str, tuple[str, bool, bool]]:
    """Column: type, whether it may be null, whether it is a key, as the document says."""
    name = "examples/layer_00" if kind == "examples" else kind
    section = re.search(rf"### {name}\.parquet.*?\n(.*?)(?=\n##|\Z)", TEXT, re.DOTALL)
    assert section, f"docs/reference/bundle has no section on {name}.parquet"
    rows = re.findall(r"^\| (\**)(\w+)\** \| ([^|]+) \|", section[1], re.MULTILINE)
    return {
        column: (kind.removesuffix(" or null").strip("`"), kind.endswith(" or null"), bool(bold))
        for bold, column, kind in rows
        if column not in ("column",)
    }


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_columns_are_described_with_their_types(kind):
    found = described(kind)
    types = {
        "list<item: float>": "list<float>",
        "list<item: string>": "list<string>",
        "list<item: int32>": "list<int32>",
        "list<item: int16>": "list<int16>",
        "list<item: int8>": "list<int8>",
        "list<item: uint8>": "list<uint8>",
        "list<item: bool>": "list<bool>",
    }
    keys = LAYOUTS[kind].keys
    assert list(found) == SCHEMAS[kind].names
    for field in SCHEMAS[kind]:
        name = types.get(str(field.type), str(field.type))
        name = "fixed_size_list<float>" if field.name == "atom" else name
        assert found[field.name] == (name, field.nullable, field.name in keys), field.name


def test_the_row_groups_are_those_of_the_format():
    table = re.search(r"a row group holds \|\n.*?\n(.*?)\n\n", TEXT, re.DOTALL)[1]
    for files, holds in re.findall(r"\| ([^|]+) \| ([^|]+) \|", table):
        number = int(re.search(r"[\d,]+", holds)[0].replace(",", ""))
        for kind in files.replace("/", "").split(", "):
            layout = LAYOUTS[kind]
            assert number == (layout.factors if "factors" in holds else layout.rows), kind
