import os

import numpy as np

from deepfeast.transforms.files.bucket import BucketPath
from deepfeast.transforms.files.fetch import Copies, fetch, local


def test_a_file_on_the_disk_is_its_own_copy(tmp_path):
    assert local(tmp_path / "a.npy") == tmp_path / "a.npy"


def test_a_copy_is_fetched_once_and_what_was_asked_for_longest_ago_goes_first(bucket):
    places = [BucketPath(bucket) / f"{n}.npy" for n in range(3)]
    for place in places:
        place.write_bytes(bytes(1000))
    copies = Copies(limit=2500)
    first, second = copies.of(places[0]), copies.of(places[1])
    kept = np.memmap(second, dtype=np.uint8)
    assert copies.of(places[0]) == first
    copies.of(places[2])
    assert [path.exists() for path in (first, second)] == [True, False]
    assert kept.sum() == 0
    assert copies.of(places[1]) != second


def test_a_forked_process_leaves_the_copies_of_the_other(bucket):
    place = BucketPath(bucket) / "a.npy"
    place.write_bytes(b"1")
    copies = Copies()
    mine, process = copies.of(place), os.getpid()
    assert fetch(place, mine.with_name("again")).read_bytes() == b"1"
    copies._process = -1
    assert copies.of(place).parent != mine.parent
    assert mine.exists()
    assert copies._process == process
