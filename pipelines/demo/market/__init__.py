"""Generate a marketplace of second-hand furniture: made-up rows to try deepfeast on.

**None of this is real.** Every listing, seller, brand, text, photo and price is composed here
from a seed, so that a demonstration needs no download and a test knows the truth. The logarithm
of a price is a sum of five parts (variance within brackets, about 1.1 in all):

- *handcrafted* (0.46): kind, width, age, size of the photo album, demand. The columns of
  ``listing_stats.parquet`` show these, with noise and gaps.
- *text* (0.26): brand, material, era, soundness, story. Descriptions state most of them,
  see `deepfeast.pipelines.demo.market.texts`. Of these the columns know the age alone, roughly.
- *photo* (0.18): colour, shape, wear of the surface. Only the picture shows these, see
  `deepfeast.pipelines.demo.market.photos`.
- *seller* (0.03): some sell better. The seller's rating hints at it, so group folds by seller.
- *noise* (0.15): nothing explains it.

History matters: about 15 % of the listings are edited later. An edit before the sale usually
tells more; an edit after it may give the price away (``"SOLD for 240"``), which a join as of the
time of sale must not see. Some photos and descriptions are missing, some descriptions are a
seller's template, a few photos are damaged.

Run ``python -m deepfeast.pipelines.demo.market FOLDER --sheet sheet.png`` to look at one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.pipelines.demo.market import texts
from deepfeast.pipelines.demo.market.item import DAY, UTC, Item
from deepfeast.pipelines.demo.market.items import invent
from deepfeast.pipelines.demo.market.stats import stats_table


class Row(NamedTuple):
    """One version of a listing as the raw table tells it."""

    listing_id: str
    event_timestamp: int
    title: str
    description: str | None
    photo: str | None


@dataclass(frozen=True)
class Marketplace:
    """What `write_marketplace` wrote: where, and how many.

    Attributes
    ----------
    listings, photos, stats, labels, truth : Path
        The raw table, the folder of JPEG files, the handcrafted features, the labels, and the
        true factors (for tests and documentation only: no model may read them).
    n_listings, n_rows, n_photos, n_damaged, n_labels : int
        Listings, rows of the raw table (edits included), photo files, those of them which do
        not decode, and labels.
    """

    listings: Path
    photos: Path
    stats: Path
    labels: Path
    truth: Path
    n_listings: int
    n_rows: int
    n_photos: int
    n_damaged: int
    n_labels: int


def write_marketplace(folder: Path, *, listings: int = 2400, seed: int = 7) -> Marketplace:
    """Compose a marketplace and write its four tables and its photos into ``folder``.

    Parameters
    ----------
    folder : Path
        Made if it does not exist; files of the same names are overwritten.
    listings : int
        How many distinct things are offered, at least 1.
    seed : int
        The same seed, count and library versions give the same bytes.

    Returns
    -------
    Marketplace
        The paths written and the counts.

    Raises
    ------
    ValueError
        If ``listings`` is below 1.

    Notes
    -----
    ``listings.parquet``
        listing_id, event_timestamp, title, description (about 5 % null or blank), photo (a path
        relative to ``folder``; about 3 % null), in the order of event times.
    ``listing_stats.parquet``
        listing_id, event_timestamp, created_timestamp, seller_rating (1 to 5), n_photos,
        age_years (estimated), width_cm, category_code, views_7d, shipping_km; several rows a
        listing, with gaps, and now and then a correction: the same event time, created later.
    ``labels.parquet``
        listing_id, event_timestamp (of the sale), seller_id, price (> 0); only what was sold.
    ``truth.parquet``
        one row a listing, the fields of `Item`.
    """
    if listings < 1:
        raise ValueError(f"listings={listings} given; at least 1 is needed, e.g. listings=2400.")
    folder = Path(folder)
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    items = invent(listings, seed)
    rows: list[Row] = []
    photos = damaged = 0
    for number, item in enumerate(items):
        versions = tell(item, np.random.default_rng([seed, 1, number]))
        rows += versions
        drawn = sorted({row.photo for row in versions if row.photo})
        for view, path in enumerate(drawn):
            data = picture(item, np.random.default_rng([seed, 2, number, view]))
            (folder / path).write_bytes(data)
        photos += len(drawn)
        damaged += len(drawn) * item.photo_damaged
    rows.sort(key=lambda row: (row.event_timestamp, row.listing_id))
    labels = label_table(items)
    tables = {
        "listings": listing_table(rows),
        "listing_stats": stats_table(items, np.random.default_rng([seed, 3])),
        "labels": labels,
        "truth": truth_table(items),
    }
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return Marketplace(
        folder / "listings.parquet",
        folder / "photos",
        folder / "listing_stats.parquet",
        folder / "labels.parquet",
        folder / "truth.parquet",
        n_listings=listings,
        n_rows=len(rows),
        n_photos=photos,
        n_damaged=damaged,
        n_labels=len(labels),
    )


def tell(item: Item, rng: np.random.Generator) -> list[Row]:
    """Return the versions of one listing: the first, and for some an edited one."""
    # A photo that does not decode is certainly there.
    photo = f"photos/{item.listing_id}-0.jpg" if item.photo_damaged or rng.random() > 0.03 else None
    first = Row(
        item.listing_id,
        item.listed,
        texts.title(item, rng),
        first_description(item, rng),
        photo,
    )
    if rng.random() >= 0.15:
        return [first]
    return [first, edited(first, item, rng)]


def first_description(item: Item, rng: np.random.Generator) -> str | None:
    """Return nothing, a blank, the seller's template, or a description."""
    luck = rng.random()
    if luck < 0.025:
        return None
    if luck < 0.05:
        return texts.pick(("", " ", "\n"), rng)
    if luck < 0.09:
        return texts.TEMPLATES[int(item.seller_id[1:]) % len(texts.TEMPLATES)]
    return texts.description(item, rng)


def edited(first: Row, item: Item, rng: np.random.Generator) -> Row:
    """Return the later version of a listing, half of the time from after its sale."""
    if item.sold and rng.random() < 0.5:
        when = item.sale + int(rng.uniform(0.1, 20) * DAY)
        note = texts.sold_note(item, item.price, rng)
        return first._replace(event_timestamp=when, description=note)
    when = item.listed + int(rng.uniform(0.2, 0.8) * (item.sale - item.listed))
    changed = rng.random()
    if changed < 0.75:
        first = first._replace(description=texts.description(item, rng, stated=0.95))
    if changed > 0.5:
        first = first._replace(photo=f"photos/{item.listing_id}-1.jpg")
    return first._replace(event_timestamp=when)


def picture(item: Item, rng: np.random.Generator) -> bytes:
    """Return the photo of an item, cut off or overwritten if it is one of the damaged."""
    from deepfeast.pipelines.demo.market.photos import photo

    data = photo(item, item.room, rng)
    if not item.photo_damaged:
        return data
    if int(item.listing_id[1:]) % 2:
        return data[: len(data) // 3]
    return b"<html><title>413 Request Entity Too Large</title></html>\n"


def listing_table(rows: Sequence[Row]) -> pa.Table:
    """Return the raw table."""
    types = (pa.string(), UTC, pa.string(), pa.string(), pa.string())
    schema = pa.schema(list(zip(Row._fields, types, strict=True)))
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)


def label_table(items: Sequence[Item]) -> pa.Table:
    """Return what was sold, when, by whom and for how much, in the order of sales."""
    sold = sorted(
        (item for item in items if item.sold), key=lambda item: (item.sale, item.listing_id)
    )
    return pa.table(
        {
            "listing_id": pa.array([item.listing_id for item in sold], pa.string()),
            "event_timestamp": pa.array([item.sale for item in sold], UTC),
            "seller_id": pa.array([item.seller_id for item in sold], pa.string()),
            "price": pa.array([item.price for item in sold], pa.float64()),
        }
    )


def truth_table(items: Sequence[Item]) -> pa.Table:
    """Return the true factors, marked in the schema as not for models."""
    columns = {
        name: list(column)
        for name, column in zip(Item._fields, zip(*items, strict=True), strict=True)
    }
    for name in ("listed", "sale"):
        columns[name] = pa.array(columns[name], UTC)
    purpose = {"purpose": "tests and documentation only: the factors a generated price was made of"}
    return pa.table(columns).replace_schema_metadata(purpose)


def write_sheet(market: Marketplace, path: Path, *, pictures: int = 24) -> None:
    """Save a picture of the first listings with their titles, for a person to look at."""
    from deepfeast.pipelines.demo.market.photos import contact_sheet

    rows: dict[str, dict] = {}
    for row in pq.read_table(market.listings).to_pylist():
        rows.setdefault(row["listing_id"], row)
    tiles = []
    for row in list(rows.values())[:pictures]:
        data = market.listings.parent.joinpath(row["photo"]).read_bytes() if row["photo"] else None
        tiles.append((data, row["title"]))
    contact_sheet(tiles).save(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a marketplace from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m deepfeast.pipelines.demo.market",
        description="Generate a marketplace of second-hand furniture; nothing in it is real.",
    )
    parser.add_argument("folder", type=Path, help="where to write, e.g. build/marketplace")
    parser.add_argument("--listings", type=int, default=2400, help="how many (default 2400)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same bytes")
    parser.add_argument(
        "--sheet", type=Path, help="also save 24 pictures with titles, e.g. sheet.png"
    )
    given = parser.parse_args(arguments)
    try:
        market = write_marketplace(given.folder, listings=given.listings, seed=given.seed)
    except ValueError as problem:
        parser.error(str(problem))
    if given.sheet:
        write_sheet(market, given.sheet)
    print(
        f"{market.n_listings} listings ({market.n_rows} rows), {market.n_photos} photos "
        f"({market.n_damaged} damaged) and {market.n_labels} labels in {given.folder}"
    )


if __name__ == "__main__":
    main()
