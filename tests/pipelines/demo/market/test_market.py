"""The generated marketplace: the same every time, tidy where it should be, broken where it says."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from deepfeast.pipelines.demo.market import main, write_marketplace

LISTINGS = 300


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        write_marketplace(tmp_path / name, listings=12, seed=seed)
    one, two, three = (digests(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert set(one) >= {"listings.parquet", "photos/l00000-0.jpg", "truth.parquet"}
    for name in ("listings", "listing_stats", "labels", "truth"):
        assert one[f"{name}.parquet"] != three[f"{name}.parquet"]


def test_the_tables_have_the_columns_and_types_they_promise(market):
    def types(path: Path) -> dict[str, str]:
        return {field.name: str(field.type) for field in pq.read_schema(path)}

    time = "timestamp[us, tz=UTC]"
    assert types(market.listings) == {
        "listing_id": "string",
        "event_timestamp": time,
        "title": "string",
        "description": "string",
        "photo": "string",
    }
    assert types(market.labels) == {
        "listing_id": "string",
        "event_timestamp": time,
        "seller_id": "string",
        "price": "double",
    }
    assert types(market.stats) == {
        "listing_id": "string",
        "event_timestamp": time,
        "created_timestamp": time,
        "seller_rating": "double",
        "n_photos": "int64",
        "age_years": "double",
        "width_cm": "double",
        "category_code": "string",
        "views_7d": "int64",
        "shipping_km": "double",
    }
    assert b"tests and documentation only" in pq.read_schema(market.truth).metadata[b"purpose"]


def test_the_counts_are_those_of_the_files(market, rows, labels):
    assert market.n_listings == LISTINGS == rows.listing_id.nunique()
    assert market.n_rows == len(rows)
    assert market.n_photos == len(list(market.photos.glob("*.jpg")))
    assert market.n_labels == len(labels)


def test_times_run_forward(rows, stats, labels):
    first = rows.groupby("listing_id").event_timestamp.min()
    assert rows.event_timestamp.is_monotonic_increasing
    assert pd.Timedelta(days=500) < first.max() - first.min() < pd.Timedelta(days=540)
    sale = labels.set_index("listing_id").event_timestamp
    assert (sale > first[sale.index]).all()
    assert (stats.created_timestamp > stats.event_timestamp).all()
    assert (stats.groupby("listing_id").event_timestamp.min() == first).all()


def test_some_listings_are_edited_before_their_sale_and_some_after(rows, labels):
    versions = rows.groupby("listing_id").size()
    assert set(versions) == {1, 2}
    assert 0.08 < (versions == 2).mean() < 0.22
    pair = rows.sort_values("event_timestamp").groupby("listing_id").nth([0, 1])
    edited = pair[pair.listing_id.isin(versions[versions == 2].index)]
    changed = edited.groupby("listing_id")[["description", "photo"]].nunique(dropna=False)
    assert (changed.max(axis=1) == 2).all()
    late = rows.merge(labels, on="listing_id", suffixes=("", "_sale"))
    late = late[late.event_timestamp > late.event_timestamp_sale]
    assert 0.02 < len(late) / LISTINGS < 0.14
    # What is written after the sale gives the price away.
    assert all(
        f"{price:.0f}" in text for text, price in zip(late.description, late.price, strict=True)
    )


def test_every_photo_is_there_and_only_the_damaged_do_not_decode(market, rows, truth):
    paths = rows.photo.dropna().unique()
    broken = set()
    for path in paths:
        try:
            with Image.open(market.listings.parent / path) as image:
                image.load()
                assert image.size == (224, 224)
        except OSError:
            broken.add(Path(path).stem.split("-")[0])
    assert broken == set(truth.index[truth.photo_damaged])
    assert 0 < market.n_damaged < 0.01 * LISTINGS


def test_some_values_are_missing_blank_or_repeated(rows, stats):
    first = rows.drop_duplicates("listing_id")
    blank = first.description.isna() | (first.description.str.strip() == "")
    assert 0.02 < blank.mean() < 0.09
    assert (first.description.str.strip() == "").any()
    assert 0.005 < first.photo.isna().mean() < 0.07
    assert 0.01 < first.description[~blank].duplicated().mean() < 0.08
    gaps = stats[["seller_rating", "age_years", "width_cm", "views_7d"]].isna().mean()
    assert (gaps > 0.02).all()
    assert (gaps < 0.3).all()
    assert stats[["n_photos", "category_code", "shipping_km"]].notna().all().all()
    assert stats.duplicated(["listing_id", "event_timestamp"]).any()


def test_the_parts_of_the_truth_add_up_to_the_price_of_the_label(labels, truth):
    parts = truth.loc[labels.listing_id].filter(like="_part")
    np.testing.assert_allclose(parts.sum(axis=1), np.log(labels.price.to_numpy()), atol=0.01)


def test_no_listings_at_all_is_refused(tmp_path):
    with pytest.raises(ValueError, match="listings=0 given; at least 1"):
        write_marketplace(tmp_path / "market", listings=0)
    assert not (tmp_path / "market").exists()


def test_the_command_writes_the_tables_and_a_sheet_to_look_at(tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    main([str(tmp_path / "market"), "--listings", "7", "--sheet", str(sheet)])
    assert "7 listings" in capsys.readouterr().out
    assert (tmp_path / "market" / "labels.parquet").exists()
    assert Image.open(sheet).width > 1300
