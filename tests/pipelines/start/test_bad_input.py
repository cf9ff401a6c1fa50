"""Tables as people have them: each ends in a proposal, or in one line that says what to do."""

import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from deepfeast.pipelines.cli import app

WORDS = [
    f"a {w} {t} number {n}" for n, (w, t) in enumerate([("oak", "table"), ("ash", "chair")] * 20)
]


def frame(**columns):
    return pd.DataFrame({"id": range(40), "text": WORDS, "price": range(10, 50)} | columns)


def csv(**columns):
    return frame(**columns).to_csv(index=False)


TABLES = {
    # name of the file: (content, code, what is said)
    "empty.csv": ("", 65, "SourceEmpty: .* is empty"),
    "blank.csv": ("\n\n", 65, "SourceEmpty: .* is empty"),
    "header.csv": ("id,text,price\n", 65, "no rows below them"),
    "one.csv": ("price\n" + "5\n7\n" * 20, 2, "nothing to embed"),
    "wide.csv": (csv(**{f"n{k}": [k, 1] * 20 for k in range(197)}), 0, "and 19[0-9] more"),
    "twice.csv": (csv().replace("id,text", "text,text"), 0, r"'text' is text_2"),
    "names.csv": (csv(**{'say "hi", now': [1, 2] * 20, "🏠": [3, 4] * 20}), 0, "'🏠' is column_5"),
    "mixed.csv": (
        csv(size=["7"] * 35 + ["8", "nine", "x", "7", "8"]),
        0,
        "5% of the cells are none",
    ),
    "target.csv": (csv(price=WORDS), 2, "40 different texts in 40 rows"),
    "classes.csv": (csv(price=["low", "high"] * 20), 0, "2 classes: .*50%"),
    "three.csv": ("id,text,price\n1,a red hat,3\n2,a blue hat,4\n3,a green hat,5\n", 0, "3 rows"),
    "latin.csv": (csv(text=[f"{w} für Gäste" for w in WORDS]).encode("latin-1"), 0, "cp1252"),
    "wide16.csv": (csv().encode("utf-16"), 0, "utf-16, comma"),
    "german.csv": (
        frame(price=[f"{n},5" for n in range(40)]).to_csv(index=False, sep=";"),
        0,
        "semicolon between cells, decimal comma",
    ),
    "sheet.xlsx": (b"PK\x03\x04....", 65, "is an Excel file.*CSV UTF-8"),
    "lines.json": ("{}", 65, "is JSON"),
    "bytes.bin": (bytes(range(256)) * 20, 65, "is no text"),
    "torn.parquet": (b"PAR1....", 65, "damaged Parquet"),
    "photos.csv": (
        csv(photo=[f"lost/{n}.jpg" for n in range(40)]),
        0,
        "0 of 40 looked for.*lost/0",
    ),
    "html.csv": (csv(text=[f"<p>{w}</p>" for w in WORDS]), 0, "HTML is taken off"),
    "lengths.csv": (csv() + "1,2,3,4\n", 0, "1 rows have another number of cells"),
    "ragged.csv": ("a,b\n" + "1,2,3\n" * 9, 65, "9 of 9 rows have another number"),
    "quote.csv": (csv() + '41,"open,5\n' + "x\n" * 20_000, 65, "never closed"),
    "constant.csv": (csv(price=5), 2, "nothing to predict"),
    "gone.csv": (None, 69, "no table at"),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_table_ends_in_a_proposal_or_in_one_line(name, tmp_path):
    content, code, told = TABLES[name]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    words = ["init", str(tmp_path / "repo"), "--table", str(path), "--target", "price"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == code, done.output
    assert re.search(told, done.output, re.DOTALL), done.output
    assert "Traceback" not in done.output
    if code:
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "repo").exists()
    else:
        assert pq.read_table(tmp_path / "repo" / "data" / f"{path.stem}.parquet").num_rows >= 3


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            "id,text,price\n1,a red hat,3\n2,a blue hat,4\n",
            "has 2 rows; a verdict needs at least 30",
        ),
        ("price\n" + "5\n7\n" * 20, "has one column, 'price'"),
        ("price,width\n" + "5,1\n7,2\n" * 20, "no column of table.csv is of texts or photos"),
    ],
)
def test_what_can_have_no_verdict_is_told_before_any_work(content, told, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(content)
    done = CliRunner().invoke(app, ["try", str(path), "--target", "price"])
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert told in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["table.csv"]


def test_nobody_is_asked_where_nobody_is_there_and_a_target_has_to_be_named(folder):
    done = CliRunner().invoke(app, ["try", str(folder / "shop.csv")])
    assert done.exit_code == 2
    assert "What is to be predicted? Say it with --target COLUMN, one of: price" in done.stderr


def test_a_parquet_with_lists_structs_and_nulls(tmp_path):
    table = pa.table(
        {
            "id": list(range(40)),
            "text": WORDS,
            "price": [n + 0.5 for n in range(40)],
            "tags": [["a"]] * 40,
            "place": [{"lat": 1.0}] * 40,
            "none": pa.nulls(40),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    words = ["init", str(tmp_path / "repo"), "--table", str(tmp_path / "a.parquet")]
    done = CliRunner().invoke(app, [*words, "--target", "price"])
    assert done.exit_code == 0, done.output
    assert "cells are list" in done.output
    assert "cells are struct" in done.output
