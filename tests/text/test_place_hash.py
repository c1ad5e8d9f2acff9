"""The number of a place, beside the published generator that it is taken from."""

import numpy as np

from tfactors.text.place_hash import NO_SALT, place_number, scramble


def test_the_numbers_are_those_of_splitmix64_started_at_0():
    # The first outputs of the reference implementation (Vigna, splitmix64.c) for the seed 0.
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert scramble(np.arange(1, 4, dtype=np.uint64)).tolist() == published


def test_no_two_places_share_a_number_and_another_salt_gives_another_draw():
    places = place_number(np.repeat(np.arange(1, 501), 128), np.tile(np.arange(128), 500))
    numbers = [scramble(places), scramble(places, np.uint64(1))]
    assert [len(np.unique(number)) for number in numbers] == [len(places)] * 2
    first, salted = (set(np.argsort(number)[:64].tolist()) for number in numbers)
    assert first.isdisjoint(salted)


def test_the_places_drawn_are_spread_over_windows_and_positions():
    window, position = np.divmod(np.arange(128_000), 128)
    drawn = np.argsort(scramble(place_number(window, position), NO_SALT))[:4000]
    assert np.bincount(window[drawn] // 100, minlength=10).min() > 320
    assert np.bincount(position[drawn] // 16, minlength=8).min() > 420
