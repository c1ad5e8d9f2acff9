"""What stands below the name of a factor."""

from dataclasses import replace
from pathlib import Path

from tfactors.bundle import Bundle
from tfactors.portrait import summary
from tfactors.publish.contents import Contents

RULE = "the word is “قال” or “<i>”"


def test_a_rule_in_another_direction_does_not_turn_the_numbers_behind_it(made_up: Path) -> None:
    selected = Contents.of(Bundle.open(made_up / "default")).select(0)
    selected = replace(selected, row=selected.row.copy())
    for kind, said in (("word", f", if {RULE}"), ("mixed", RULE)):
        selected.row["label_kind"], selected.row["label_rule"] = kind, RULE
        selected.row["label_precision"], selected.row["label_recall"] = 0.43, 0.8
        html = summary.headline(selected, ["a"], named=True, by_model="")
        assert f"<bdi>{said.replace('<i>', '&lt;i&gt;')}</bdi>: 43% of the" in html
