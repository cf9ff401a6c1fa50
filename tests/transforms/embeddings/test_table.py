import subprocess
import sys
from datetime import datetime, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from deepfeast.transforms.embeddings.rejects import read_rejects
from deepfeast.transforms.embeddings.table import EmbeddingTable, table_schema
from deepfeast.transforms.errors import NeverEmbedded, RunInProgress, TableError
from deepfeast.transforms.features import DeepFeature

FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
LATER = datetime(2024, 3, 1, tzinfo=timezone.utc)
ROW = [pa.field("id", pa.string()), pa.field("at", pa.timestamp("us", "UTC"))]
# An object store without an object: it writes down who asked for what.
EMPTY_STORE = """
import http.server, sys

class Empty(http.server.BaseHTTPRequestHandler):
    def note(self):
        with open(sys.argv[1], "a") as log:
            print(self.path, self.headers["Authorization"], file=log)

    def do_HEAD(self):
        self.note()
        self.send_response(404)
        self.end_headers()

    def do_GET(self):
        self.note()
        body = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def table(tmp_path):
    return EmbeddingTable(str(tmp_path / "deep"), "deep")


def publish(table, run_id, expected, encoder="f1", at=FIRST, created=FIRST, **more):
    """Publish a run of one row."""
    schema = table_schema(ROW, [DeepFeature("vec", column="title", encoder="tfidf:2")])
    row = {"id": "a", "at": at, "created_timestamp": created, "vec": [1.0, 2.0], "vec_hash": b"h"}
    path = table.data(run_id) / "part.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row], schema=schema), path)
    part = {"path": f"{run_id}/part.parquet", "size": path.stat().st_size, "rows": 1}
    meta = {"run_id": run_id, "fingerprints": {"vec": encoder}, "created": 7, **more}
    return table.publish(schema, [part], meta, expected, replace=False)


def test_a_table_that_is_not_there_yet(table):
    assert table.open() is None
    assert table.fingerprints() == {}
    with pytest.raises(NeverEmbedded, match="Run: deepfeast embed deep"):
        table.must_exist()


def test_each_run_is_one_commit_and_the_newest_comes_first(table):
    assert publish(table, "one", None) == 0
    assert publish(table, "two", 0, encoder="f2", at=LATER) == 1
    assert [(commit.version, commit.meta["run_id"]) for commit in table.commits()] == [
        (1, "two"),
        (0, "one"),
    ]
    assert table.fingerprints() == {"vec": "f2"}
    assert table.dataset(table.must_exist()).count_rows() == 2


def test_the_newest_times_are_the_latest_of_all_rows(table):
    publish(table, "one", None, at=LATER, created=FIRST)
    publish(table, "two", 0, at=FIRST, created=LATER)
    assert table.newest("at") == (LATER, LATER)


def test_what_was_fitted_is_told_by_the_newest_run(table):
    publish(table, "one", None, fits={"vec": {"rows": 3, "until": None, "first": 0, "last": 5}})
    assert table.fits()["vec"].rows == 3


@pytest.mark.parametrize("expected", [None, 0])
def test_a_run_that_was_overtaken_publishes_nothing(table, expected):
    publish(table, "one", None)
    publish(table, "two", 0)
    with pytest.raises(RunInProgress, match="another run published to view 'deep'"):
        publish(table, "late", expected)
    assert len(table.commits()) == 2


def test_a_table_or_files_of_somebody_else_are_left_alone(table):
    table.path.mkdir()
    (table.path / "photo.png").touch()
    with pytest.raises(TableError, match=r"no embedding table: photo\.png"):
        table.open()
    write_deltalake(table.uri, pa.table({"id": ["a"]}))
    with pytest.raises(TableError, match="not written by deepfeast"):
        table.open()
    assert table.fingerprints() == {}


def test_a_table_is_held_by_one_run(table):
    with (
        table.held("first"),
        pytest.raises(RunInProgress, match="run first, process"),
        table.held("second"),
    ):
        pass
    with table.held("second"):
        pass


def test_what_a_run_leaves_that_came_to_nothing_is_forgotten(table):
    table.work("run").mkdir(parents=True)
    table.forget_beginnings()
    assert not table.path.exists()
    publish(table, "one", None)
    table.forget_beginnings()
    assert len(table.commits()) == 1


def test_a_table_in_an_object_store_is_asked_for_with_its_credentials(tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", EMPTY_STORE, str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as store:
        options = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.stdout.readline().strip()}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "shopkeeper",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "north",
        }
        try:
            table = EmbeddingTable("s3://shop/deep", "deep", options)
            assert table.open() is None
            assert table.fingerprints() == {}
            assert read_rejects(table) is None
        finally:
            store.terminate()
    asked = log.read_text().splitlines()
    assert all("Credential=shopkeeper/" in line for line in asked)
    assert "published" in asked[0]
    assert "deep_rejects" in asked[-1]
