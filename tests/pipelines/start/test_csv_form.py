import pytest

from deepfeast.pipelines.start.csv_form import read_form
from deepfeast.transforms.errors import SourceEmpty, SourceError

GERMAN = "Größe;Preis\n10;1.234,50\n12;7,5\n"


@pytest.mark.parametrize(
    ("content", "encoding", "delimiter", "decimal"),
    [
        (b"a,b\n1.5,x\n", "utf-8", ",", "."),
        (b"a\tb\n1.5\tx\n", "utf-8", "\t", "."),
        (b'a,b\n"1;2;3",x\n"4;5;6",y\n', "utf-8", ",", "."),
        (GERMAN.encode(), "utf-8", ";", ","),
        (GERMAN.encode("utf-8-sig"), "utf-8", ";", ","),
        (GERMAN.encode("latin-1"), "cp1252", ";", ","),
        (GERMAN.encode("utf-16"), "utf-16", ";", ","),
        (GERMAN.encode("utf-16-le"), "utf-16-le", ";", ","),
        (GERMAN.encode("utf-16-be"), "utf-16-be", ";", ","),
        ("ä;b\nx;\u0081\n".encode("latin-1"), "latin-1", ";", "."),
    ],
)
def test_encoding_delimiter_and_decimal_sign_are_found(
    tmp_path, content, encoding, delimiter, decimal
):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    form = read_form(path)
    assert (form.encoding, form.delimiter, form.decimal) == (encoding, delimiter, decimal)
    assert len(form.header) == 2
    assert not form.header[0].startswith("\ufeff")


def test_a_letter_of_another_encoding_far_down_is_met(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + b"1,plain\n" * 700_000 + b"2,caf\xe9\n")
    assert read_form(path).encoding == "cp1252"


def test_lines_before_the_header_are_counted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\n\na,b\n1,2\n")
    assert (read_form(path).blank, read_form(path).header) == (2, ["a", "b"])


def test_what_is_no_text_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(SourceError, match="is no text: expected a CSV or a Parquet file"):
        read_form(path)
    path.write_text("\n \n")
    with pytest.raises(SourceEmpty, match="expected a line of column names"):
        read_form(path)
