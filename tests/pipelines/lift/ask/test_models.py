"""The default models, others by name, and the user's own from a module or a pickle."""

import sys

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift import compare
from deepfeast.pipelines.lift.ask.models import (
    load_model,
    load_pickle,
    make_model,
    named_models,
    ready_models,
)
from deepfeast.transforms.errors import LiftError

VEC = [f"vec_{position:03d}" for position in range(6)]


def test_the_default_models_take_categories_and_missing_vectors(shop):
    shop.loc[::5, VEC] = np.nan
    shop.loc[3, "colour"] = None
    comparison = compare(
        shop,
        "price",
        feature_groups={"vec": VEC},
        handcrafted=["size", "colour"],
        representations=("raw", "probe"),
        repeats=1,
        most_repeats=1,
        control=False,
    )
    assert comparison.models == ["XGBoost", "random forest"]
    assert not [outcome for outcome in comparison.outcomes if outcome.failed]
    assert comparison.outcome("XGBoost", "+ vec (probe)").lift.mean > 0.2


def test_a_model_is_found_by_module_and_factory(tmp_path, monkeypatch):
    (tmp_path / "mymodels.py").write_text(
        "from sklearn.linear_model import Ridge\ndef old_ridge():\n    return Ridge(3.0)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert load_model("mymodels:old_ridge").alpha == 3.0
    with pytest.raises(LiftError, match="has no 'old_rigde'"):
        load_model("mymodels:old_rigde")
    with pytest.raises(LiftError, match="expected module:factory"):
        load_model("mymodels")
    with pytest.raises(LiftError, match="looked for in the working directory"):
        load_model("nowhere_at_all:model")


def test_a_pickled_model_is_loaded(tmp_path):
    import joblib

    joblib.dump(Ridge(2.0), tmp_path / "old.pkl")
    joblib.dump({"no": "model"}, tmp_path / "no.pkl")
    assert load_pickle(tmp_path / "old.pkl").alpha == 2.0
    with pytest.raises(LiftError, match="holds a dict, which has no fit"):
        load_pickle(tmp_path / "no.pkl")


def test_models_are_asked_by_name_and_your_own_beside_them(tmp_path):
    import joblib

    joblib.dump(Ridge(2.0), tmp_path / "older.pkl")
    asked = named_models(
        ["xgboost", "Random-Forest", "sklearn.linear_model:Ridge"], tmp_path / "older.pkl"
    )
    models = ready_models(asked, classify=True, seed=3)
    assert list(models) == ["XGBoost", "random forest", "Ridge", "older"]
    kinds = [type(getattr(model, "steps", [[model]])[-1][-1]).__name__ for model in models.values()]
    assert kinds == ["XGBClassifier", "RandomForestClassifier", "Ridge", "Ridge"]
    assert named_models([]) is None
    assert list(ready_models(None, classify=False)) == ["XGBoost", "random forest"]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (["lightgmb"], "no model 'lightgmb': expected xgboost, .*Did you mean 'lightgbm'"),
        (["xgboost", "XGBoost"], "two models of one name among XGBoost, XGBoost"),
    ],
)
def test_a_model_that_cannot_be_had_is_said_so(named, words):
    with pytest.raises(LiftError, match=words):
        named_models(named)


@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
def test_a_missing_package_names_the_command_that_installs_it(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)  # Python's own way to say: not there
    with pytest.raises(LiftError, match=rf"Run: pip install 'deepfeast\[{name}\]'"):
        named_models([name])


def test_lightgbm_answers_and_answers_the_same_again(shop):
    pytest.importorskip("lightgbm", reason="pip install 'deepfeast[lightgbm]'")
    shop["dear"] = shop["price"] > 0
    columns = ["size", "colour", *VEC]
    shop.loc[::5, VEC] = np.nan
    for target, classify in (("price", False), ("dear", True)):
        one, again = (
            make_model("lightgbm", classify).fit(shop[columns][:150], shop[target][:150])
            for _ in range(2)
        )
        assert one.score(shop[columns][150:], shop[target][150:]) > (0.6 if classify else 0.2)
        assert np.array_equal(one.predict(shop[columns]), again.predict(shop[columns]))
        assert one[-1].n_jobs == 1


def test_lightgbm_is_compared_by_name(shop):
    pytest.importorskip("lightgbm", reason="pip install 'deepfeast[lightgbm]'")
    comparison = compare(
        shop,
        "price",
        feature_groups={"vec": VEC},
        handcrafted=["size", "colour"],
        representations=("probe",),
        models={"LightGBM": "lightgbm"},
        repeats=1,
        most_repeats=1,
    )
    assert comparison.models == ["LightGBM"]
    assert comparison.outcome("LightGBM", "+ vec (probe)").lift.mean > 0.2
