"""The page of word senses: groups, their factors, and calm words where there are none."""

from opened_page import html_of, open_page, query, words

from tfactors.app.frame import controls

PAGE = controls.SENSES_PAGE.path


def test_a_word_falls_into_groups_each_with_its_factors_and_its_places_marked() -> None:
    app = open_page(PAGE, word="Bank", layer="2")
    assert not app.exception
    text = words(app)
    assert "into 2 groups" in text
    assert "Group 1: " in text
    assert "Group 2: " in text
    links = [link.proto for link in app.get("page_link") if "· on " in link.proto.label]
    assert {link.label.split(" ")[0] for link in links} == {"3", "4", "5", "6"}
    assert all("layer=2" in link.query_string for link in links)
    assert html_of(app).count("<mark") >= 12
    assert html_of(app).casefold().count("<bdi>bank</bdi></mark>") == html_of(app).count("<mark")


def test_a_click_on_a_word_opens_it_and_the_link_holds_it() -> None:
    app = open_page(PAGE)
    assert "clearest groups" in words(app)
    app.button(key="sense_0").click().run()
    assert query(app)["word"] in ("bank", "left")
    assert "Group 1: " in words(app)


def test_a_word_that_is_not_stored_is_not_read_before_somebody_asks() -> None:
    app = open_page(PAGE, word="river")
    assert not app.exception
    assert "holds no groups of “river”" in words(app)
    assert "Group 1" not in words(app)


def test_two_words_are_one_too_many() -> None:
    assert "One word at a time" in words(open_page(PAGE, word="left bank"))
