"""What a warehouse can get wrong, on a real PostgreSQL: the right answer, or an error by name."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
from feast import Entity, FeatureView, Field, ValueType
from feast.types import Int32, String

from deepfeast.pipelines.embed import embed
from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms import DeepFeature, OnlineFeatures, deep_feature_view
from deepfeast.transforms.errors import JoinError, SourceError, SourceNotFound, TooManyRejects
from deepfeast.transforms.history import sources
from deepfeast.transforms.online.open import online_table
from deepfeast.transforms.warehouse import postgres as dialect

NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
ENGINE = {"type": "deepfeast.pipelines.engine.BeamEngine"}
WORDS = "python:deepfeast.transforms.testing:WordLengths?dim=2"
ITEM = Entity(name="item", join_keys=["Item Id"], value_type=ValueType.STRING)
ODD = """"Sa""les of '24\""""
TABLE = f"""
    CREATE TABLE {ODD} (
        "Item Id" text, "At" timestamptz, "Made On" timestamptz, "units ""net" int, "Shelf" int,
        "Text" text);
    INSERT INTO {ODD} VALUES
        ('pen', '2024-05-08 12:00Z', '2024-05-08 12:00Z', 40, 4, 'red pen'),
        ('pen', '2024-05-10 11:00Z', '2024-05-10 11:00Z', 30, 3, 'blue pen'),
        ('ink', '2024-05-09 12:00Z', '2024-05-09 12:00Z', 20, 2, 'black')
"""


class Shop:
    """A repo on a table whose names need care: two views of its numbers, and a deep one."""

    def __init__(self, make_store, postgres, engine=ENGINE):
        postgres.run(TABLE)
        self.postgres = postgres
        source = postgres.source(
            ODD, "At", created_timestamp_column="Made On", field_mapping={'units "net': "Units"}
        )
        features = [DeepFeature("vec", column="Text", encoder=WORDS)]
        deep = deep_feature_view(name="deep", entities=[ITEM], source=source, features=features)
        views = [
            FeatureView(
                name=name,
                entities=[ITEM],
                schema=[Field(name="Item Id", dtype=String), Field(name=column, dtype=Int32)],
                source=source,
                ttl=10 * DAY,
            )
            for name, column in (("Stock", "Units"), ("Place", "Shelf"))
        ]
        offline = {"type": STORE, "warehouse": dict(postgres.block)}
        objects = [ITEM, source, *views, deep]
        self.store = make_store(*objects, offline_store=offline, batch_engine=engine)

    def ask(self, *items, feature="Place:Shelf"):
        labels = pd.DataFrame({"Item Id": items, "event_timestamp": [NOON] * len(items)})
        found = self.store.get_historical_features(labels, [feature]).to_df()
        return found[feature.partition(":")[2]].tolist()

    def embed(self):
        return embed(self.store, "deep")

    def change(self, what):
        self.postgres.run(f"ALTER TABLE {ODD} {what}")


@pytest.fixture
def shop(make_store, postgres):
    return Shop(make_store, postgres)


@pytest.fixture(params=["driver", "windows", "joined there"])
def way(request, shop, monkeypatch):
    """Pulled by the driver, pulled by windows of time, and joined by the warehouse."""
    if request.param == "windows":
        monkeypatch.setattr(dialect, "streams", lambda: False)
        monkeypatch.setattr("deepfeast.transforms.warehouse.pull.WINDOW_ROWS", 2)
    elif request.param == "joined there":
        shop.store.config.offline_store.pull_rows = 0
    elif not dialect.streams():
        pytest.skip("adbc-driver-postgresql is not installed")
    return request.param


def test_names_with_quotes_capitals_and_spaces_are_read(shop, way):
    assert shop.ask("ink", "pen") == [2, 3]
    assert shop.embed().rows == 3
    if way != "joined there":
        assert shop.ask("ink", "pen", feature="Stock:Units") == [20, 30]
        return
    # Feast's own query joins.
    with pytest.raises(JoinError, match=r"view 'Stock', .* cannot write the column 'units \"net'"):
        shop.ask("pen", feature="Stock:Units")


def test_such_names_go_online(shop):
    shop.store.materialize(NOON - 5 * DAY, NOON + DAY)
    names = ["Stock:Units", "Place:Shelf", "deep:vec"]
    found = OnlineFeatures(shop.store, names).frame([{"Item Id": "pen"}], now=NOON + DAY)
    assert found.to_numpy().tolist() == [[30, 3, 4, 3]]


def test_a_key_that_no_text_of_the_warehouse_can_be_has_no_features(shop, way):
    found = shop.ask("pen", "p\0en", "ink")
    np.testing.assert_array_equal(np.array(found, float), [3, np.nan, 2])
    assert pd.isna(shop.ask("p\0en")).all()


def test_texts_of_bytes_with_nul_are_rejects(shop, way):
    shop.change("""ALTER "Text" TYPE bytea USING convert_to("Text", 'UTF8') || '\\x00ff'""")
    with pytest.raises(TooManyRejects, match="not_text"):
        shop.embed()


def test_a_wrong_password_names_the_view_and_is_not_told(shop, way):
    user = shop.postgres.strict_user("right-word")
    for given in ("wrong-word", ""):
        shop.store.config.offline_store.warehouse.update(user=user, password=given)
        for read in (lambda: shop.ask("pen"), shop.embed):
            with pytest.raises(SourceNotFound, match=f"'\"Sa.*refuses user '{user}'") as error:
                read()
            assert "wrong-word" not in str(error.value)
    shop.store.config.offline_store.warehouse["password"] = "right-word"
    assert shop.ask("pen") == [3]


def test_a_server_that_is_down_names_the_view(shop, way):
    shop.store.config.offline_store.warehouse["port"] = 1
    with pytest.raises(SourceNotFound, match=r"view 'Place', .* at 127.0.0.1:1, .* not answer"):
        shop.ask("pen")
    with pytest.raises(SourceNotFound, match=r"source '\"Sa.* at 127.0.0.1:1, .* not answer"):
        shop.embed()


def test_a_table_that_goes_between_count_and_read_is_told_by_view(shop, way, monkeypatch):
    def and_then_drop(*asked, count=sources.count_rows):
        found = count(*asked)
        shop.postgres.run(f"DROP TABLE {ODD}")
        return found

    monkeypatch.setattr(sources, "count_rows", and_then_drop)
    with pytest.raises(SourceNotFound, match=r"view 'Place', source .* no such table"):
        shop.ask("pen")


def test_a_number_that_grew_out_of_its_type_names_view_and_column(shop, way):
    shop.change('ALTER "Shelf" TYPE bigint USING 5000000000')
    with pytest.raises(SourceError, match=r"view 'Place', .*the column 'Shelf' .* int32"):
        shop.ask("pen")


def test_a_column_that_is_renamed_between_two_frames_names_view_and_column(shop, way):
    assert shop.ask("pen") == [3]
    shop.change('RENAME "Shelf" TO shelf')
    with pytest.raises(SourceError, match=r"view 'Place', .*lacks a column .*Shelf"):
        shop.ask("pen")


def test_a_row_of_no_end_of_time_is_seen_by_no_label(shop, way):
    shop.postgres.run(
        f"INSERT INTO {ODD} VALUES ('pen', 'infinity', now(), 1, 1, 'x')",
        f"INSERT INTO {ODD} VALUES ('ink', '-infinity', now(), 1, 1, 'x')",
    )
    assert shop.ask("pen", "ink") == [3, 2]


def test_a_time_without_zone_means_utc_or_the_warehouse_may_not_join(shop, way):
    """The server's own clock is that of New York."""
    shop.change("""ALTER "At" TYPE timestamp USING "At" AT TIME ZONE 'UTC'""")
    if way != "joined there":
        assert shop.ask("pen") == [3]
        return
    with pytest.raises(JoinError, match=r"view 'Place', .* time column 'At' has no zone"):
        shop.ask("pen")
    user = shop.postgres.strict_user("word")
    shop.postgres.run(f"ALTER ROLE {user} SET timezone = 'UTC'")
    shop.store.config.offline_store.warehouse.update(user=user, password="word")
    assert shop.ask("pen") == [3]


@pytest.mark.parametrize("engine", [ENGINE, {"type": "local"}])
def test_a_time_without_zone_goes_online_by_utc(make_store, postgres, monkeypatch, engine):
    monkeypatch.setattr(dialect, "streams", lambda: False)
    shop = Shop(make_store, postgres, engine)
    shop.change("""ALTER "At" TYPE timestamp USING "At" AT TIME ZONE 'UTC'""")
    shop.store.materialize(NOON - 5 * DAY, NOON - DAY / 48, feature_views=["Place"])
    features = OnlineFeatures(shop.store, ["Place:Shelf"])
    found = features.frame([{"Item Id": "pen"}, {"Item Id": "ink"}], now=NOON)
    assert found["Shelf"].tolist() == [3, 2]
    view = shop.store.get_feature_view("Place")
    table = online_table(shop.store.provider.online_store, shop.store.config, view)
    assert table.read([("pen",), ("ink",)], ["Shelf"]).times == [NOON - DAY / 24, NOON - DAY]
