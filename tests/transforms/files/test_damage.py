import subprocess
import sys

import pyarrow as pa
from deltalake import write_deltalake

from deepfeast.transforms.files.damage import file_faults, log_faults

FORK = """
import os, sys
from deepfeast.transforms.errors import TableError
from deepfeast.transforms.files.table import open_table
assert len(open_table(sys.argv[1], delta=True)) == 1
child = os.fork()
if child == 0:
    try:
        open_table(sys.argv[1], delta=True)
    except TableError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def test_a_whole_log_has_no_faults_and_a_cut_one_is_named(tmp_path):
    for number in range(3):
        write_deltalake(str(tmp_path), pa.table({"a": [number]}), mode="append")
    assert log_faults(tmp_path) == []
    entries = sorted((tmp_path / "_delta_log").glob("*.json"))
    entries[2].write_text(entries[2].read_text()[:40])
    entries[1].unlink()
    assert log_faults(tmp_path) == [
        f"its entry {entries[1].name} is missing",
        f"its entry {entries[2]} is cut or damaged",
    ]


def test_files_are_compared_by_their_size(tmp_path):
    (tmp_path / "a").write_bytes(b"123")
    assert file_faults(tmp_path, [{"path": "a", "size": 3}]) == {}
    assert file_faults(tmp_path, [{"path": "a", "size": 1234}]) == {
        "a": f"the data file {tmp_path}/a has 3 bytes, its log says 1,234"
    }


def test_a_fork_of_a_process_that_has_read_delta_is_told_what_to_do(tmp_path):
    write_deltalake(str(tmp_path), pa.table({"a": [1]}))
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "was forked from one that had read Delta tables" in done.stdout
    assert "'spawn' or 'forkserver'" in done.stdout
