"""EmbedRows in pipelines of rows; in Beam YAML's, see tests/whole/test_beam_yaml.py."""

import pytest

from deepfeast.transforms.errors import ColumnNotFound, SpecError


def test_embed_rows_in_a_pipeline_of_rows():
    import apache_beam as beam
    from apache_beam.testing.test_pipeline import TestPipeline
    from apache_beam.testing.util import assert_that, equal_to

    from deepfeast.transforms.embed_rows import EmbedRows

    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    given = [beam.Row(id="a", title="red shirt"), beam.Row(id="b", title="poison")]
    with TestPipeline(runner="FnApiRunner") as pipeline:
        rows = (
            pipeline
            | beam.Create(given)
            | EmbedRows([{"name": "vec", "column": "title", "encoder": words}])
            | "Look" >> beam.Map(lambda row: (row.id, row.title, row.vec))
        )
        assert_that(rows, equal_to([("a", "red shirt", [3.0, 5.0]), ("b", "poison", None)]))


def test_a_vector_is_a_list_of_float32_in_the_schema():
    import apache_beam as beam
    from apache_beam.typehints.schemas import schema_from_element_type

    from deepfeast.transforms.embed_rows import EmbedRows

    rows = beam.Pipeline() | beam.Create([beam.Row(id="a", title="red shirt")])
    rows |= EmbedRows([{"name": "vec", "column": "title", "encoder": "text-tiny"}])
    *_, vec = schema_from_element_type(rows.element_type).fields
    assert vec.type.nullable
    assert vec.type.array_type.element_type.atomic_type == 5  # FLOAT; DOUBLE is 6


def test_one_row_alone_keeps_its_fields_and_has_null_for_what_is_missing():
    import apache_beam as beam

    from deepfeast.transforms import DeepFeature
    from deepfeast.transforms.embed_rows import _EmbedRows

    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    features = [DeepFeature(name, column="title", encoder=words) for name in ("one", "two")]
    dofn = _EmbedRows(features, ".", None)
    dofn.setup()
    given = [beam.Row(id=1, title=None), beam.Row(id=2, title="red shirt")]
    given.append(beam.Row(id=3, title=float("nan")))  # what pandas reads of an empty cell
    *found, nan = [row._asdict() for row in dofn.process(given)]
    assert nan["one"] is None
    assert found == [
        {"id": 1, "title": None, "one": None, "two": None},
        {"id": 2, "title": "red shirt", "one": [3.0, 5.0], "two": [3.0, 5.0]},
    ]


def test_a_column_that_the_rows_lack_is_refused_where_the_user_is():
    import apache_beam as beam

    from deepfeast.transforms.embed_rows import EmbedRows

    rows = beam.Pipeline() | beam.Create([beam.Row(id="a", title="red shirt")])
    with pytest.raises(ColumnNotFound, match=r"no column 'titel' in the rows.*id, title"):
        _ = rows | EmbedRows([{"name": "vec", "column": "titel", "encoder": "text-tiny"}])


def test_a_mapping_that_describes_no_feature_is_refused_where_the_user_is():
    from deepfeast.transforms.embed_rows import EmbedRows

    with pytest.raises(SpecError, match="does not describe a deep feature"):
        EmbedRows([{"name": "vec"}])
