"""The blocks of other warehouses on docs/warehouse.md: what Feast's own settings say of them."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from feast import RepoConfig

from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms.errors import JoinError, SpecError
from deepfeast.transforms.warehouse.ask import query_source
from deepfeast.transforms.warehouse.open import data_uri, open_warehouse, rows_from, settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "warehouse.md"
BLOCKS = [
    yaml.safe_load(block)
    for block in re.findall(r"^```yaml warehouse\n(.*?)^```", PAGE.read_text(), re.M | re.S)
]
OFFLINE = "feast.infra.offline_stores"
SOURCES = {
    "spark": f"{OFFLINE}.contrib.spark_offline_store.spark_source:SparkSource",
    "snowflake.offline": f"{OFFLINE}.snowflake_source:SnowflakeSource",
    "bigquery": f"{OFFLINE}.bigquery_source:BigQuerySource",
    "redshift": f"{OFFLINE}.redshift_source:RedshiftSource",
    "athena": f"{OFFLINE}.contrib.athena_offline_store.athena_source:AthenaSource",
    "trino": f"{OFFLINE}.contrib.trino_offline_store.trino_source:TrinoSource",
    "clickhouse": f"{OFFLINE}.contrib.clickhouse_offline_store.clickhouse_source:ClickhouseSource",
    "mssql": f"{OFFLINE}.contrib.mssql_offline_store.mssqlserver_source:MsSqlServerSource",
    "oracle": f"{OFFLINE}.contrib.oracle_offline_store.oracle_source:OracleSource",
}
TABLES_ALONE = ("mssql", "oracle")


def test_the_page_has_a_block_for_each_warehouse():
    assert [block["type"] for block in BLOCKS] == list(SOURCES)


@pytest.fixture(params=BLOCKS, ids=lambda block: block["type"])
def block(request):
    try:
        settings(request.param)
    except SpecError as error:
        if "Install what it needs" not in str(error):
            raise
        pytest.skip(str(error))
    return request.param


def test_feast_knows_every_setting_of_a_block(block):
    known: Any = type(settings(block))
    assert set(block) <= {field.alias or name for name, field in known.model_fields.items()}


def test_its_tables_have_a_place_and_queries_are_read_where_feast_can(block):
    config = RepoConfig(
        project="shop",
        provider="local",
        registry="registry.db",
        offline_store={"type": STORE, "warehouse": block},
        entity_key_serialization_version=3,
    )
    warehouse = open_warehouse(config)
    assert warehouse is not None
    assert warehouse.kind == block["type"]
    module, _, name = SOURCES[block["type"]].partition(":")
    alone = block["type"] in TABLES_ALONE
    table = {"table_ref": "sales"} if alone else {"table": "sales", "timestamp_field": "at"}
    source = getattr(importlib.import_module(module), name)(name="sales", **table)
    place = data_uri(config, source)
    assert place.startswith(f"{block['type']}://")
    assert place.endswith("sales")
    if alone:
        with pytest.raises(JoinError, match=r"reads tables alone. Pass a DataFrame"):
            query_source(source, "SELECT 1", "at")
    else:
        assert rows_from(query_source(source, "SELECT 1", "at")) == "(SELECT 1)"
