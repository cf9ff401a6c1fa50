import pytest

from deepfeast.pipelines.doctor.bucket import check_bucket
from deepfeast.pipelines.doctor.run import diagnose


@pytest.fixture
def check(Shirts, tmp_path):
    """Return what the doctor finds of a table at an address."""

    def look(uri):
        shirts = Shirts(tmp_path / "shirts", uri=uri)
        return [*check_bucket(shirts.store, shirts.store.get_feature_view("deep"))]

    return look


def test_a_table_on_a_disk_is_none_of_its_business(check):
    assert check(None) == []


def test_a_bucket_that_keeps_runs_apart_is_fine(check, bucket):
    assert check(f"{bucket}/deep") == []


def test_a_bucket_that_is_not_there_is_an_error_and_told_once(bucket, Shirts, tmp_path):
    shirts = Shirts(tmp_path / "shirts", uri="s3://nowhere-at-all/deep")
    shirts.write([{"id": "a", "title": "red shirt"}])
    told = [one for one in diagnose(shirts.store) if one.where == "view deep"]
    assert [one.level for one in told] == ["error"]
    assert "there is no bucket for s3://nowhere-at-all/deep" in told[0].what


def test_who_may_not_delete_is_warned(check, bucket, between):
    between(403, "delete")
    [finding] = check(f"{bucket}/deep")
    assert finding.level == "warning"
    assert "s3:DeleteObject" in finding.mend


def test_a_store_that_ignores_conditions_is_an_error(check, unsafe_bucket):
    [finding] = check(f"{unsafe_bucket}/deep")
    assert finding.level == "error"
    assert "ignores If-None-Match" in finding.what
