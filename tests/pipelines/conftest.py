"""A small shop for what Feast asks of stores."""

from datetime import datetime, timedelta, timezone

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

DAY = timedelta(days=1)
NOON = datetime(2024, 5, 10, 12, tzinfo=timezone.utc)


class Stock:
    """A stock of two products, counted now and then: its rows, its view, and questions about it."""

    rows = pd.DataFrame(
        {
            "product_id": ["pen", "pen", "ink", "pen"],
            "counted_at": [NOON - 3 * DAY, NOON - DAY, NOON - 2 * DAY, NOON + DAY],
            "entered_at": [NOON - 3 * DAY, NOON + 5 * DAY, NOON - 2 * DAY, NOON + DAY],
            "units": [30, 10, 20, 40],
            "price": [1.5, 1.0, None, 2.0],
        }
    )

    def __init__(self):
        from feast import Entity, ValueType

        self.product = Entity(name="product", join_keys=["product_id"], value_type=ValueType.STRING)

    def view(self, path="data/stock.parquet", *, name="stock", ttl=timedelta(0), **source):
        """Declare a view over a file of the stock's rows."""
        from feast import FeatureView, Field, FileSource
        from feast.types import Float64, Int64

        return FeatureView(
            name=name,
            entities=[self.product],
            ttl=ttl,
            schema=[Field(name="units", dtype=Int64), Field(name="price", dtype=Float64)],
            source=FileSource(
                name=f"{name}_source",
                path=path,
                timestamp_field="counted_at",
                created_timestamp_column="entered_at",
                **source,
            ),
        )

    @staticmethod
    def ask(*products, at=NOON, **columns):
        """Return entity rows."""
        return pd.DataFrame({"product_id": products, "event_timestamp": at, **columns})

    @staticmethod
    def history(store, entity_df, features=("stock:units",), **options):
        """Return features as of the rows' times."""
        job = store.get_historical_features(entity_df, features=list(features), **options)
        return job.to_df()


@pytest.fixture(scope="session")
def stock():
    """The stock that most tests share; nothing is written."""
    return Stock()


@pytest.fixture
def write(tmp_path):
    """Write a table into the repo's data folder, as Parquet or Delta by its name."""

    def write(table, name="stock.parquet"):
        from deltalake import write_deltalake

        path = tmp_path / "repo" / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pandas(table) if isinstance(table, pd.DataFrame) else table
        if path.suffix == ".parquet":
            pq.write_table(table, path)
        else:
            write_deltalake(str(path), table)
        return path

    return write


@pytest.fixture
def shop(make_store, write, stock):
    """Write the stock and apply its view."""
    write(stock.rows)
    return make_store(stock.product, stock.view())
