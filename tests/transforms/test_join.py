import os
import subprocess
import sys
import textwrap
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Bool, Float32, Float64, Int64, String

from deepfeast.transforms.errors import ColumnNotFound, JoinError
from deepfeast.transforms.history import retrieval
from deepfeast.transforms.join import training_frame, training_matrix

DAY = timedelta(days=1)
NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)
VECTORS = ["look_000", "look_001", "look_002"]

item = Entity(name="item", join_keys=["item_id"], value_type=ValueType.STRING)
seller = Entity(name="seller", join_keys=["seller_id"], value_type=ValueType.INT64)

ITEMS = pa.table(
    {
        "item_id": ["a", "a", "b", "c"],
        "at": pa.array([NOON - 3 * DAY, NOON - DAY, NOON - 2 * DAY, NOON + DAY]),
        "made": pa.array([NOON - 3 * DAY, NOON + DAY, NOON - 2 * DAY, NOON + DAY]),
        "beds": [1, 2, 3, 4],
        "size": [10.0, 20.0, None, 40.0],
        "quiet": [True, False, True, True],
        "town": ["Rome", "Rome", None, "Oslo"],
        "look": pa.array(
            [[1, 1, 1], [2, 2, 2], None, [4, 4, 4]],
            pa.list_(pa.float32()),
        ),
    }
)
SELLERS = pa.table({"seller_id": [1, 2], "at": pa.array([NOON - 5 * DAY] * 2), "sales": [100, 200]})


@pytest.fixture
def make_market(make_store, tmp_path):
    def make(offline_store=None):
        data = tmp_path / "repo" / "data"
        data.mkdir(parents=True, exist_ok=True)
        pq.write_table(ITEMS, data / "items.parquet")
        pq.write_table(SELLERS, data / "sellers.parquet")
        items = FeatureView(
            name="items",
            entities=[item],
            ttl=10 * DAY,
            schema=[
                Field(name="beds", dtype=Int64),
                Field(name="size", dtype=Float64),
                Field(name="quiet", dtype=Bool),
                Field(name="town", dtype=String),
                Field(name="look", dtype=Array(Float32), vector_length=3),
            ],
            source=FileSource(
                # Absolute, since Feast's duckdb store would look where the process stands.
                path=str(data / "items.parquet"),
                timestamp_field="at",
                created_timestamp_column="made",
            ),
        )
        sellers = FeatureView(
            name="sellers",
            entities=[seller],
            schema=[Field(name="sales", dtype=Int64)],
            source=FileSource(path=str(data / "sellers.parquet"), timestamp_field="at"),
        )
        service = FeatureService(name="model", features=[items[["beds", "look", "size"]], sellers])
        return make_store(item, seller, items, sellers, service, offline_store=offline_store)

    return make


@pytest.fixture
def market(make_market):
    return make_market()


@pytest.fixture
def labels():
    """Item b has no vector, item c none yet, item d nothing; the first two rows are equal."""
    return pd.DataFrame(
        {
            "item_id": ["a", "a", "b", "c", "d", "a"],
            "event_timestamp": [*[NOON] * 5, NOON - 2 * DAY],
            "price": pd.Categorical(["low", "low", "high", "low", "low", "high"]),
            "seller_id": [2, 2, 1, 1, 9, 1],
        },
        index=[7, 7, 5, 3, 1, 0],
    )


def expected_features():
    nan = np.nan
    return [
        [2, 2, 2, 2, 20, 200],
        [2, 2, 2, 2, 20, 200],
        [3, nan, nan, nan, nan, 100],
        [nan, nan, nan, nan, nan, 100],
        [nan, nan, nan, nan, nan, nan],
        [1, 1, 1, 1, 10, 100],
    ]


def test_the_labels_come_back_as_they_were_with_features_beside_them(market, labels):
    before = labels.copy(deep=True)
    frame = training_frame(market, labels, service="model")
    pd.testing.assert_frame_equal(frame[labels.columns], before)
    pd.testing.assert_frame_equal(labels, before)
    assert frame.columns[4:].tolist() == ["beds", *VECTORS, "size", "sales"]
    found = frame.iloc[:, 4:].astype("float64")
    np.testing.assert_array_equal(found, expected_features())


def test_types_are_kept_and_whole_numbers_stay_whole(market, labels):
    features = [f"items:{name}" for name in ("beds", "quiet", "town", "size", "look")]
    frame = training_frame(market, labels, features=features)
    kinds = frame.dtypes.astype(str)[4:].to_dict()
    assert kinds == {
        "beds": "Int64",
        "quiet": "boolean",
        "town": "object",
        "size": "float64",
        **dict.fromkeys(VECTORS, "float32"),
    }
    complete = training_frame(market, labels.iloc[:3], features=features)
    assert complete.dtypes.astype(str)[["beds", "quiet"]].tolist() == ["int64", "bool"]


def test_the_largest_whole_numbers_stay_whole(market, labels, tmp_path):
    table = ITEMS.set_column(3, "beds", pa.array([1, 2**64 - 1, 3, 4], pa.uint64()))
    pq.write_table(table, tmp_path / "repo" / "data" / "items.parquet")
    beds = training_frame(market, labels, features=["items:beds"])["beds"]
    assert beds.dtype == "UInt64"
    assert beds.tolist() == [2**64 - 1, 2**64 - 1, 3, pd.NA, pd.NA, 1]


def test_vectors_are_one_block_of_the_type_asked_for(market, labels):
    for dtype in ("float32", "float16"):
        frame = training_frame(market, labels, features=["items:look"], dtype=dtype)
        blocks = [b for b in frame._mgr.blocks if b.dtype == np.dtype(dtype)]
        assert [block.shape for block in blocks] == [(3, len(labels))]
    with pytest.raises(JoinError, match="expected 'float32' or 'float16'"):
        training_frame(market, labels, features=["items:look"], dtype="int8")


def test_old_models_take_the_columns(market, labels):
    from xgboost import DMatrix

    frame = training_frame(market, labels, service="model")
    assert DMatrix(frame.iloc[:, 4:]).num_col() == 6


def test_the_matrix_is_the_frame_without_a_frame(market, labels):
    X, columns = training_matrix(market, labels, service="model")
    assert columns == ["beds", *VECTORS, "size", "sales"]
    assert (X.dtype, X.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(X, expected_features())
    half, _ = training_matrix(market, labels, service="model", dtype="float16")
    np.testing.assert_array_equal(half, X.astype(np.float16))


def test_a_matrix_holds_numbers(market, labels):
    X, _ = training_matrix(market, labels, features=["items:quiet"])
    np.testing.assert_array_equal(X[:, 0], [0, 0, 1, np.nan, np.nan, 1])
    with pytest.raises(JoinError, match="items:town is string"):
        training_matrix(market, labels, features=["items:town"])


def test_what_was_not_computed_yet_can_be_left_out(market, labels):
    frame = training_frame(market, labels, service="model", as_known_at="created")
    assert frame["beds"].tolist()[:3] == [1, 1, 3]
    with pytest.raises(JoinError, match="as_known_at='computed'"):
        training_frame(market, labels, service="model", as_known_at="computed")


def test_full_names_put_the_view_in_front(market, labels):
    frame = training_frame(
        market, labels.rename(columns={"price": "beds"}), service="model", full_feature_names=True
    )
    assert frame.columns[4:7].tolist() == ["items__beds", "items__look_000", "items__look_001"]


def test_a_folder_does_for_a_store(market, labels, tmp_path):
    (tmp_path / "repo" / "feature_store.yaml").write_text(
        "project: shop\nprovider: local\nregistry: data/registry.db\n"
        "online_store: {type: sqlite, path: data/online.db}\n"
        "offline_store: {type: deepfeast.pipelines.offline_store.DeepFeastOfflineStore}\n"
        "entity_key_serialization_version: 3\n"
    )
    frame = training_frame(str(tmp_path / "repo"), labels, service="model")
    pd.testing.assert_frame_equal(frame, training_frame(market, labels, service="model"))


def test_text_and_zoneless_times_mean_utc(market, labels):
    expected = training_frame(market, labels, service="model")
    texts = labels.assign(event_timestamp=labels["event_timestamp"].map(datetime.isoformat))
    naive = labels.assign(event_timestamp=labels["event_timestamp"].dt.tz_localize(None))
    east = labels.assign(event_timestamp=labels["event_timestamp"].dt.tz_convert("Asia/Tokyo"))
    for same in (texts, naive, east):
        frame = training_frame(market, same, service="model")
        pd.testing.assert_frame_equal(frame.iloc[:, 4:], expected.iloc[:, 4:])
        pd.testing.assert_frame_equal(frame.iloc[:, :4], same)


def test_labels_without_times_are_seen_as_of_now(market, labels):
    static = labels.drop(columns="event_timestamp")
    now = labels.assign(event_timestamp=pd.Timestamp.now("UTC"))
    frame = training_frame(market, static, service="model")
    expected = training_frame(market, now, service="model").drop(columns="event_timestamp")
    pd.testing.assert_frame_equal(frame, expected)


def test_labels_that_cannot_be_joined_are_refused_with_the_reason(market, labels):
    def refused(error, match, frame, **options):
        with pytest.raises(error, match=match):
            training_frame(market, frame, **{"service": "model", **options})

    refused(ColumnNotFound, "join key of view 'sellers'", labels.drop(columns="seller_id"))
    dated = labels.rename(columns={"event_timestamp": "sold_at"})
    refused(ColumnNotFound, "but 'sold_at', which looks like times", dated)
    refused(
        JoinError, "1 label rows have no event_timestamp", labels.replace({NOON - 2 * DAY: pd.NaT})
    )
    refused(JoinError, "columns called beds", labels.assign(beds=1))
    refused(JoinError, "service='name'", labels, service=None)
    refused(JoinError, "view 'items': .*int64", labels.assign(item_id=range(6)))


def test_an_index_of_two_levels_is_kept(market, labels):
    nested = labels.set_index(["price", labels.index], append=False)
    frame = training_frame(market, nested, service="model")
    pd.testing.assert_index_equal(frame.index, nested.index)


def test_no_labels_give_no_rows(market, labels):
    frame = training_frame(market, labels.iloc[:0], service="model")
    assert frame.shape == (0, 10)


def test_on_demand_features_are_columns_too(market, labels):
    offer = RequestSource(name="offer", schema=[Field(name="bid", dtype=Float64)])

    @on_demand_feature_view(
        sources=[market.get_feature_view("items"), offer],
        schema=[Field(name="per_bed", dtype=Float64)],
    )
    def asked(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"per_bed": inputs["bid"] / inputs["beds"]})

    market.apply([asked])
    features = ["items:look", "asked:per_bed"]
    frame = training_frame(market, labels.assign(bid=60.0), features=features)
    assert frame.columns[5:].tolist() == [*VECTORS, "per_bed"]
    np.testing.assert_array_equal(frame["per_bed"], [30, 30, 20, np.nan, np.nan, 60])
    np.testing.assert_array_equal(frame["look_000"], [2, 2, np.nan, np.nan, np.nan, 1])
    with pytest.raises(ColumnNotFound, match="request data of view 'asked'"):
        training_frame(market, labels, features=features)


@pytest.mark.filterwarnings("ignore")
def test_feasts_own_stores_give_the_same_frame(make_market, labels, monkeypatch):
    """Feast's default store drops rows and repeats, and turns whole numbers into floats."""
    monkeypatch.setattr(retrieval, "_told", set())
    expected = training_frame(make_market(), labels, service="model")
    duckdb = training_frame(make_market({"type": "duckdb"}), labels, service="model")
    pd.testing.assert_frame_equal(duckdb, expected)
    with pytest.warns(UserWarning, match="DaskOfflineStore dropped 1 of 6 label rows"):
        dask = training_frame(make_market({"type": "dask"}), labels, service="model")
    pd.testing.assert_frame_equal(dask, expected)


@pytest.mark.filterwarnings("ignore")
def test_keys_may_be_categories_on_any_store(make_market, labels):
    rows = labels.astype({"item_id": "category"})
    for kind in (None, {"type": "duckdb"}):
        frame = training_frame(make_market(kind), rows, service="model")
        np.testing.assert_array_equal(frame["look_000"], [2, 2, *[np.nan] * 3, 1])
        assert frame["item_id"].dtype == "category"


@pytest.mark.filterwarnings("ignore")
def test_null_keys_match_nothing_on_any_store(make_market, labels):
    rows = labels.assign(item_id=[None, "a", "b", "a", "d", "a"])
    frames = [
        training_frame(make_market(kind), rows, service="model")
        for kind in (None, {"type": "duckdb"})
    ]
    assert frames[0]["beds"].isna().tolist() == [True, False, False, False, True, False]
    pd.testing.assert_frame_equal(*frames)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads a process's peak from /proc")
def test_a_table_three_times_the_memory_allowed_is_joined(tmp_path):
    """1.5 GiB of vectors, .9 GiB at the peak, Feast's own .4 GiB included."""
    write = """
        import sys
        import numpy as np, pyarrow as pa, pyarrow.parquet as pq

        n, dim = 50_000, 384
        values = pa.array(np.random.default_rng(0).random(n * dim, dtype=np.float32))
        vectors = pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * dim, values)
        schema = pa.schema(
            {"id": pa.int64(), "at": pa.timestamp("us", "UTC"), "vec": pa.list_(pa.float32())}
        )
        with pq.ParquetWriter(
            sys.argv[1], schema, compression="none", use_dictionary=False
        ) as writer:
            for part in range(21):
                ids = np.arange(part * n, (part + 1) * n)
                times = pa.array(ids * 10**6).cast(schema.field("at").type)
                writer.write_table(pa.table([ids, times, vectors], schema=schema))
    """
    join = """
        import sys
        import numpy as np, pandas as pd
        from feast import Entity, FeatureStore, FeatureView, Field, FileSource
        from feast import RepoConfig, ValueType
        from feast.types import Array, Float32
        from deepfeast.transforms.join import training_frame

        entity = Entity(name="id", value_type=ValueType.INT64)
        view = FeatureView(
            name="deep",
            entities=[entity],
            schema=[Field(name="vec", dtype=Array(Float32), vector_length=384)],
            source=FileSource(path=sys.argv[1], timestamp_field="at"),
        )
        store = FeatureStore(config=RepoConfig(
            project="large",
            registry=sys.argv[1] + ".registry",
            online_store=None,
            offline_store={
                "type": "deepfeast.pipelines.offline_store.DeepFeastOfflineStore",
                "memory_limit": "512MiB",
            },
            entity_key_serialization_version=3,
        ))
        store.apply([entity, view])
        ids = np.random.default_rng(1).integers(0, 21 * 50_000, 10_000)
        labels = pd.DataFrame({"id": ids, "event_timestamp": pd.Timestamp("2024", tz="UTC")})
        frame = training_frame(store, labels, features=["deep:vec"])
        assert frame.shape == (10_000, 386) and not frame.isna().any(axis=None)
        expected = np.random.default_rng(0).random(50_000 * 384, dtype=np.float32)
        expected = expected.reshape(-1, 384)[ids % 50_000][:100]
        np.testing.assert_array_equal(frame.iloc[:100, 2:], expected)
        status = open("/proc/self/status").read()  # ru_maxrss would start from the parent's
        print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
    """
    path = tmp_path / "large.parquet"

    def run(script):
        command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        run(write)
        assert path.stat().st_size > 3 * 512 * 1024**2
        peak = int(run(join).split()[-1])
    finally:
        path.unlink(missing_ok=True)
    assert peak < 900


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_labels_of_another_library_come_back_as_pandas(market, library):
    labels = pd.DataFrame(
        {
            "item_id": ["b", "a", None],
            "seller_id": pd.array([2, None, 1], "Int64"),
            "event_timestamp": [NOON] * 3,
            "price": [3.5, None, 1.0],
        }
    )
    polars = pytest.importorskip("polars")
    table = polars.from_pandas(labels) if library == "polars" else pa.Table.from_pandas(labels)
    expected = training_frame(
        market, labels, features=["items:beds", "items:look", "sellers:sales"]
    )
    frame = training_frame(market, table, features=["items:beds", "items:look", "sellers:sales"])
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False, check_flags=False)
    assert frame["sales"].tolist() == [200, pd.NA, 100]
    X, _ = training_matrix(market, table, features=["items:look"])
    np.testing.assert_array_equal(X, frame[VECTORS])
