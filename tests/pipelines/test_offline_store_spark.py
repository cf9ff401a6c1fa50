"""The store beside Spark: apply, training data, embeddings and online rows, on a real session."""

import io
import logging
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, String

from deepfeast.pipelines.embed import embed
from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms import DeepFeature, OnlineFeatures, deep_feature_view, training_frame
from deepfeast.transforms.embeddings.table import embedding_table
from deepfeast.transforms.errors import SourceNotFound, SpecError

WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
BEAM = "deepfeast.pipelines.engine.BeamEngine"
DAY = timedelta(days=1)
# Around the hour that the clock of New York has twice.
NOON = datetime(2024, 11, 3, 12, tzinfo=timezone.utc)
PRODUCT = Entity(name="product", join_keys=["product_id"], value_type=ValueType.STRING)
KINDS = "product_id, event_timestamp, created, units, price, `Shelf no`"
STOCK = ", ".join(
    f"('{key}', {time}, {created}, INT({units}), CAST({price} AS DECIMAL(10, 2)), {shelf})"
    for key, time, created, units, price, shelf in [
        ("pen", "at(-48)", "at(-48)", "40", "1.10", "'low'"),
        ("pen", "at(-1)", "at(-1)", "30", "1.25", "'low'"),
        ("pen", "at(-1)", "at(47)", "10", "1.30", "'high'"),
        ("ink", "at(-24)", "at(-24)", "20", "NULL", "NULL"),
        ("ink", "at(1)", "at(1)", "NULL", "9.99", "'high'"),
    ]
)


def rows(text):
    """Write ``at(hours)`` from noon as moments."""
    for hours in (-48, -24, -6, -1, 0, 1, 24, 47):
        time = (NOON + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S")
        text = text.replace(f"at({hours})", f"TIMESTAMP '{time}Z'")
    return text


def stock_view(source, **options):
    return FeatureView(name="stock", entities=[PRODUCT], source=source, ttl=10 * DAY, **options)


def block(spark, **options):
    return {"type": STORE, "warehouse": {**spark.block, **options}}


def ask(*products, at=NOON):
    times = at if isinstance(at, list) else [at] * len(products)
    return pd.DataFrame(
        {"product_id": products, "event_timestamp": pd.to_datetime(times, utc=True)}
    )


@pytest.fixture
def stock(spark):
    table = spark.table(rows(STOCK), KINDS)
    return spark.source(table, created_timestamp_column="created")


@pytest.fixture
def shop(make_store, spark, stock, tmp_path):
    """A store with one view in Spark and one in a file, in one service."""
    folder = tmp_path / "repo"
    folder.mkdir()
    grams = {"product_id": ["pen", "ink"], "event_timestamp": [NOON - DAY] * 2, "grams": [7.5, 90]}
    pq.write_table(pa.table(grams), folder / "weight.parquet")
    weight = FeatureView(
        name="weight",
        entities=[PRODUCT],
        schema=[Field(name="product_id", dtype=String), Field(name="grams", dtype=Float64)],
        source=FileSource(name="weights", path="weight.parquet", timestamp_field="event_timestamp"),
    )
    view = stock_view(stock)
    both = FeatureService(name="both", features=[view, weight])
    engine = {"type": BEAM}
    return make_store(PRODUCT, view, weight, both, offline_store=block(spark), batch_engine=engine)


@pytest.fixture(params=["pulled", "joined there"])
def join(request, shop):
    """By rows that come here, and in Spark, above so many rows."""
    if request.param == "joined there":
        shop.config.offline_store.pull_rows = 0
    return shop


def test_apply_infers_what_spark_has(shop):
    kinds = {field.name: str(field.dtype) for field in shop.get_feature_view("stock").features}
    assert kinds == {"units": "Int32", "price": "Float64", "Shelf no": "String"}


def test_both_kinds_of_views_stand_beside_each_label_in_its_order(join):
    labels = ask("ink", "cup", "pen", "ink", None).assign(colour=list("rwbrx"))
    found = join.get_historical_features(labels, join.get_feature_service("both")).to_arrow()
    assert found.column_names[:3] == ["product_id", "event_timestamp", "colour"]
    assert found["colour"].to_pylist() == list("rwbrx")
    assert found["units"].to_pylist() == [20, None, 10, 20, None]
    assert found["price"].to_pylist() == [None, None, 1.3, None, None]
    assert found["Shelf no"].to_pylist() == [None, None, "high", None, None]
    assert found["grams"].to_pylist() == [90, None, 7.5, 90, None]
    assert found.schema.field("units").type == pa.int32()


def test_each_row_sees_its_own_past_to_the_microsecond_and_no_more_than_the_ttl(join):
    tick = timedelta(microseconds=1)
    first, last = NOON - 2 * DAY, NOON - timedelta(hours=1)
    times = [first - tick, first, last - tick, last, last + 10 * DAY, last + 10 * DAY + tick]
    found = join.get_historical_features(ask(*["pen"] * 6, at=times), ["stock:units"]).to_df()
    np.testing.assert_array_equal(found["units"], [np.nan, 40, 40, 10, 10, np.nan])


def test_what_was_entered_later_can_be_left_out(join):
    found = join.get_historical_features(
        ask("pen"), ["stock:units"], filter_by_created_timestamp=True
    ).to_df()
    assert found["units"].tolist() == [30]


def test_many_labels_agree_with_pandas(make_store, spark):
    spark.session.sql(
        "SELECT INT(id % 7) AS a, STRING(id % 5) AS b, INT(id) AS n, "
        "TIMESTAMP '2024-11-01 00:00:00Z' + (id * 37 % 100) * INTERVAL '1' HOUR AS at, "
        "TIMESTAMP '2024-11-09 00:00:00Z' + id * INTERVAL '1' SECOND AS made FROM range(600)"
    ).createOrReplaceTempView("many")
    entities = [
        Entity(name="a", join_keys=["a"], value_type=ValueType.INT64),
        Entity(name="b", join_keys=["b"], value_type=ValueType.STRING),
    ]
    source = spark.source("many", "at", created_timestamp_column="made")
    view = FeatureView(name="many", entities=entities, source=source, ttl=2 * DAY)
    store = make_store(*entities, view, offline_store=block(spark))
    history = spark.session.table("many").toArrow().to_pandas()
    rng = np.random.default_rng(0)
    hours = pd.to_timedelta(rng.integers(0, 120, 200), unit="h")
    labels = pd.DataFrame(
        {
            "a": rng.integers(0, 8, 200),
            "b": rng.integers(0, 6, 200).astype(str),
            "event_timestamp": pd.Timestamp("2024-11-01", tz="UTC") + hours,
        }
    )
    wanted = pd.merge_asof(
        labels.reset_index().sort_values("event_timestamp", kind="stable"),
        history.sort_values(["at", "made"]).astype({"a": "int64", "at": "datetime64[ns, UTC]"}),
        left_on="event_timestamp",
        right_on="at",
        by=["a", "b"],
        tolerance=2 * DAY,
    ).sort_values("index")
    for most in (10_000, 0):
        store.config.offline_store.pull_rows = most
        found = store.get_historical_features(labels, ["many:n"]).to_df()
        np.testing.assert_array_equal(found["n"], wanted["n"])
    assert wanted["n"].notna().sum() > 50


def test_a_window_that_is_too_long_is_joined_there_and_one_line_says_so(shop, caplog):
    shop.config.offline_store.pull_rows = 4
    with caplog.at_level(logging.WARNING):
        shop.get_historical_features(ask("pen"), ["stock:units"]).to_df()
    (line,) = [one.message for one in caplog.records if "pull_rows" in one.message]
    assert line.startswith("view 'stock': 5 rows lie in the window of these labels, more than")


def test_rows_that_tie_repeat_no_label(make_store, spark):
    table = spark.table(rows("('pen', at(-1), 1), ('pen', at(-1), 2)"), "product_id, at, n")
    store = make_store(PRODUCT, stock_view(spark.source(table, "at")), offline_store=block(spark))
    for most in (10, 0):
        store.config.offline_store.pull_rows = most
        found = store.get_historical_features(ask("pen", "pen"), ["stock:n"]).to_df()
        assert found["n"].isin([1, 2]).tolist() == [True, True]


def test_labels_may_come_from_a_query_and_from_a_frame_of_spark(shop, spark, stock):
    sql = (
        f"SELECT product_id, MAX(event_timestamp) AS event_timestamp FROM {stock.table} "
        f"GROUP BY 1 ORDER BY 1;"
    )
    for labels in (sql, spark.session.sql(sql.rstrip(";"))):
        found = shop.get_historical_features(labels, shop.get_feature_service("both")).to_df()
        assert found["product_id"].tolist() == ["ink", "pen"]
        assert found["event_timestamp"].tolist() == [NOON + DAY / 24, NOON - DAY / 24]
        np.testing.assert_array_equal(found["price"], [9.99, 1.3])


def test_without_labels_every_entity_of_a_range_is_taken(shop):
    found = shop.get_historical_features(
        features=["stock:units"], start_date=NOON - 3 * DAY, end_date=NOON
    ).to_df()
    assert found["product_id"].tolist() == ["ink", "pen", "pen"]
    assert found["units"].tolist() == [20, 40, 10]


def test_the_training_frame_keeps_whole_numbers(shop):
    frame = training_frame(shop, ask("ink", "cup"), service="both")
    assert (frame["units"].dtype, frame["units"].tolist()) == ("Int64", [20, pd.NA])


def test_a_path_and_a_query_are_sources_too(make_store, spark, tmp_path):
    path = str(tmp_path / "stock")
    spark.session.sql(f"SELECT * FROM VALUES {rows(STOCK)} AS t({KINDS})").write.parquet(path)
    kind = type(spark.source("x"))
    options = {"timestamp_field": "event_timestamp", "created_timestamp_column": "created"}
    for source in (
        kind(name="stock", path=path, file_format="parquet", **options),
        kind(name="stock", query=f"SELECT * FROM parquet.`{path}` WHERE price > 1.2", **options),
    ):
        name = "path" if source.path else "query"
        store = make_store(PRODUCT, stock_view(source), offline_store=block(spark), name=name)
        found = store.get_historical_features(ask("pen"), ["stock:units", "stock:price"]).to_df()
        assert found[["units", "price"]].to_numpy().tolist() == [[10, 1.3]]


@pytest.mark.parametrize("engine", ["local", BEAM])
def test_both_engines_bring_the_latest_rows_of_a_span_online(make_store, spark, stock, engine):
    view = stock_view(stock)
    store = make_store(PRODUCT, view, offline_store=block(spark), batch_engine={"type": engine})
    # By the clock of the session the span would end before the last row of ink.
    store.materialize(NOON - 5 * DAY, NOON + timedelta(hours=1))
    names = ["stock:units", "stock:price", "stock:Shelf no"]
    found = store.get_online_features(names, [{"product_id": "pen"}, {"product_id": "ink"}])
    assert found.to_dict()["units"] == [10, None]
    assert found.to_dict()["price"] == [1.3, 9.99]
    assert found.to_dict()["Shelf no"] == ["high", "high"]


def test_raw_texts_are_embedded_and_the_next_run_reads_what_is_newer(make_store, spark):
    spark.session.sql("DROP TABLE IF EXISTS notes")
    spark.session.sql(
        "CREATE TABLE notes (id STRING, at TIMESTAMP, made TIMESTAMP, `a text` STRING)"
    )
    add = "INSERT INTO notes VALUES "
    spark.session.sql(
        add + rows("('a', at(-48), at(-48), 'red shirt'), ('b', at(-24), at(-24), NULL)")
    )
    entity = Entity(name="note", join_keys=["id"], value_type=ValueType.STRING)
    source = spark.source("notes", "at", created_timestamp_column="made")
    deep = deep_feature_view(
        name="deep",
        entities=[entity],
        source=source,
        features=[DeepFeature("vec", column="a text", encoder=WORDS)],
    )
    service = FeatureService(name="notes", features=[deep])
    offline, engine = block(spark), {"type": BEAM}
    store = make_store(entity, source, deep, service, offline_store=offline, batch_engine=engine)
    run = embed(store, "deep")
    assert (run.source_rows, run.rows, run.encoded, run.missing) == (2, 2, 1, 1)
    assert (embed(store, "deep").source_rows, embed(store, "deep").version) == (1, None)
    spark.session.sql(add + rows("('c', at(-48), at(1), 'green')"))
    run = embed(store, "deep")
    assert (run.source_rows, run.rows) == (2, 1)
    table = embedding_table(store, store.get_feature_view("deep"))
    made = table.dataset(table.open()).to_table().to_pylist()
    assert {row["id"]: (row["vec"], row["at"]) for row in made} == {
        "a": ([3, 5], NOON - 2 * DAY),
        "b": (None, NOON - DAY),
        "c": ([5, 0], NOON - 2 * DAY),
    }
    labels = pd.DataFrame({"id": ["c", "a"], "event_timestamp": [NOON] * 2})
    frame = training_frame(store, labels, service="notes")
    assert frame[["vec_000", "vec_001"]].to_numpy().tolist() == [[5, 0], [3, 5]]
    store.materialize(NOON - 5 * DAY, NOON)
    online = OnlineFeatures(store, service="notes").frame([{"id": "a"}])
    assert online[["vec_000", "vec_001"]].to_numpy().tolist() == [[3, 5]]
    spark.session.sql("DROP TABLE notes")
    with pytest.raises(SourceNotFound, match=r"source 'notes': Spark has no such table"):
        embed(store, "deep")


def test_photos_are_bytes_of_a_column(make_store, spark):
    from PIL import Image

    photo = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(photo, "PNG")
    columns = {"product_id": ["pen", "ink"], "at": [NOON] * 2, "photo": [photo.getvalue(), None]}
    spark.session.createDataFrame(pa.table(columns)).createOrReplaceTempView("photos")
    source = spark.source("photos", "at")
    deep = deep_feature_view(
        name="deep",
        entities=[PRODUCT],
        source=source,
        features=[DeepFeature("vec", column="photo", encoder="image-tiny")],
    )
    run = embed(make_store(PRODUCT, source, deep, offline_store=block(spark)), "deep")
    assert (run.rows, run.encoded, run.missing) == (2, 1, 1)


def test_what_is_wrong_names_view_and_source(shop, spark, stock):
    job = shop.get_historical_features(ask("pen"), ["stock:units"])
    spark.session.catalog.dropTempView(stock.table)
    with pytest.raises(SourceNotFound, match=rf"view 'stock', source '{stock.name}': .*no such"):
        job.to_df()
    with pytest.raises(SourceNotFound, match=r"view 'stock', source .*no such table"):
        shop.materialize(NOON - 5 * DAY, NOON)


def test_apply_names_a_table_that_is_not_there(make_store, spark):
    with pytest.raises(SourceNotFound, match=r"source 'nowhere': Spark has no such table"):
        make_store(PRODUCT, stock_view(spark.source("nowhere")), offline_store=block(spark))


def test_rows_are_written_to_a_path_and_nowhere_else(make_store, shop, spark, tmp_path):
    path = str(tmp_path / "stock")
    spark.session.sql(rows("SELECT 'pen' AS product_id, at(-1) AS at, 1 AS n")).write.parquet(path)
    source = type(spark.source("x"))(
        name="stock", path=path, file_format="parquet", timestamp_field="at"
    )
    store = make_store(PRODUCT, stock_view(source), offline_store=block(spark), name="path")
    new = pd.DataFrame({"product_id": ["ink"], "at": [NOON - DAY], "n": [5]})
    store.write_to_offline_store("stock", new)
    found = store.get_historical_features(ask("ink", "pen"), ["stock:n"]).to_df()
    assert found["n"].tolist() == [5, 1]
    with pytest.raises(SpecError, match=r"'stock': Feast's store of type 'spark' writes no rows"):
        shop.write_to_offline_store(
            "stock",
            ask("cup").assign(created=NOON, units=1, price=1.0, **{"Shelf no": "low"}),
        )


def test_monitoring_is_asked_of_spark(shop):
    from deepfeast.pipelines.offline_store import DeepFeastOfflineStore as Ours

    source = shop.get_feature_view("stock").batch_source
    assert Ours.get_monitoring_max_timestamp(shop.config, source, "event_timestamp") == (
        NOON + timedelta(hours=1)
    )
    figures = Ours.compute_monitoring_metrics(
        shop.config, source, [("units", "numeric")], "event_timestamp"
    )
    assert (figures[0]["row_count"], figures[0]["null_count"]) == (5, 1)
