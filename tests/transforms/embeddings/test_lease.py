"""The lease on a table in a bucket, on a real S3 server."""

import json
import threading
import time

import pytest

from deepfeast.transforms.embeddings import lease as module
from deepfeast.transforms.embeddings.lease import check_conditions, leased
from deepfeast.transforms.errors import BucketError, RunInProgress
from deepfeast.transforms.files.bucket import BucketPath


@pytest.fixture
def lock(bucket):
    return BucketPath(bucket) / "deep" / "lock"


@pytest.fixture
def short(monkeypatch):
    """Leases of a moment, and a store whose clock tells no whole seconds from parts of them."""
    monkeypatch.setattr(module, "SECONDS", 0.4)
    monkeypatch.setattr(module, "GRAIN", -0.4)


def hold(lock, run="run-1"):
    return leased(lock, "deep", run)


def test_one_holds_a_table_and_the_other_is_told_who_and_for_how_long(lock):
    with hold(lock) as (lease, taken_over):
        assert not taken_over
        lease.check()
        wanted = r"held by run run-1, process \d+ on .*if it was killed, in \d\d seconds"
        with pytest.raises(RunInProgress, match=wanted), hold(lock, "run-2"):
            pass
    with hold(lock, "run-2") as (_, taken_over):
        assert not taken_over


def test_of_many_who_try_at_once_one_succeeds(lock):
    begin, won = threading.Barrier(6), []
    leave = threading.Event()

    def attempt(number):
        begin.wait()
        try:
            with hold(lock, f"run-{number}"):
                won.append(number)
                leave.wait(20)
        except RunInProgress:
            return

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    while sum(thread.is_alive() for thread in threads) > 1:
        time.sleep(0.02)
    leave.set()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_lease_is_renewed_as_long_as_its_owner_works(lock, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.2)
    with hold(lock) as (lease, _):
        first = lease.number
        while lease.number < first + 3:
            time.sleep(0.02)
        assert json.loads(lock.read_bytes())["number"] > first


def test_an_owner_that_renews_from_two_threads_is_not_two_owners(lock):
    with hold(lock) as (lease, _):
        first, errors = lease.number, []

        def renew():
            try:
                for _ in range(8):
                    lease.renew()
            except RunInProgress as error:
                errors.append(error)

        threads = [threading.Thread(target=renew) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert json.loads(lock.read_bytes())["number"] == first + 24


def test_a_lease_that_ran_out_is_taken_over_and_its_owner_finds_out(lock, short, monkeypatch):
    monkeypatch.setattr(module.Lease, "keep", lambda lease: None)
    with hold(lock) as (paused, _), hold(lock, "run-2") as (second, taken_over):
        assert taken_over
        second.renew()
        wanted = r"run-1 no longer holds view 'deep': run run-2, .* took it over\. Nothing"
        with pytest.raises(RunInProgress, match=wanted):
            paused.renew()
        with pytest.raises(RunInProgress, match="took it over"):
            paused.check()
    # The first does not free what is the second's.
    assert json.loads(lock.read_bytes())["run"] == "run-2"


def test_a_lease_that_lasts_is_not_taken_over_whatever_this_machines_clock_says(lock, monkeypatch):
    with hold(lock):
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 3600)
        with pytest.raises(RunInProgress, match="held by run run-1"), hold(lock, "run-2"):
            pass


def test_an_answer_that_got_lost_is_not_taken_for_another_owner(lock, monkeypatch):
    with hold(lock) as (lease, _):
        write = type(lock).put

        def lost(path, data, over):
            write(path, data, over)
            return write(path, data, over)  # sent again, since nobody answered

        with monkeypatch.context() as patched:
            patched.setattr(type(lock), "put", lost)
            lease.renew()
        lease.renew()


def test_an_owner_whose_lock_was_removed_is_told_so(lock):
    with hold(lock) as (lease, _):
        lock.unlink()
        with pytest.raises(RunInProgress, match="its lock was removed"):
            lease.renew()


def test_a_store_that_honours_conditions_is_accepted_and_left_clean(bucket):
    check_conditions(BucketPath(bucket))
    assert not list(BucketPath(bucket).iterdir())


def test_a_store_that_ignores_conditions_is_refused_by_the_first_run(
    unsafe_bucket, Shirts, tmp_path
):
    shirts = Shirts(tmp_path / "shirts", uri=f"{unsafe_bucket}/deep")
    shirts.write([{"id": "a", "title": "red shirt"}])
    with pytest.raises(BucketError, match="ignores If-None-Match: of two runs at once both would"):
        shirts.embed()
    assert not list(BucketPath(unsafe_bucket).walk())
