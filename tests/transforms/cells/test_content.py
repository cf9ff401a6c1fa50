import threading
from typing import ClassVar

import pyarrow as pa

from deepfeast.transforms.cells.content import Reader, TextReader, content_hash, read_contents
from deepfeast.transforms.errors import Reject


class Album(Reader):
    """Reads image cells from a dict of paths, as ImageReader does from a folder."""

    photos: ClassVar = {"a.jpg": b"A", "b.jpg": b"B", "copy.jpg": b"A"}

    def read(self, cell):
        if cell not in self.photos:
            raise Reject("file_missing", cell)
        return self.photos[cell]


def test_blank_texts_are_missing():
    contents = read_contents(pa.array(["red", "", " \n", None]), TextReader())
    assert contents.values == ["red", None, None, None]
    assert [digest is None for digest in contents.hashes] == [False, True, True, True]


def test_photos_are_named_by_what_they_show_not_by_their_path():
    contents = read_contents(pa.array(["a.jpg", "copy.jpg", "b.jpg"]), Album())
    first, copy, other = contents.hashes
    assert first == copy != other


def test_a_photo_that_is_not_there_is_a_reject_of_its_row_alone():
    contents = read_contents(pa.array(["a.jpg", "gone.jpg"]), Album())
    assert contents.values == [b"A", None]
    assert contents.rejects[1].reason == "file_missing"


def test_several_photos_in_one_cell_stay_together():
    cells = pa.array([["a.jpg", "b.jpg"], [], None, ["a.jpg", None]])
    contents = read_contents(cells, Album())
    assert contents.values == [(b"A", b"B"), None, None, (b"A",)]
    assert contents.hashes[3] != content_hash(b"A")


def test_cells_that_may_be_fetched_are_read_side_by_side_and_stay_in_order():
    together = threading.Barrier(3, timeout=10)

    class Slow(Album):
        def read(self, cell):
            together.wait()  # one after the other, the first would wait in vain
            return super().read(cell)

    contents = read_contents(
        pa.array(["b.jpg", "gone.jpg", "a.jpg"]), Slow(allow_hosts=["photos.example.org"])
    )
    assert contents.values == [b"B", None, b"A"]
    assert list(contents.rejects) == [1]


def test_a_number_is_no_text():
    contents = read_contents(pa.array([3]), TextReader())
    assert contents.rejects[0].reason == "not_text"


def test_lone_surrogates_have_a_hash():
    assert len(content_hash("\ud800")) == 16


def test_samples_are_all_different_and_of_a_usual_size():
    texts = TextReader.samples(3)
    assert len(set(texts)) == 3
    assert {len(text.split()) for text in texts} == {41}
    assert Reader.samples(3) == []
