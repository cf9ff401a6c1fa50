"""Sources in awkward places and of foreign makes are read as any other."""

from datetime import datetime, timezone

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from feast.data_format import DeltaFormat

from deepfeast.pipelines.doctor import diagnose
from deepfeast.pipelines.lift.ask.contents import RawContents
from deepfeast.transforms import training_frame

FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
LABELS = pd.DataFrame({"id": ["a"], "event_timestamp": [pd.Timestamp("2024-02-01", tz="UTC")]})


@pytest.mark.parametrize("folder", ["o'brien", "data[1]", "a b", "ü"])
def test_a_repo_may_lie_in_any_folder(Shirts, tmp_path, folder):
    from deepfeast.transforms.embeddings.rejects import standing_rejects
    from deepfeast.transforms.embeddings.table import embedding_table

    shirts = Shirts(tmp_path / folder)
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": None, "title": "hat"}])
    shirts.embed(allowed_rejects=1.0)
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "tie"}])
    shirts.embed()
    assert shirts.vectors() == {"a": [3, 5], "b": [3, 0]}
    table = embedding_table(shirts.store, shirts.store.get_feature_view("deep"))
    assert len(table.commits()) == 2
    assert standing_rejects(table).num_rows == 0
    assert not [found for found in diagnose(shirts.store) if found.level == "error"]
    assert training_frame(shirts.store, LABELS, features=["deep:vec"])["vec_001"].tolist() == [5]
    assert RawContents(shirts.store, LABELS).read("vec") == ["red shirt"]


def test_a_glob_lies_in_a_folder_with_marks(Shirts, tmp_path):
    shirts = Shirts(tmp_path / "data[1]", path="raw/2024-*.parquet")
    shirts.write([{"id": "a", "title": "red"}], "raw/2024-01.parquet")
    shirts.write([{"id": "b", "title": "old"}], "raw/2023-01.parquet")
    shirts.embed()
    assert shirts.vectors() == {"a": [3, 0]}


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.large_string(), pa.binary(), pa.binary_view()]
)
def test_texts_of_any_make_are_texts(shirts, kind):
    titles = pa.array(["red shirt", None]).cast(kind)
    ids = pa.array(["a", "b"], pa.string() if "binary" in str(kind) else kind)
    table = pa.table({"id": ids, "title": titles, "event_timestamp": pa.array([FIRST] * 2)})
    pq.write_table(table, shirts.folder / "raw.parquet")
    shirts.embed()
    assert shirts.vectors() == {"a": [3, 5], "b": None}


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary_view()])
def test_bytes_that_are_no_text_are_rejects(shirts, kind):
    titles = pa.array(["hütte".encode(), "hütte".encode("latin-1"), b""], kind)
    table = pa.table(
        {"id": ["a", "b", "c"], "title": titles, "event_timestamp": pa.array([FIRST] * 3)}
    )
    pq.write_table(table, shirts.folder / "raw.parquet")
    run = shirts.embed(allowed_rejects=0.5)
    assert shirts.vectors() == {"a": [5, 0], "b": None, "c": None}
    assert (run.missing, run.rejected) == (1, 1)
    (example,) = run.reasons["not_text"]["examples"]
    assert example.startswith("id=b, column 'title': its bytes are no UTF-8: ")


def test_a_partitioned_delta_table_is_a_raw_source(Shirts, tmp_path):
    shirts = Shirts(tmp_path / "repo", path="raw", file_format=DeltaFormat())
    rows = [("a", "red", "x"), ("b", "hat", "y")]
    table = pa.table(
        {
            "id": [row[0] for row in rows],
            "title": [row[1] for row in rows],
            "place": [row[2] for row in rows],
            "event_timestamp": pa.array([FIRST] * 2, pa.timestamp("us", "UTC")),
        }
    )
    write_deltalake(str(tmp_path / "repo" / "raw"), table, partition_by=["place", "id"])
    shirts.embed()
    assert shirts.vectors() == {"a": [3, 0], "b": [3, 0]}
