import pyarrow as pa
import pytest

from deepfeast.transforms.embeddings.rejects import add_rejects, read_rejects, standing_rejects
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.views import find_deep_view


@pytest.fixture
def table(shirts):
    return embedding_table(shirts.store, find_deep_view(shirts.store, "deep")[0])


def test_a_reject_stands_until_its_row_is_mended(shirts, table):

    def standing():
        return sorted(row["id"] or "" for row in standing_rejects(table).to_pylist())

    assert read_rejects(table) is None
    assert standing_rejects(table) is None
    bad = [{"id": "a", "title": "poison"}, {"id": "b", "title": "poison too"}]
    shirts.write([*bad, {"id": None, "title": "red"}, {"id": "c", "title": "red"}])
    shirts.embed(allowed_rejects=1)
    assert standing() == ["", "a", "b"]
    # One is mended, the other only changed, the row without a key is gone.
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "worse poison"}])
    shirts.embed(allowed_rejects=1)
    assert standing() == ["b"]
    assert len(read_rejects(table)) == 4
    # No text at all is missing, and no reject.
    shirts.write([{"id": "b", "title": None}])
    shirts.embed()
    assert standing() == []


def test_rejects_of_a_run_that_was_never_published_are_nobodys(shirts, table):
    shirts.write([{"id": "a", "title": "poison"}])
    shirts.embed(allowed_rejects=1)
    known = read_rejects(table)
    place = known.schema.get_field_index("run_id")
    lost = known.set_column(place, "run_id", pa.array(["a killed run"]))
    add_rejects(table, lost, "a killed run")
    add_rejects(table, known.slice(0, 0), "a run without any")
    assert read_rejects(table).equals(known)
