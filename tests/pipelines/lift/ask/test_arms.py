"""The arms that are planned."""

from deepfeast.pipelines.lift.ask.arms import Arm, plan_arms


def test_the_arms_that_are_asked():
    arms = plan_arms(["a", "b"], ["columns", "pca", "probe"], texts=["b"])
    assert [arm.label for arm in arms] == [
        "handcrafted",
        "+ a (columns)",
        "+ a (pca)",
        "+ a (probe)",
        "+ b (columns)",
        "+ b (pca)",
        "+ b (probe)",
        "+ all (columns)",
        "+ all (pca)",
        "+ all (probe)",
        "+ words of b (words)",
        "+ all, shuffled (columns)",
        "a alone (probe)",
        "b alone (probe)",
        "all alone (probe)",
    ]


def test_another_encoder_is_asked_alone_and_is_no_part_of_all():
    arms = plan_arms(["a", "b", "a__other"], ["probe"], alternatives=["a__other"])
    assert {arm.features for arm in arms if arm.name == "+ all"} == {("a", "b")}
    assert any(arm.features == ("a__other",) and arm.kind == "deep" for arm in arms)


def test_deep_columns_are_probe_components_and_words():
    arm = Arm("+ a", "deep", ("a",), "columns")
    assert arm.blocks == [("a", "probe"), ("a", "components"), ("a", "words")]
