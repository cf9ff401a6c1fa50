import pyarrow as pa
import pytest

from deepfeast.pipelines.start.facts import Facts
from deepfeast.pipelines.start.look import Look
from deepfeast.pipelines.start.target import read_target, target_candidates
from deepfeast.transforms.errors import LiftError


def read(cells, log_target=None):
    column = pa.chunked_array([pa.array(cells)])
    return read_target(Facts("y", column), Look(len(cells), pa.table({"y": column})), log_target)


def test_numbers_are_predicted_and_skewed_ones_by_their_logarithm():
    assert (read(["1.5", "2.5", "3.5"]).kind, read(["1.5", "2.5", "3.5"]).logged) == (
        "number",
        False,
    )
    skewed = read([str(2**n) for n in range(30)])
    assert (skewed.kind, skewed.logged) == ("integer", True)
    assert "--no-log-target" in skewed.why
    assert not read([str(2**n) for n in range(30)], log_target=False).logged


def test_few_texts_are_classes_and_named_with_their_shares():
    target = read(["chair"] * 30 + ["table"] * 10)
    assert target.kind == "class"
    assert target.why == "2 classes: chair 75%, table 25%"


def test_cells_that_are_no_numbers_are_counted_and_shown():
    target = read(["1", "2", "3", "4", "5", "6", "7", "8", "9", "n.a."])
    assert "1 cells are none, such as 'n.a.', and left out" in target.why


@pytest.mark.parametrize(
    ("cells", "log_target", "told"),
    [
        (["5"] * 9, None, "is '5' in all rows: there is nothing to predict"),
        ([None, None], None, "is empty"),
        ([f"text {n}" for n in range(40)], None, "40 different texts in 40 rows.*at most 50"),
        (["1", "2", "3", "a", "b", "c"], None, "50% of its cells are no numbers"),
        (["2024-05-01", "2024-05-02"], None, "holds times"),
        (["-1.5", "2.5", "3.5"], True, "no logarithm"),
        (["a", "b"] * 9, True, "classes, which have no logarithm"),
        ([["a"], ["b"]], None, "holds list"),
    ],
)
def test_what_cannot_be_predicted_is_refused_with_a_way_out(cells, log_target, told):
    with pytest.raises(LiftError, match=told):
        read(cells, log_target)


def test_likely_targets_come_first():
    columns = {"width": ["1", "2"], "price": ["3", "4"], "text": ["a b", "c d"], "same": ["1", "1"]}
    facts = {name: Facts(name, pa.chunked_array([pa.array(v)])) for name, v in columns.items()}
    assert target_candidates(facts) == ["price", "width"]
