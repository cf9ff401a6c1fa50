"""What the doctor finds in a real PostgreSQL, asked as a user who may read alone."""

from datetime import timedelta

import pytest
from feast import Entity, FeatureView, Field, ValueType
from feast.types import Float64, Int64, String

from deepfeast.pipelines.doctor import render
from deepfeast.pipelines.doctor.warehouse import check_warehouse
from deepfeast.pipelines.offline_store import STORE
from deepfeast.transforms import DeepFeature, deep_feature_view

PRODUCT = Entity(name="product", join_keys=["id"], value_type=ValueType.STRING)
TABLE = """
    CREATE TABLE "Stock" (id text, units bigint, price numeric, "At" timestamptz, made timestamptz);
    INSERT INTO "Stock" VALUES
        ('pen', 40, 1.10, '2024-05-08 12:00Z', '2024-05-08 12:00Z'),
        ('ink', 20, NULL, '2024-05-09 12:00Z', '2024-05-09 12:00Z'),
        ('ink', 20, 2.50, now() - interval '1 hour', now())
"""
MANY = """
    INSERT INTO "Stock" SELECT 'p' || n % 100, n, 1, '2024-01-01Z'::timestamptz + n * '1 min'::
    interval, '2024-01-01Z' FROM generate_series(1, 100000) n
"""


class Shop:
    """A repo on a table of a warehouse, which it asks as a user of its own."""

    def __init__(self, make_store, postgres):
        self.make_store, self.postgres = make_store, postgres
        self.schema = postgres.block["db_schema"]
        self.reader = f"reader_{self.schema}"
        postgres.run(
            TABLE,
            f"CREATE ROLE {self.reader} LOGIN",
            f"GRANT USAGE ON SCHEMA {self.schema} TO {self.reader}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {self.schema} TO {self.reader}",
        )

    def source(self, **options):
        options = {"created_timestamp_column": "made", **options}
        return self.postgres.source('"Stock"', "At", **options)

    def view(self, source=None):
        fields = {"id": String, "units": Int64, "price": Float64}
        return FeatureView(
            name="stock",
            entities=[PRODUCT],
            schema=[Field(name=name, dtype=dtype) for name, dtype in fields.items()],
            source=source or self.source(),
            ttl=timedelta(days=10),
        )

    def ask(self, view=None, raw=None, user=None, **offline):
        """Return the findings in a repo with one view."""
        block = {**self.postgres.block, "user": user or self.reader}
        store = self.make_store(offline_store={"type": STORE, "warehouse": block, **offline})
        view = view or self.view()
        store.apply([PRODUCT, view, *filter(None, [raw])])
        return list(check_warehouse(store, store.list_feature_views()))


@pytest.fixture
def shop(make_store, postgres):
    return Shop(make_store, postgres)


def told(findings, level):
    return [finding for finding in findings if finding.level == level]


def test_a_table_that_is_well_is_told_with_its_cost_and_what_reading_alone_lacks(shop):
    rights, cost = shop.ask()
    assert (rights.level, rights.where) == ("note", "offline_store")
    assert f"user '{shop.reader}' may make no tables in schema '{shop.schema}'" in rights.what
    assert (cost.level, cost.where) == ("note", "view stock")
    assert "has 3 rows, from 2024-05-08 to " in cost.what
    assert ", 1 of them of the last 10 days. Labels that can see all of them are" in cost.what
    assert "joined here, which brings about 0.0 MB in " in cost.what
    assert "pull_rows (10,000,000) decides" in cost.what
    assert [finding.where for finding in shop.ask(user="feast")] == ["view stock"]  # may write


def test_the_warehouse_may_join_only_where_its_user_may_write(shop):
    (error,) = told(shop.ask(pull_rows=0), "error")
    assert "pull_rows is 0, so that the warehouse joins" in error.what
    assert error.mend.endswith(f'GRANT CREATE ON SCHEMA "{shop.schema}" TO "{shop.reader}";')
    (warning,) = told(shop.ask(pull_rows=2), "warning")
    assert "more than offline_store.pull_rows (2) rows" in warning.what
    (cost,) = told(shop.ask(pull_rows=2, user="feast"), "note")
    assert "joined by the warehouse's own query" in cost.what


def test_an_index_is_told_as_it_is_made_and_the_server_takes_it(shop):
    shop.postgres.run(MANY)
    (time,) = told(shop.ask(), "warning")
    assert time.mend == f'CREATE INDEX CONCURRENTLY ON {shop.schema}."Stock" ("At");'
    assert "100,003 rows, has no index that begins with 'At'" in time.what
    _, keys = told(shop.ask(pull_rows=9, user="feast"), "warning")
    assert keys.mend == f'CREATE INDEX CONCURRENTLY ON {shop.schema}."Stock" ("id", "At");'
    for finding in (time, keys):
        shop.postgres.run(finding.mend.replace("CONCURRENTLY ", ""))
    assert told(shop.ask(pull_rows=9, user="feast"), "warning") == []
    shop.postgres.run("ANALYZE")
    plan = shop.postgres.run(
        "EXPLAIN SELECT units FROM \"Stock\" WHERE \"At\" BETWEEN '2024-01-05Z' AND '2024-01-06Z'"
    )
    assert "Index Scan" in str(plan)


def test_of_a_query_there_is_no_index_to_make(shop):
    shop.postgres.run(MANY)
    query = type(shop.source())(
        name="q",
        query='SELECT * FROM "Stock"',
        timestamp_field="At",
        created_timestamp_column="made",
    )
    assert told(shop.ask(shop.view(query)), "warning") == []


def test_a_raw_table_is_read_by_what_is_newer(shop):
    shop.postgres.run(MANY)
    features = [DeepFeature("vec", column="id", encoder="text-tiny")]

    def ask(raw):
        view = deep_feature_view(name="deep", entities=[PRODUCT], source=raw, features=features)
        return shop.ask(view, raw, user="feast")

    (warning,), (cost,) = (told(ask(shop.source()), level) for level in ("warning", "note"))
    assert warning.mend.endswith('"Stock" ("made");')
    assert "later runs read what is newer than the last by 'made'" in cost.what
    warning, cost = ask(shop.source(created_timestamp_column=""))
    assert "no created_timestamp_column" in warning.what
    assert "so does every later one, for it has no created column" in cost.what


def test_a_time_without_zone_is_taken_as_utc_and_one_of_the_future_is_suspect(shop):
    shop.postgres.run(
        'ALTER TABLE "Stock" ALTER "At" TYPE timestamp(3) USING "At" AT TIME ZONE \'UTC\'',
        'ALTER TABLE "Stock" ALTER made TYPE date',
    )
    _, time, made, _ = shop.ask()
    assert "'At' of its source '\"Stock\"' is timestamp(3) without time zone" in time.what
    assert "it has no zone and is taken as UTC, whatever the zone of the server" in time.what
    assert (
        "'made' of its source '\"Stock\"' is date: it has no zone and is taken as its" in made.what
    )
    shop.postgres.run('UPDATE "Stock" SET "At" = now() + interval \'9 hours\' WHERE units = 40')
    (warning,) = told(shop.ask(), "warning")
    assert "is then of the future: is it a local time?" in warning.what
    assert '"At" AT TIME ZONE' in warning.mend


def test_a_time_that_is_none_is_told_with_the_cast(shop):
    shop.postgres.run('ALTER TABLE "Stock" ALTER "At" TYPE text')
    (error,) = told(shop.ask(), "error")
    assert "is text, which is no time" in error.what
    assert '"At"::timestamptz AS "At"' in error.mend


def test_a_column_that_changed_and_one_that_is_gone(shop):
    shop.postgres.run("ALTER TABLE \"Stock\" ALTER units TYPE text USING 'many'")
    found = shop.ask()
    (warning,), (error,) = told(found, "warning"), told(found, "error")
    assert "'units' of its source '\"Stock\"' is text and is declared as int64" in warning.what
    assert "the column 'units' comes as string and is to be int64" in error.what
    shop.postgres.run('ALTER TABLE "Stock" DROP units')
    (error,) = told(shop.ask(), "error")
    assert error.what.startswith("no column 'units' in its source '\"Stock\"'. It has: id, price")


def test_a_number_beyond_a_double_is_found_before_a_frame_finds_it(shop):
    shop.postgres.run("""UPDATE "Stock" SET price = 'NaN' WHERE id = 'pen'""")
    assert told(shop.ask(), "error") == []
    shop.postgres.run("""UPDATE "Stock" SET price = 1e400 WHERE id = 'pen'""")
    (error,) = told(shop.ask(), "error")
    assert (
        "'price' of its source '\"Stock\"' is numeric, with a number that is larger" in error.what
    )


def test_what_may_not_be_read_and_what_is_gone(shop):
    shop.postgres.run(f'REVOKE SELECT ON "Stock" FROM {shop.reader}')
    (error,) = told(shop.ask(), "error")
    assert f"user '{shop.reader}' of PostgreSQL at 127.0.0.1" in error.what
    assert "GRANT SELECT ON" in error.what
    shop.postgres.run('DROP TABLE "Stock"')
    (error,) = told(shop.ask(), "error")
    assert "has no such table" in error.what


def test_findings_are_told_with_and_without_something_to_do(shop):
    text = render(shop.ask())
    assert "note     view stock: its source" in text
    assert "→" not in text
