"""What a boosted tree owes to groups of columns: the truth is known by its making."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift.ask.models import make_model
from deepfeast.pipelines.lift.measure.contributions import Contributions, tree_shap
from deepfeast.pipelines.lift.measure.insights import importances
from deepfeast.pipelines.lift.measure.work import Work

pytest.importorskip("xgboost", reason="run: pip install 'deepfeast[xgboost]'")
GROUPS = {"beds": ["beds"], "city": ["city"], "vec": ["vec_000", "vec_001"]}


@pytest.fixture(scope="module")
def rooms():
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(300, 3)), columns=["beds", "vec_000", "vec_001"])
    frame["city"] = random.choice(["Oslo", "Rome"], 300)
    return frame


def test_columns_and_the_mean_add_up_to_the_prediction_and_words_keep_their_names(rooms):
    model = make_model("xgboost", classify=False).fit(rooms, rooms.beds + 2 * rooms.vec_000)
    values, names = tree_shap(model, rooms)
    assert sorted(names) == sorted(rooms.columns)
    rest = model.predict(rooms) - values.sum(axis=(1, 2))
    assert np.ptp(rest) < 1e-3
    strongest = np.abs(values[:, 0]).mean(axis=0).argmax()
    assert names[strongest] == "vec_000"


def test_columns_of_a_group_are_summed_before_their_size_is_taken(rooms):
    target = rooms.vec_000 - rooms.vec_001 + 0.2 * rooms.beds
    model = make_model("xgboost", classify=False).fit(rooms, target)
    found = Contributions(["vec"])
    found.add("old", model, rooms[:150], GROUPS)
    found.add("old", model, rooms[150:], GROUPS)
    deep, handcrafted = found.gathered()
    assert (deep.group, deep.deep, handcrafted.group) == ("vec", True, "handcrafted")
    values, names = tree_shap(model, rooms)
    together = values[:, 0, [names.index("vec_000"), names.index("vec_001")]].sum(axis=1)
    assert deep.size == pytest.approx(np.abs(together).mean())
    assert deep.share > 0.75
    assert deep.share + handcrafted.share == pytest.approx(1)


def test_of_classes_and_without_a_pipeline(rooms):
    from xgboost import XGBClassifier

    numbers = rooms.drop(columns="city")
    kinds = np.digitize(rooms.vec_000, [-0.5, 0.5])
    model = XGBClassifier(n_estimators=10, max_depth=2, n_jobs=1).fit(numbers, kinds)
    values, names = tree_shap(model, numbers)
    assert values.shape == (300, 3, 3)
    found = Contributions(["vec"])
    found.add("own", model, numbers, GROUPS)
    assert found.gathered()[0].group == "vec"
    assert names == list(numbers.columns)


def test_other_models_have_none_and_the_importances_hand_on_what_they_fit(ask):
    assert tree_shap(Ridge(), pd.DataFrame()) is None
    random = np.random.default_rng(7)
    shop = pd.DataFrame(random.normal(size=(60, 3)), columns=["size", "vec_000", "vec_001"])
    shop["price"] = shop["size"] + 3 * shop.vec_000
    fast = {"boosted": make_model("xgboost", classify=False), "ridge": Ridge(1.0)}
    options = {"repeats": 1, "most_repeats": 1, "control": False, "alone": False}
    comparison = ask(shop, models=fast, **options)
    found = Contributions(["vec"])
    importances(comparison, fast, work=Work(), look=found.add)
    assert [(one.model, one.group) for one in found.gathered()] == [
        ("boosted", "vec"),
        ("boosted", "handcrafted"),
    ]
