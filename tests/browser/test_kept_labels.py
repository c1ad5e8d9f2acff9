"""Labels that a reader typed are there after a reload, and after a restart of the server."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import WAIT, Server, Visit, serve, visiting
from new_processes import free_port
from playwright.sync_api import Browser, expect

from tfactors.bundle import Bundle
from tfactors.bundle.writing import write_manifest

HEADLINE = ".tf-head h1"


@pytest.fixture(scope="module")
def bundles(made_up: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first made-up bundle, and another one of the same title."""
    folder = tmp_path_factory.mktemp("bundles")
    for name in ("default", "twin"):
        shutil.copytree(made_up / "default", folder / name)
    manifest = Bundle.open(folder / "twin").manifest
    manifest["created"]["at"] = "2001-01-01T00:00:00+00:00"
    write_manifest(folder / "twin", manifest)
    assert len({Bundle.open(folder / name).fingerprint for name in ("default", "twin")}) == 2
    return folder


@pytest.fixture(scope="module")
def both_served(bundles: Path) -> Iterator[Server]:
    with serve(bundles) as running:
        yield running


@pytest.fixture
def labelled(browser: Browser, both_served: Server) -> Iterator[Visit]:
    """A reader who labelled factor 7."""
    with visiting(browser, both_served) as reader:
        reader.open("/Factor?factor=7")
        write(reader, 7, "my <b>river</b> שלום")
        yield reader


def write(reader: Visit, factor: int, label: str) -> None:
    field = reader.page.get_by_role("textbox", name=f"Label of factor {factor}")
    if not field.count():
        reader.page.get_by_text("Your label").click()
    field.fill(label)
    field.press("Enter")
    expect(reader.page.locator(HEADLINE)).to_have_text(label or re.compile("."), timeout=WAIT)
    reader.idle()


def kept(reader: Visit) -> list[str]:
    """What the browser's storage holds of ours, without the fingerprints."""
    names = reader.page.evaluate("Object.keys(localStorage)")
    return sorted(name.split(":", 2)[2] for name in names if name.startswith("tfactors:"))


def until_kept(reader: Visit, names: list[str]) -> None:
    reader.page.wait_for_function(
        "names => Object.keys(localStorage).filter(name => name.startsWith('tfactors:'))"
        ".map(name => name.split(':').slice(2).join(':')).sort().join() === names.join()",
        arg=names,
    )


def test_a_label_is_there_after_a_reload_and_on_no_other_bundle_of_the_same_title(
    labelled: Visit,
) -> None:
    reader = labelled
    headline = reader.page.locator(HEADLINE)
    until_kept(reader, ["label:7"])
    reader.page.reload()
    expect(headline).to_have_text("my <b>river</b> שלום", timeout=WAIT)
    reader.open("/Factor?factor=8&bundle=twin")
    write(reader, 8, "lake")
    until_kept(reader, ["label:7", "label:8"])
    reader.page.get_by_role("button", name="Previous").click()
    reader.shows("Factor 7 at layer")
    reader.idle()
    expect(headline).not_to_contain_text("river")
    reader.open("/Factor?factor=7&bundle=default")
    expect(headline).to_have_text("my <b>river</b> שלום", timeout=WAIT)
    reader.open("/Labels")
    reader.shows("Of your own: 1 label and 0 lists")
    assert reader.dialogs == []


def test_a_label_that_is_taken_back_is_gone_for_good(labelled: Visit) -> None:
    reader = labelled
    until_kept(reader, ["label:7"])
    reader.page.reload()
    expect(reader.page.locator(HEADLINE)).to_have_text(re.compile("river"), timeout=WAIT)
    reader.idle()
    write(reader, 7, "")
    until_kept(reader, [])
    reader.open("/Factor?factor=7")
    expect(reader.page.locator(HEADLINE)).not_to_contain_text("my")


def test_an_open_page_has_its_labels_when_the_server_comes_back(
    browser: Browser, bundles: Path
) -> None:
    port = free_port()
    with visiting(browser, Server(f"http://127.0.0.1:{port}", None)) as reader:
        with serve(bundles, port):
            reader.open("/Factor?factor=7")
            write(reader, 7, "river")
            until_kept(reader, ["label:7"])
            reader.open("/Factor?factor=9")
            reader.page.get_by_text("Your label").click()
            expect(reader.page.get_by_role("textbox", name="Label of factor 9")).to_be_visible()
            reader.idle()
        app = reader.page.locator("[data-testid=stApp]")
        expect(app).not_to_have_attribute("data-test-connection-state", "CONNECTED", timeout=WAIT)
        with serve(bundles, port):
            # The page connects again by itself, to a server that knows nothing of it.
            expect(app).to_have_attribute("data-test-connection-state", "CONNECTED", timeout=WAIT)
            write(reader, 9, "lake")  # the first that the new session hears of this page
            until_kept(reader, ["label:7", "label:9"])
            reader.open("/Labels")
            reader.shows("Of your own: 2 labels and 0 lists")


def test_two_tabs_do_not_undo_each_others_labels(browser: Browser, both_served: Server) -> None:
    with visiting(browser, both_served) as one:
        one.open("/Factor?factor=7")
        page = one.page.context.new_page()
        page.set_default_timeout(WAIT)
        two = Visit(page, both_served.address)
        two.open("/Factor?factor=9")
        write(one, 7, "river")
        until_kept(one, ["label:7"])
        write(two, 9, "lake")
        until_kept(two, ["label:7", "label:9"])
        write(one, 7, "stream")
        until_kept(one, ["label:7", "label:9"])
        one.open("/Labels")
        one.shows("Of your own: 2 labels and 0 lists")


def test_a_browser_that_keeps_nothing_is_told_of(browser: Browser, both_served: Server) -> None:
    with visiting(browser, both_served, fresh=True) as reader:
        reader.page.add_init_script(
            "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException("
            "'closed', 'SecurityError'); }})"
        )
        reader.open("/Factor?factor=7")
        write(reader, 7, "river")
        reader.shows("This browser does not keep your labels (its storage is closed to us)")


def test_a_text_whose_link_is_longer_than_servers_take_says_so(
    browser: Browser, server: Server
) -> None:
    with visiting(browser, server) as reader:
        reader.open("/Your_text?text=" + "%E5%B7%9D" * 800)
        expect(reader.page.get_by_text("many servers refuse more than 7,900")).to_have_count(0)
        reader.open("/Your_text?text=" + "%E5%B7%9D" * 900)
        reader.shows("The link to this view has 8,105 characters, and many servers refuse more")
