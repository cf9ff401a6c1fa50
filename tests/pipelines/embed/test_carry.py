from pathlib import Path

import pyarrow as pa
import pytest

from deepfeast.pipelines.embed.carry import carried
from deepfeast.transforms.files.bucket import at
from deepfeast.transforms.files.slices import open_source, read_slice


@pytest.fixture
def opened(Shirts, tmp_path):
    """A CSV, rewritten in a folder of this disk; and the folder."""
    shirts = Shirts(tmp_path / "shirts", path="raw.csv")
    (shirts.folder / "raw.csv").write_text("id,title,event_timestamp\na,red shirt,2024-01-01\n")
    scratch = tmp_path / "scratch"
    types = dict.fromkeys(("id", "title"), pa.string())
    return open_source(shirts.store, "raw", types, scratch), scratch


def test_what_was_rewritten_is_read_where_every_worker_sees_it(opened, bucket):
    source, scratch = opened
    moved = carried(source, scratch, at(bucket) / "run" / "source")
    for path in scratch.iterdir():
        path.unlink()
    [part] = moved.slices
    assert part.path.startswith(bucket.removeprefix("s3://"))
    rows = [batch.column(0).to_pylist() for _, batch in read_slice(part, ["title"])]
    assert rows == [["red shirt"]]
    assert moved.file(part) == source.file(source.slices[0])


def test_on_a_disk_and_for_other_files_nothing_moves(opened, bucket, tmp_path):
    source, scratch = opened
    assert carried(source, scratch, tmp_path) == source
    assert carried(source, Path("/elsewhere"), at(bucket)).slices == source.slices
