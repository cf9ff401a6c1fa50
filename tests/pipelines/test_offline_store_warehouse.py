"""The store beside a PostgreSQL that was there before: both kinds of views in one service."""

import logging
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String

from deepfeast.transforms import training_frame
from deepfeast.transforms.errors import JoinError, SourceError, SourceNotFound, SpecError
from deepfeast.transforms.warehouse import postgres as dialect

OURS = "deepfeast.pipelines.offline_store.DeepFeastOfflineStore"
DAY = timedelta(days=1)
NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)
PRODUCT = Entity(name="product", join_keys=["product_id"], value_type=ValueType.STRING)
STOCK = """
    CREATE TABLE stock (
        "product_id" text, "event_timestamp" timestamptz, "created" timestamptz,
        "units" int, "price" numeric(10, 2), "Shelf" varchar(9));
    INSERT INTO stock VALUES
        ('pen', '2024-05-08 12:00Z', '2024-05-08 12:00Z', 40, 1.10, 'low'),
        ('pen', '2024-05-10 11:00Z', '2024-05-10 11:00Z', 30, 1.25, 'low'),
        ('pen', '2024-05-10 11:00Z', '2024-05-12 11:00Z', 10, 1.30, 'high'),
        ('ink', '2024-05-09 12:00Z', '2024-05-09 12:00Z', 20, NULL, NULL),
        ('ink', '2024-05-10 13:00Z', '2024-05-10 13:00Z', NULL, 9.99, 'high')
"""


def stock_view(postgres, **options):
    options = {"ttl": 10 * DAY, **options}
    return FeatureView(
        name="stock",
        entities=[PRODUCT],
        source=postgres.source("stock", created_timestamp_column="created"),
        **options,
    )


def weight_view(folder):
    """A view over a file, beside those of the warehouse."""
    rows = {"product_id": ["pen", "ink"], "event_timestamp": [NOON - DAY] * 2, "grams": [7.5, 90.0]}
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows), folder / "weight.parquet")
    return FeatureView(
        name="weight",
        entities=[PRODUCT],
        schema=[Field(name="product_id", dtype=String), Field(name="grams", dtype=Float64)],
        source=FileSource(name="weights", path="weight.parquet", timestamp_field="event_timestamp"),
        ttl=10 * DAY,
    )


@pytest.fixture
def shop(make_store, postgres, tmp_path):
    """A store with one view in PostgreSQL and one in a file."""
    postgres.run(STOCK)
    stock, weight = stock_view(postgres), weight_view(tmp_path / "repo")
    both = FeatureService(name="both", features=[stock, weight])
    offline = {"type": OURS, "warehouse": postgres.block}
    return make_store(PRODUCT, stock, weight, both, offline_store=offline)


def ask(*products, at=NOON):
    times = at if isinstance(at, list) else [at] * len(products)
    return pd.DataFrame(
        {"product_id": products, "event_timestamp": pd.to_datetime(times, utc=True)}
    )


def without_driver(monkeypatch):
    monkeypatch.setattr(dialect, "streams", lambda: False)
    monkeypatch.setattr("deepfeast.transforms.warehouse.pull.WINDOW_ROWS", 2)


@pytest.fixture(params=["driver", "windows"])
def way(request, monkeypatch):
    """Pulled by the driver that streams, and by Feast's store in windows of time."""
    if request.param == "windows":
        without_driver(monkeypatch)
    elif not dialect.streams():
        pytest.skip("adbc-driver-postgresql is not installed")
    return request.param


@pytest.fixture(params=["driver", "windows", "joined there"])
def join(request, shop, monkeypatch):
    """Likewise, and joined by Feast's own query."""
    if request.param == "windows":
        without_driver(monkeypatch)
    elif request.param == "joined there":
        shop.config.offline_store.pull_rows = 0
    elif not dialect.streams():
        pytest.skip("adbc-driver-postgresql is not installed")
    return shop


def test_apply_infers_what_the_warehouse_has(shop):
    view = shop.get_feature_view("stock")
    kinds = {field.name: str(field.dtype) for field in view.features}
    assert kinds == {"units": "Int32", "price": "Float64", "Shelf": "String"}


def test_both_kinds_of_views_stand_beside_each_label_in_its_order(join):
    labels = ask("ink", "cup", "pen", "ink").assign(colour=["red", "white", "blue", "red"])
    job = join.get_historical_features(labels, join.get_feature_service("both"))
    found = job.to_df()
    assert found.columns.tolist()[:3] == ["product_id", "event_timestamp", "colour"]
    assert found["product_id"].tolist() == ["ink", "cup", "pen", "ink"]
    np.testing.assert_array_equal(found["units"], [20, np.nan, 10, 20])
    np.testing.assert_array_equal(found["price"], [np.nan, np.nan, 1.3, np.nan])
    assert found["Shelf"].tolist() == [None, None, "high", None]
    np.testing.assert_array_equal(found["grams"], [90, np.nan, 7.5, 90])
    assert job.to_arrow().schema.field("units").type == pa.int32()


def test_each_row_sees_its_own_past_and_no_more_than_the_ttl(join):
    times = [NOON + 2 * DAY, NOON - 2 * DAY, NOON - 4 * DAY, NOON - DAY, NOON + 30 * DAY]
    found = join.get_historical_features(ask(*["pen"] * 5, at=times), ["stock:units"]).to_df()
    np.testing.assert_array_equal(found["units"], [10, 40, np.nan, 40, np.nan])


def test_what_was_entered_later_can_be_left_out(join):
    found = join.get_historical_features(
        ask("pen"), ["stock:units"], filter_by_created_timestamp=True
    ).to_df()
    assert found["units"].tolist() == [30]


def test_no_labels_labels_of_none_and_labels_of_no_time_are_answered(join):
    for labels, n in ((ask(), 0), (ask(None, None), 2), (ask("pen", at=[pd.NaT]), 1)):
        found = join.get_historical_features(labels, ["stock:units", "stock:price"]).to_df()
        assert len(found) == n
        assert found[["units", "price"]].isna().all(axis=None)


def test_rows_that_tie_repeat_no_label(make_store, postgres, way):
    postgres.run(STOCK, "UPDATE stock SET event_timestamp = '2024-05-10 11:00Z'")
    view = FeatureView(name="stock", entities=[PRODUCT], source=postgres.source("stock"))
    for most in (100, 0):
        offline = {"type": OURS, "warehouse": postgres.block, "pull_rows": most}
        store = make_store(PRODUCT, view, offline_store=offline, name=f"repo{most}")
        found = store.get_historical_features(ask("pen", "ink", "pen"), ["stock:units"]).to_df()
        assert found["product_id"].tolist() == ["pen", "ink", "pen"]
        assert set(found["units"].iloc[[0, 2]]) < {10, 30, 40}


def test_a_time_without_zone_means_utc_whatever_the_clock_of_the_server(shop, postgres, way):
    postgres.run("ALTER TABLE stock ALTER event_timestamp TYPE timestamp")
    times = [NOON - DAY + timedelta(minutes=5 * step) for step in (-1, 0, 1)]
    found = shop.get_historical_features(ask(*["ink"] * 3, at=times), ["stock:units"]).to_df()
    np.testing.assert_array_equal(found["units"], [np.nan, 20, 20])


def test_a_window_that_is_too_long_is_joined_there_and_one_line_says_so(shop, caplog):
    shop.config.offline_store.pull_rows = 4
    with caplog.at_level(logging.WARNING):
        found = shop.get_historical_features(ask("pen"), ["stock:units"]).to_df()
    assert found["units"].tolist() == [10]
    (line,) = [one.message for one in caplog.records if "pull_rows" in one.message]
    assert line.startswith("view 'stock': 5 rows lie in the window of these labels, more than")


def test_only_the_labels_span_and_ttl_are_read(shop, postgres, caplog):
    postgres.run(
        "INSERT INTO stock SELECT 'pen', '2023-01-01Z', NULL, 1 FROM generate_series(1, 9)"
    )
    shop.config.offline_store.pull_rows = 5
    shop.get_historical_features(ask("pen"), ["stock:units"]).to_df()
    assert not caplog.records


def test_labels_may_come_from_a_query(join, postgres):
    postgres.run("CREATE TABLE sales AS SELECT product_id, event_timestamp AS sold FROM stock")
    found = join.get_historical_features(
        "SELECT product_id, MAX(sold) AS event_timestamp FROM sales GROUP BY 1 ORDER BY 1;",
        join.get_feature_service("both"),
    ).to_df()
    assert found["product_id"].tolist() == ["ink", "pen"]
    assert found["grams"].tolist() == [90, 7.5]
    np.testing.assert_array_equal(found["price"], [9.99, 1.3])


def test_full_names_and_on_demand_views_go_over_both(make_store, postgres, tmp_path, way):
    postgres.run(STOCK)
    stock, weight = stock_view(postgres), weight_view(tmp_path / "repo")

    @on_demand_feature_view(sources=[stock, weight], schema=[Field(name="mass", dtype=Float64)])
    def mass(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"mass": inputs["units"] * inputs["grams"]})

    offline = {"type": OURS, "warehouse": postgres.block}
    store = make_store(PRODUCT, stock, weight, mass, offline_store=offline)
    names = ["stock:units", "weight:grams", "mass:mass"]
    found = store.get_historical_features(ask("pen"), names, full_feature_names=True).to_df()
    assert found[["stock__units", "weight__grams", "mass__mass"]].to_numpy().tolist() == [
        [10, 7.5, 75]
    ]


def test_one_view_joins_twice_by_two_keys(join):
    view = join.get_feature_view("stock")
    service = FeatureService(
        name="swap",
        features=[
            view.with_name("given").with_join_key_map({"product_id": "given_id"})[["units"]],
            view.with_name("taken").with_join_key_map({"product_id": "taken_id"})[["units"]],
        ],
    )
    join.apply(service)
    rows = pd.DataFrame({"given_id": ["pen"], "taken_id": ["ink"], "event_timestamp": [NOON]})
    found = join.get_historical_features(rows, service, full_feature_names=True).to_df()
    assert found[["given__units", "taken__units"]].to_numpy().tolist() == [[10, 20]]


def test_without_labels_every_entity_of_a_range_is_taken(shop, way):
    found = shop.get_historical_features(
        features=["stock:units"], start_date=NOON - 3 * DAY, end_date=NOON
    ).to_df()
    assert found["product_id"].tolist() == ["ink", "pen", "pen"]
    assert found["units"].tolist() == [20, 40, 10]


def test_the_training_frame_keeps_whole_numbers(join):
    frame = training_frame(join, ask("ink", "cup"), service="both")
    assert frame["units"].dtype == "Int64"
    assert frame["units"].tolist() == [20, pd.NA]


def test_a_saved_dataset_goes_to_a_file(shop, tmp_path):
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    job = shop.get_historical_features(ask("pen", "ink"), shop.get_feature_service("both"))
    shop.create_saved_dataset(
        job, "may", SavedDatasetFileStorage(path=str(tmp_path / "may.parquet"))
    )
    assert shop.get_saved_dataset("may").to_df()["grams"].tolist() == [7.5, 90.0]


def test_a_saved_dataset_goes_to_the_warehouse_and_comes_back(shop, postgres):
    pytest.importorskip("adbc_driver_postgresql")
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
        SavedDatasetPostgreSQLStorage,
    )

    job = shop.get_historical_features(ask("pen", "ink"), shop.get_feature_service("both"))
    shop.create_saved_dataset(job, "may", SavedDatasetPostgreSQLStorage("may"))
    found = postgres.run("SELECT product_id, units, grams FROM may ORDER BY 1")
    assert found == [("ink", 20, 90.0), ("pen", 10, 7.5)]
    assert sorted(shop.get_saved_dataset("may").to_df()["grams"]) == [7.5, 90.0]


def test_a_saved_dataset_in_another_warehouse_is_refused_with_the_way_out(shop):
    from feast.infra.offline_stores.snowflake_source import SavedDatasetSnowflakeStorage

    job = shop.get_historical_features(ask("pen"), shop.get_feature_service("both"))
    with pytest.raises(SpecError, match=r"dataset is written to files, .*SavedDatasetFileStorage"):
        shop.create_saved_dataset(job, "may", SavedDatasetSnowflakeStorage("may"))
    with pytest.raises(NotImplementedError, match="no one query"):
        job.to_sql()


@pytest.mark.parametrize("engine", ["local", "deepfeast.pipelines.engine.BeamEngine"])
def test_both_engines_bring_the_latest_rows_online(make_store, postgres, tmp_path, engine):
    postgres.run(STOCK)
    stock, weight = stock_view(postgres), weight_view(tmp_path / "repo")
    store = make_store(
        PRODUCT,
        stock,
        weight,
        offline_store={"type": OURS, "warehouse": postgres.block},
        batch_engine={"type": engine},
    )
    store.materialize(NOON - 5 * DAY, NOON + DAY)
    found = store.get_online_features(
        ["stock:units", "stock:price", "weight:grams"],
        [{"product_id": "pen"}, {"product_id": "ink"}],
    ).to_dict()
    assert found["units"] == [10, None]
    assert found["price"] == [1.3, 9.99]
    assert found["grams"] == [7.5, 90.0]


def test_a_materialization_that_cannot_read_names_its_view(make_store, postgres, way):
    postgres.run(STOCK, "ALTER TABLE stock ALTER event_timestamp TYPE timestamp")
    store = make_store(
        PRODUCT,
        stock_view(postgres),
        offline_store={"type": OURS, "warehouse": postgres.block},
        batch_engine={"type": "deepfeast.pipelines.engine.BeamEngine"},
    )
    if way == "driver":  # by the clock of UTC, not by that of the server
        store.materialize(NOON - 5 * DAY, NOON - timedelta(hours=1))
        found = store.get_online_features(["stock:units"], [{"product_id": "pen"}]).to_dict()
        assert found["units"] == [10]
    postgres.run("DROP TABLE stock")
    with pytest.raises(SourceNotFound, match=r"view 'stock', source 'stock': .* no such table"):
        store.materialize(NOON - 5 * DAY, NOON + DAY)


def test_plan_and_teardown_go_through(shop):
    from feast.repo_contents import RepoContents

    none = RepoContents(**{name: [] for name in RepoContents._fields})
    assert shop.plan(none)
    shop.teardown()


def test_a_write_goes_to_the_file_and_the_warehouse_says_that_feast_writes_none(shop):
    rows = pd.DataFrame({"product_id": ["cup"], "event_timestamp": [NOON - DAY], "grams": [300.0]})
    shop.write_to_offline_store("weight", rows)
    assert shop.get_historical_features(ask("cup"), ["weight:grams"]).to_df()["grams"][0] == 300
    rows = ask("cup").assign(created=NOON, units=1, price=1.0, Shelf="low")
    with pytest.raises(
        SpecError, match=r"'stock': Feast's store of type 'postgres' writes no rows"
    ):
        shop.write_to_offline_store("stock", rows)


def test_a_warehouse_needs_no_right_to_write(shop, postgres, way):
    schema = postgres.block["db_schema"]
    reader = f"reader_{schema}"
    postgres.run(
        f"CREATE ROLE {reader} LOGIN",
        f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
        f"GRANT SELECT ON stock TO {reader}",
    )
    shop.config.offline_store.warehouse["user"] = reader
    found = shop.get_historical_features(ask("pen"), ["stock:units"]).to_df()
    assert found["units"].tolist() == [10]
    postgres.run(f"REVOKE SELECT ON stock FROM {reader}")
    with pytest.raises(SourceError, match=r"view 'stock', source 'stock': user 'reader_.* GRANT"):
        shop.get_historical_features(ask("pen"), ["stock:units"]).to_df()


def test_what_is_wrong_with_the_warehouse_names_view_and_source(shop, postgres, way):
    job = shop.get_historical_features(ask("pen"), ["stock:units"])
    postgres.run("ALTER TABLE stock ALTER units TYPE text USING 'many'")
    with pytest.raises(SourceError, match="view 'stock', source 'stock': the column 'units' comes"):
        job.to_df()
    postgres.run("ALTER TABLE stock DROP units")
    with pytest.raises(SourceError, match=r"'stock': .* lacks a column that is declared"):
        job.to_df()
    postgres.run("DROP TABLE stock")
    with pytest.raises(SourceNotFound, match=r"'stock': .* has no such table"):
        job.to_df()
    shop.config.offline_store.warehouse.update(port=1, password="hush-hush")
    with pytest.raises(
        SourceNotFound, match=r"'stock': .* at 127.0.0.1:1.* does not answer"
    ) as told:
        job.to_df()
    assert "hush-hush" not in str(told.value)


def test_a_number_beyond_a_double_is_an_error(shop, postgres, way):
    postgres.run("ALTER TABLE stock ALTER price TYPE numeric", "UPDATE stock SET price = 1e400")
    with pytest.raises(SourceError, match=r"view 'stock', source 'stock': .* than a double"):
        shop.get_historical_features(ask("pen"), ["stock:price"]).to_df()


def test_a_label_column_called_like_a_feature_is_refused(shop):
    with pytest.raises(JoinError, match="already have columns called units"):
        shop.get_historical_features(ask("pen").assign(units=1), ["stock:units"]).to_df()


def test_a_source_that_is_no_file_needs_a_warehouse(make_store, postgres):
    postgres.run(STOCK)
    with pytest.raises(SpecError, match=r"PostgreSQLSource, which lies in no files.*warehouse:"):
        make_store(PRODUCT, stock_view(postgres))


def test_sql_without_a_warehouse_is_refused(make_store, tmp_path):
    store = make_store(PRODUCT, weight_view(tmp_path / "repo"))
    with pytest.raises(JoinError, match="names no warehouse that could run SQL"):
        store.get_historical_features("SELECT 1", ["weight:grams"])


def test_int64_features_and_labels_of_other_whole_numbers_meet(make_store, postgres, way):
    postgres.run(
        "CREATE TABLE seats (hall smallint, event_timestamp timestamptz, seats bigint)",
        "INSERT INTO seats VALUES (1, '2024-05-01Z', 9007199254740993)",
    )
    hall = Entity(name="hall", join_keys=["hall"], value_type=ValueType.INT64)
    seats = FeatureView(
        name="seats",
        entities=[hall],
        schema=[Field(name="hall", dtype=Int64), Field(name="seats", dtype=Int64)],
        source=postgres.source("seats"),
    )
    offline = {"type": OURS, "warehouse": postgres.block}
    store = make_store(hall, seats, offline_store=offline)
    labels = pd.DataFrame({"hall": [1], "event_timestamp": [NOON]})
    found = store.get_historical_features(labels, ["seats:seats"]).to_arrow()
    assert found["seats"].to_pylist() == [9007199254740993]
