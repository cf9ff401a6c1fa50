"""Titles and descriptions, which state some of an item's facts."""

import numpy as np
import pandas as pd
import pytest

from deepfeast.pipelines.demo.market.texts import (
    BRANDS,
    ERAS,
    MATERIALS,
    NOUNS,
    SOUNDNESS,
    STORIES,
    description,
    material_word,
    sold_note,
    title,
    typos,
)


def test_a_brand_is_named_only_where_it_is_stated(rows, truth):
    text = (rows.title + " " + rows.description.fillna("")).str.lower()
    named = {brand: text.str.contains(brand.lower()) for brand in BRANDS if brand}
    item = truth.loc[rows.listing_id].reset_index(drop=True)
    for brand, here in named.items():
        assert not (here & ~((item.brand == brand) & item.brand_stated)).any()
    anywhere = pd.DataFrame(named).any(axis=1)
    assert anywhere[item.brand_stated].mean() > 0.7


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def stated(items, wordings, rng, **options):
    """Return how many descriptions contain a wording of their item's own."""
    told = [description(item, rng, **options).lower() for item in items]
    return np.mean(
        [
            any(wording.lower() in text for wording in wordings(item))
            for item, text in zip(items, told, strict=True)
        ]
    )


@pytest.mark.parametrize(
    "wordings",
    [
        lambda item: SOUNDNESS[item.soundness][1],
        lambda item: STORIES[item.story][1],
        lambda item: ERAS[item.era][0],
        lambda item: [material_word(item)],
    ],
    ids=["soundness", "story", "era", "material"],
)
def test_a_fact_is_stated_as_often_as_asked(items, rng, wordings):
    # A slip of the keyboard hides some.
    assert stated(items[:300], wordings, rng, stated=0.0) < 0.15
    assert 0.5 < stated(items[:300], wordings, rng) < 0.85
    assert stated(items[:300], wordings, rng, stated=1.0) > 0.7


def test_the_photo_keeps_its_secrets(items, rng):
    told = [description(item, rng).lower() for item in items[:500]]
    named = np.mean(
        [f"colour is {one.colour}" in text for one, text in zip(items, told, strict=False)]
    )
    assert 0.03 < named < 0.13


def test_lamps_are_of_metal(items):
    words = {(item.kind == "lamp", material_word(item)) for item in items}
    assert words == {(lamp, pair[lamp]) for pair in MATERIALS for lamp in (False, True)}


def test_a_title_names_the_thing(items, rng):
    named = [
        any(noun in title(item, rng).lower() for noun in NOUNS[item.kind]) for item in items[:300]
    ]
    assert np.mean(named) > 0.8  # the rest has a slip in it


def test_what_is_written_after_the_sale_gives_the_price_away(items, rng):
    assert all("240" in sold_note(item, 239.6, rng) for item in items[:20])


def test_a_slip_takes_no_digit(rng):
    text = "bought in 1975 for 1200"
    for _ in range(50):
        slipped = typos(text, rng, rate=0.5)
        assert "".join(filter(str.isdigit, slipped)) == "19751200"
        assert len(slipped) <= len(text)
    assert typos(text, rng, rate=0.0) == text


def test_no_brand_is_a_word_of_another():
    names = [name.lower() for name in BRANDS if name]
    assert not any(one in other for one in names for other in names if one != other)
