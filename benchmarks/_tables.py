"""Tables on which verdicts and forms are measured: real listings, and the made-up marketplace."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SHARED = Path(
    os.environ.get("DEEPFEAST_SHARED", Path(__file__).resolve().parent.parent.parent / "shared")
)


@dataclass(frozen=True)
class Table:
    """A training frame with a text and a photo beside the handcrafted columns.

    Attributes
    ----------
    frame : DataFrame of shape (n_rows, n_columns)
        The target, the groups, the handcrafted columns and the vectors, flat.
    target, groups : str
    features : dict of str to list of str
        Flat columns of ``text_vec`` and ``photo_vec``.
    texts : list of str
    log_target : bool
        Whether the target is above zero, and its logarithm is predicted.
    """

    frame: pd.DataFrame
    target: str
    groups: str
    features: dict[str, list[str]]
    texts: list[str]
    log_target: bool = True

    @property
    def handcrafted(self) -> list[str]:
        """The columns that are no vectors, target or groups."""
        deep = {name for columns in self.features.values() for name in columns}
        return [c for c in self.frame if c not in deep and c not in (self.target, self.groups)]

    def asked(self, **more: Any) -> dict[str, Any]:
        """Return the arguments of `deepfeast.pipelines.lift.compare` about this table."""
        return {
            "frame": self.frame,
            "target": self.target,
            "groups": self.groups,
            "log_target": self.log_target,
            "feature_groups": self.features,
            "texts": {"text_vec": self.texts},
            **more,
        }


def listings(text: str = "text-tiny", photo: str = "image-tiny") -> Table:
    """988 real listings, encoded by the named encoders; ends the program where they are absent."""
    from deepfeast.pipelines.demo.listings import NUMBERS

    folder = SHARED / "data/listings"
    if not (folder / "listings.csv").is_file():
        sys.exit(f"no listings at {folder}: set DEEPFEAST_SHARED to the folder that has data/.")
    rows = pd.read_csv(folder / "listings.csv")
    texts = together(rows)
    photos = [
        (folder / path).read_bytes() if isinstance(path, str) else None for path in rows["photo_a"]
    ]
    kept = rows[["price_night", "room", *NUMBERS]].astype(dict.fromkeys(NUMBERS, float))
    return _encoded(kept, "price_night", "room", texts, photos, text, photo)


def marketplace(size: int, text: str = "text-tiny", photo: str = "image-tiny") -> Table:
    """Sales of the generated marketplace, every column as of the sale; about .9 `size` rows."""
    with tempfile.TemporaryDirectory() as folder:
        rows = sales_as_of(Path(folder), size)
        paths = [Path(folder) / path if path else None for path in rows["photo"]]
        photos = [path.read_bytes() if path else None for path in paths]
    kept = rows.drop(columns=["listing_id", "event_timestamp", "title", "description", "photo"])
    kept["category_code"] = kept["category_code"].astype("category")
    return _encoded(kept, "price", "seller_id", together(rows), photos, text, photo)


def sales_as_of(folder: Path, size: int) -> pd.DataFrame:
    """Write a marketplace into `folder`; give its sales with all columns as of the sale."""
    from deepfeast.pipelines.demo.market import write_marketplace

    market = write_marketplace(folder, listings=size)
    sales, raw, stats = (
        pd.read_parquet(table).sort_values("event_timestamp", kind="stable")
        for table in (market.labels, market.listings, market.stats)
    )
    keys = {"on": "event_timestamp", "by": "listing_id"}
    sales = pd.merge_asof(sales, stats.drop(columns="created_timestamp"), **keys)
    return pd.merge_asof(sales, raw, **keys)


def together(rows: pd.DataFrame) -> list[str]:
    """Put title and description into one text."""
    return (rows["title"].fillna("") + ". " + rows["description"].fillna("")).tolist()


def _encoded(
    frame: pd.DataFrame,
    target: str,
    groups: str,
    texts: list[str],
    photos: list[bytes | None],
    text: str,
    photo: str,
) -> Table:
    from deepfeast.transforms.arrow import flat_names
    from deepfeast.transforms.encoders import get_encoder

    features, parts = {}, [frame]
    for name, spec, values in (("text_vec", text, texts), ("photo_vec", photo, photos)):
        found = get_encoder(spec)
        there = [row for row, value in enumerate(values) if value is not None]
        coded = found.encode_safely([values[row] for row in there])
        matrix = np.full((len(values), found.dim), np.nan, dtype=np.float32)
        matrix[there] = coded.vectors
        features[name] = flat_names(name, found.dim)
        parts.append(pd.DataFrame(matrix, columns=features[name]))
    return Table(pd.concat(parts, axis=1), target, groups, features, texts)
