"""The share of the time that has passed."""

from deepfeast.pipelines.lift.measure.work import Work


def test_a_slow_kind_counts_for_what_it_takes():
    seen = []
    work = Work(lambda what, done, total: seen.append(done))
    work.plan("raw", 2)
    work.plan("probe", 10)
    work.tick("raw", 10.0)
    for _ in range(10):
        work.tick("probe", 0.1)
    assert seen[-1] == 523  # 11 of 21 seconds
    work.tick("raw", 10.0)
    assert seen[-1] == 1000


def test_work_that_is_not_needed_is_no_longer_waited_for():
    seen = []
    work = Work(lambda what, done, total: seen.append(done))
    work.plan("raw", 4)
    work.tick("raw", 1.0)
    work.plan("raw", -2)
    work.tick("raw", 1.0)
    assert seen == [250, 1000]
