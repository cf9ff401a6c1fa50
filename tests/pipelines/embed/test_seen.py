"""Each test asks for what a run would do that reads all files, and how many it left unread."""

import os
import random
from datetime import datetime, timezone

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from deepfeast.pipelines.embed.seen import Choice, Seen, SeenFile, name_of
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.tombstones import Tombstones
from deepfeast.transforms.embeddings.versions import rollback
from deepfeast.transforms.errors import SourceError
from deepfeast.transforms.views import find_deep_view

UNTRAINED = "python:deepfeast.transforms.testing:untrained_photos"
WORDS = "python:deepfeast.transforms.testing:WordLengths"
LONG_AGO = 1_700_000_000
FIRST = datetime(2024, 1, 1, tzinfo=timezone.utc)
LATER = datetime(2024, 2, 1, tzinfo=timezone.utc)


class Folder:
    """Shirts in a folder of files that were written long ago."""

    def __init__(self, shirts):
        self.shirts = shirts

    def write(self, number, *rows):
        path = self.shirts.folder / "raw" / f"{number}.parquet"
        self.shirts.write(list(rows), f"raw/{number}.parquet")
        os.utime(path, (LONG_AGO, LONG_AGO))
        return path

    def embed(self, **options):
        run = self.shirts.embed(allowed_rejects=1, **options)
        return run.rows, run.unchanged


@pytest.fixture
def folder(Shirts, tmp_path):
    return Folder(Shirts(tmp_path, path="raw"))


@pytest.fixture
def dated(Shirts, tmp_path):
    return Folder(Shirts(tmp_path, path="raw", created_timestamp_column="created"))


def red(key="a", **more):
    return {"id": key, "title": "red", **more}


def blue(key="a", **more):
    return {"id": key, "title": "blue", **more}


def test_only_the_new_file_of_many_is_read(folder):
    for number in range(3):
        folder.write(number, red(f"shirt {number}"))
    assert folder.embed() == (3, 0)
    folder.write(3, blue("new"))
    run = folder.shirts.embed()
    assert (run.rows, run.unchanged, run.source_rows) == (1, 3, 4)
    again = folder.shirts.embed()
    assert (again.version, again.unchanged, again.source_rows) == (None, 4, 4)
    assert "4 unchanged files not read" in again.summary()
    assert folder.embed(reread=True) == (0, 0)


def test_a_file_without_news_is_read_once(folder):
    folder.write(1, red())
    folder.embed()
    folder.write(2, red())
    assert folder.embed() == (0, 1)
    assert folder.embed() == (0, 2)


def test_a_file_that_was_replaced_under_its_name_is_read_though_size_and_time_are_the_same(folder):
    path = folder.write(1, red())
    folder.write(2, red("b"))
    folder.embed()
    size = path.stat().st_size
    folder.write(1, {"id": "a", "title": "tan"})
    assert (path.stat().st_size, path.stat().st_mtime) == (size, LONG_AGO)
    folder.write(1, {"id": "a", "title": "a b"})
    assert folder.embed()[0] == 1
    assert folder.shirts.vectors() == {"a": [1, 1], "b": [3, 0]}


def test_a_file_that_is_still_being_written_is_read_again(folder):
    folder.shirts.write([red()], "raw/1.parquet")
    folder.embed()
    assert folder.embed() == (0, 0)


def test_another_column_or_declaration_is_news_in_every_file(Shirts, tmp_path):
    folder = Folder(Shirts(tmp_path, path="raw"))
    folder.write(1, red(other="a coat"))
    folder.embed()
    folder.shirts.features = {"vec": "other"}
    folder.shirts.declare(f"{WORDS}?dim=2")
    assert folder.embed() == (1, 0)
    assert folder.shirts.vectors() == {"a": [1, 4]}


def test_a_rebuild_reads_all_and_a_rollback_finds_what_its_version_had(folder):
    folder.write(1, red())
    folder.embed()
    folder.write(2, blue("b"))
    folder.shirts.declare(f"{WORDS}?dim=3")
    assert folder.embed(rebuild=True) == (2, 0)
    assert folder.embed() == (0, 2)
    rollback(
        embedding_table(folder.shirts.store, find_deep_view(folder.shirts.store, "deep")[0]), 1
    )
    folder.shirts.declare(f"{WORDS}?dim=2")
    assert folder.embed() == (1, 1)
    assert folder.shirts.vectors() == {"a": [3, 0], "b": [4, 0]}


def test_a_window_skips_what_is_known_and_makes_nothing_known(folder):
    folder.write(1, red())
    folder.embed()
    folder.write(2, red("b"), blue("b", event_timestamp=LATER))
    assert folder.embed(since=LATER) == (1, 1)
    assert folder.embed() == (1, 1)
    assert folder.embed() == (0, 2)


def test_a_later_correction_needs_no_other_file(dated):
    dated.write(1, red(created=FIRST))
    dated.embed()
    dated.write(2, blue(created=LATER))
    assert dated.embed() == (1, 1)
    assert dated.shirts.vectors() == {"a": [4, 0]}


def test_an_earlier_version_that_comes_late_changes_nothing(dated):
    dated.write(1, red(created=LATER))
    dated.embed()
    dated.write(2, blue(created=FIRST))
    # All files were read to tell.
    assert dated.embed() == (0, 0)
    assert dated.embed() == (0, 2)


def test_files_that_contradict_each_other_are_found_though_one_is_known(folder):
    folder.write(1, red())
    folder.embed()
    folder.write(2, blue())
    with pytest.raises(SourceError, match=r"different contents.*a, 2024-01-01"):
        folder.embed()


def test_where_a_correction_is_taken_back_the_version_before_counts_again(dated):
    dated.write(1, red(created=FIRST))
    dated.write(3, red("b", created=FIRST))
    dated.embed()
    corrected = dated.write(2, blue(created=LATER))
    assert dated.embed() == (1, 2)
    corrected.unlink()
    assert dated.embed() == (1, 0)
    assert dated.shirts.vectors()["a"] == [3, 0]


def test_a_file_that_goes_makes_no_other_be_read(folder):
    gone = folder.write(1, red())
    folder.write(2, red("b"))
    folder.embed()
    gone.unlink()
    assert folder.embed() == (0, 1)
    folder.write(1, blue())
    assert folder.embed()[0] == 1
    assert folder.shirts.vectors() == {"a": [4, 0], "b": [3, 0]}


def test_rows_that_are_left_out_are_rejects_until_their_file_is_mended(folder):
    folder.write(1, red(), red(None))
    folder.write(2, red("b"))
    folder.embed()
    run = folder.shirts.embed(allowed_rejects=1)
    assert (run.unchanged, run.reasons["key_missing"]["count"]) == (1, 1)
    folder.write(1, red(), red("c"))
    assert folder.embed() == (1, 1)


def test_photos_that_lie_elsewhere_are_looked_at_every_time(Shirts, tmp_path):
    from PIL import Image

    folder = Folder(Shirts(tmp_path, {"vec": "photo"}, path="raw/*.parquet"))
    folder.shirts.declare(UNTRAINED)
    folder.write(1, {"id": "a", "photo": "a.png"})
    folder.embed()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "raw" / "a.png")
    assert folder.embed() == (1, 0)
    assert folder.shirts.vectors()["a"] is not None


def test_forgotten_keys_stay_forgotten_and_come_back_with_their_file_read(folder):
    folder.write(1, red(), red("b"))
    folder.embed()
    Tombstones(("id",)).with_keys([("b",)]).write(folder.shirts.table)
    assert folder.embed(rebuild=True) == (1, 0)
    assert folder.embed() == (0, 1)
    (folder.shirts.table / "_deepfeast" / "forgotten.json").unlink()
    assert folder.embed() == (1, 0)


def test_notes_go_with_the_runs_that_nobody_can_go_back_to(folder):
    for number in range(3):
        folder.write(number, red(f"shirt {number}"))
        folder.embed()
    notes = list((folder.shirts.table / "_deepfeast" / "seen").iterdir())
    newest, before = (c["deepfeast"] for c in DeltaTable(str(folder.shirts.table)).history(2))
    assert len(notes) == 2
    assert all(any(note.stem in commit for commit in (newest, before)) for note in notes)


def test_the_files_of_a_delta_table_are_known_by_name(Shirts, tmp_path):
    from feast.data_format import DeltaFormat

    shirts = Shirts(tmp_path, path="raw", file_format=DeltaFormat())
    for title in ("red", "blue"):
        rows = [{"id": title, "title": title, "event_timestamp": FIRST}]
        write_deltalake(str(tmp_path / "raw"), pa.Table.from_pylist(rows), mode="append")
        for path in (tmp_path / "raw").glob("*.parquet"):
            if path.stat().st_mtime != LONG_AGO:
                os.utime(path, (LONG_AGO, LONG_AGO))
        run = shirts.embed()
    assert (run.rows, run.unchanged) == (1, 1)
    assert shirts.embed().unchanged == 2


def test_a_csv_is_read_where_all_are_known_for_the_sake_of_its_columns(Shirts, tmp_path):
    shirts = Shirts(tmp_path, path="raw/*.csv")
    (tmp_path / "raw").mkdir()
    for key in "abc":
        path = tmp_path / "raw" / f"{key}.csv"
        path.write_text(f"id,title,event_timestamp\n{key},red,2024-01-01\n")
        os.utime(path, (LONG_AGO, LONG_AGO))
        run = shirts.embed()
    assert (run.rows, run.unchanged, run.source_rows) == (1, 2, 3)
    again = shirts.embed()
    assert (again.version, again.unchanged, again.source_rows) == (None, 2, 3)


def test_what_was_torn_is_read_whole_once_a_file_goes(tmp_path):
    path = tmp_path / "1"
    path.write_text("red")
    os.utime(path, (LONG_AGO, LONG_AGO))
    stamp = f"3 {LONG_AGO}000000000 {path.stat().st_ctime_ns}"
    files = {name_of(str(path)): SeenFile(stamp, 7)}
    gone = {**files, name_of("gone"): SeenFile(stamp, 1)}
    for torn, known, left in ((False, gone, []), (True, files, []), (True, gone, [str(path)])):
        assert Choice(Seen("raw", torn, 0, known))(None, [str(path)]) == left


@pytest.mark.slow
def test_whatever_happens_to_files_the_table_is_as_if_all_were_read(Shirts, tmp_path):
    choose = random.Random(3)
    dated = {"created_timestamp_column": "created"}
    twins = [Folder(Shirts(tmp_path / name, path="raw", **dated)) for name in ("one", "two")]
    unchanged = 0
    for step in range(6):
        number = step if step < 2 else choose.randrange(3)
        rows = [_random_row(choose, number, step) for _ in range(choose.randint(1, 4))]
        lost = choose.random() < 0.3 and step > 2
        for twin in twins:
            path = twin.write(number, *rows)
            if lost and len(list(path.parent.iterdir())) > 1:
                path.unlink()
        one, two = (_outcome(twin, reread) for twin, reread in zip(twins, (0, 1), strict=True))
        assert one[0] == two[0], (step, number, rows)
        unchanged += one[1]
    assert unchanged


def _random_row(choose, number, step):
    # Some keys stand in several files.
    own = step < 2 or choose.random() < 0.6
    return {
        "id": f"{choose.choice('ab')}{number if own else ''}",
        "title": choose.choice(["red", "blue hat", "grey", "poison"]),
        "created": datetime(2024, 3, choose.randint(1, 9), tzinfo=timezone.utc),
    }


def _outcome(twin, reread):
    try:
        run = twin.shirts.embed(allowed_rejects=1, reread=bool(reread))
    except SourceError:
        return "contradiction", 0
    rows = sorted((row["id"], str(row["vec"])) for row in twin.shirts.rows())
    latest = twin.shirts.vectors()
    return (run.rows, run.rejected, run.source_rows, run.version, rows, latest), run.unchanged
