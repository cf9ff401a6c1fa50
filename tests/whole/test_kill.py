"""A run may be killed at any moment: the next one finds exactly the right rows.

Each case runs the job in a process of its own, which kills itself with SIGKILL at one place;
then the job runs again, as a nightly schedule would.
"""

import functools
import multiprocessing
import os
import signal
import threading
import time

import pytest

from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.embeddings.vacuum import vacuum
from deepfeast.transforms.errors import RunInProgress
from deepfeast.transforms.views import find_deep_view

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    [
        "feast",
        "deepfeast.pipelines.embed.run",
        "deepfeast.pipelines.embed.stages",
        "deltalake",
        "duckdb",
    ]
)
ROWS = 300
TITLES = {str(n): f"{'x' * (n % 13 + 1)} {'y' * (n % 7 + 1)}" for n in range(ROWS)}
EXPECTED = {key: [float(len(word)) for word in title.split()] for key, title in TITLES.items()}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def fatal(owner, name, *, calls=1, after=False):
    """Let a method kill its process at its n-th call, before or after it has done its work."""
    original = getattr(owner, name)
    made = []

    @functools.wraps(original)
    def method(*args, **kwargs):
        made.append(1)
        if len(made) == calls and not after:
            die()
        result = original(*args, **kwargs)
        if len(made) == calls:
            die()
        return result

    setattr(owner, name, method)


def small_slices():
    from deepfeast.pipelines.embed import job, news
    from deepfeast.transforms.files import slices as sources

    sources.SLICE_ROWS, news.PART_ROWS, job.WINDOW = 50, 80, 10


def run_and_die(folder, stage):
    from feast import FeatureStore

    from deepfeast.pipelines.embed import embed, plan, stages
    from deepfeast.transforms.embeddings import table as publish

    small_slices()
    if stage == "reading":
        fatal(stages.HashSlice, "process", calls=3, after=True)
    if stage == "encoding":
        fatal(stages.EncodeSlice, "_spill", after=True)
    if stage == "writing":
        fatal(stages.WriteRows, "_gather", calls=2)
    if stage == "planning":
        fatal(plan, "places")
    if stage == "before the commit":
        fatal(publish.EmbeddingTable, "publish")
    if stage == "during the commit":
        original = publish.EmbeddingTable.publish

        def publish_in_a_race(*args, **kwargs):
            threading.Timer(0.002, die).start()
            original(*args, **kwargs)
            time.sleep(1)

        publish.EmbeddingTable.publish = publish_in_a_race  # type: ignore[method-assign]
    if stage == "after the commit":
        fatal(publish.EmbeddingTable, "publish", after=True)
    embed(FeatureStore(str(folder)), "deep")


def hold(folder, ready, leave):
    from feast import FeatureStore

    store = FeatureStore(str(folder))
    with embedding_table(store, find_deep_view(store, "deep")[0]).held("the other run"):
        ready.set()
        leave.wait(60)


@pytest.fixture
def closet(shirts):
    shirts.write([{"id": key, "title": title} for key, title in TITLES.items()])
    return shirts


@pytest.mark.parametrize(
    "stage",
    [
        "reading",
        "planning",
        "encoding",
        "writing",
        "before the commit",
        "during the commit",
        "after the commit",
    ],
)
def test_a_killed_run_is_made_up_for_by_the_next(closet, stage, monkeypatch):
    process = context.Process(target=run_and_die, args=(closet.folder, stage))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    from deepfeast.pipelines.embed import job, news
    from deepfeast.transforms.files import slices as sources

    for module, name in ((sources, "SLICE_ROWS"), (news, "PART_ROWS"), (job, "WINDOW")):
        monkeypatch.setattr(module, name, getattr(module, name))
    small_slices()
    made_up = closet.embed()
    rows = closet.rows()
    assert len(rows) == ROWS
    assert {row["id"]: row["vec"] for row in rows} == EXPECTED
    if stage == "encoding":
        assert 0 < made_up.encoded < len(set(TITLES.values()))
    if stage == "after the commit":
        assert made_up.version is None
    table = embedding_table(closet.store, find_deep_view(closet.store, "deep")[0])
    vacuum(table)
    left = {path.name for path in closet.table.iterdir()}
    assert left == {"_delta_log", "_deepfeast", *(c.meta["run_id"] for c in table.commits())}
    assert not list((closet.table / "_deepfeast" / "runs").iterdir())
    assert {row["id"]: row["vec"] for row in closet.rows()} == EXPECTED


def test_a_view_is_free_again_when_its_holder_is_killed(closet):
    ready, leave = context.Event(), context.Event()
    process = context.Process(target=hold, args=(closet.folder, ready, leave))
    process.start()
    assert ready.wait(60)
    with pytest.raises(RunInProgress, match="held by run the other run, process"):
        closet.embed()
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    assert closet.embed().rows == ROWS


def test_a_run_that_was_overtaken_publishes_nothing(closet, monkeypatch):
    """Two machines cannot see each other's lock; the commit itself must tell."""
    from deepfeast.transforms.embeddings.table import EmbeddingTable

    closet.write([{"id": "first", "title": "red"}])
    closet.embed()
    publish = EmbeddingTable.publish

    def overtaken(self, *args, **kwargs):
        monkeypatch.setattr(EmbeddingTable, "publish", publish)
        monkeypatch.setattr(EmbeddingTable, "held", lambda self, run: open(os.devnull))  # noqa: SIM115, PTH123
        closet.write([{"id": "second", "title": "blue"}])
        closet.embed()
        return publish(self, *args, **kwargs)

    closet.write([{"id": "third", "title": "green"}])
    monkeypatch.setattr(EmbeddingTable, "publish", overtaken)
    with pytest.raises(RunInProgress, match="another run published"):
        closet.embed()
    assert set(closet.vectors()) == {"first", "second"}
    closet.write([{"id": "third", "title": "green"}])
    closet.embed()
    assert set(closet.vectors()) == {"first", "second", "third"}
