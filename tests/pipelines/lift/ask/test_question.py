"""A question that cannot be asked is refused before any work."""

import pytest

from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.transforms.errors import LiftError


def test_an_unknown_form_is_named_with_the_nearest():
    with pytest.raises(LiftError, match=r"no form 'prob'.*Did you mean 'probe'"):
        Question("price", representations=["prob"])


@pytest.mark.parametrize("wrong", [{"folds": 1}, {"repeats": 0}, {"representations": ()}])
def test_nothing_to_split_or_to_try_is_refused(wrong):
    with pytest.raises(LiftError):
        Question("price", **wrong)
