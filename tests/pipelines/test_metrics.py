"""The file that Prometheus reads, and whether it can."""

from prometheus_client.parser import text_string_to_metric_families

from deepfeast.pipelines.metrics import Metrics


def numbers(path):
    return {
        (
            sample.name,
            *(v for k, v in sorted(sample.labels.items()) if k != "project"),
        ): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_a_run_is_told_by_view_stage_and_reason(shirts, tmp_path):
    shirts.write(
        [
            {"id": "a", "title": "red shirt"},
            {"id": "b", "title": "red shirt"},
            {"id": "c", "title": None},
            {"id": "d", "title": "poison"},
        ]
    )
    path = tmp_path / "collector" / "deepfeast.prom"
    metrics = Metrics(path, "shirts")
    run = shirts.embed(allowed_rejects=0.5)
    metrics.embedded(run)
    found = numbers(path)
    assert found["deepfeast_embed_source_rows", "deep"] == 4
    assert found["deepfeast_embed_rows", "deep"] == 4
    assert found["deepfeast_embed_encoded", "deep"] == 1
    assert found["deepfeast_embed_reused", "deep"] == 1
    assert found["deepfeast_embed_missing", "deep"] == 1
    assert found["deepfeast_embed_rejected", "deep"] == 1
    assert found["deepfeast_embed_rejected_by_reason", "poisoned", "deep"] == 1
    files = sum(file.stat().st_size for file in shirts.table.glob("*/part-*.parquet"))
    assert found["deepfeast_embed_bytes", "deep"] == run.bytes == files
    stages = [key[1] for key in found if key[0] == "deepfeast_embed_stage_seconds"]
    assert stages == ["hash", "plan", "encode", "write", "publish"] == list(run.stages)
    assert 0 < sum(run.stages.values()) <= run.seconds
    metrics.materialized("hats", {"rows_written": 7, "seconds": 1.5})
    assert numbers(path)["deepfeast_materialize_rows_written", "hats"] == 7
    assert numbers(path)["deepfeast_embed_rows", "deep"] == 4
    assert [file.name for file in path.parent.iterdir()] == ["deepfeast.prom"]


def test_nothing_is_written_where_nobody_asked(shirts, tmp_path):
    shirts.write([{"id": "a", "title": "red shirt"}])
    Metrics(None, "shirts").embedded(shirts.embed())
    assert [path.name for path in tmp_path.iterdir()] == ["shirts"]
