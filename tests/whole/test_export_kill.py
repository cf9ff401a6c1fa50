"""An export may be killed at any moment: the next one leaves each row there once.

Each case exports in a process of its own, which kills itself with SIGKILL at one place, once with
an empty warehouse and once where a run is there already; then the export runs again.
"""

import functools
import multiprocessing
import os
import signal

import pytest
import yaml

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(
    ["feast", "deepfeast.pipelines.export.run", "deltalake", "psycopg", "pyarrow.dataset"]
)


def fatal(owner, name, calls=1, before=False):
    """Let a function kill its process at its n-th call, before or after it has done its work."""
    original = getattr(owner, name)
    made = []

    @functools.wraps(original)
    def method(*args, **kwargs):
        result = None if before else original(*args, **kwargs)
        made.append(1)
        if len(made) == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, method)


def export_and_die(folder, to, place):
    import psycopg

    from deepfeast.pipelines.export import export, rows
    from deepfeast.transforms.warehouse import target

    rows.BATCH_BYTES = 80  # ten rows
    if place == "made":
        fatal(target, "_check")
    if place == "copying":
        fatal(target.Copying, "add", calls=2)
    if place == "before the commit":
        fatal(psycopg.Connection, "commit", before=True)
    if place == "committed":
        fatal(psycopg.Connection, "commit")
    export(folder, "deep", to)


@pytest.fixture
def closet(shirts, postgres):
    from feast import FeatureStore

    path = shirts.folder / "feature_store.yaml"
    ours = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
    block = {"offline_store": {"type": ours, "warehouse": postgres.block}}
    path.write_text(path.read_text() + yaml.safe_dump(block))
    shirts.store = FeatureStore(str(shirts.folder))
    return shirts


@pytest.mark.parametrize("place", ["made", "copying", "before the commit", "committed"])
def test_each_row_is_there_once_whenever_an_export_is_killed(closet, postgres, place):
    from deepfeast.pipelines.export import export

    to = f"{postgres.block['db_schema']}.vectors"
    titles: list[str] = []
    for half in ("red", "blue"):
        titles += [f"{half} {'x' * n}" for n in range(1, 31)]
        closet.write([{"id": title, "title": title} for title in titles])
        closet.embed()
        process = context.Process(target=export_and_die, args=(closet.folder, to, place))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
        done = export(closet.store, "deep", to)
        assert done.rows == (0 if place == "committed" else 30)
        found = postgres.run("SELECT id, vec, count(*) OVER (PARTITION BY id) FROM vectors")
        expected = {title: [float(len(word)) for word in title.split()] for title in titles}
        assert {key: vector for key, vector, _ in found} == expected
        assert {times for *_, times in found} == {1}
