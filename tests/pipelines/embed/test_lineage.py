import json

import pytest


def test_a_run_tells_which_raw_column_became_which_vector(Shirts, tmp_path, monkeypatch):
    pytest.importorskip("openlineage.client")
    path = tmp_path / "events.jsonl"
    config = tmp_path / "openlineage.yml"
    config.write_text(f"transport: {{type: file, log_file_path: {path}, append: true}}\n")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(config))
    monkeypatch.delenv("OPENLINEAGE_URL", raising=False)
    shirts = Shirts(tmp_path / "shirts", field_mapping={"shirt_no": "id", "name": "title"})
    shirts.write([{"shirt_no": "a", "name": "red shirt"}])
    run = shirts.embed()
    *_, end = map(json.loads, path.read_text().splitlines())
    assert (end["eventType"], end["job"]["name"]) == ("COMPLETE", "embed.deep")
    assert end["inputs"][0]["name"] == str(shirts.folder / "raw.parquet")
    (made,) = end["outputs"]
    assert made["name"] == str(shirts.table)
    fields = made["facets"]["columnLineage"]["fields"]
    assert fields["id"]["inputFields"][0]["field"] == "shirt_no"
    assert fields["vec"]["inputFields"][0]["field"] == "name"
    encoder = made["facets"]["deepfeast_encoders"]["encoders"]["vec"]
    assert encoder["fingerprint"] == run.fingerprints["vec"]
    statistics = made["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (1, run.bytes)
