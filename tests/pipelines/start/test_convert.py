from datetime import date

import pyarrow as pa
import pytest

from deepfeast.pipelines.start.convert import (
    as_numbers,
    as_photos,
    as_texts,
    as_times,
    parts_of,
    without_tags,
)


@pytest.mark.parametrize(
    ("cell", "decimal", "number"),
    [
        ("12", ".", 12),
        ("-1.5e3", ".", -1500),
        ("$1,234.50", ".", 1234.5),
        ("45 %", ".", 45),
        ("1 234", ".", 1234),
        ("1,5", ".", None),
        ("1,5", ",", 1.5),
        ("1.234,5 €", ",", 1234.5),
        ("1.5", ",", None),
        ("12 rooms", ".", None),
        (".", ".", None),
        ("", ".", None),
    ],
)
def test_numbers_as_people_write_them(cell, decimal, number):
    assert as_numbers(pa.array([cell]), decimal).to_pylist() == [number]


def test_times_without_a_zone_are_utc_and_dates_are_midnight():
    found = as_times(pa.array(["2024-05-01T02:00:00+02:00", "2024-05-01", None]))
    assert found[0] == found[1]
    assert found[2].as_py() is None
    assert as_times(pa.array([date(2024, 5, 1)]))[0] == found[0]
    assert as_times(pa.array(["01.05.2024", "x"]), "%d.%m.%Y").to_pylist()[1] is None


def test_tags_scripts_and_entities_leave_a_text():
    html = "<style>p {}</style><p>Oak &amp; ash</p><p>a &lt; b</p><!-- no --><script>x<y</script>"
    assert without_tags(html) == "Oak & ash a < b"
    assert without_tags("2 < 3 and 4 > 1") == "2 < 3 and 4 > 1"
    assert without_tags("QA Group <qa@example.org>") == "QA Group <qa@example.org>"
    assert without_tags('<a href="mailto:qa@example.org">QA</a>') == "QA"
    assert as_texts(pa.array(["<b>red</b>", " ", None]), tags=True).to_pylist() == [
        "red",
        None,
        None,
    ]
    assert as_texts(pa.array([b"caf\xc3\xa9"])).to_pylist() == ["café"]


def test_several_photos_of_one_cell():
    assert parts_of("['a.jpg', 'b.jpg']", "json") == ["a.jpg", "b.jpg"]
    assert parts_of("a b.jpg", "") == ["a b.jpg"]
    assert as_photos(pa.array(["a.jpg|b.jpg", None]), "|").to_pylist() == [["a.jpg", "b.jpg"], None]
    struct = pa.array([{"bytes": b"x", "path": "a.jpg"}])
    assert as_photos(struct).to_pylist() == [b"x"]
