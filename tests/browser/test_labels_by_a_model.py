"""A language model names factors behind real HTTP, and a cold server shows its names as text."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import ATTACK, WAIT, Server, Visit, serve, unharmed, visiting
from playwright.sync_api import Browser, expect
from scripted_llm import Asked, scripted, sensible

from tfactors.cli import main

LABEL = f"Places with water, such as rivers and their banks, \u202e {ATTACK} שלום **bold**"


@pytest.fixture(scope="module")
def bundles(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first made-up bundle, ten of its factors named by a hostile model."""
    folder = tmp_path_factory.mktemp("bundles")
    shutil.copytree(made_up / "default", folder / "default")

    def hostile(asked: Asked) -> str:
        return json.dumps({"label": LABEL}) if asked.for_label else sensible(asked)

    with scripted(hostile) as model:
        where = ["--endpoint", model.address, "--llm", "tiny <b>model</b>", "--quiet"]
        assert main(["label", str(folder / "default"), *where, "--limit", "10"]) == 0
    return folder


@pytest.fixture(scope="module")
def named(bundles: Path) -> Iterator[Server]:
    with serve(bundles) as server:
        yield server


def picture(reader: Visit, name: str) -> None:
    """Keep a picture to look at, where TFACTORS_PICTURES names a folder."""
    if folder := os.environ.get("TFACTORS_PICTURES"):
        reader.page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_a_factor_shows_both_names_whose_they_are_and_both_scores(
    browser: Browser, named: Server, width: int, scheme: str
) -> None:
    with visiting(browser, named, color_scheme=scheme) as reader:
        reader.page.set_viewport_size({"width": width, "height": 900})
        reader.open("/Factor?factor=0")
        head = reader.page.locator(".tf-head")
        expect(head.locator("h1")).to_be_visible(timeout=WAIT)
        given = head.locator(".tf-model-label")
        expect(given).to_contain_text("rivers and their banks, � </style><img src=http://evil")
        expect(given).to_contain_text("by tiny <b>model</b>, 20")
        expect(head.locator("> .tf-by")).to_have_text("by rule")
        for part in ("with this label", "with the name by rule", "by chance 50%"):
            expect(head.locator(".tf-scores")).to_contain_text(part)
        reader.idle()
        assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
        picture(reader, f"factor_{width}_{scheme}")
        unharmed(reader)


def test_a_search_from_a_cold_server_finds_a_factor_by_its_label(
    browser: Browser, bundles: Path
) -> None:
    with serve(bundles) as server, visiting(browser, server) as reader:
        reader.open("/Search?q=their+banks")
        reader.shows("10 factors, the best match first")
        picture(reader, "search_1400_light")
        reader.open("/")
        picture(reader, "home_1400_light")
        unharmed(reader)


def test_a_reader_s_own_name_still_is_the_headline(browser: Browser, named: Server) -> None:
    with visiting(browser, named) as reader:
        reader.open("/Factor?factor=0")
        reader.page.get_by_text("Your label").click()
        field = reader.page.get_by_role("textbox", name="Label of factor 0")
        field.fill("mine")
        field.press("Enter")
        expect(reader.page.locator(".tf-head h1")).to_have_text("mine", timeout=WAIT)
        expect(reader.page.locator(".tf-head > .tf-by")).to_have_text("by people")
        expect(reader.page.locator(".tf-model-label")).to_contain_text("rivers")
