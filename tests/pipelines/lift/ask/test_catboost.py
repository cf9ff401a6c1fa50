"""CatBoost with categories as they are and vectors as embedding features."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from deepfeast.pipelines.lift import compare
from deepfeast.pipelines.lift.ask.models import make_model

pytest.importorskip("catboost", reason="run: pip install -c constraints.txt -e '.[catboost]'")

VEC = [f"vec_{position:03d}" for position in range(6)]


@pytest.fixture
def sold(shop):
    """The shop with a category that raises the price, a few gaps, and a kind of each row."""
    shop["price"] += 3 * (shop["colour"] == "red")
    shop["kind"] = np.where(shop[VEC].sum(axis=1) > 0, "dear", "cheap")
    shop.loc[::7, VEC] = np.nan
    shop.loc[3, "colour"] = None
    return shop


def test_words_and_vectors_go_in_as_what_they_are(sold):
    model = make_model("catboost", classify=False).fit(
        sold[["size", "colour", *VEC]], sold["price"]
    )
    inner = model._model
    assert inner.feature_names_ == ["size", "colour", "vec", "vec_known"]
    assert inner.get_cat_feature_indices() == [1]
    assert inner.get_embedding_feature_indices() == [2]
    assert inner.get_params()["thread_count"] == 1


def test_the_vector_and_the_category_are_learned_from(sold):
    model = make_model("catboost", classify=False)
    columns = ["size", "colour", *VEC]
    scores = [
        cross_val_score(clone(model), sold[names], sold["price"], cv=3).mean()
        for names in (["size"], ["size", "colour"], columns)
    ]
    assert scores == sorted(scores)
    assert scores[-1] > scores[0] + 0.2


def test_classes_have_probabilities_that_hold_on_other_rows(sold):
    model, columns = make_model("catboost", classify=True), ["size", *VEC]
    auc = cross_val_score(model, sold[columns], sold["kind"], cv=3, scoring="roc_auc").mean()
    assert auc > 0.8
    fitted = model.fit(sold[columns], sold["kind"])
    assert list(fitted.classes_) == ["cheap", "dear"]
    assert np.allclose(fitted.predict_proba(sold[columns]).sum(axis=1), 1)
    assert set(fitted.predict(sold[columns])) == {"cheap", "dear"}


def test_a_seed_gives_the_same_predictions_for_one_row_as_for_many(sold):
    columns = ["size", "colour", *VEC]
    one, again = (
        make_model("catboost", classify=False, seed=1).fit(sold[columns], sold["price"])
        for _ in range(2)
    )
    predicted = one.predict(sold[columns])
    assert np.array_equal(predicted, again.predict(sold[columns]))
    alone = [one.predict(sold[columns].iloc[[row]])[0] for row in (0, 1, 3)]
    assert np.allclose(alone, predicted[[0, 1, 3]])


def test_it_is_compared_by_name_in_every_form(sold):
    comparison = compare(
        sold,
        "price",
        feature_groups={"vec": VEC},
        handcrafted=["size", "colour"],
        representations=("probe", "raw"),
        models={"CatBoost": "catboost"},
        repeats=1,
        most_repeats=1,
    )
    assert comparison.models == ["CatBoost"]
    assert not [outcome for outcome in comparison.outcomes if outcome.failed]
    assert comparison.outcome("CatBoost", "+ vec (raw)").columns == 8
    assert comparison.outcome("CatBoost", "+ vec (probe)").lift.mean > 0
