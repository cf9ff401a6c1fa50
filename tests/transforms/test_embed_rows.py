"""EmbedRows in pipelines of rows, Beam YAML's among them."""

import json
import textwrap

import pytest

from deepfeast.transforms.errors import SpecError


def test_embed_rows_in_a_pipeline_of_rows():
    import apache_beam as beam
    from apache_beam.testing.test_pipeline import TestPipeline
    from apache_beam.testing.util import assert_that, equal_to

    from deepfeast.transforms.embed_rows import EmbedRows

    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    given = [beam.Row(id="a", title="red shirt"), beam.Row(id="b", title="hat")]
    with TestPipeline(runner="FnApiRunner") as pipeline:
        rows = (
            pipeline
            | beam.Create(given)
            | EmbedRows([{"name": "vec", "column": "title", "encoder": words}])
            | "Look" >> beam.Map(lambda row: (row.id, row.title, row.vec))
        )
        assert_that(rows, equal_to([("a", "red shirt", [3.0, 5.0]), ("b", "hat", [3.0, 0.0])]))


def test_embed_rows_from_beam_yaml_without_a_network(tmp_path):
    pytest.importorskip("docstring_parser", reason="needs apache-beam[yaml]")
    import apache_beam as beam
    from apache_beam.yaml.yaml_transform import expand_pipeline

    out = tmp_path / "out.json"
    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    spec = f"""
        providers:
          - type: python
            transforms: {{EmbedRows: deepfeast.transforms.embed_rows.EmbedRows}}
            config: {{}}
        pipeline:
          type: chain
          transforms:
            - type: Create
              config:
                elements: [{{id: a, title: red shirt}}, {{id: b, title: poison}}]
            - type: EmbedRows
              config:
                features: [{{name: vec, column: title, encoder: "{words}"}}]
            - type: WriteToJson
              config: {{path: {out}, num_shards: 1}}
    """
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        expand_pipeline(pipeline, textwrap.dedent(spec))
    (written,) = tmp_path.glob("out.json*")
    rows = [json.loads(line) for line in written.read_text().splitlines()]
    assert sorted(rows, key=lambda row: row["id"]) == [
        {"id": "a", "title": "red shirt", "vec": [3, 5]},
        {"id": "b", "title": "poison", "vec": None},
    ]


def test_one_row_alone_keeps_its_fields_and_has_null_for_what_is_missing():
    import apache_beam as beam

    from deepfeast.transforms import DeepFeature
    from deepfeast.transforms.embed_rows import _EmbedRows

    words = "python:deepfeast.transforms.testing:WordLengths?dim=2"
    features = [DeepFeature(name, column="title", encoder=words) for name in ("one", "two")]
    dofn = _EmbedRows(features, ".", None)
    dofn.setup()
    given = [beam.Row(id=1, title=None), beam.Row(id=2, title="red shirt")]
    assert [row._asdict() for row in dofn.process(given)] == [
        {"id": 1, "title": None, "one": None, "two": None},
        {"id": 2, "title": "red shirt", "one": [3.0, 5.0], "two": [3.0, 5.0]},
    ]


def test_a_mapping_that_describes_no_feature_is_refused_where_the_user_is():
    from deepfeast.transforms.embed_rows import EmbedRows

    with pytest.raises(SpecError, match="does not describe a deep feature"):
        EmbedRows([{"name": "vec"}])
