"""Events of a job, as a collector gets them."""

import http.server
import json
import threading

import pytest

from deepfeast.pipelines.lineage import Column, Data, told

pytest.importorskip("openlineage.client")
RAW = Data("/data/raw.parquet")
MADE = Data(
    "s3://shop/deep",
    {"id": Column(RAW, "id"), "vec": Column(RAW, "title", "TRANSFORMATION", "minilm", "f00d")},
    rows=3,
    size=99,
)


@pytest.fixture(autouse=True)
def _nothing_is_configured(monkeypatch, tmp_path):
    for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def events(tmp_path):
    """To read what was told to a file, as `openlineage.yml` says."""
    path = tmp_path / "events.jsonl"
    (tmp_path / "openlineage.yml").write_text(
        f"transport: {{type: file, log_file_path: {path}, append: true}}\n"
    )
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


def test_a_job_is_told_from_start_to_end_with_its_columns(events):
    with told("shirts", "embed.deep", [RAW], lambda: [MADE]):
        pass
    start, end = events()
    assert [start["eventType"], end["eventType"]] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == end["run"]["runId"]
    assert end["job"] == {"facets": {}, "name": "embed.deep", "namespace": "shirts"}
    assert (end["inputs"][0]["namespace"], end["inputs"][0]["name"]) == (
        "file",
        "/data/raw.parquet",
    )
    (made,) = end["outputs"]
    assert (made["namespace"], made["name"]) == ("s3://shop", "deep")
    vec = made["facets"]["columnLineage"]["fields"]["vec"]["inputFields"][0]
    assert (vec["name"], vec["field"]) == ("/data/raw.parquet", "title")
    assert vec["transformations"][0]["description"] == "minilm"
    encoders = made["facets"]["deepfeast_encoders"]
    assert encoders["encoders"] == {"vec": {"encoder": "minilm", "fingerprint": "f00d"}}
    assert encoders["_producer"] == start["producer"]
    assert made["outputFacets"]["outputStatistics"]["rowCount"] == 3


@pytest.mark.parametrize(
    ("error", "kind"), [(ValueError("no rows"), "FAIL"), (KeyboardInterrupt(), "ABORT")]
)
def test_a_job_that_fails_says_why(events, error, kind):
    with pytest.raises(type(error)), told("shirts", "embed.deep", [RAW], lambda: [MADE]):
        raise error
    end = events()[-1]
    assert end["eventType"] == kind
    if kind == "FAIL":
        assert end["run"]["facets"]["errorMessage"]["message"] == "ValueError: no rows"


def test_nothing_is_told_where_nothing_is_configured(capsys, tmp_path):
    with told("shirts", "embed.deep", [RAW], lambda: [MADE]):
        pass
    assert capsys.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


class Server(http.server.HTTPServer):
    events: list[str]


class Collector(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.events.append(json.loads(body)["eventType"])
        self.send_response(201)
        self.end_headers()

    def log_message(self, *words):
        pass


def test_a_server_gets_the_events_and_one_that_is_down_stops_no_job(monkeypatch, caplog):
    with Server(("127.0.0.1", 0), Collector) as server:
        server.events = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
        with told("shirts", "embed.deep", [RAW], list):
            pass
        assert server.events == ["START", "COMPLETE"]
        server.shutdown()
    with told("shirts", "embed.deep", [RAW], list):
        done = True
    assert done
    assert "the event COMPLETE was not taken" in caplog.text
