"""Generate a marketplace of second-hand furniture: made-up rows to try deepfeast on.

**None of this is real.** Every listing, seller, brand, text, photo and price is composed here
from a seed, so that a demonstration needs no download and a test knows the truth. The logarithm
of a price is a sum of six parts (variance within brackets, about 0.89 in all):

- *handcrafted* (0.32): kind, width, age, size of the photo album, demand. The columns of
  ``listing_stats.parquet`` show these, with noise and gaps.
- *text* (0.22): brand, material, era, soundness, story. Descriptions state most of them,
  see `deepfeast.pipelines.marketplace_texts`. Of these the columns know the age alone, roughly.
- *photo* (0.17): colour, shape, wear of the surface. Only the picture shows these, see
  `deepfeast.pipelines.marketplace_photos`.
- *seller* (0.03): some sell better. The seller's rating hints at it, so group folds by seller.
- *noise* (0.13): nothing explains it.

History matters: about 15 % of the listings are edited later. An edit before the sale usually
tells more; an edit after it may give the price away (``"SOLD for 240"``), which a join as of the
time of sale must not see. Some photos and descriptions are missing, some descriptions are a
seller's template, a few photos are damaged.

Run ``python -m deepfeast.pipelines.marketplace FOLDER --sheet sheet.png`` to look at one.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deepfeast.pipelines import marketplace_texts as texts

OPENED = int(datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc).timestamp() * 1e6)
DAY = 86_400_000_000  # microseconds
SPAN = 540  # days over which listings appear
UTC = pa.timestamp("us", tz="UTC")

# Kind -> log of its usual price, usual width in cm.
KINDS = {
    "chair": (4.25, 48.0),
    "armchair": (5.0, 80.0),
    "sofa": (5.6, 205.0),
    "table": (5.2, 160.0),
    "lamp": (4.35, 40.0),
    "sideboard": (5.45, 150.0),
    "bookshelf": (4.75, 85.0),
    "bed": (5.35, 165.0),
}
# How strongly each part of the truth acts on the log price; calibrated, see tests.
WEIGHTS = {"kind": 1.05, "text": 0.78, "photo": 0.87, "seller": 0.18, "noise": 0.36}


class Item(NamedTuple):
    """The true factors of one listing, and the parts of its log price they cause."""

    listing_id: str
    seller_id: str
    kind: str
    width_cm: float
    album: int
    demand: float
    brand: str
    brand_stated: bool
    material: int
    era: int
    soundness: int
    story: int
    colour: str
    shape: float
    wear: float
    handcrafted_part: float
    text_part: float
    photo_part: float
    seller_part: float
    noise_part: float
    photo_damaged: bool
    sold: bool
    listed: int
    sale: int
    room: int

    @property
    def log_price(self) -> float:
        """The sum of the parts."""
        return (
            self.handcrafted_part
            + self.text_part
            + self.photo_part
            + self.seller_part
            + self.noise_part
        )


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


def invent(n: int, seed: int) -> list[Item]:
    """Draw the true factors of ``n`` listings, in the order in which they appear."""
    from deepfeast.pipelines.marketplace_photos import COLOURS, ROOMS

    rng = np.random.default_rng([seed, 0])
    sellers = max(n // 6, 1)
    skill = rng.standard_normal(sellers)
    rooms = rng.integers(len(ROOMS), size=sellers)
    # A few sellers offer much, most a little.
    seller = rng.choice(sellers, size=n, p=rng.dirichlet(np.full(sellers, 2.0)))
    kinds = rng.choice(list(KINDS), size=n)
    usual = np.array([KINDS[kind] for kind in kinds])
    stretch = rng.normal(0, 0.15, n)
    album = 1 + rng.poisson(2.5, n)
    demand = rng.standard_normal(n)
    brand = rng.choice(list(texts.BRANDS), size=n, p=[0.3] + [0.1] * 7)
    material = rng.integers(len(texts.MATERIALS), size=n)
    era = rng.integers(len(texts.ERAS), size=n)
    soundness = rng.choice(5, size=n, p=[0.12, 0.2, 0.26, 0.24, 0.18])
    story = rng.integers(len(texts.STORIES), size=n)
    colour = rng.choice(list(COLOURS), size=n)
    shape = rng.random(n)
    wear = rng.beta(0.9, 1.2, n)

    handcrafted = (
        5.0
        + WEIGHTS["kind"] * (usual[:, 0] - 5.0)
        + 1.2 * stretch
        + 0.1 * np.log(album)
        + 0.22 * demand
    )
    told = (
        np.array(list(texts.BRANDS.values()))[[list(texts.BRANDS).index(b) for b in brand]]
        + np.array(list(texts.MATERIALS.values()))[material]
        + np.array([effect for *_, effect in texts.ERAS])[era]
        + np.array([effect for effect, _ in texts.SOUNDNESS])[soundness]
        + np.array([effect for effect, _ in texts.STORIES])[story]
    )
    seen = (
        np.array([COLOURS[name][1] for name in colour]) + 0.7 * (shape - 0.5) - 1.0 * (wear - 0.4)
    )
    listed = OPENED + np.sort(rng.integers(SPAN * DAY, size=n))
    waited = DAY + np.minimum(rng.exponential(25 * DAY, n), 120 * DAY).astype(np.int64)
    damaged = np.zeros(n, bool)
    damaged[rng.choice(n, size=min(n, max(1, n // 400)), replace=False)] = True
    columns = (
        [f"l{k:05d}" for k in range(n)],
        [f"s{k:04d}" for k in seller],
        kinds.tolist(),
        np.round(usual[:, 1] * np.exp(stretch)).tolist(),
        album.tolist(),
        demand.tolist(),
        brand.tolist(),
        ((brand != "") & (rng.random(n) < 0.75)).tolist(),
        material.tolist(),
        era.tolist(),
        soundness.tolist(),
        story.tolist(),
        colour.tolist(),
        shape.tolist(),
        wear.tolist(),
        handcrafted.tolist(),
        (WEIGHTS["text"] * told).tolist(),
        (WEIGHTS["photo"] * seen).tolist(),
        (WEIGHTS["seller"] * skill[seller]).tolist(),
        (WEIGHTS["noise"] * rng.standard_normal(n)).tolist(),
        damaged.tolist(),
        (rng.random(n) < 0.92).tolist(),
        listed.tolist(),
        (listed + waited).tolist(),
        rooms[seller].tolist(),
    )
    return [Item(*values) for values in zip(*columns, strict=True)]


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
        note = texts.sold_note(item, float(np.exp(item.log_price)), rng)
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
    from deepfeast.pipelines.marketplace_photos import photo

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


def stats_table(items: Sequence[Item], rng: np.random.Generator) -> pa.Table:
    """Return the handcrafted features as they were measured, noted and corrected over time."""
    skill = np.array([item.seller_part for item in items]) / WEIGHTS["seller"]
    rows = [
        row
        for item, seller_skill in zip(items, skill, strict=True)
        for row in measured(item, float(seller_skill), rng)
    ]
    schema = pa.schema(
        [
            ("listing_id", pa.string()),
            ("event_timestamp", UTC),
            ("created_timestamp", UTC),
            ("seller_rating", pa.float64()),
            ("n_photos", pa.int64()),
            ("age_years", pa.float64()),
            ("width_cm", pa.float64()),
            ("category_code", pa.string()),
            ("views_7d", pa.int64()),
            ("shipping_km", pa.float64()),
        ]
    )
    rows.sort(key=lambda row: (row[1], row[0], row[2]))
    return pa.table([list(column) for column in zip(*rows, strict=True)], schema=schema)


def measured(item: Item, skill: float, rng: np.random.Generator) -> list[tuple]:
    """Return what the columns say of one listing, from its first day to after its sale."""
    gaps = rng.random(4) < (0.08, 0.2, 0.12, 0.1)
    rating = float(np.clip(4.3 + 0.25 * skill + rng.normal(0, 0.35), 1, 5).round(1))
    age = float(np.round(texts.ERAS[item.era][1] * np.exp(rng.normal(0, 0.45))))
    width = float(np.round(item.width_cm * np.exp(rng.normal(0, 0.04))))
    shipping = float(np.round(rng.gamma(2, 60), 1))
    rows: list[tuple] = []
    when = item.listed
    for visit in range(int(rng.integers(2, 6))):
        filled = ~gaps | (rng.random(4) < 0.25 * (visit > 1))
        expected = np.exp(2.8 + 0.45 * item.demand + rng.normal(0, 0.25))
        views = int(rng.poisson(expected * (when < item.sale)))
        row = (
            item.listing_id,
            when,
            when + int(rng.uniform(0.02, 2) * DAY),
            rating if filled[0] else None,
            item.album,
            age if filled[1] else None,
            width if filled[2] else None,
            item.kind,
            views if filled[3] else None,
            shipping,
        )
        rows.append(row)
        if rng.random() < 0.02:
            corrected = row[2] + int(rng.uniform(1, 5) * DAY)
            rows.append((*row[:2], corrected, *row[3:8], views, shipping))
        when += int(rng.uniform(4, 12) * DAY)
    return rows


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
            "price": pa.array(
                [round(float(np.exp(item.log_price)), 2) for item in sold], pa.float64()
            ),
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
    from deepfeast.pipelines.marketplace_photos import contact_sheet

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
        prog="python -m deepfeast.pipelines.marketplace",
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
