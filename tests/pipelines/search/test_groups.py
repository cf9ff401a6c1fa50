import pytest

from deepfeast.pipelines.search import duplicates
from deepfeast.transforms.errors import FeatureNotFound, NeverEmbedded, SearchError


def test_copies_are_grouped_and_each_key_has_a_group(wardrobe):
    # [3, 5] twice, [4, 5] and [3, 0]; two have no vector.
    found = duplicates(wardrobe.store, "deep", threshold=0.999)
    assert [[hit.key["id"] for hit in group.hits] for group in found.groups] == [["a", "c"]]
    assert [hit.contents["title"] for hit in found.groups[0].hits] == ["red shirt", "red shoes"]
    assert found.notes == ["2 keys have no vector and are in no group"]
    table = found.table.to_pandas().set_index("id").sort_index()
    assert table["duplicate_group"].nunique() == 5
    assert table["group_size"].to_dict() == {"a": 2, "b": 1, "c": 2, "d": 1, "e": 1, "f": 1}
    assert table["nearest_cosine"].notna().tolist() == [True, False, True, False, False, False]
    assert str(found).startswith("deep:vec: 2 of 4 rows are near-copies, in 1 groups")


def test_without_a_threshold_the_reason_for_one_is_told_and_a_chain_is_noticed(wardrobe):
    found = duplicates(wardrobe.store, "deep")
    assert found.reason.startswith("estimated, as no threshold of this encoder is known")
    chain = duplicates(wardrobe.store, "deep", threshold=0.5)
    assert chain.notes[1].startswith("the largest group holds 100% of all rows: a chain")


def test_of_many_groups_the_first_are_read(shirts):
    titles = ["red shirt", "hat", "red shirt", "hat", "hat"]
    shirts.write([{"id": key, "title": title} for key, title in zip("abcde", titles, strict=True)])
    shirts.embed()
    first, second = duplicates(shirts.store, "deep", count=1).groups
    assert [hit.key["id"] for hit in first.hits] == ["b", "d", "e"]
    assert [hit.contents for hit in first.hits] == [{"title": "hat"}] * 3
    assert [hit.contents for hit in second.hits] == [{}] * 2


def test_without_copies_there_are_no_groups_and_each_key_is_alone(shirts):
    shirts.write([{"id": "a", "title": "red shirt"}, {"id": "b", "title": "hat"}])
    shirts.embed()
    found = duplicates(shirts.store, "deep", threshold=0.99)
    assert found.groups == found.rows() == []
    assert found.table.drop(["id"]).to_pydict() == {
        "duplicate_group": [0, 1],
        "group_size": [1, 1],
        "nearest_cosine": [None, None],
    }


@pytest.mark.parametrize("threshold", [0, 1.1, float("nan")])
def test_a_threshold_that_is_none_is_refused(wardrobe, threshold):
    with pytest.raises(SearchError, match="expected a cosine above 0 and up to 1"):
        duplicates(wardrobe.store, "deep", threshold=threshold)


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        ([None, None], "deep:vec has no vector"),
        (["hat", None], "one key of deep:vec has a vector, and a copy takes two"),
        (["hat", "tie"], "all 2 vectors of deep:vec are equal"),
    ],
)
def test_vectors_that_say_nothing_are_one_clear_line(shirts, titles, said):
    rows = [{"id": key, "title": title} for key, title in zip("ab", titles, strict=True)]
    shirts.write(rows)
    shirts.embed(allowed_rejects=1)
    with pytest.raises(SearchError, match=said) as caught:
        duplicates(shirts.store, "deep")
    assert "\n" not in str(caught.value)


def test_a_view_without_a_table_or_a_feature_says_so(shirts, wardrobe):
    with pytest.raises(NeverEmbedded, match="deepfeast embed deep"):
        duplicates(shirts.store, "deep")
    with pytest.raises(FeatureNotFound, match="vec"):
        duplicates(wardrobe.store, "deep", "photo_vec")
