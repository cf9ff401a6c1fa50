import json
from datetime import datetime, timedelta, timezone

from typer.testing import CliRunner

from deepfeast.pipelines.cli import app
from deepfeast.transforms.online.open import online_table

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
NOW = START + timedelta(days=9)
ENGINE = "deepfeast.pipelines.engine.BeamEngine"


def test_the_command_ends_with_1_where_a_seal_is_broken_or_a_row_is_missing(shirts):
    from feast import FeatureStore

    with (shirts.folder / "feature_store.yaml").open("a") as config:
        config.write(f"batch_engine: {{type: {ENGINE}}}\n")
    shirts.store = FeatureStore(str(shirts.folder))
    words = ["verify", "deep", "--repo", str(shirts.folder)]
    shirts.write([{"id": "a", "title": "red shirt"}])
    shirts.store.materialize(START, NOW)
    assert CliRunner().invoke(app, words).exit_code == 0

    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "blue tie"}])
    shirts.embed()
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "deep: 2 keys compared: 1 missing, 0 stale, 0 different, 0 extra" in done.output
    assert "2024-01-01 00:00:00" in done.output
    told = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert (told["equal"], told["differences"][0]["key"]) == (False, {"id": "b"})

    view = shirts.store.get_feature_view("deep")
    table = online_table(shirts.store.provider.online_store, shirts.store.config, view)
    table.begin(table.seal())
    assert "left half written" in CliRunner().invoke(app, words).output
