"""Comparisons made by hand, with predictions that can be checked by eye."""

import numpy as np
import pandas as pd
import pytest

from deepfeast.pipelines.lift.ask.arms import Arm
from deepfeast.pipelines.lift.ask.problem import Problem
from deepfeast.pipelines.lift.measure.comparison import Comparison, Outcome


@pytest.fixture
def by_hand():
    """Return a comparison of one model, from the truth and what was predicted twice."""

    def made(truth, before, after, **about):
        truth = np.asarray(truth)
        columns = about.pop("columns", {})
        frame = pd.DataFrame({"size": 1.0, **columns}, index=range(len(truth)))
        problem = Problem(
            frame=frame,
            y=truth,
            target=about.pop("target", "price"),
            task="multiclass" if "classes" in about else "regression",
            metric="r2",
            handcrafted=list(frame.columns),
            deep={"photo": ["photo_000"]},
            rows=np.arange(len(truth)),
            **about,
        )
        arms = Arm("handcrafted", "baseline"), Arm("+ photo", "deep", ("photo",), "probe")
        outcomes = [
            Outcome("old", arm, np.zeros(2), 0.0, 0.0, np.asarray(guess, float))
            for arm, guess in zip(arms, (before, after), strict=True)
        ]
        return Comparison(problem, [], outcomes)

    return made
