"""Arms, splits, alarms and bad input, on tables small enough to know the truth of."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LogisticRegression, Ridge

from deepfeast.pipelines.lift import compare
from deepfeast.pipelines.lift.ask.problem import read_problem
from deepfeast.pipelines.lift.ask.question import Question
from deepfeast.pipelines.lift.ask.splits import make_rounds
from deepfeast.pipelines.lift.measure.comparison import LINEAR
from deepfeast.pipelines.lift.measure.leakage import find_alarms
from deepfeast.pipelines.lift.measure.result import measure_lift
from deepfeast.pipelines.lift.tell.save import as_dict
from deepfeast.pipelines.lift.tell.words import findings, headline
from deepfeast.transforms.errors import ColumnNotFound, LiftError

VEC = [f"vec_{position:03d}" for position in range(6)]
NOISE = [f"noise_{position:03d}" for position in range(6)]
FAST = {"ridge": Ridge(1.0)}
ASKED = Question(
    "price", "seller", handcrafted=["size"], representations=("probe",), repeats=2, most_repeats=2
)


def ask(frame, target="price", groups=None, features=None, **options):
    settings = {"models": FAST, "handcrafted": ["size"], "representations": ("probe",)}
    settings |= {"repeats": 2, "most_repeats": 2, **options}
    return compare(frame, target, groups, feature_groups=features or {"vec": VEC}, **settings)


def test_a_useful_feature_helps_and_noise_does_not(shop):
    comparison = ask(shop, features={"vec": VEC, "noise": NOISE})
    assert comparison.outcome("ridge", "+ vec (probe)").verdict == "helps"
    assert comparison.outcome("ridge", "+ noise (probe)").verdict == "no evidence"
    assert headline(comparison).startswith("Yes: vec helps ridge. ridge: median error 2.07 → 0.768")
    assert headline(comparison).endswith("No evidence for noise alone.")
    words = {(one.feature, one.word) for one in findings(comparison)}
    assert ("all deep features together", "helps") in words


def test_shuffled_vectors_show_nothing(shop):
    control = ask(shop).outcome("ridge", "+ vec, shuffled (probe)")
    assert control.verdict is None
    assert control.lift.mean < 0.02


def test_the_embedding_alone_is_scored_by_a_linear_model(shop):
    alone = ask(shop).outcome(LINEAR, "vec alone (probe)")
    assert 0.5 < alone.score < 0.9
    assert alone.lift is None


def test_classes_and_the_metric_are_found_out(shop):
    shop["kind"] = np.where(
        shop["price"] > 1, "dear", np.where(shop["price"] < -1, "cheap", "fair")
    )
    models = {"logistic": LogisticRegression()}
    comparison = ask(shop, target="kind", models=models)
    assert (comparison.problem.task, comparison.problem.metric) == ("multiclass", "accuracy")
    assert comparison.problem.classes == ["cheap", "dear", "fair"]
    assert comparison.outcome("logistic", "+ vec (probe)").verdict == "helps"
    shop["dear"] = shop["price"] > 0
    binary = ask(shop, target="dear", models=models)
    assert (binary.problem.task, binary.problem.metric) == ("binary", "roc_auc")
    assert binary.outcome("logistic", "+ vec (probe)").verdict == "helps"


def test_handcrafted_columns_are_found_and_the_rest_is_named(shop):
    shop["note"] = [f"text {row}" for row in range(200)]
    problem = read_problem(shop, Question("price", "seller"), {"vec": VEC, "noise": NOISE})
    assert sorted(problem.handcrafted) == ["colour", "size"]
    assert any("note" in note for note in problem.notes)


def test_a_split_that_lacks_a_class_is_left_out(shop):
    shop["sold"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(200), unit="D")
    shop["kind"] = np.where(shop["price"] > 0, "dear", "cheap")
    shop.loc[100:120:10, "kind"] = "new"  # first seen in the middle
    question = Question("kind", time="sold", handcrafted=["size"], repeats=1, folds=10)
    problem = read_problem(shop, question, {"vec": VEC})
    (splits,) = make_rounds(problem, question)
    assert 2 <= len(splits) < 10
    assert all(len(np.unique(problem.y[train])) == 3 for train, _ in splits)
    assert "splits are left out" in problem.notes[-1]


# --- bad input: a clear line each, and what can run still does


def test_rows_without_target_are_left_out_with_their_texts(shop):
    shop.loc[[0, 5], "price"] = np.nan
    problem = read_problem(shop, ASKED, {"vec": VEC}, {"vec": [f"row {row}" for row in range(200)]})
    assert len(problem.y) == 198
    assert problem.notes == ["2 rows have no price and are left out."]
    assert problem.texts["vec"].iloc[0] == "row 1"
    assert problem.rows[:5].tolist() == [1, 2, 3, 4, 6]


def test_a_constant_target_is_refused(shop):
    shop["price"] = 5.0
    with pytest.raises(LiftError, match=r"'price' is 5.0 in all 200 rows"):
        ask(shop)


def test_few_rows_are_refused(shop):
    with pytest.raises(LiftError, match="29 rows have a 'price'; a verdict needs at least 30"):
        ask(shop.head(29))


def test_a_missing_column_is_named(shop):
    with pytest.raises(ColumnNotFound, match=r"no column 'prise'.*Did you mean 'price'"):
        ask(shop, target="prise")


def test_words_as_a_regression_target_are_refused(shop):
    with pytest.raises(LiftError, match="a regression needs numbers"):
        ask(shop, target="colour", task="regression")


def test_logarithm_of_nothing_is_refused(shop):
    with pytest.raises(LiftError, match="at or below zero"):
        ask(shop, log_target=True)


def test_a_class_with_one_row_is_left_out(shop):
    shop["kind"] = np.where(shop["price"] > 0, "dear", "cheap")
    shop.loc[9, "kind"] = "odd"
    comparison = ask(shop, target="kind", models={"logistic": LogisticRegression()})
    assert comparison.problem.classes == ["cheap", "dear"]
    assert "class odd" in comparison.problem.notes[0]
    assert comparison.outcome("logistic", "+ vec (probe)").verdict == "helps"


def test_a_feature_without_vectors_is_left_out_and_the_others_run(shop):
    shop[NOISE] = np.nan
    comparison = ask(shop, features={"vec": VEC, "noise": NOISE})
    assert list(comparison.problem.deep) == ["vec"]
    assert "No row has a noise" in comparison.problem.notes[0]
    with pytest.raises(LiftError, match="no row has a vector of noise"):
        ask(shop, features={"noise": NOISE})


class Fragile(RegressorMixin, BaseEstimator):
    """A model that cannot take more than 4 columns."""

    def fit(self, X, y):
        if X.shape[1] > 4:
            raise RuntimeError(f"I was built for 4 columns, not {X.shape[1]}")
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_) + X["size"].to_numpy()


def test_a_model_that_raises_fails_its_arm_and_no_other(shop):
    models = {"fragile": Fragile(), **FAST}
    comparison = ask(shop, models=models, representations=("raw", "probe"))
    assert comparison.outcome("fragile", "+ vec (raw)").failed.endswith("4 columns, not 7")
    assert not comparison.outcome("fragile", "+ vec (probe)").failed
    assert comparison.outcome("ridge", "+ vec (raw)").verdict == "helps"


class Broken(Fragile):
    """A model that never works."""

    def fit(self, X, y):
        raise RuntimeError("no licence")


def test_a_model_that_never_works_is_said_not_to_run(shop):
    result = measure_lift(read_problem(shop, ASKED, {"vec": VEC}), ASKED, {"broken": Broken()})
    assert [one.word for one in findings(result.comparison)] == ["not run"]
    assert "no licence" in findings(result.comparison)[0].sentence
    assert result.curve == []


# --- alarms


def kinds(comparison):
    return [alarm.kind for alarm in find_alarms(comparison)]


def test_an_honest_table_raises_no_alarm(shop):
    assert kinds(ask(shop)) == []


def test_duplicates_across_folds_are_an_alarm_until_they_are_grouped(shop):
    shop.loc[1::2, VEC] = shop.loc[::2, VEC].to_numpy()
    assert "duplicates" in kinds(ask(shop))
    assert "duplicates" not in kinds(ask(shop, groups="seller"))


def test_short_texts_repeat_without_being_copies(shop):
    shop.loc[1::2, VEC] = shop.loc[::2, VEC].to_numpy()
    short = {"vec": ["oak table"] * 200}
    long = {"vec": ["a table of oak that my grandfather made himself"] * 200}
    assert "duplicates" not in kinds(ask(shop, texts=short))
    assert "duplicates" in kinds(ask(shop, texts=long))


def test_an_arm_that_is_too_good_is_an_alarm(shop):
    shop[VEC[0]] = shop["price"]
    assert "too good" in kinds(ask(shop, representations=("raw",)))


def test_texts_that_state_the_target_are_an_alarm(shop):
    shop["price"] = np.random.default_rng(0).integers(20, 400, 200).astype(float)
    told = {"vec": [f"only {price:.0f} pounds a night" for price in shop["price"]]}
    silent = {"vec": ["only 7 pounds a night"] * 200}
    assert "target in text" in kinds(ask(shop, texts=told))
    assert "target in text" not in kinds(ask(shop, texts=silent))


def test_texts_that_name_the_class_are_an_alarm(shop):
    shop["kind"] = np.where(shop["price"] > 0, "Treehouses", "Chalets")
    told = {"vec": [f"our lovely {kind[:-1].lower()}!" for kind in shop["kind"]]}
    assert "target in text" in kinds(
        ask(shop, target="kind", texts=told, models={"logistic": LogisticRegression()})
    )


class ByName(Ridge):
    """A model that knows its columns by name, as many an old pipeline does."""

    def fit(self, X, y):
        return super().fit(X[["size"]], y)

    def predict(self, X):
        return super().predict(X[["size"]])


def test_a_model_that_ignores_new_columns_is_an_alarm(shop):
    assert kinds(ask(shop, models={"old": ByName()})) == ["ignored"]


# --- the whole result


def test_the_whole_result_holds_every_score(shop, tmp_path):
    seen = []
    result = measure_lift(
        read_problem(shop, ASKED, {"vec": VEC}),
        ASKED,
        FAST,
        progress=lambda what, done, total: seen.append((done, total)),
    )
    assert seen[-1][0] == seen[-1][1]
    rows = [point.rows for point in result.curve]
    assert rows == sorted(rows)
    assert rows[-1] == 160
    assert result.curve[-1].lift.mean > result.curve[0].lift.mean > 0
    assert result.importance[0].feature == "vec"
    assert result.importance[0].deep
    body = json.loads(json.dumps(as_dict(result)))
    arm = next(arm for arm in body["arms"] if arm["arm"] == "+ vec (probe)")
    assert len(arm["scores"]) == 10
    assert arm["lift"]["mean"] == pytest.approx(
        np.mean(arm["scores"]) - np.mean(body["arms"][0]["scores"])
    )


def test_directions_show_the_rows_at_both_ends(shop):
    result = measure_lift(read_problem(shop, ASKED, {"vec": VEC}), ASKED, FAST)
    high, low = result.directions
    assert (high.title, low.title) == ("raise price most", "lower price most")
    truth = shop[VEC].sum(axis=1)
    assert truth[[one.row for one in high.examples]].min() > truth.quantile(0.9)
    assert truth[[one.row for one in low.examples]].max() < truth.quantile(0.1)


def test_splits_are_drawn_until_it_is_clear_and_no_further(shop):
    comparison = ask(shop, features={"vec": VEC, "noise": NOISE}, repeats=2, most_repeats=6)
    count = {o.arm.label: len(o.scores) for o in comparison.outcomes}
    assert count["+ vec (probe)"] == 10  # clear at the first look that may settle
    assert count["+ noise (probe)"] <= 10  # given up by then
    assert comparison.outcome("ridge", "+ vec (probe)").verdict == "helps"


def test_a_rerun_with_other_splits_never_turns_yes_into_no(shop):
    for strength in (0.15, 0.3, 0.6):  # from nothing to see to plain to see
        shop["price"] = shop["size"] + strength * shop[VEC].sum(axis=1) + shop[NOISE].sum(axis=1)
        words = {
            ask(shop, most_repeats=6, seed=seed, alone=False)
            .outcome("ridge", "+ vec (probe)")
            .verdict
            for seed in range(8)
        }
        assert not {"helps", "no evidence"} <= words


def test_a_model_that_stays_behind_another_one_is_told_so(shop):
    shop["size"] *= 3  # without vectors the first model is far ahead
    shop["price"] = shop["size"] + shop[VEC].sum(axis=1) + shop[NOISE[0]]
    text = headline(ask(shop, models={**FAST, "blind": Blind()}))
    assert "ridge without deep features" in text
    assert "is still better than blind with them" in text
    assert "still better" not in headline(ask(shop))


class Blind(Ridge):
    """A model that does not see the size."""

    def fit(self, X, y):
        return super().fit(X.drop(columns="size").assign(one=1.0), y)

    def predict(self, X):
        return super().predict(X.drop(columns="size").assign(one=1.0))
