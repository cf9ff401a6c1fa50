"""Fixtures for tests on Spark: a session on this machine, in one of the processes of the tests."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest

# Files with tests on Spark, which takes a session of its own in each process.
ON_SPARK = ("test_append", "test_offline_store_spark", "test_spark", "test_spark_store")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give a worker whole files, and those on Spark to one."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "on Spark" if Path(file).stem in ON_SPARK else file

    return ByFile(config, log) if config.getoption("dist") == "loadfile" else None


class Spark:
    """A session of Spark on this machine, and how Feast is told of it.

    Attributes
    ----------
    session : SparkSession
        Its clock is that of New York: what takes it for UTC is off.
    block : dict
        What stands under ``offline_store:`` of a repo on it.
    """

    def __init__(self, folder: Path):
        from pyspark.sql import SparkSession

        conf = {
            "spark.master": "local[2]",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": "512m",
            "spark.driver.host": "127.0.0.1",
            # Less to compile, for tables of a few rows.
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.catalogImplementation": "in-memory",
            "spark.sql.warehouse.dir": str(folder),
            "spark.sql.session.timeZone": "America/New_York",
        }
        self.block = {"type": "spark", "spark_conf": conf}
        builder = SparkSession.builder
        for name, value in conf.items():
            builder = builder.config(name, value)
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("OFF")

    def table(self, rows: str, types: str = "") -> str:
        """Make a view of rows of SQL under a name of its own; it ends with the session."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.session.sql(f"SELECT * FROM VALUES {rows} AS rows({types})").createTempView(name)
        return name

    def source(self, table: str, time: str = "event_timestamp", **options: Any) -> Any:
        """Declare a source of the session."""
        from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

        return SparkSource(name=table, table=table, timestamp_field=time, **options)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A warehouse of Spark, as a session on this machine."""
    pytest.importorskip(
        "pyspark", reason="pyspark is not installed: pip install 'deepfeast[spark]'"
    )
    if not shutil.which("java") and "JAVA_HOME" not in os.environ:
        pytest.skip("Java is not installed")
    found = Spark(tmp_path_factory.mktemp("spark"))
    yield found
    found.session.stop()
