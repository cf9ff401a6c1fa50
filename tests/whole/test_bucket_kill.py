"""A run on a bucket may be killed or paused at any moment: no row is lost, and none is doubled.

Each case runs the job in processes of their own, forked from one that has imported it all.
"""

import functools
import multiprocessing
import os
import signal

import pytest

from deepfeast.transforms.embeddings import lease
from deepfeast.transforms.embeddings.table import EmbeddingTable, embedding_table
from deepfeast.transforms.embeddings.vacuum import vacuum
from deepfeast.transforms.errors import RunInProgress
from deepfeast.transforms.files.bucket import at
from deepfeast.transforms.views import find_deep_view

pytestmark = pytest.mark.slow
context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    [
        "feast",
        "deepfeast.pipelines.embed.run",
        "deepfeast.pipelines.embed.stages",
        "deepfeast.pipelines.beam",
        "apache_beam",
        "deltalake",
        "duckdb",
        "obstore.store",
    ]
)
ROWS = 60
TITLES = {str(n): f"{'x' * (n % 13 + 1)} {'y' * (n % 7 + 1)}" for n in range(ROWS)}
EXPECTED = {key: [float(len(word)) for word in title.split()] for key, title in TITLES.items()}
STORE = ("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def fatal(owner, name, calls, *, after=False):
    """Let a method kill its process at its n-th call, before or after it has done its work."""
    original = getattr(owner, name)
    made = []

    @functools.wraps(original)
    def method(*args, **kwargs):
        made.append(1)
        if len(made) == calls and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if len(made) == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, method)


def small():
    """Have a run of few rows do each step several times, and hold a table for a moment."""
    from deepfeast.pipelines.embed import job, news
    from deepfeast.transforms.files import slices

    slices.SLICE_ROWS, news.PART_ROWS, job.WINDOW = 20, 20, 8
    lease.SECONDS, lease.GRAIN = 2.0, -60.0


def begin(environment):
    """Make a forked process one that was started with an environment."""
    os.environ.update(environment)
    small()


def run_and_die(folder, environment, point, calls):
    from feast import FeatureStore

    from deepfeast.pipelines.embed import embed, news, stages
    from deepfeast.transforms.files.bucket import BucketPath

    begin(environment)
    points = {
        "holding": (lease.Lease, "write", 1, True),
        "reading": (stages.HashSlice, "process", calls, True),
        "planning": (news.plan, "places", 1, False),
        "encoding": (stages.EncodeSlice, "_spill", calls, True),
        "writing": (stages.WriteRows, "_gather", calls, False),
        "uploading": (BucketPath, "write_bytes", 4 * calls, True),
        "before the commit": (EmbeddingTable, "publish", 1, False),
        "after the commit": (EmbeddingTable, "_mark", 1, False),
    }
    owner, name, call, after = points[point]
    fatal(owner, name, call, after=after)
    embed(FeatureStore(str(folder)), "deep")


@pytest.fixture
def closet(Shirts, tmp_path, bucket, monkeypatch):
    from deepfeast.pipelines.embed import job, news
    from deepfeast.transforms.files import slices

    for owner, name in (
        (slices, "SLICE_ROWS"),
        (news, "PART_ROWS"),
        (job, "WINDOW"),
        (lease, "SECONDS"),
        (lease, "GRAIN"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    small()
    shirts = Shirts(tmp_path / "shirts", uri=f"{bucket}/deep")
    shirts.write([{"id": key, "title": title} for key, title in TITLES.items()])
    return shirts


@pytest.fixture
def store_now():
    """What a forked process must be told of the store."""
    return lambda: {name: os.environ[name] for name in STORE}


def table_of(shirts):
    return embedding_table(shirts.store, find_deep_view(shirts.store, "deep")[0])


def is_whole(shirts):
    rows = shirts.rows()
    assert len(rows) == ROWS
    assert {row["id"]: row["vec"] for row in rows} == EXPECTED


@pytest.mark.parametrize(
    ("point", "kills"),
    [
        ("holding", (1,)),
        ("reading", (2,)),
        ("planning", (1,)),
        ("encoding", (2,)),
        ("writing", (2,)),
        # Each takes over from the one before it, and comes further.
        ("uploading", (1, 2, 3)),
        ("before the commit", (1, 1)),
        # The second dies of the commit that takes over from the first.
        ("after the commit", (1, 1)),
    ],
)
def test_a_run_that_was_killed_is_made_up_for(closet, store_now, point, kills):
    for calls in kills:
        process = context.Process(
            target=run_and_die, args=(closet.folder, store_now(), point, calls)
        )
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
    made_up = closet.embed()
    assert (made_up.version is None) == (point == "after the commit")
    is_whole(closet)
    table = table_of(closet)
    vacuum(table)
    left = {path.name for path in at(closet.uri).iterdir()}
    assert left == {"_delta_log", "_deepfeast", table.commits()[-1].meta["run_id"]}
    assert not list((at(closet.uri) / "_deepfeast").glob("runs/*"))
    is_whole(closet)


def run_and_pause(folder, environment, where, ready, go):
    """Run the job, and wait at a place to be paused and woken up."""
    from feast import FeatureStore

    from deepfeast.pipelines.embed import embed
    from deepfeast.transforms.embeddings import table

    begin(environment)
    owner, name = {
        "before it renews": (EmbeddingTable, "publish"),
        "after it renewed": (table, "commit_files"),
    }[where]
    original = getattr(owner, name)

    def waits(*args, **kwargs):
        ready.set()
        go.wait(60)
        return original(*args, **kwargs)

    setattr(owner, name, waits)
    try:
        embed(FeatureStore(str(folder)), "deep")
    except RunInProgress as error:
        os._exit(error.exit_code)


def paused(closet, environment, where):
    """Start a run, and stop its process at a place; return what continues it."""
    ready, go = context.Event(), context.Event()
    process = context.Process(
        target=run_and_pause, args=(closet.folder, environment, where, ready, go)
    )
    process.start()
    assert ready.wait(60)
    os.kill(process.pid, signal.SIGSTOP)

    def wake():
        os.kill(process.pid, signal.SIGCONT)
        go.set()
        process.join(60)
        return process.exitcode

    return wake


@pytest.mark.parametrize("where", ["before it renews", "after it renewed"])
def test_a_paused_run_cannot_publish_once_another_took_over(closet, store_now, where):
    closet.write([{"id": "0", "title": "old one"}])
    closet.embed()
    closet.write([{"id": key, "title": title} for key, title in TITLES.items()])
    wake = paused(closet, store_now(), where)
    # It deletes what belongs to no commit: that of the paused run, too.
    vacuum(table_of(closet))
    assert wake() == RunInProgress.exit_code
    closet.embed()
    kinds = [commit.kind for commit in table_of(closet).commits()]
    assert kinds == ["run", "takeover", "run"]
    assert closet.vectors() == EXPECTED
    assert len(closet.rows()) == ROWS + 1


def test_where_there_is_no_table_yet_the_first_to_commit_wins(closet, store_now):
    wake = paused(closet, store_now(), "after it renewed")
    vacuum(table_of(closet))
    assert closet.embed().version == 0
    assert wake() == RunInProgress.exit_code
    is_whole(closet)


def test_of_two_runs_at_once_one_publishes(closet, store_now):
    asked = (closet.folder, store_now())
    processes = [context.Process(target=run_or_leave, args=asked) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert {process.exitcode for process in processes} <= {0, RunInProgress.exit_code}
    assert 0 in [process.exitcode for process in processes]
    is_whole(closet)


def run_or_leave(folder, environment):
    from feast import FeatureStore

    from deepfeast.pipelines.embed import embed

    begin(environment)
    lease.SECONDS, lease.GRAIN = 60.0, 2.0
    try:
        embed(FeatureStore(str(folder)), "deep")
    except RunInProgress as error:
        os._exit(error.exit_code)
