import json

import pyarrow as pa

from deepfeast.transforms.embeddings.tombstones import Tombstones, begun_forgetting, read_tombstones

ROWS = pa.table(
    {"shop": [1, 1, 2, None], "id": ["ann", "bob", "ann", "ann"], "units": [1, 2, 3, 4]}
)


def test_a_key_is_known_again_by_all_of_its_parts_and_however_wide_its_numbers_are():
    stones = Tombstones(("id", "shop")).with_keys([("ann", "1"), ("bob", 7)])
    assert stones.matches(ROWS).tolist() == [True, False, False, False]
    narrow = ROWS.set_column(0, "shop", ROWS["shop"].cast(pa.int16()))
    assert stones.matches(narrow).tolist() == [True, False, False, False]


def test_what_is_kept_has_no_key_and_a_salt_of_its_own(tmp_path):
    stones, others = (Tombstones(("id",)).with_keys([("ann",)]) for _ in range(2))
    assert stones.times.keys() != others.times.keys()
    stones.write(tmp_path)
    assert read_tombstones(tmp_path) == stones
    (path,) = tmp_path.rglob("*.*")
    assert "ann" not in path.read_text()
    assert json.loads(path.read_text())["salt"] == stones.salt
    assert begun_forgetting(tmp_path).parent == path.parent


def test_a_key_that_is_forgotten_again_keeps_its_time():
    once = Tombstones(("id",)).with_keys([("ann",)])
    twice = once.with_keys([("ann",), ("bob",)])
    assert len(twice.times) == 2
    assert once.times.items() <= twice.times.items()


def test_where_nothing_was_forgotten_nothing_is_kept(tmp_path):
    assert read_tombstones(tmp_path) is None
