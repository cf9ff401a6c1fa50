"""A table whose truth is known, and comparisons made by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift import compare
from deepfeast.pipelines.lift.ask.arms import Arm
from deepfeast.pipelines.lift.ask.problem import Problem
from deepfeast.pipelines.lift.measure.comparison import Comparison, Outcome

VEC = [f"vec_{position:03d}" for position in range(6)]
NOISE = [f"noise_{position:03d}" for position in range(6)]


@pytest.fixture
def shop():
    """200 rows: the price hangs on size and on vec; noise says nothing; sellers have 2 rows."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(random.normal(size=(200, 12)), columns=[*VEC, *NOISE])
    frame["size"] = random.normal(size=200)
    frame["colour"] = random.choice(["red", "blue"], 200)
    frame["seller"] = np.arange(200) // 2
    frame["price"] = frame["size"] + frame[VEC].sum(axis=1) + random.normal(size=200)
    return frame


@pytest.fixture
def ask():
    """Return `compare` as it is mostly asked here: a ridge, the size, probes, two rounds."""

    def asked(frame, target="price", groups=None, features=("vec",), **options):
        settings = {"models": {"ridge": Ridge(1.0)}, "handcrafted": ["size"]}
        settings |= {"representations": ("probe",), "repeats": 2, "most_repeats": 2, **options}
        columns = {
            name: [column for column in frame.columns if column.startswith(f"{name}_")]
            for name in features
        }
        return compare(frame, target, groups, feature_groups=columns, **settings)

    return asked


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
