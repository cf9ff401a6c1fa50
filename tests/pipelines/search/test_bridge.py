import numpy as np
import pytest

from deepfeast.pipelines.search.bridge import NEAREST, learn_bridge
from deepfeast.transforms.errors import SearchError


def draw(rows, dim, seed):
    return np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)


def pairs(rows=400, noise=0.1):
    """Photos, and texts that are turned photos, to be learned."""
    photos = draw(rows, 8, 0)
    texts = photos @ draw(8, 6, 1) + noise * draw(rows, 6, 2)
    return photos, texts


def test_a_text_leads_to_its_photo_and_the_note_says_how_well():
    photos, texts = pairs()
    bridge = learn_bridge(photos, texts, "photo and title")
    assert (bridge.pairs, bridge.unseen, bridge.chance) == (400, 80, NEAREST / 80)
    assert bridge.hits > 0.9
    assert "80 unseen ones" in bridge.note("photo", "title")
    assert "believe nothing" not in bridge.note("photo", "title")


def test_where_nothing_leads_from_one_to_the_other_the_note_says_so():
    bridge = learn_bridge(draw(400, 8, 0), draw(400, 6, 1), "photo and title")
    assert bridge.hits < 0.25
    assert bridge.note("photo", "title").endswith("by chance 12%: hardly more, believe nothing")


def test_texts_that_are_all_equal_lead_nowhere():
    bridge = learn_bridge(draw(400, 8, 0), np.ones((400, 6), np.float32), "photo and title")
    assert bridge.hits < 0.25


def test_only_rows_that_have_both_are_learned_from():
    photos, texts = pairs()
    photos[:200], texts[300:] = np.nan, 0
    assert learn_bridge(photos, texts, "photo and title").pairs == 100
    texts[240:] = np.nan
    with pytest.raises(SearchError, match="40 rows have both photo and title, and at least 50"):
        learn_bridge(photos, texts, "photo and title")
