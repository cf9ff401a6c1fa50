import numpy as np
import pytest

from deepfeast.pipelines.explain.probes import learn


def test_the_key_itself_is_not_learned_from(things):
    labels = things.labels.assign(price=things.labels.price.where(things.labels.id != "t03", 1e9))
    probe = learn(things.store, "deep", "text_vec", labels, "price", {"id": "t03"})
    assert probe.rows == 59
    assert probe.share > 0.5
    assert not probe.blind


def test_of_several_classes_the_likeliest_is_asked_about(things):
    kinds = [("a", "b", "c")[number % 3] for number in range(60)]
    labels = things.labels.assign(kind=kinds)
    probe = learn(things.store, "deep", "text_vec", labels, "kind", {"id": "t03"})
    vector = np.zeros(probe.model.coef_.shape[1], np.float32)
    output, unit = probe.output(vector)
    assert unit == f"score of {probe.model.classes_[output]}"
    assert probe.predict(vector[None], output)[0] == probe.model.transform(vector[None])[0].max()
    assert probe.luck == pytest.approx(20 / 59, abs=0.01)
