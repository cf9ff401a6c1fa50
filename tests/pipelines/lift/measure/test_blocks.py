"""The columns of an arm, fitted inside a split."""

import numpy as np

from deepfeast.pipelines.lift.ask.arms import Arm
from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.ask.splits import make_rounds
from deepfeast.pipelines.lift.measure.blocks import Blocks, word_counts

VEC = [f"vec_{position:03d}" for position in range(6)]
ASKED = Question("price", "seller", handcrafted=["size"], most_repeats=1)


def problem_of(frame, texts=None):
    return read_problem(frame, ASKED, {"vec": VEC}, texts)


def split_of(problem):
    return make_rounds(problem, ASKED)[0][0]


def test_nothing_of_a_test_row_reaches_its_columns(shop):
    problem = problem_of(shop, {"vec": ["red shirt", "blue hat"] * 100})
    split = split_of(problem)
    changed = shop.copy()
    changed.loc[split[1], "price"] = 99.0
    for how in ("pca", "probe", "words"):
        before = Blocks(problem, split, word_counts(problem.texts)).block("vec", how)
        other = problem_of(changed, {"vec": ["red shirt", "blue hat"] * 100})
        after = Blocks(other, split, word_counts(other.texts)).block("vec", how)
        assert np.array_equal(before[0], after[0])
        assert np.array_equal(before[1], after[1])


def test_a_block_is_fitted_once_and_shared(shop):
    problem = problem_of(shop)
    blocks = Blocks(problem, split_of(problem))
    first = blocks.block("vec", "probe")
    assert blocks.of(Arm("+ vec", "deep", ("vec",), "probe"))[0].shape == (160, 2)
    assert blocks.block("vec", "probe") is first


def test_words_stand_beside_a_vector_only_where_there_is_a_text(shop):
    arm = Arm("+ vec", "deep", ("vec",), "columns")
    plain = problem_of(shop)
    assert Blocks(plain, split_of(plain)).keys(arm) == [("vec", "probe"), ("vec", "components")]
    told = problem_of(shop, {"vec": ["red shirt", "blue hat"] * 100})
    blocks = Blocks(told, split_of(told), word_counts(told.texts))
    assert blocks.keys(arm)[-1] == ("vec", "words")
    assert "vec_words_pca_00" in blocks.of(arm)[0].columns
    # So it is for what stands in for the feature, or the two could not be compared.
    other = Arm("+ vec__int8", "deep", ("vec__int8",), "columns")
    assert blocks.keys(other)[-1] == ("vec", "words")
