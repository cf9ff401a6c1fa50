from pathlib import Path

import pyarrow as pa
import pytest

from deepfeast.pipelines.start.photos import photo_column


def column(*cells, kind=None):
    return pa.chunked_array([pa.array(list(cells), kind)])


def test_paths_are_looked_for_beside_the_table_and_below(photos, tmp_path):
    form = photo_column(column(*photos, None, "gone.jpg"), "file", tmp_path)
    assert (form.where, form.root) == ("path", (tmp_path / "pictures").resolve())
    assert (form.looked, form.found, form.example) == (9, 8, "gone.jpg")
    whole = [str(tmp_path / "pictures" / name) for name in photos]
    assert photo_column(column(*whole), "file", Path("/")).found == 8
    elsewhere = photo_column(column(*photos), "file", tmp_path, root=tmp_path)
    assert elsewhere.found == 0


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["0.jpg;1.jpg", "2.jpg"], ";"),
        (["0.jpg|1.jpg", "2.jpg|3.jpg"], "|"),
        (["0.jpg,1.jpg"], ","),
        (["0.jpg 1.jpg", "2.jpg 3.jpg"], " "),
        (["my table.jpg", "my chair.jpg"], ""),
        (['["0.jpg", "1.jpg"]'], "json"),
        ([["0.jpg", "1.jpg"], None], ""),
    ],
)
def test_several_photos_a_row(cells, separator, photos, tmp_path):
    form = photo_column(column(*cells), "photos", tmp_path)
    assert form.separator == separator


def test_urls_data_uris_and_bytes():
    url = photo_column(
        column("https://a.example/1.jpg", "https://b.example/2"), "photo_url", Path()
    )
    assert (url.where, url.hosts) == ("url", ("a.example", "b.example"))
    assert photo_column(column("https://a.example/page"), "link", Path()) is None
    assert photo_column(column("data:image/png;base64,AAAA"), "x", Path()).where == "data"
    assert photo_column(column(b"\xff\xd8\xff..", None), "x", Path()).where == "bytes"
    assert photo_column(column([b"\xff\xd8\xff"]), "x", Path()).several
    assert photo_column(column(b"no picture"), "x", Path()) is None


@pytest.mark.parametrize("cells", [["see a.jpg", "red", "blue"], ["a", "b"], [1, 2], [None, None]])
def test_what_only_mentions_photos_is_none(cells):
    kind = pa.string() if cells[0] is None else None
    assert photo_column(column(*cells, kind=kind), "x", Path()) is None
