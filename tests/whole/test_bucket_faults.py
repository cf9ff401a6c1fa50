"""A bucket that refuses, stumbles or forgets: nothing is lost or doubled, and an error helps."""

import re
from datetime import timedelta

import pytest

from deepfeast.transforms.embeddings.compact import compact
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.vacuum import vacuum
from deepfeast.transforms.errors import BucketError, TableDamaged
from deepfeast.transforms.files import store
from deepfeast.transforms.files.bucket import BucketPath, at, remove_tree

ROWS = [{"id": str(n), "title": f"{'x' * (n % 5 + 1)} y"} for n in range(30)]
EXPECTED = {row["id"]: [float(len(word)) for word in row["title"].split()] for row in ROWS}


@pytest.fixture
def shop(Shirts, tmp_path, bucket):
    shop = Shirts(tmp_path / "shop", uri=f"{bucket}/tables/deep")
    shop.write(ROWS)
    return shop


@pytest.fixture
def impatient(monkeypatch):
    """Give up soon on a store that will not answer."""
    monkeypatch.setitem(store.RETRIES, "max_retries", 1)


@pytest.fixture
def hasty(monkeypatch):
    """Wait milliseconds before a request is made again, as many times as ever."""
    first, last = timedelta(milliseconds=10), timedelta(milliseconds=100)
    backoff = {"init_backoff": first, "max_backoff": last, "base": 2}
    monkeypatch.setitem(store.RETRIES, "backoff", backoff)


def table_of(shop):
    return embedding_table(shop.store, shop.store.get_feature_view("deep"))


@pytest.mark.parametrize("status", [503, -1], ids=["503", "no answer"])
def test_a_store_that_fails_one_request_in_ten_costs_nothing_but_time(shop, between, hasty, status):
    answered = between(status, "tenth")
    assert shop.embed().version == 0
    shop.write([*ROWS, {"id": "late", "title": "red hat"}])
    assert shop.embed().rows == 1
    assert shop.embed().version is None
    compact(table_of(shop))
    assert shop.vectors() == {**EXPECTED, "late": [3.0, 3.0]}
    assert len(shop.rows()) == len(ROWS) + 1
    assert answered() > 5


def test_a_store_that_is_not_there_is_told_and_nothing_is_begun(shop, impatient, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store.opened.cache_clear()
    with pytest.raises(BucketError, match=r"does not answer as it should.*Check the endpoint"):
        shop.embed()


def test_wrong_credentials_are_told_and_never_shown(shop, between, impatient):
    between(403, "all")
    with pytest.raises(BucketError, match="the store refuses") as caught:
        shop.embed()
    assert "Check the credentials" in str(caught.value)
    assert "a-secret-of-the-test" not in str(caught.value)


def test_who_may_not_list_is_told_before_any_work(shop, between, impatient):
    between(403, "list")
    with pytest.raises(BucketError, match=r"the store refuses .* that they may list"):
        shop.embed()


def test_who_may_not_delete_still_publishes_and_is_warned_of_what_is_left(shop, between, caplog):
    between(403, "delete")
    assert shop.embed().version == 0
    assert shop.vectors() == EXPECTED
    assert "was left there" in caplog.text
    (at(shop.uri) / "leftover" / "part.parquet").write_text("killed")
    with pytest.raises(BucketError, match="the store refuses"):
        vacuum(table_of(shop))
    shop.write([*ROWS, {"id": "late", "title": "red hat"}])
    assert shop.embed().rows == 1


def test_a_data_file_deleted_below_us_is_named_with_the_ways_out(shop):
    shop.embed()
    [gone] = [path for path, _ in BucketPath(shop.uri).walk() if path.name.startswith("part-")]
    gone.unlink()
    shop.write([*ROWS, {"id": "late", "title": "red hat"}])
    with pytest.raises(
        TableDamaged, match=rf"the data file {re.escape(str(gone))} is missing.*--rebuild"
    ):
        shop.embed()
    assert shop.embed(rebuild=True).rows == len(ROWS) + 1
    assert shop.vectors() == {**EXPECTED, "late": [3.0, 3.0]}


def test_an_entry_of_the_log_deleted_below_us_is_noticed(shop):
    shop.embed()
    (at(shop.uri) / "_delta_log" / f"{0:020d}.json").unlink()
    with pytest.raises(TableDamaged, match=r"the log of the table .* is gone, and version 0 was"):
        shop.embed()


def test_vectors_deleted_during_a_run_stop_it_and_the_next_makes_them_anew(shop, monkeypatch):
    from deepfeast.pipelines.embed import stages

    gather = stages.WriteRows._gather

    def deleted(self, rows, feature):
        remove_tree(at(shop.uri) / "_deepfeast" / "spill")
        return gather(self, rows, feature)

    with monkeypatch.context() as patched:
        patched.setattr(stages.WriteRows, "_gather", deleted)
        with pytest.raises(TableDamaged, match=r"were deleted while the run worked\. Nothing"):
            shop.embed()
    assert shop.embed().encoded == 5
    assert shop.vectors() == EXPECTED
