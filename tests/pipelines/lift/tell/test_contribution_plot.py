from deepfeast.pipelines.lift.measure.contributions import Contribution
from deepfeast.pipelines.lift.tell.contribution_plot import contribution_plot, contribution_words

FOUND = [
    Contribution("old", "handcrafted", False, 0.3, 0.75),
    Contribution("old", "photo_vec", True, 0.1, 0.25),
]


def test_groups_and_shares_stand_in_the_picture_and_sizes_in_the_words():
    svg = contribution_plot(FOUND, "log(price)")
    assert "handcrafted  75%" in svg
    assert "mean move of the prediction, log(price)" in svg
    assert "log(price): handcrafted 0.3, photo_vec 0.1." in contribution_words(FOUND, "log(price)")
