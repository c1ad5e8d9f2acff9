"""How much of a state is the word itself: shares that add up, on Home and of a token."""

import numpy as np
import pandas as pd
import pytest
from opened_page import open_page, words

from tfactors.app.parts import own_part
from tfactors.bundle import Bundle


def test_the_shares_of_a_token_are_those_of_its_squared_lengths() -> None:
    residuals = pd.DataFrame(
        {
            "layer": [1, 2, 3],
            "norm": [10.0, 10.0, 5.0],
            "context": [6.0, 0.0, 8.0],  # the last: what was taken away points elsewhere
            "residual": [3.0, 0.0, 4.0],
        }
    )
    table = own_part.of_token(residuals).pivot(index="layer", columns="part", values="share")
    assert table.loc[1].to_dict() == pytest.approx({"word": 0.64, "factors": 0.27, "rest": 0.09})
    assert table.loc[2].to_dict() == pytest.approx({"word": 1.0, "factors": 0.0, "rest": 0.0})
    assert table.loc[3].to_dict() == pytest.approx({"word": 0.0, "factors": 0.75, "rest": 0.25})
    np.testing.assert_allclose(table.sum(axis=1), 1)


def test_home_shows_how_much_of_a_state_is_the_word(made_up) -> None:
    bundle = Bundle.open(made_up / "default")
    table = own_part.of_bundle(bundle)
    assert table is not None
    shares = table.pivot(index="layer", columns="part", values="share")
    for layer in bundle.about.metrics.layers:
        row = shares.loc[layer.layer]
        assert row["word"] == pytest.approx(1 - layer.context_share)
        assert row["word"] + row["factors"] == pytest.approx(
            1 - layer.context_share * (1 - layer.explained_context)
        )
    app = open_page("pages/0_Home.py")
    assert not app.exception
    assert "How much of a state is the word" in words(app)
    assert "what the word brings of its own" in words(app)


def test_a_bundle_that_takes_nothing_away_says_nothing_of_it(older) -> None:
    assert own_part.of_bundle(Bundle.open(older)) is None
    app = open_page("pages/0_Home.py")
    assert not app.exception
    assert "How much of a state is the word" not in words(app)
