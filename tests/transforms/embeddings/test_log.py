from deepfeast.transforms.embeddings.log import (
    covered,
    first_entry,
    read_archive,
    write_archive,
)


def log(folder, *names):
    (folder / "_delta_log").mkdir()
    for name in names:
        (folder / "_delta_log" / name).touch()
    return folder


def test_entries_before_the_last_checkpoint_are_covered(tmp_path):
    names = [f"{n:020d}.json" for n in range(5)]
    checkpoints = [f"{n:020d}.checkpoint.parquet" for n in (1, 3)]
    table = log(tmp_path, *names, *checkpoints, "_last_checkpoint")
    assert [path.name for path in covered(table, 2)] == names[:1]
    assert [path.name for path in covered(table, 4)] == [
        names[0],
        checkpoints[0],
        names[1],
        names[2],
    ]
    assert covered(table, 0) == []


def test_a_log_tells_from_its_start_or_its_first_checkpoint(tmp_path):
    assert first_entry(log(tmp_path, f"{0:020d}.json", f"{1:020d}.checkpoint.parquet")) == 0
    (tmp_path / "later").mkdir()
    table = log(tmp_path / "later", f"{7:020d}.json", f"{7:020d}.checkpoint.parquet")
    assert first_entry(table) == 7


def test_what_left_the_log_is_read_again(tmp_path):
    assert read_archive(tmp_path) == {"commits": [], "files": {}}
    commits = [{"version": 0, "timestamp": 9, "meta": {"run_id": "r"}}]
    files = {1: [{"path": "r/part.parquet", "size": 3, "rows": 1}]}
    write_archive(tmp_path, commits, files)
    assert read_archive(tmp_path) == {"commits": commits, "files": {"1": files[1]}}
