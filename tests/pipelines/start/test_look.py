import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.start import look as module
from deepfeast.pipelines.start.look import look_at
from deepfeast.pipelines.start.table import open_table
from deepfeast.transforms.errors import SourceEmpty, SourceError


def test_all_of_a_small_table_is_seen_in_its_order(folder):
    look = look_at(open_table(folder / "shop.csv"))
    assert look.whole
    assert look.rows == 60
    assert look.sample.column("sku").to_pylist() == [f"s{n:03d}" for n in range(60)]


def test_of_a_large_one_a_sample_of_bounded_size_is_drawn_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE_ROWS", 500)
    path = tmp_path / "a.csv"
    pd.DataFrame({"n": np.arange(40_000), "one": 1}).to_csv(path, index=False)
    look = look_at(open_table(path))
    numbers = np.array([int(n) for n in look.sample.column("n").to_pylist()])
    assert look.rows == 40_000
    assert 300 <= len(numbers) <= 500
    assert (np.diff(numbers) > 0).all()
    assert abs(numbers.mean() - 20_000) < 2_000
    again = look_at(open_table(path))
    assert again.sample.equals(look.sample)


def test_long_texts_are_cut_and_weigh_little(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE_BYTES", 100_000)
    path = tmp_path / "a.csv"
    pd.DataFrame({"n": range(300), "text": "x" * 5000}).to_csv(path, index=False)
    look = look_at(open_table(path))
    assert look.rows == 300
    assert look.sample.nbytes <= 100_000
    assert len(look.sample.column("text")[0].as_py()) == module.CELL_LETTERS


def test_bytes_are_looked_at_in_the_first_rows_alone(tmp_path):
    table = pa.table({"n": list(range(200)), "photo": [b"\xff\xd8\xff"] * 200})
    pq.write_table(table, tmp_path / "a.parquet")
    look = look_at(open_table(tmp_path / "a.parquet"))
    assert look.sample.schema.names == ["n", "photo"]
    assert look.sample.column("photo").null_count == 150


def test_a_table_without_rows_or_with_rows_of_all_lengths_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n")
    with pytest.raises(SourceEmpty, match="no rows below"):
        look_at(open_table(path))
    path.write_text("a,b\n1,2,3\n4,5,6\n7,8\n")
    with pytest.raises(SourceError, match="another number of cells"):
        look_at(open_table(path))
