import numpy as np
import pytest

from deepfeast.pipelines.drift.outputs import learn_probe, told_shift
from deepfeast.transforms.errors import ColumnNotFound, DriftError

RECENT = np.array([False, False, True])


def test_a_probe_of_numbers_is_told_in_the_targets_unit(shop):
    probe = learn_probe(shop.store, "deep", "vec", shop.labels, "price")
    outputs = probe.transform(np.array([[3.0, 3], [5, 5], [9, 9]], np.float32))
    # A title of words of 3 and 3 letters has 7 with the space.
    assert outputs[:, 0] == pytest.approx([7, 11, 19], abs=0.1)
    assert told_shift(outputs.round(), RECENT, probe, "price") == "price 9 → 19"


def test_a_probe_of_classes_is_told_by_the_class_that_moved(shop):
    probe = learn_probe(shop.store, "deep", "vec", shop.labels, "long")
    outputs = probe.transform(np.array([[9.0, 9], [9, 9], [1, 1]], np.float32))
    assert told_shift(outputs, RECENT, probe, "long").startswith("score of short -")


def test_what_cannot_be_learned_is_told(shop):
    with pytest.raises(ColumnNotFound, match="pricee"):
        learn_probe(shop.store, "deep", "vec", shop.labels, "pricee")
    with pytest.raises(DriftError, match=r"no probe of 'price' .* 0 have the target and a vector"):
        learn_probe(shop.store, "deep", "vec", shop.labels.assign(price=None), "price")
