"""A folder of listings becomes a Feast repo."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from deepfeast.pipelines.demo.listings import LABELS, NUMBERS, TEXTS, write_listings
from deepfeast.transforms.errors import ColumnNotFound, SourceNotFound

HOUR = pd.Timedelta(hours=1)
FIRST = pd.Timestamp("2024-01-01", tz="UTC")


@pytest.fixture
def folder(tmp_path):
    """Three listings; the second one's photo is lost, and the third has none."""
    folder = tmp_path / "folder"
    (folder / "photos").mkdir(parents=True)
    (folder / "photos" / "1.jpg").write_bytes(b"a photo")
    frame = pd.DataFrame({"listing_id": [11, 12, 13]})
    frame["photo_a"] = ["photos/1.jpg", "photos/2.jpg", None]
    frame[list(TEXTS)] = "a flat by the sea"
    frame[list(NUMBERS)] = 4
    frame["room"], frame["price_night"], frame["category"] = [1, 1, 2], [80.0, 90.0, 70.0], "flat"
    frame.to_csv(folder / "listings.csv", index=False)
    return folder


def test_texts_photos_numbers_and_labels_are_put_into_a_repo(folder, tmp_path):
    written = write_listings(folder, tmp_path / "repo")
    assert (written.n_listings, written.n_photos) == (3, 1)
    raw = pq.read_table(written.raw)
    assert raw.column_names == ["listing_id", "event_timestamp", *TEXTS, "photo"]
    assert raw["photo"].to_pylist() == [b"a photo", None, None]
    stats = pd.read_parquet(written.stats)
    assert (stats[list(NUMBERS)].dtypes == "float64").all()
    labels = pd.read_parquet(written.labels)
    assert labels[list(LABELS)].values.tolist() == [
        [1, 80.0, "flat"],
        [1, 90.0, "flat"],
        [2, 70.0, "flat"],
    ]
    assert {path.name for path in (tmp_path / "repo").iterdir()} == {
        "data",
        "definitions.py",
        "feature_store.yaml",
    }


def test_a_row_is_known_an_hour_after_the_one_before_and_its_label_is_due_in_a_day(
    folder, tmp_path
):
    written = write_listings(folder, tmp_path / "repo")
    known = [FIRST, FIRST + HOUR, FIRST + 2 * HOUR]
    for path in (written.raw, written.stats):
        assert pd.read_parquet(path)["event_timestamp"].tolist() == known
    due = pd.read_parquet(written.labels)["event_timestamp"]
    assert due.tolist() == [time + 24 * HOUR for time in known]


def test_a_folder_without_listings_or_photos_is_refused(folder, tmp_path):
    repo = tmp_path / "repo"
    (folder / "photos" / "1.jpg").unlink()
    with pytest.raises(SourceNotFound, match=r"none of the photos that .*Put the photo folder"):
        write_listings(folder, repo)
    (folder / "listings.csv").unlink()
    with pytest.raises(SourceNotFound, match=r"no listings\.csv in .*folder"):
        write_listings(folder, repo)
    assert not repo.exists()


def test_a_column_that_lacks_is_named(folder, tmp_path):
    csv = folder / "listings.csv"
    csv.write_text(csv.read_text().replace("price_night", "price_nite"))
    with pytest.raises(ColumnNotFound, match=r"no column 'price_night'.*Did you mean 'price_nite'"):
        write_listings(folder, tmp_path / "repo")
