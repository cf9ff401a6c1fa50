"""A marketplace of 300 listings, written once, and items without any pictures."""

import pandas as pd
import pytest

from deepfeast.pipelines.demo.market import Marketplace, write_marketplace
from deepfeast.pipelines.demo.market.items import invent

LISTINGS = 300


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Marketplace:
    return write_marketplace(tmp_path_factory.mktemp("market"), listings=LISTINGS)


@pytest.fixture(scope="session")
def rows(market: Marketplace) -> pd.DataFrame:
    return pd.read_parquet(market.listings)


@pytest.fixture(scope="session")
def stats(market: Marketplace) -> pd.DataFrame:
    return pd.read_parquet(market.stats)


@pytest.fixture(scope="session")
def labels(market: Marketplace) -> pd.DataFrame:
    return pd.read_parquet(market.labels)


@pytest.fixture(scope="session")
def truth(market: Marketplace) -> pd.DataFrame:
    return pd.read_parquet(market.truth).set_index("listing_id")


@pytest.fixture(scope="session")
def items():
    """2,400 items: to draw them would take long, and few tests look at them."""
    return invent(2400, seed=7)
