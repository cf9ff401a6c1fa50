"""The default models, and the user's own by name or from a pickle."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift import compare
from deepfeast.pipelines.lift.ask.models import load_model, load_pickle, named_models
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


def test_one_model_is_given_or_none(tmp_path):
    assert named_models(None, None) is None
    with pytest.raises(LiftError, match="give one model"):
        named_models("a:b", tmp_path / "ridge.pkl")
