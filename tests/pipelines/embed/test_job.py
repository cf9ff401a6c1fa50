from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.pipelines.embed.folder import RunFolder
from deepfeast.pipelines.embed.job import WINDOW, Job, Run
from deepfeast.transforms.cells.content import TextReader
from deepfeast.transforms.cells.reader import ImageReader
from deepfeast.transforms.features import DeepFeature
from deepfeast.transforms.files.slices import Slice, Source

TITLE = DeepFeature("title_vec", column="title", encoder="any")
PHOTO = DeepFeature("photo_vec", column="photo", encoder="any")


def job(folder=Path()):
    raw = str(folder / "raw.parquet")
    slices = (Slice(0, raw, 0, 0, 1, 0),)
    source = Source("raw", raw, "event_timestamp", "", slices, str(folder))
    readers = {"title_vec": TextReader(), "photo_vec": ImageReader()}
    return Job("run", RunFolder(folder), source, ("id",), (TITLE, PHOTO), readers, {}, {})


def test_a_worker_holds_fewer_rows_where_photos_are_among_them():
    assert job().window(TITLE) == WINDOW
    assert job().window(TITLE, PHOTO) == job().window(PHOTO) == ImageReader.window == 512


def test_a_row_is_named_by_its_keys_as_they_are_and_its_time_in_utc(tmp_path):
    pq.write_table(
        pa.table({"id": pa.array([7], pa.int16()), "event_timestamp": ["2024-01-01"]}),
        tmp_path / "raw.parquet",
    )
    assert [(field.name, str(field.type)) for field in job(tmp_path).key_schema()] == [
        ("id", "int16"),
        ("event_timestamp", "timestamp[us, tz=UTC]"),
    ]


def test_a_run_tells_all_that_it_did():
    told = Run("deep", "run-1", rows=3, encoded=2, reused=1).to_dict()
    assert (told["view"], told["rows"], told["encoded"], told["version"]) == ("deep", 3, 2, None)
