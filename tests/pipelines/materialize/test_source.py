"""What a view is brought online from, and what its table holds at that moment."""

from datetime import datetime, timezone

import pytest

from deepfeast.pipelines.materialize import source
from deepfeast.transforms.embeddings.table import EmbeddingTable
from deepfeast.transforms.errors import NeverEmbedded
from deepfeast.transforms.history.latest import EVER


def open_deep(shirts, folder):
    view = shirts.store.get_feature_view("deep")
    return source.open_view(shirts.store.config, None, view, EVER, folder)


def test_a_deep_view_says_what_its_rows_were_made_with(shirts, tmp_path):
    shirts.write([{"id": "a", "title": "red shirt"}])
    with pytest.raises(NeverEmbedded):
        open_deep(shirts, tmp_path)
    run = shirts.embed()
    found, holds = open_deep(shirts, tmp_path)
    assert len(found.table) == 1
    assert found.columns.keys == {"id": "id"}
    assert (holds.version, holds.generation) == (run.version, 1)
    assert holds.columns == {"vec": ["title", None, "mean"]}
    created = shirts.rows()[0]["created_timestamp"]
    assert datetime.fromtimestamp(holds.created / 1e6, timezone.utc) == created


def test_a_run_that_publishes_meanwhile_is_read_with_what_it_says(shirts, tmp_path, monkeypatch):
    shirts.write([{"id": "a", "title": "red shirt"}])
    shirts.embed()
    commits = EmbeddingTable.commits

    def overtaken(table, delta=None):
        monkeypatch.setattr(EmbeddingTable, "commits", commits)
        found = commits(table, delta)
        shirts.write([{"id": "b", "title": "blue tie"}])
        shirts.embed()
        return found

    monkeypatch.setattr(EmbeddingTable, "commits", overtaken)
    found, holds = open_deep(shirts, tmp_path)
    assert len(found.table) == 2
    assert holds.version == 1
