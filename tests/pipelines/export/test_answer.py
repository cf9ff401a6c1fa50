"""What was done is said in lines, and whole as JSON."""

import json

from deepfeast.pipelines.export.answer import Exported


def test_every_part_is_told():
    done = Exported("deep", "postgres://h:1/db.s.t", 3, 12, ["a", "b"], 4, 1, ["a note"])
    assert str(done).splitlines() == [
        "deep: 12 rows of 2 runs are in postgres://h:1/db.s.t now",
        "  removed: 4 rows of other versions; version 3 is there",
        "  removed: 1 rows of forgotten keys",
        "  a note",
    ]
    assert json.loads(json.dumps(done.to_dict()))["runs"] == ["a", "b"]
