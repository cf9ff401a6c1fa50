"""Draw the true factors of many items of the generated marketplace, and the price they make."""

from __future__ import annotations

import datetime

import numpy as np

from deepfeast.pipelines.demo.market import texts
from deepfeast.pipelines.demo.market.colours import COLOURS, ROOMS
from deepfeast.pipelines.demo.market.item import DAY, Item

OPENED = int(datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc).timestamp() * 1e6)
SPAN = 540  # days over which listings appear

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
WEIGHTS = {"kind": 1.3, "text": 0.54, "photo": 0.87, "seller": 0.18, "noise": 0.39}


def invent(n: int, seed: int) -> list[Item]:
    """Draw the true factors of ``n`` listings, in the order in which they appear."""
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
    # Good makers use good wood: what a text can tell hangs together, so that it can be learnt
    # from two thousand rows. The photo's factors are independent of it.
    quality = rng.standard_normal(n)
    names = sorted(texts.BRANDS, key=lambda name: -texts.BRANDS[name])
    brand = np.array(names)[ranked(quality, len(names), 0.8, rng)]
    material = ranked(quality, len(texts.MATERIALS), 0.8, rng)
    era = rng.integers(len(texts.ERAS), size=n)
    soundness = 4 - ranked(quality, len(texts.SOUNDNESS), 0.6, rng)
    story = ranked(quality, len(texts.STORIES), 0.8, rng)
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


def ranked(
    quality: np.ndarray, levels: int, agreement: float, rng: np.random.Generator
) -> np.ndarray:
    """Return levels from 0, the best, which follow ``quality`` with a correlation of ``agreement``.

    Parameters
    ----------
    quality : ndarray of shape (n,)
        Standard normal.
    levels : int
        How many; each is taken equally often.
    agreement : float
        From 0 (by chance) to 1 (the better, the lower the level).

    Returns
    -------
    ndarray of shape (n,)
        Integers from 0 to ``levels - 1``.

    Examples
    --------
    >>> ranked(np.array([0.1, 2.0, -1.0]), 3, 1.0, np.random.default_rng(0))
    array([1, 0, 2])
    """
    blurred = agreement * quality + np.sqrt(1 - agreement**2) * rng.standard_normal(len(quality))
    return np.argsort(np.argsort(-blurred)) * levels // len(quality)
