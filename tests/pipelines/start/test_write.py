import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.start.plan import Plan
from deepfeast.pipelines.start.write import ALWAYS, write_data
from deepfeast.transforms.errors import ColumnNotFound, SourceError

PLAN = Plan(
    "shop",
    key="sku",
    target="price",
    texts=["description"],
    numbers=["width"],
    categories=["colour"],
)


def read(folder, name="shop"):
    return pq.read_table(folder / "data" / f"{name}.parquet")


def test_a_static_table_becomes_rows_that_always_were_and_labels(folder):
    written = write_data(folder / "shop.csv", PLAN, folder / "data")
    assert (written.rows, written.labels) == (60, 60)
    rows, labels = read(folder), read(folder, "shop_labels")
    assert rows.schema.names == ["sku", "event_timestamp", "description", "width", "colour"]
    assert set(rows.column("event_timestamp").to_pylist()) == {ALWAYS}
    assert rows.schema.field("width").type == pa.float64()
    assert labels.schema.names == ["sku", "price"]


def test_times_groups_tags_and_german_numbers(tmp_path):
    (tmp_path / "a.csv").write_text(
        "Nr;Wann;Text;Preis €;Wer\n"
        "7;01.05.2024;<b>rot</b>;1.234,5;ann\n"
        "8;;blau;2,5;bob\n"
        "9;02.05.2024;grün;auf Anfrage;bob\n"
        ";02.05.2024;gelb;3;bob\n"
    )
    plan = Plan(
        "a",
        key="Nr",
        number_key=True,
        time="Wann",
        time_format="%d.%m.%Y",
        target="preis",
        groups="Wer",
        texts=["Text"],
        tagged=["Text"],
        comma=["preis"],
        names={"preis": "Preis €"},
    )
    written = write_data(tmp_path / "a.csv", plan, tmp_path / "data")
    assert (written.rows, written.labels) == (2, 1)
    assert str(written) == (
        "2 rows, 1 of them with a label; 1 without id left out; 1 without time left out"
    )
    assert read(tmp_path, "a").column("Text").to_pylist() == ["rot", "grün"]
    (label,) = read(tmp_path, "a_labels").to_pylist()
    assert (label["Nr"], label["preis"], label["Wer"]) == (7, 1234.5, "ann")


def test_drawn_rows_keep_their_numbers(folder):
    plan = Plan("shop", target="price", texts=["description"])
    written = write_data(folder / "shop.csv", plan, folder / "data", rows=np.array([0, 5, 59]))
    assert written.rows == 3
    assert read(folder).column("shop_row").to_pylist() == [1, 6, 60]
    assert read(folder, "shop_labels").column("shop_row").to_pylist() == [1, 6, 60]


def test_an_id_that_stands_twice_is_refused_and_leaves_the_files_as_they_were(folder, rows):
    write_data(folder / "shop.csv", PLAN, folder / "data")
    pd.concat([rows, rows.head(2)]).to_csv(folder / "shop.csv", index=False)
    with pytest.raises(SourceError, match=r"'s000' stands in 2 rows.*2 ids.*--id none"):
        write_data(folder / "shop.csv", PLAN, folder / "data")
    assert read(folder).num_rows == 60
    assert sorted(path.name for path in (folder / "data").iterdir()) == [
        "shop.parquet",
        "shop_labels.parquet",
    ]


def test_a_column_that_has_gone_is_named(folder, rows):
    rows.drop(columns="width").to_csv(folder / "shop.csv", index=False)
    with pytest.raises(ColumnNotFound, match="no column 'width'"):
        write_data(folder / "shop.csv", PLAN, folder / "data")


def test_an_id_that_is_no_number_after_all_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("id,t\n1,x\nb,y\n")
    plan = Plan("a", key="id", number_key=True, texts=["t"])
    with pytest.raises(SourceError, match=r"whole numbers, and one is none.*--id none"):
        write_data(tmp_path / "a.csv", plan, tmp_path / "data")
