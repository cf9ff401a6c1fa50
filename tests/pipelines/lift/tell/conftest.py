"""Two measured results, of a price and of a kind, for all that tells them."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression, Ridge

from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.measure.result import measure_lift

TEXT = [f"text_vec_{position:03d}" for position in range(6)]
PHOTO = [f"photo_vec_{position:03d}" for position in range(6)]
COLOURS = ("red", "green", "blue")


def photo(colour):
    bytes_ = io.BytesIO()
    Image.new("RGB", (300, 200), colour).save(bytes_, "PNG")
    return bytes_.getvalue()


def shop(rows=150):
    random = np.random.default_rng(3)
    frame = pd.DataFrame(random.normal(size=(rows, 12)), columns=[*TEXT, *PHOTO])
    frame["size"], frame["age"] = random.normal(size=(2, rows))
    frame["price"] = np.exp(frame["size"] + frame[TEXT].sum(axis=1) / 2 + random.normal(size=rows))
    frame["kind"] = np.array(COLOURS)[np.digitize(frame[PHOTO[0]], [-0.4, 0.4])]
    return frame


def contents(feature, rows):
    if feature == "photo_vec":
        return [photo(COLOURS[row % 3]) for row in rows]
    return [f"Shirt <b>{row}</b> & more" if row % 7 else None for row in rows]


def measured(target, model, **options):
    features = {"text_vec": TEXT, "photo_vec": PHOTO}
    texts = {"text_vec": [f"shirt {row % 9}" for row in range(150)]}
    forms = ("pca", "probe")
    question = Question(
        target, handcrafted=["size", "age"], representations=forms, most_repeats=2, **options
    )
    problem = read_problem(shop(), question, features, texts)
    return measure_lift(problem, question, {"old model": model}, contents=contents)


@pytest.fixture(scope="session")
def prices():
    return measured("price", Ridge(1.0), log_target=True)


@pytest.fixture(scope="session")
def kinds():
    return measured("kind", LogisticRegression())
