import os

import pytest

from deepfeast.pipelines.embed import forecast
from deepfeast.pipelines.embed.forecasting import rate_of
from deepfeast.transforms.errors import FingerprintMismatch
from deepfeast.transforms.testing import WordLengths

LONG_AGO = 1_700_000_000


def everything(folder):
    """Return what lies in a folder, with the time of its last change."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture
def closet(Shirts, tmp_path):
    """Two columns of one encoder, in two files, of which the table has one."""
    shirts = Shirts(tmp_path, {"vec": "title", "more": "text"}, path="raw")
    first = [{"id": str(n), "title": f"shirt {n % 7}", "text": None} for n in range(20)]
    second = [{"id": f"b{n}", "title": f"shirt {n}", "text": f"coat of {n}"} for n in range(9)]
    shirts.write([{**row, "text": "red coat"} for row in first], "raw/1.parquet")
    os.utime(tmp_path / "raw" / "1.parquet", (LONG_AGO, LONG_AGO))
    shirts.embed()
    shirts.write([*second, {"id": None, "title": "lost", "text": ""}], "raw/2.parquet")
    return shirts


def test_a_plan_says_what_the_run_then_does_and_writes_nothing(closet, tmp_path):
    before = everything(tmp_path)
    found = forecast(closet.store, "deep")
    assert everything(tmp_path) == before
    run = closet.embed(allowed_rejects=1)
    assert (found.rows, found.source_rows) == (run.rows, run.source_rows) == (9, 30)
    assert found.encode == {"vec": 2, "more": 9}
    assert (sum(found.encode.values()), found.reused) == (run.encoded, run.reused) == (11, 7)
    assert (found.files, found.unchanged, found.unreadable) == (1, 1, run.rejected) == (1, 1, 1)


def test_what_it_takes_is_added_up_from_what_was_tried(closet):
    found = forecast(closet.store, "deep")
    assert set(found.stages) == {"hash", "plan", "encode", "write"}
    assert all(seconds > 0 for seconds in found.stages.values())
    assert found.seconds == sum(found.stages.values())
    assert set(found.rates) == {"vec", "more"}
    assert found.stages["encode"] > 2 / found.rates["vec"]
    size = (closet.folder / "raw" / "2.parquet").stat().st_size
    assert 0 < found.bytes < 2 * size
    told = found.summary()
    assert "9 of 30 rows are new" in told
    assert "1 files, 1 unchanged" in told
    assert "to encode for more: 9 contents" in told


def test_a_rebuild_is_planned_whole_and_a_changed_encoder_is_refused_as_by_a_run(closet):
    closet.declare("python:deepfeast.transforms.testing:WordLengths?dim=3")
    with pytest.raises(FingerprintMismatch):
        forecast(closet.store, "deep")
    found = forecast(closet.store, "deep", rebuild=True)
    assert (found.rows, found.unchanged, found.reused) == (29, 0, 58 - 19)
    assert found.encode == {"vec": 9, "more": 10}


def test_a_plan_with_nothing_to_do_says_so(closet):
    (closet.folder / "raw" / "2.parquet").unlink()
    found = forecast(closet.store, "deep")
    assert (found.rows, found.files, found.unchanged, found.seconds) == (0, 0, 1, 0)
    assert "0 of 20 rows are new" in found.summary()


def test_what_is_fitted_is_fitted_for_the_plan_alone(Shirts, tmp_path):
    shirts = Shirts(tmp_path)
    shirts.declare("tfidf:2")
    shirts.write([{"id": str(n), "title": f"{['red', 'blue'][n % 2]} hat"} for n in range(8)])
    before = everything(tmp_path)
    found = forecast(shirts.store, "deep")
    assert (found.encode, found.unchanged) == ({"vec": 2}, 0)
    assert everything(tmp_path) == before


def test_a_rate_counts_each_content_of_the_sample_once():
    encoder = WordLengths(2)
    assert rate_of(encoder, [f"shirt {n}" for n in range(100)]) > 0
    # The first sixteen warm it up.
    assert encoder.encoded == 116
