"""What bundles can do: a whole one, one of an autoencoder, one of the website, and older ones."""

from dataclasses import fields
from pathlib import Path

import pytest
from synthetic_bundle import write_synthetic_bundle

from tfactors.bundle import Bundle
from tfactors.bundle.abilities import Abilities, Ability
from tfactors.bundle.format import LAYOUTS
from tfactors.bundle.writing import write_manifest

NAMES = [field.name for field in fields(Abilities)]
OPTIONAL = {f"{name}.parquet" for name, layout in LAYOUTS.items() if layout.optional}
WHOLE = Abilities.of("solver", lambda name: True)
WEBSITE = Abilities.of("published", lambda name: False)


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_bundle_can_do_everything(name: str) -> None:
    assert getattr(WHOLE, name)
    assert getattr(WHOLE, name).why_not == ""


@pytest.mark.parametrize("name", NAMES)
def test_the_website_can_do_nothing_of_it_and_says_why_in_a_sentence(name: str) -> None:
    ability = getattr(WEBSITE, name)
    assert not ability
    assert ability.why_not.endswith(".")
    assert "\n" not in ability.why_not


def test_an_ability_is_there_or_says_why_not() -> None:
    assert Ability()
    assert not Ability("It was never published.")


def test_the_codes_of_an_encoder_know_no_penalty_and_all_else_is_there() -> None:
    imported = Abilities.of("encoder", lambda name: True)
    assert [name for name in NAMES if not getattr(imported, name)] == ["penalty"]


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("dictionary", ["dictionary", "live_model", "evaluation", "retention", "origins"]),
        ("samples", ["samples"]),
        ("neighbours", ["neighbours"]),
        ("vocabulary", ["vocabulary"]),
        ("effects", ["effects"]),
        ("origins", ["factor_origins"]),
        ("meanings", ["meanings"]),
        ("second_dictionary", ["second_seed"]),
    ],
)
def test_an_older_bundle_lacks_what_its_tables_held(table: str, names: list[str]) -> None:
    older = Abilities.of("solver", lambda name: name != f"{table}.parquet")
    assert [name for name in NAMES if not getattr(older, name)] == names


def test_of_a_single_layer_no_origins_are_known() -> None:
    single = Abilities.of("encoder", lambda name: True, layers=1)
    assert [name for name in NAMES if not getattr(single, name)] == ["penalty", "origins"]
    assert "a single layer" in single.origins.why_not
    assert Abilities.of("published", lambda name: False, 1).origins == WEBSITE.origins


def test_reasons_differ_between_the_website_and_an_older_bundle() -> None:
    older = Abilities.of("solver", lambda name: name == "dictionary.parquet")
    assert "older tfactors" in older.samples.why_not
    assert "website" in WEBSITE.samples.why_not
    assert "quick preset" in older.effects.why_not
    assert "never published" in WEBSITE.effects.why_not


def test_a_layer_without_examples_is_silent_or_unknown() -> None:
    assert WHOLE.nothing_at(3) == "No token of the corpus activates this factor at layer 3."
    assert "no page of this factor at layer 3" in WEBSITE.nothing_at(3)
    assert WEBSITE.nothing_at(3).endswith("Its examples there are unknown.")


def test_abilities_of_a_bundle_follow_its_files_and_its_coding(tmp_path: Path) -> None:
    folder = write_synthetic_bundle(tmp_path / "bundle", factors=5, windows=40)
    bundle = Bundle.open(folder)
    assert bundle.abilities.samples
    assert bundle.abilities.dictionary
    assert not bundle.abilities.second_seed or bundle.has("second_dictionary.parquet")
    assert bundle.abilities.penalty
    (folder / "samples.parquet").unlink()
    record = bundle.manifest
    record["coding"]["method"] = "encoder"
    write_manifest(folder, record)
    changed = Bundle.open(folder).abilities
    assert not changed.samples
    assert not changed.penalty
    assert changed.activations
