import json
from datetime import datetime, timezone

import numpy as np

from deepfeast.pipelines.drift.answer import Drift, Unusual, Verdict
from deepfeast.transforms.monitoring.windows import Change

MOMENT = datetime(2024, 3, 1, tzinfo=timezone.utc)


def verdict(p, question):
    change = Change(question, p / 2, 0.001, 0.0, 0.31, np.array([0.1, 0.2]))
    return Verdict("vec", change, p, p < 0.05, 0.2, "0.31 spreads")


def answer(*tests):
    rows = {
        "vec": [Unusual("vec", {"id": 7}, MOMENT, 0.0, {"title": "ein rotes  Sofa", "photo": b"x"})]
    }
    return Drift(
        "deep", "January", "March", (9, 8), (4, 3), "rows of one id", 0.05, [*tests], rows, []
    )


def test_what_rings_is_named_first():
    found = answer(verdict(0.0004, "place"), verdict(0.4, "missing"))
    assert found.alarm
    assert str(found).splitlines()[0] == "deep has drifted: vec (vectors lie elsewhere)"
    first, second = found.rows()
    assert (first["p"], first[""], first["luck reaches"]) == ("<0.001", "ALARM", "0.20")
    assert (second["p"], second[""], second["luck reaches"]) == ("0.400", "", "±20.0%")
    assert found.loudest[0].row() == {
        "id": "7",
        "of": "2024-03-01 00:00",
        "as far out": "none of before",
        "title": "ein rotes Sofa",
    }


def test_programs_read_all_but_photos():
    told = json.loads(json.dumps(answer(verdict(0.4, "place")).to_dict()))
    assert (told["alarm"], told["tests"][0]["p_alone"]) == (False, 0.2)
    assert told["unusual"]["vec"][0]["contents"] == {"title": "ein rotes  Sofa"}
    assert told["blind_to"]
