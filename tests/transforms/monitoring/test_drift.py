"""Centroids that lie where one can see it."""

from deepfeast.transforms.monitoring.drift import with_distances

OLD = {"centroid": [0.0, 0.0], "spread": 2.0, "encoder": "f1"}
NOW = {"centroid": [3.0, 4.0], "spread": 1.0, "encoder": "f1"}


def figures(histogram, feature="vec", baseline=False):
    return {
        "project_id": "shop",
        "feature_view_name": "deep",
        "feature_name": feature,
        "is_baseline": baseline,
        "histogram": histogram,
    }


def distance(now, baselines):
    (found,) = with_distances([figures(now)], lambda project: baselines)
    return found["histogram"]["centroid_distance"]


def test_the_centroid_is_compared_with_the_latest_baseline_of_its_feature():
    far = {**OLD, "centroid": [99.0, 99.0]}
    baselines = [figures(far), figures(OLD), figures(far, "other"), figures(None, "third")]
    (found,) = with_distances([figures(NOW)], lambda project: baselines)
    told = {"spread": 1.0, "encoder": "f1", "centroid_distance": 5.0, "centroid_shift": 2.5}
    assert found["histogram"] == told


def test_nothing_is_compared_with_vectors_of_another_encoder():
    assert distance(NOW, []) is None
    assert distance(NOW, [figures({**OLD, "encoder": "f2"})]) is None
    assert distance(NOW, [figures({"centroid": [0.0], "spread": 1.0, "encoder": "f1"})]) is None
    assert distance(NOW, [figures(None)]) is None


def test_a_baseline_keeps_its_centroid_and_all_else_stays():
    rows = [figures(OLD, baseline=True), figures({"counts": [1]}, "size"), figures(None, "colour")]
    base, size, colour = with_distances(rows, lambda project: [])
    assert base["histogram"] == {**OLD, "centroid_distance": 0.0, "centroid_shift": 0.0}
    assert [size, colour] == rows[1:]


def test_one_point_has_no_spread():
    point = {**OLD, "spread": 0.0}
    (found,) = with_distances([figures(NOW)], lambda project: [figures(point)])
    told = found["histogram"]
    assert (told["centroid_distance"], told["centroid_shift"]) == (5.0, None)
