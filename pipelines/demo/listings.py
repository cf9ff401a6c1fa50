"""A folder of real listings as a Feast repo: one CSV with texts, photo paths and numbers.

The CSV has no event time. One is made from the row number, so that every run agrees: row *i*
is known from 1 January 2024 plus *i* hours on, and its label is due one day later.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.transforms.errors import ColumnNotFound, SourceNotFound

FIRST = "2024-01-01T00:00:00Z"
TEXTS = ("title", "description", "amenities", "location")
NUMBERS = (
    "guests",
    "beds",
    "bathrooms",
    "bedrooms",
    "amenities_count",
    "cleanliness_rate",
    "accuracy_rate",
    "communication_rate",
    "location_rate",
    "checkin_rate",
    "value_rate",
)
LABELS = ("room", "price_night", "category")


@dataclass(frozen=True)
class Listings:
    """What `write_listings` wrote.

    Attributes
    ----------
    raw, stats, labels : Path
        The raw table with texts and photo bytes, the handcrafted features, and the labels with
        target ``price_night`` or ``category`` and group ``room``.
    n_listings, n_photos : int
    """

    raw: Path
    stats: Path
    labels: Path
    n_listings: int
    n_photos: int


def write_listings(folder: Path, repo: Path) -> Listings:
    """Write a Feast repo for a folder with ``listings.csv`` and its photos.

    Parameters
    ----------
    folder : Path
        With ``listings.csv`` and the photos its ``photo_a`` names.
    repo : Path
        Made anew, with the declarations and ``data/``.

    Raises
    ------
    SourceNotFound, ColumnNotFound
        If the CSV, its photos or a column are missing.
    """
    import pandas as pd

    csv = folder / "listings.csv"
    if not csv.is_file():
        raise SourceNotFound(f"no listings.csv in {folder.resolve()}; name the folder that has it.")
    frame = pd.read_csv(csv)
    for column in ("listing_id", "photo_a", *TEXTS, *NUMBERS, *LABELS):
        if column not in frame.columns:
            raise ColumnNotFound.of(column, str(csv), list(frame.columns))
    photos = [_photo(folder, path) for path in frame["photo_a"]]
    if not any(photos):
        raise SourceNotFound(
            f"none of the photos that {csv} names is below {folder.resolve()}. Put the "
            f"photo folder beside the CSV."
        )
    data = repo / "data"
    data.mkdir(parents=True)
    for path in (Path(__file__).parent / "listings_repo").glob("*.[py]*"):
        shutil.copy(path, repo / path.name)
    known = pd.Timestamp(FIRST) + pd.to_timedelta(frame.index, unit="h")
    frame["event_timestamp"] = known
    rows = pa.Table.from_pandas(
        frame[["listing_id", "event_timestamp", *TEXTS]], preserve_index=False
    ).append_column("photo", pa.array(photos, pa.binary()))
    pq.write_table(rows, data / "listings.parquet", row_group_size=1024)
    stats = frame[["listing_id", "event_timestamp", *NUMBERS]]
    stats.astype(dict.fromkeys(NUMBERS, "float64")).to_parquet(data / "listing_stats.parquet")
    labels = frame[["listing_id", "event_timestamp", *LABELS]].copy()
    labels["event_timestamp"] += pd.Timedelta(days=1)
    labels.to_parquet(data / "labels.parquet")
    return Listings(
        data / "listings.parquet",
        data / "listing_stats.parquet",
        data / "labels.parquet",
        len(frame),
        sum(photo is not None for photo in photos),
    )


def _photo(folder: Path, path: object) -> bytes | None:
    """Read a photo; one that is not there is missing."""
    file = folder / str(path)
    return file.read_bytes() if isinstance(path, str) and file.is_file() else None
