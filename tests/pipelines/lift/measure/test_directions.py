"""The rows at the ends of what a probe learned, and the map of all."""

import numpy as np
import pandas as pd
import pytest

from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.measure.directions import directions, flat_map

VEC = [f"vec_{position:03d}" for position in range(6)]


def look(frame, target="price", **options):
    return directions(read_problem(frame, Question(target), {"vec": VEC}), **options)


def test_directions_show_the_rows_at_both_ends(shop):
    high, low = look(shop)
    assert (high.title, low.title) == ("raise price most", "lower price most")
    truth = shop[VEC].sum(axis=1)
    assert truth[[one.row for one in high.examples]].min() > truth.quantile(0.9)
    assert truth[[one.row for one in low.examples]].max() < truth.quantile(0.1)
    assert [one.probe for one in high.examples] == sorted(
        (one.probe for one in high.examples), reverse=True
    )
    assert 0.3 < high.strength == low.strength < 1


def test_a_content_is_shown_once(shop):
    top = [one.row for one in look(shop)[0].examples]
    shop.loc[top[1], VEC] = shop.loc[top[0], VEC].to_numpy()
    again = [one.row for one in look(shop)[0].examples]
    assert len(again) == len(set(again)) == 6
    assert not set(top[:2]) <= set(again)


@pytest.mark.parametrize(
    ("kinds", "titles"),
    [
        (["elm", "oak"], ["speak for oak most", "speak for elm most"]),
        (["elm", "oak", "yew"], [f"look most like {kind}" for kind in ("elm", "oak", "yew")]),
    ],
)
def test_classes_have_their_own_words(shop, kinds, titles):
    largest = shop[VEC[: len(kinds)]].to_numpy().argmax(axis=1)
    shop["kind"] = np.array(kinds)[largest]
    found = look(shop, "kind")
    assert [one.title for one in found] == titles
    for one in found:
        assert all(example.target in one.title for example in one.examples)


def test_few_vectors_have_no_direction(shop):
    shop.loc[19:, VEC] = np.nan
    assert look(shop) == []


def test_rows_without_a_vector_are_in_no_direction_and_on_no_map(shop):
    shop.loc[50:, VEC] = np.nan
    assert {one.row for way in look(shop) for one in way.examples} <= set(range(50))
    points, rows, share = flat_map(read_problem(shop, Question("price"), {"vec": VEC}), "vec")
    assert points.shape == (50, 2)
    assert rows.tolist() == list(range(50))
    assert 2 / 6 < share < 0.7


def test_a_map_of_two_dimensions_shows_all():
    random = np.random.default_rng(0)
    plane = random.normal(size=(40, 2)) @ random.normal(size=(2, 6))
    frame = pd.DataFrame(plane, columns=VEC).assign(price=random.normal(size=40))
    problem = read_problem(frame, Question("price"), {"vec": VEC})
    assert flat_map(problem, "vec")[2] == pytest.approx(1)
