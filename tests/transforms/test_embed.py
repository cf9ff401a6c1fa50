"""EmbedColumns in a pipeline of somebody else, which importing it leaves alone."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from deepfeast.transforms.errors import ColumnNotFound, SpecError

ROOT = Path(__file__).resolve().parents[2]
WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
# What other packages do to the process as they are imported is theirs; so they come first.
IMPORT_ALL = """
import importlib, logging, sys, warnings
import apache_beam, duckdb, feast, pandas, scipy.optimize, sklearn.ensemble

def state():
    loggers = {"root": logging.root, **logging.root.manager.loggerDict}
    registry = apache_beam.coders.registry
    return {
        "coders": {str(kind): coder for kind, coder in registry._coders.items()},
        "types": registry.custom_types[:],
        "fallback": registry._fallback_coder,
        "levels": {name: one.level for name, one in loggers.items() if getattr(one, "level", 0)},
        "handlers": {
            name: one.handlers[:] for name, one in loggers.items() if getattr(one, "handlers", ())
        },
        "disabled": logging.root.manager.disable,
        "warnings": warnings.filters[:],
    }

before = state()
for name in sys.argv[1:]:
    importlib.import_module(name)
    after = state()
    for what in before:
        assert after[what] == before[what], f"{name} changes {what}: {after[what]}"
"""


def test_embed_columns_in_a_pipeline_of_somebody_else():
    import apache_beam as beam
    from apache_beam.testing.test_pipeline import TestPipeline
    from apache_beam.testing.util import assert_that, equal_to

    from deepfeast.transforms import DeepFeature, EmbedColumns

    batch = pa.record_batch({"title": ["red shirt", None, "poison"], "price": [3, 4, 5]})
    with TestPipeline(runner="FnApiRunner") as pipeline:
        found = (
            pipeline
            | beam.Create([batch])
            | EmbedColumns([DeepFeature("vec", column="title", encoder=WORDS)]).with_rejects()
        )
        rows = found["batches"] | "Rows" >> beam.FlatMap(lambda batch: batch.to_pylist())
        assert_that(
            rows,
            equal_to(
                [
                    {"title": "red shirt", "price": 3, "vec": [3.0, 5.0]},
                    {"title": None, "price": 4, "vec": None},
                    {"title": "poison", "price": 5, "vec": None},
                ]
            ),
        )
        reasons = found["rejects"] | "Why" >> beam.Map(lambda r: (r["row"], r["reason"]))
        assert_that(reasons, equal_to([(2, "poisoned")]), label="rejects")


def test_counters_stand_in_the_projects_own_namespace():
    import apache_beam as beam
    from apache_beam.metrics import MetricsFilter

    from deepfeast.transforms import DeepFeature, EmbedColumns

    batch = pa.record_batch({"title": ["red shirt", None, "poison", "hat"]})
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = (
        pipeline
        | beam.Create([batch])
        | EmbedColumns([DeepFeature("vec", column="title", encoder=WORDS)])
    )
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(MetricsFilter().with_namespace("deepfeast"))["counters"]
    assert {c.key.metric.name: c.committed for c in found} == {"vec_values": 2, "vec_rejects": 1}


def test_a_slice_comes_out_without_the_rows_that_it_does_not_have():
    import apache_beam as beam
    from apache_beam.testing.test_pipeline import TestPipeline
    from apache_beam.testing.util import assert_that, equal_to

    from deepfeast.transforms import DeepFeature, EmbedColumns

    whole = pa.record_batch({"title": [f"{'x' * 1000} {n}" for n in range(1000)]})

    def crossed(batch):
        size = len(beam.coders.registry.get_coder(pa.RecordBatch).encode(batch))
        return batch["title"].to_pylist() == whole["title"].to_pylist()[10:12], size < 10_000

    with TestPipeline(runner="FnApiRunner") as pipeline:
        sizes = (
            pipeline
            | beam.Create([whole.slice(10, 2)])
            | EmbedColumns([DeepFeature("vec", column="title", encoder=WORDS)])
            | "Look" >> beam.Map(crossed)
        )
        assert_that(sizes, equal_to([(True, True)]))


def test_what_cannot_be_embedded_is_told_where_the_user_is():
    from deepfeast.transforms import EmbedColumns

    with pytest.raises(SpecError, match="at least one feature"):
        EmbedColumns([])
    with pytest.raises(SpecError, match=r"does not describe a deep feature.*'colour'"):
        EmbedColumns([{"name": "vec", "column": "title", "encoder": WORDS, "colour": "red"}])


@pytest.mark.parametrize(
    ("column", "name", "told"),
    [("titel", "vec", "no column 'titel'"), ("title", "title", "already has a column 'title'")],
)
def test_a_column_that_is_missing_or_in_the_way_is_named(column, name, told):
    from deepfeast.transforms import DeepFeature
    from deepfeast.transforms.embed import _EmbedBatch

    dofn = _EmbedBatch([DeepFeature(name, column=column, encoder=WORDS)], ".", None)
    dofn.setup()
    with pytest.raises(ColumnNotFound, match=told):
        list(dofn.process(pa.record_batch({"title": ["red"]})))


def test_importing_deepfeast_changes_nothing_for_others():
    names = []
    for folder in ("transforms", "pipelines"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "listings_repo" not in path.parts:
                parts = path.relative_to(ROOT).with_suffix("").parts
                names.append(".".join(["deepfeast", *parts]).removesuffix(".__init__"))
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
