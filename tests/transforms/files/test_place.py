"""Sources in awkward places and of foreign makes are read as any other."""

from datetime import datetime, timezone

import pandas as pd
import pytest

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
