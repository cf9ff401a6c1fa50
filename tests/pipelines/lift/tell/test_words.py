"""The verdict in plain words."""

import pytest
from sklearn.linear_model import Ridge

from deepfeast.pipelines.lift.measure.stats import Lift
from deepfeast.pipelines.lift.tell.words import (
    ALL,
    Finding,
    _who_helps_whom,
    findings,
    headline,
    signed,
)

VEC = [f"vec_{position:03d}" for position in range(6)]


@pytest.fixture
def ruled(by_hand):
    """Return a comparison whose one deep arm was ruled on by hand."""

    def made(verdict, mean=0.05, **about):
        comparison = by_hand(range(40), range(40), range(40))
        _, outcome = comparison.outcomes
        outcome.lift = Lift(mean, mean - 0.04, mean + 0.04, 0.02, 8, 10, 0.03)
        outcome.verdict, outcome.detectable = verdict, 0.06
        for name, value in about.items():
            setattr(outcome, name, value)
        return comparison

    return made


def test_a_yes_names_the_model_and_its_gain(ruled):
    text = headline(ruled("helps"))
    assert text.startswith("Yes: photo helps old. old: ")
    assert text.endswith("R² 0.000 → 0.000.")


def test_a_yes_says_of_each_model_what_helps_it():
    def helps(*pairs):
        return _who_helps_whom(
            [Finding(feature, model, "helps", "", None) for feature, model in pairs]
        )

    both = helps(("text", "old"), ("photo", "old"), ("text", "new"), (ALL, "new"), (ALL, "third"))
    assert both == f"text and photo help old; text helps new; {ALL} help third"
    assert helps(("text", "old"), ("text", "new")) == "text helps old and new"


def test_a_borderline_below_zero_is_no_hope(ruled):
    assert headline(ruled("borderline", -0.05)).startswith("No evidence that deep features help")


def test_a_no_says_what_to_do(ruled):
    assert headline(ruled("hurts", -0.1)) == ("No. photo makes the model worse: leave it as it is.")
    assert headline(ruled("no evidence")).endswith("Leave the model as it is.")
    assert findings(ruled("no evidence"))[0].sentence.endswith("+0.060 would have been seen.")


@pytest.mark.parametrize(
    ("rows", "splits", "way"),
    [
        (2560, 60, " About 2,560 rows or 60 splits of the same rows (--most-repeats 12)"),
        (2560, None, " About 2,560 rows"),
        (None, 62, " About 62 splits of the same rows (--most-repeats 13)"),
    ],
)
def test_a_borderline_says_what_would_decide_it(ruled, rows, splits, way):
    comparison = ruled("borderline", needed=rows, needed_splits=splits)
    assert headline(comparison).endswith(f"could say yes or no.{way} would decide it.")
    (finding,) = findings(comparison)
    assert finding.sentence.endswith(f"{way} would decide it, were the gain as it now seems.")


def test_a_borderline_that_nothing_known_would_decide_is_left_at_that(ruled):
    comparison = ruled("borderline")
    assert headline(comparison).endswith("could say yes or no.")
    assert findings(comparison)[0].sentence.endswith("could turn it.")


class Blind(Ridge):
    """A model that does not see the size."""

    def fit(self, X, y):
        return super().fit(X.drop(columns="size").assign(one=1.0), y)

    def predict(self, X):
        return super().predict(X.drop(columns="size").assign(one=1.0))


def test_another_model_that_brings_more_is_told_with_both_figures(shop, ask):
    shop["price"] = 6 * shop["size"] + shop[VEC].sum(axis=1) + shop["noise_000"]
    comparison = ask(shop, models={"ridge": Ridge(), "blind": Blind()})
    best = comparison.best("blind")
    before = [comparison.baseline(name).scores[: len(best.scores)] for name in ("ridge", "blind")]
    ahead = before[0].mean() - before[1].mean()
    assert 0 < best.lift.mean < ahead
    assert headline(comparison).endswith(
        f"On the handcrafted columns alone, ridge brings more than deep features do: "
        f"{ahead:+.3f} over blind (deep features: {best.lift.mean:+.3f})."
    )
    assert "brings more" not in headline(ask(shop))


def test_another_model_is_told_where_deep_features_do_nothing(shop, ask):
    shop["price"] = 3 * shop["size"] + shop["noise_000"]
    said = headline(ask(shop, models={"ridge": Ridge(), "blind": Blind()}))
    assert said.startswith("No evidence that deep features help here. On the handcrafted columns")
    assert "over blind (deep features: " in said
    same = ask(shop, models={"ridge": Ridge(), "other": Ridge(1.1)})
    assert headline(same).endswith("help here. Leave the model as it is.")


class Broken(Ridge):
    """A model that never works."""

    def fit(self, X, y):
        raise RuntimeError("no licence")


def test_a_model_that_never_works_is_said_not_to_run(shop, ask):
    comparison = ask(shop, models={"broken": Broken()}, repeats=1, most_repeats=1)
    assert [one.word for one in findings(comparison)] == ["not run"]
    assert "no licence" in findings(comparison)[0].sentence


def test_a_difference_has_its_sign():
    assert [signed(0.5), signed(-0.5)] == ["+0.500", "\N{MINUS SIGN}0.500"]
